"""Which engine simulates a model while searching: found by trying, once for each model, and remembered."""

import math
import os
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from sim import mechanisms
from sim.errors import GbarError
from sim.evaluation import Accuracy, Evaluation
from sim.problem import Problem
from sim.sampling import design
from sim.synthetic import typical_sd
from sim.workers import Workers

CANDIDATES = (Accuracy("coreneuron"), Accuracy("neuron"))  # the faster first; single-cell CVODE where neither will do
POINTS = 8  # parameter vectors that are compared
PATIENCE_S = 20.0  # for CVODE on all of them; fewer are compared where one takes longer
NEAR = 0.5  # SD within which a feature counts as the same
AGREE = (
    0.9  # share of features that must be: broad samples hold cells on a knife's edge, which every engine sees otherwise
)


class Trial(BaseModel):
    """What one engine did."""

    model_config = ConfigDict(extra="forbid")

    engine: str
    seconds: float | None = None  # of one worker for an evaluation; None where it cannot simulate the model
    agree: float | None = None  # share of features within `NEAR` of CVODE's
    refused: str = ""  # why it cannot be used


class Choice(BaseModel):
    """The engine chosen, and everything that was tried."""

    model_config = ConfigDict(extra="forbid")

    engine: str
    confirm: str  # cvode | fixed
    why: str
    trials: list[Trial]


def choose_engine(
    problem: Problem, log: Path | None = None, observe: Callable[[str], None] = lambda doing: None
) -> tuple[Problem, Choice]:
    """Settle which engine simulates a problem.

    Args:
        problem: one whose `simulation.engine` is not "auto" keeps it; for others $GBAR_ENGINE decides, if it is set.
        log: where NEURON's own output goes.
        observe: told what is being tried.

    Returns:
        The problem with the engine in it, and why it is that one.

    Raises:
        GbarError: no engine can simulate the model; with the reason of the single-cell one.
    """
    if problem.simulation.engine == "auto" and (wanted := os.environ.get("GBAR_ENGINE")):
        problem = with_engine(problem, wanted)
    if problem.simulation.engine != "auto":
        asked = Accuracy.of(problem)
        return problem, Choice(engine=str(asked), confirm=asked.confirm, why="asked for", trials=[])
    memory = _memory(problem)
    choice = _remembered(memory)
    if choice is None:
        choice = _tried(problem, log, observe)
        memory.parent.mkdir(parents=True, exist_ok=True)
        part = memory.with_suffix(".part")
        part.write_text(choice.model_dump_json(indent=1))
        part.replace(memory)
    return with_engine(problem, choice.engine, choice.confirm), choice


def with_engine(problem: Problem, engine: str, confirm: str | None = None) -> Problem:
    """The problem with an engine as `result.json` names it, such as "coreneuron dt 0.025".

    Raises:
        GbarError: there is no such engine.
    """
    asked = Accuracy.parse(engine)
    changed = {"engine": asked.engine, "atol": asked.atol, "dt": asked.dt}
    changed |= {"confirm": confirm} if confirm else {}
    return problem.model_copy(update={"simulation": problem.simulation.model_copy(update=changed)})


def _memory(problem: Problem) -> Path:
    """The file that remembers a model's engine on this processor with these versions."""
    content = f"{problem.identity()}-{metadata.version('gbar')}-{metadata.version('neuron')}-{mechanisms.processor()}"
    return mechanisms.cache_folder() / "engines" / f"{content.replace(' ', '-')}.json"


def _remembered(file: Path) -> Choice | None:
    try:
        return Choice.model_validate_json(file.read_text())
    except (OSError, ValidationError):
        return None


def _tried(problem: Problem, log: Path | None, observe: Callable[[str], None]) -> Choice:
    """Simulate a few points with CVODE and with each candidate, and take the fastest that sees the same."""
    x = problem.physical(design(len(problem.names), POINTS, 0))
    observe("Trying engines: CVODE, one cell at a time")
    confirm, x, reference = _reference(problem, x, log)
    trials = [Trial(engine=str(reference[0]), seconds=_seconds(reference[1]), agree=1.0)]
    for candidate in CANDIDATES:
        observe(f"Trying engines: many cells at once, by {candidate.engine} (built once)")
        trials.append(_compared(problem, candidate, x, reference[1], log))
    usable = [trial for trial in trials if trial.seconds is not None and (trial.agree or 0.0) >= AGREE]
    best = min(usable, key=lambda trial: trial.seconds or math.inf)
    others = [f"{trial.engine}: {_said(trial)}" for trial in trials if trial is not best]
    why = f"{_said(best)}; {'; '.join(others)}"
    return Choice(engine=best.engine, confirm=confirm, why=why, trials=trials)


def _said(trial: Trial) -> str:
    if trial.seconds is None:
        return trial.refused
    same = f", {trial.agree:.0%} of features as CVODE's" if trial.agree is not None and trial.agree < 1 else ""
    return f"{1000 * trial.seconds:.3g} ms an evaluation{same}"


def _reference(
    problem: Problem, x: np.ndarray, log: Path | None
) -> tuple[str, np.ndarray, tuple[Accuracy, list[Evaluation]]]:
    """What confirms solutions, the points that were simulated, and the accuracy and evaluations to compare with."""
    for accuracy in (Accuracy("cvode", problem.simulation.atol), Accuracy("fixed", confirm="fixed")):
        with Workers(problem, 2, accuracy, log) as pool:
            first = dict(pool.run(list(x[:2])))
            count = int(np.clip(PATIENCE_S / max(_seconds(list(first.values())), 1e-3), 2, len(x)))
            done = first | {i + 2: evaluation for i, evaluation in pool.run(list(x[2:count]))}
        evaluations = [done[i] for i in range(count)]
        if any(evaluation.status == "ok" for evaluation in evaluations):
            return accuracy.confirm, x[:count], (accuracy, evaluations)
    raise GbarError(f"no engine can simulate the model: {evaluations[0].reason}")


def _compared(
    problem: Problem, candidate: Accuracy, x: np.ndarray, reference: Sequence[Evaluation], log: Path | None
) -> Trial:
    """One candidate beside the reference."""
    try:
        with Workers(problem, 1, candidate, log) as pool:
            done = dict(pool.run(list(x)))
    except GbarError as error:
        return Trial(engine=str(candidate), refused=str(error))
    evaluations = [done[i] for i in range(len(x))]
    failed = [
        e.reason for e, ref in zip(evaluations, reference, strict=True) if (e.status, ref.status) == ("failed", "ok")
    ]
    if failed:
        return Trial(engine=str(candidate), refused=failed[0])
    agree = _agreement(problem, evaluations, reference)
    return Trial(engine=str(candidate), seconds=_seconds(evaluations), agree=agree)


def _seconds(evaluations: Sequence[Evaluation]) -> float:
    return float(np.mean([evaluation.seconds for evaluation in evaluations]))


def _agreement(problem: Problem, evaluations: Sequence[Evaluation], reference: Sequence[Evaluation]) -> float:
    """Share of features that two engines see within `NEAR` SDs of each other, or both as not defined."""
    measured = {m.key: m.sd for m in problem.measurements}
    same = []
    for one, other in zip(evaluations, reference, strict=True):
        for key in measured or other.features:
            a, b = one.features.get(key, math.nan), other.features.get(key, math.nan)
            sd = measured.get(key) or typical_sd(problem.unit_of(key) or "", b)
            same.append(
                abs(a - b) <= NEAR * sd if math.isfinite(a) and math.isfinite(b) else math.isnan(a) == math.isnan(b)
            )
    return float(np.mean(same)) if same else 1.0
