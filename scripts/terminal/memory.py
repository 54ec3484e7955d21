"""A limit on memory is looked at before libraries are loaded: OpenBLAS, in numpy and in SciPy, tries for ever to
reserve what it does not get, and XLA ends the process. Nothing is imported here that could need much."""

import os
import sys
from typing import NamedTuple


class Needed(NamedTuple):
    """Megabytes that a process needs, with some to spare."""

    space: int  # of addresses, which ulimit -v limits
    data: int  # of them what it may write to, which ulimit -d limits


SIMULATING = Needed(450, 200)  # numpy, SciPy, eFEL and NEURON take 310 and 160; a worker not more
LEARNING = Needed(2_400, 600)  # a run of the smallest bundled model takes 1,850: JAX 1,560, the rest is compiled


class TooLittleMemory(MemoryError):
    """Says what the limit is and what is needed."""


def check_memory(needed: Needed) -> None:
    """Raises TooLittleMemory where a limit is lower. Under any OpenBLAS gets one thread: each takes 40 MB."""
    if sys.platform == "win32":
        return
    import resource

    for kind, letter, least in ((resource.RLIMIT_AS, "v", needed.space), (resource.RLIMIT_DATA, "d", needed.data)):
        limit, _ = resource.getrlimit(kind)
        if limit == resource.RLIM_INFINITY:
            continue
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        if limit < least * 1e6:
            raise TooLittleMemory(
                f"not enough memory for this: the limit is {limit / 1e6:,.0f} MB (ulimit -{letter}), "
                f"expected {least:,} MB or more: ulimit -{letter} unlimited takes it away"
            )
