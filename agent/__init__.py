"""The tuning loop and what comes out of it. JAX is loaded by what is called here, not by this package."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gbar.agent.result import Result, read_result
from gbar.sim import GbarError, Problem, load_problem, nearest

if TYPE_CHECKING:
    from gbar.agent.tuning import Observer, TuneConfig, Verification

__all__ = ["Result", "TuneConfig", "read_result", "tune", "verify"]


def _unheard(plan: str) -> None:
    """Nobody listens."""


def tune(
    problem: Problem | str | Path,
    config: "TuneConfig | None" = None,
    out: str | Path | None = None,
    archive: str | Path | None = None,
    observe: "Observer | None" = None,
    announce: "Callable[[str], None] | None" = None,
    *,
    measurements: str | Path | None = None,
    **choices: Any,
) -> Result:
    """Find parameter sets that reproduce a problem's measurements, each confirmed by NEURON.

        gbar.tune("models/hh", solutions=3)

    Args:
        problem: from `load_problem`, or a problem's folder or toml.
        config: a TuneConfig; its defaults are those of the command `gbar tune`.
        out: the run folder; a run found in it is resumed. Without one, a new folder is made among the system's
            temporary ones, and stays: `Result.folder` says where.
        archive: an archive to learn from and add to, instead of the one in `out`.
        observe: called after every evaluation with how the run stands: phase, evaluations, solutions, best |z|; by
            default a progress bar where somebody looks.
        announce: told what a run on a dear model will cost, before it begins.
        measurements: a table instead of the problem's own.
        choices: fields of TuneConfig that differ from `config`: budget, solutions, tolerance, seed, workers …

    Returns:
        The result, which is also written to the run folder.

    Raises:
        GbarError: the model, the measurements, the archive or the folder cannot be used; an unknown choice.
    """
    if not isinstance(problem, Problem):
        problem = load_problem(problem, measurements)
    elif measurements is not None:
        problem = load_problem(problem.file, measurements)
    from gbar.agent.tuning import TuneConfig, show_progress, tune_into

    for name in choices:
        if name not in TuneConfig._fields:
            raise GbarError(f"tune: no choice is called '{name}'{nearest(name, TuneConfig._fields)}")
    config = (config or TuneConfig())._replace(**choices)
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix=f"gbar-{problem.name}-"))
    try:
        with show_progress(config.solutions, observe) as watch:
            kept = Path(archive) if archive is not None else None
            return tune_into(problem, config, folder, kept, watch, announce or _unheard)
    finally:
        if out is None:
            with suppress(OSError):  # it holds something: that is the user's
                folder.rmdir()


def verify(run: str | Path, workers: int = 2) -> "Verification":
    """Simulate a run's solutions again in fresh processes, and assess its surrogate.

    Raises:
        GbarError: no run folder, or the problem it came from is gone or has changed.
    """
    from gbar.agent.tuning import verify_run

    return verify_run(Path(run), workers)


def __getattr__(name: str) -> Any:
    if name == "TuneConfig":  # which loads JAX
        from gbar.agent.tuning import TuneConfig

        return TuneConfig
    raise AttributeError(f"module 'gbar.agent' has no attribute '{name}'")
