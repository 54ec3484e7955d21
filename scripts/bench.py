"""gbar bench: the published comparisons, reproducible."""

from gbar.scripts.bench import bench

if __name__ == "__main__":
    bench()
