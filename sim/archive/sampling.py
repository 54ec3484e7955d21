"""Filling an archive with a space-filling design."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gbar.sim.archive.archive import Archive
from gbar.sim.engine import Evaluation
from gbar.sim.pool import open_pool
from gbar.sim.problem import Integrator, Problem


def design(dimension: int, count: int, seed: int) -> np.ndarray:  # [count, dimension] in the unit cube
    """The first points of a scrambled Sobol sequence (Owen 1998); more points of a seed extend fewer."""
    from scipy.stats import qmc  # most of what importing sim would cost, in every worker too

    points: np.ndarray = qmc.Sobol(dimension, seed=seed).random_base2(max(0, count - 1).bit_length())[:count]
    return points


def near(problem: Problem, own: np.ndarray, count: int, reach: float) -> np.ndarray:  # [D] -> [count, D] NEURON's units
    """Where a search begins: the start, or the model's own values inside the bounds, and points around it.

    Args:
        problem: may name a start.
        own: the model's own values.
        count: of points.
        reach: of the ranges, to each side.
    """
    steps = reach * (2 * design(len(own), count, 0) - 1)
    steps[0] = 0.0
    return problem.physical(np.clip(problem.nearest(problem.started(own)) + steps, 0, 1))


def sample(
    problem: Problem,
    archive: Archive,
    count: int,
    seed: int,
    workers: int,
    log: Path | None = None,
    observe: Callable[[int, Evaluation | None], None] = lambda done, evaluation: None,
    dask: str | None = None,
) -> int:
    """Evaluate the first `count` points of a design, without those the archive has; every result is kept as it comes.

    Args:
        observe: called with the number of points done, once at the start and after every evaluation.
        dask: address of a Dask scheduler whose workers simulate instead.

    Returns:
        How many evaluations were made now.
    """
    run, integrator = f"sample seed {seed}", Integrator.of(problem)
    x = problem.physical(design(len(problem.names), count, seed))
    known = {row.tobytes() for row in archive.rows([m.key for m in problem.measurements], str(integrator)).x}
    missing = [i for i in range(count) if x[i].tobytes() not in known]
    observe(count - len(missing), None)
    if not missing:
        return 0
    if log:
        archive.made.file(log)  # so that it goes with the archive where nothing comes of it
    with open_pool(problem, workers, integrator, log, dask) as pool:
        archive.hold_to(pool.found.reads_outside)
        for number, (i, evaluation) in enumerate(pool.run(list(x[missing])), start=1):
            archive.add(run, 0, missing[i], "design", str(integrator), x[missing[i]], evaluation)
            observe(count - len(missing) + number, evaluation)
    return len(missing)
