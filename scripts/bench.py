"""gbar bench: the published comparisons, reproducible."""

from gbar.scripts.bench import bench
from gbar.scripts.interrupts import as_process

if __name__ == "__main__":
    as_process(bench)
