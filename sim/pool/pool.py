"""The one seam behind which evaluations are made: processes on this machine, or a Dask cluster."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gbar.sim.engine import Evaluation
from gbar.sim.pool.cluster import Cluster
from gbar.sim.pool.workers import Workers
from gbar.sim.problem import Integrator, Problem

Pool = Workers | Cluster


def open_pool(
    problem: Problem,
    count: int = 1,
    integrator: Integrator | None = None,
    log: Path | None = None,
    dask: str | None = None,
) -> Pool:
    """A pool of evaluators; the same parameter vectors give the same bits whatever it consists of.

    Args:
        problem: what is simulated.
        count: processes on this machine; a cluster has as many as it has.
        integrator: the problem's own by default.
        log: where NEURON's own output goes on this machine.
        dask: address of a Dask scheduler, such as "tcp://node07:8786"; this machine then simulates nothing.

    Raises:
        GbarError: the mechanisms do not build, the model cannot be loaded, or the cluster cannot be used.
    """
    return Workers(problem, count, integrator, log) if dask is None else Cluster(problem, dask, integrator)


def simulate(
    problem: Problem,
    x: Sequence[np.ndarray] | np.ndarray,
    *,
    workers: int = 1,
    integrator: Integrator | None = None,
    traces: bool = False,
    log: Path | None = None,
    dask: str | None = None,
) -> list[Evaluation]:
    """Run all protocols of a problem for parameter vectors, in isolated processes.

    Args:
        problem: from `load_problem`.
        x: [B, D] in NEURON's units.
        workers: processes.
        integrator: with its tolerance; the problem's own by default.
        traces: whether evaluations keep their voltage traces.
        log: where NEURON's own output goes.
        dask: address of a Dask scheduler whose workers simulate instead.

    Returns:
        B evaluations in the order of x. One that crashed, hung or diverged has status "failed" and a reason.

    Raises:
        GbarError: the mechanisms do not build, or the model cannot be loaded.
    """
    with open_pool(problem, min(workers, max(1, len(x))), integrator, log, dask) as pool:
        done = dict(pool.run(list(x), traces=traces))
    return [done[i] for i in range(len(x))]
