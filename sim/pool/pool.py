"""The one seam behind which evaluations are made: processes on this machine, or a Dask cluster."""

from pathlib import Path

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
