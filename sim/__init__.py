"""The NEURON side of gbar: problems, mechanisms, simulation, features, the archive. Never imports JAX."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gbar.sim.archive import Archive, Rows, design, sample
from gbar.sim.engine import Evaluation
from gbar.sim.errors import GbarError, nearest
from gbar.sim.files import cache_folder
from gbar.sim.mechanisms import processor
from gbar.sim.pool import Pool, Workers, open_pool
from gbar.sim.problem import Integrator, Measurement, Parameter, Problem, load_problem
from gbar.sim.setup import Choice, FeatureRow, choose_engine, measure_once, with_engine, with_process

__all__ = [
    "Integrator",
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
    "measure",
    "nearest",
    "open_pool",
    "processor",
    "sample",
    "simulate",
    "with_engine",
    "with_process",
]


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


def measure(
    problem: Problem | str | Path,
    parameters: Mapping[str, float] | None = None,
    *,
    measurements: str | Path | None = None,
) -> list[FeatureRow]:
    """Simulate a model once, at the accuracy that confirms solutions.

        for row in gbar.measure("models/hh", {"gnabar": 0.1}):
            print(row.protocol, row.feature, row.value, row.unit, row.z)

    Args:
        problem: from `load_problem`, or a problem's folder or toml.
        parameters: values in NEURON's units; the model's own for those that are not named.
        measurements: a table instead of the problem's own.

    Returns:
        A row a measured feature; without measurements, a row for every feature that is computed.

    Raises:
        GbarError: no such parameter, or the simulation failed.
    """
    if not isinstance(problem, Problem) or measurements is not None:
        path = problem.file if isinstance(problem, Problem) else problem
        problem = load_problem(path, measurements, measured=False)
    return measure_once(problem, parameters or {})
