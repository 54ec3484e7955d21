"""The NEURON side of gbar: problems, mechanisms, simulation, features, the archive. Never imports JAX."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sim.archive import Archive, Rows
from sim.choice import Choice, choose_engine, with_engine
from sim.errors import GbarError
from sim.evaluation import Evaluation
from sim.integrator import Accuracy
from sim.loading import load_problem
from sim.mechanisms import cache_folder, processor
from sim.parameter import Parameter
from sim.pool import Pool, open_pool
from sim.problem import Measurement, Problem
from sim.sampling import design, sample
from sim.workers import Workers

__all__ = [
    "Accuracy",
    "Archive",
    "Choice",
    "Evaluation",
    "GbarError",
    "Measurement",
    "Parameter",
    "Pool",
    "Problem",
    "Rows",
    "Workers",
    "cache_folder",
    "choose_engine",
    "design",
    "load_problem",
    "open_pool",
    "processor",
    "sample",
    "simulate",
    "with_engine",
]


def simulate(
    problem: Problem,
    x: Sequence[np.ndarray] | np.ndarray,
    *,
    workers: int = 1,
    accuracy: Accuracy | None = None,
    traces: bool = False,
    log: Path | None = None,
    dask: str | None = None,
) -> list[Evaluation]:
    """Run all protocols of a problem for parameter vectors, in isolated processes.

    Args:
        problem: from `load_problem`.
        x: [B, D] in NEURON's units.
        workers: processes.
        accuracy: integrator and tolerance; the problem's own by default.
        traces: whether evaluations keep their voltage traces.
        log: where NEURON's own output goes.
        dask: address of a Dask scheduler whose workers simulate instead.

    Returns:
        B evaluations in the order of x. One that crashed, hung or diverged has status "failed" and a reason.

    Raises:
        GbarError: the mechanisms do not build, or the model cannot be loaded.
    """
    with open_pool(problem, min(workers, max(1, len(x))), accuracy, log, dask) as pool:
        done = dict(pool.run(list(x), traces=traces))
    return [done[i] for i in range(len(x))]
