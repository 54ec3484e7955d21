"""A limit on memory (ulimit -v) is looked at before libraries are loaded: OpenBLAS, in numpy and in SciPy, tries for
ever to reserve what it does not get, and XLA ends the process. Nothing is imported here that could need much."""

import os
import sys

SIMULATING_MB = 450  # of address space: numpy, SciPy, eFEL and NEURON reserve 310, a worker not more
LEARNING_MB = 2_400  # a run of the smallest bundled model reserves 1,850: JAX 1,560, the rest is what it compiles


class TooLittleMemory(MemoryError):
    """Says what the limit is and what is needed."""


def check_memory(needed_mb: int) -> None:
    """Raises TooLittleMemory where the limit on address space is lower. Under any limit OpenBLAS gets one thread: each
    reserves some 40 MB."""
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if limit < needed_mb * 1e6:
        raise TooLittleMemory(
            f"not enough memory for this: the limit is {limit / 1e6:,.0f} MB (ulimit -v), "
            f"expected {needed_mb:,} MB or more: ulimit -v unlimited takes it away"
        )
