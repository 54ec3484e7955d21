"""Whether memory and throughput stay flat over a long run, and whether twice the workers do twice as much."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from gbar.sim.archive import Archive, design
from gbar.sim.pool import open_pool
from gbar.sim.problem import Integrator, Problem

MB = 1e6


class Stretch(NamedTuple):
    """A part of a long run."""

    evaluations: int  # at its end
    per_second: float  # in it
    parent_mb: float  # resident, at its end
    workers_mb: float  # all of them on this machine
    log_bytes: float  # that an evaluation in it wrote into neuron.log
    failed: int  # in it


class Speed(NamedTuple):
    """What one kind of pool does."""

    pool: str
    per_second: float  # median
    times: float  # the first one's, median of the ratios within a round


def endure(
    problem: Problem, count: int, stretch: int, workers: int, accuracy: Integrator, dask: str | None = None
) -> Iterator[Stretch]:
    """Make `count` evaluations in one run, kept in an archive as any run's are, and look at every `stretch` of them."""
    x = problem.physical(design(len(problem.names), count, 0))
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "neuron.log"
        with (
            Archive(Path(scratch) / "archive.sqlite", problem) as archive,
            open_pool(problem, workers, accuracy, log, dask) as pool,
        ):
            for batch, first in enumerate(range(0, count, stretch)):
                part, start, failed = x[first : first + stretch], time.perf_counter(), 0
                before = log.stat().st_size if log.exists() else 0
                for i, done in pool.run(list(part)):
                    archive.add("long", batch, i, "design", str(accuracy), part[i], done)
                    failed += done.status == "failed"
                seconds = time.perf_counter() - start
                written = max(0, (log.stat().st_size if log.exists() else 0) - before)
                here = psutil.Process()
                theirs = sum(_resident(process) for process in here.children(recursive=True))
                yield Stretch(
                    first + len(part),
                    len(part) / seconds,
                    _resident(here),
                    theirs,
                    written / len(part),
                    failed,
                )


def _resident(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss / MB)
    except psutil.Error:
        return 0.0


def compare_pools(
    problem: Problem, count: int, repeats: int, accuracy: Integrator, dask: str | None = None
) -> list[Speed]:
    """Time the same `count` evaluations with one process, with two, and on a cluster, in turn."""
    x = list(problem.physical(design(len(problem.names), count, 0)))
    kinds: dict[str, tuple[int, str | None]] = {"1 local worker": (1, None), "2 local workers": (2, None)}
    if dask is not None:
        kinds["Dask"] = (1, dask)
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(repeats):
        for name, (workers, address) in kinds.items():
            with open_pool(problem, workers, accuracy, dask=address) as pool:
                list(pool.run(x))  # everybody has the model loaded, and as many copies of it as are needed
                start = time.perf_counter()
                list(pool.run(x))
                seconds[name].append(time.perf_counter() - start)
    alone = np.array(seconds["1 local worker"])
    return [
        Speed(name, count / float(np.median(each)), float(np.median(alone / np.array(each))))
        for name, each in seconds.items()
    ]
