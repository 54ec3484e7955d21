"""The tuning loop and what comes out of it. JAX is loaded by `tune`, `verify` and agent.loop, not by this package."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.result import Result, read_result
from sim import Problem

if TYPE_CHECKING:
    from agent.session import Session, TuneConfig

__all__ = ["Result", "read_result", "tune"]


def tune(
    problem: Problem,
    config: "TuneConfig",
    out: Path,
    archive: Path | None = None,
    observe: "Callable[[Session], None]" = lambda session: None,
) -> Result:
    """Find parameter sets that reproduce a problem's measurements, each confirmed by NEURON.

    Args:
        problem: from `sim.load_problem`, with measurements.
        config: agent.session.TuneConfig.
        out: the run folder; a run found in it is resumed.
        archive: an archive to learn from and add to, instead of the one in `out`.
        observe: called after every evaluation.

    Returns:
        The result, which is also written to `out` (see agent.result).

    Raises:
        GbarError: the model, the archive or the folder cannot be used; then no run folder is left that was not there.
    """
    from agent.run import tune_into

    return tune_into(problem, config, out, archive, observe)
