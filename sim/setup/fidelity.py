"""Cheaper forms of a dear model, to search on: found by trying, once for each model and its measurements, remembered.

A copy with fewer segments or a looser tolerance costs a fraction and orders parameter sets nearly as the model does
(multi-fidelity optimisation: Peherstorfer et al. 2018, SIAM Review 60:550). What confirms solutions is the model.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from gbar.sim.archive import near
from gbar.sim.engine import Evaluation
from gbar.sim.errors import GbarError, MachineError
from gbar.sim.files import write_whole
from gbar.sim.pool import KILLED, Workers
from gbar.sim.problem import Integrator, Problem

DEAR_S = 1.0  # of one worker for an evaluation: cheaper ones are searched on as they are
DOUBTFUL_S = 0.1  # where engines were compared, from which on it is looked at further out: a silent cell costs little
POINTS, REACH = 6, 0.2  # where a search begins, and so much of the ranges to each side
RANK = 0.7  # Spearman's correlation of what the two say of the points, at least
GAIN = 2.0  # times cheaper, at least
CAP = 20.0  # a |z| counts no more; one that is not defined counts as much
LOOSE_ATOL, LOOSE_DT = 1e-2, 0.05  # mV; ms


class FidelityTrial(BaseModel):
    """What one cheaper form of the model did."""

    model_config = ConfigDict(extra="forbid")

    engine: str
    seconds: float | None = None  # of one worker for an evaluation; None where it cannot simulate the model
    full_seconds: float | None = None  # the model itself, at the same points
    rank: float | None = None  # Spearman's correlation of the sums of |z|
    off: float | None = None  # median difference of a feature that both define, in SDs
    refused: str = ""  # why it cannot be used
    passing: bool = False  # whether that is the machine's fault, such as no memory left: another time it may do

    @property
    def gain(self) -> float:
        """How many times cheaper it is."""
        return self.full_seconds / self.seconds if self.seconds and self.full_seconds else 0.0

    @property
    def serves(self) -> bool:
        """Whether it is cheap and orders parameter sets as the model does."""
        return self.gain >= GAIN and (self.rank or 0.0) >= RANK

    def __str__(self) -> str:
        return f"{self.engine}: {self.refused or self.compared}"

    @property
    def compared(self) -> str:
        """What it takes and how alike it is, in words."""
        rank = "no order" if self.rank is None else f"rank correlation {self.rank:.2f}"
        off = "" if self.off is None else f", a feature {self.off:.2g} SD off in the median"
        return f"{self.seconds:.3g} s where the model takes {self.full_seconds:.3g}, {rank}{off}"


class FidelityTrials(BaseModel):
    """Everything that was tried, as it is remembered."""

    model_config = ConfigDict(extra="forbid")

    trials: list[FidelityTrial]
    full_seconds: float | None = None  # of one worker for an evaluation of the model, at the points compared

    @property
    def best(self) -> FidelityTrial | None:
        """The cheapest that serves."""
        return max((trial for trial in self.trials if trial.serves), key=lambda trial: trial.gain, default=None)


def cheaper_forms(problem: Problem) -> list[Integrator]:
    """The forms of a model that may be searched on, the cheapest first: those that its user named, or gbar's own.

    Args:
        problem: whose engine is known.
    """
    named = problem.simulation.fidelities
    if named != "auto":
        return [Integrator.parse(text) for text in named]
    full = Integrator.of(problem)
    loose = Integrator("cvode", LOOSE_ATOL, confirm=full.confirm)
    if full.engine != "cvode":
        loose = Integrator(full.engine, dt=max(full.dt, LOOSE_DT), confirm=full.confirm)
    return [Integrator(loose.engine, loose.atol, loose.dt, loose.confirm, segments) for segments in (1, 3, None)]


def try_fidelities(
    problem: Problem, memory: Path, log: Path | None, observe: Callable[[str], None] = lambda doing: None
) -> FidelityTrials:
    """Compare cheaper forms with the model at a few points, from the cheapest on until one serves.

    None is tried of a model that turns out to be no dear one, unless its user has named some.

    Args:
        problem: whose engine is known, with measurements.
        memory: the file that remembers the model's engine: what is found lies beside it.
        log: where NEURON's own output goes.
        observe: told what is being tried.
    """
    said = [problem.simulation.fidelities, [m.model_dump() for m in problem.measurements], str(Integrator.of(problem))]
    mark = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:8]
    file = memory.with_name(f"{memory.stem}-fidelity-{mark}.json")
    try:
        return FidelityTrials.model_validate_json(file.read_text())
    except (OSError, ValidationError):
        found = _tried(problem, log, observe)
        if not any(trial.passing for trial in found.trials):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, found.model_dump_json(indent=1))
        return found


def _tried(problem: Problem, log: Path | None, observe: Callable[[str], None]) -> FidelityTrials:
    observe("Simulating a few points, to compare a cheaper form of the model with it")
    with Workers(problem, 2, log=log) as pool:
        x = near(problem, pool.found.own, POINTS, REACH)
        full = dict(pool.run(list(x)))
    each = _seconds(full.values())
    trials: list[FidelityTrial] = []
    if problem.simulation.fidelities == "auto" and each is not None and each <= DEAR_S:
        return FidelityTrials(trials=trials, full_seconds=each)
    for form in cheaper_forms(problem):
        observe(f"Trying a cheaper form of the model: {form}")
        trials.append(_compared(problem, form, x, full, log))
        if trials[-1].serves:
            break
    return FidelityTrials(trials=trials, full_seconds=each)


def _seconds(done: Iterable[Evaluation]) -> float | None:
    """Of one worker for an evaluation; None where none went well: what was ended half-way has no time of its own."""
    ok = [one.cpu for one in done if one.status == "ok"]
    return float(np.mean(ok)) if ok else None


def _compared(
    problem: Problem, form: Integrator, x: np.ndarray, full: dict[int, Evaluation], log: Path | None
) -> FidelityTrial:
    try:
        with Workers(problem, 2, form, log) as pool:
            cheap = dict(pool.run(list(x)))
    except GbarError as error:
        return FidelityTrial(engine=str(form), refused=str(error), passing=isinstance(error, MachineError))
    both = [(full[i], cheap[i]) for i in range(len(x)) if full[i].status == "ok"]
    failed = next((one.reason for _, one in both if one.status != "ok"), "" if both else full[0].reason)
    if failed:
        return FidelityTrial(engine=str(form), refused=failed, passing=failed in KILLED)
    return FidelityTrial(
        engine=str(form),
        seconds=float(np.mean([one.cpu for _, one in both])),
        full_seconds=float(np.mean([one.cpu for one, _ in both])),
        rank=_rank(problem, both),
        off=_off(problem, both),
    )


def _sums(problem: Problem, done: Sequence[Evaluation]) -> np.ndarray:  # [n]
    """What each evaluation misses: the sum of |z|, each at most CAP."""
    z = np.array([[m.z(one.features.get(m.key, math.nan)) for m in problem.measurements] for one in done])
    total: np.ndarray = np.minimum(np.where(np.isfinite(z), np.abs(z), CAP), CAP).sum(axis=1)
    return total


def _rank(problem: Problem, both: Sequence[tuple[Evaluation, Evaluation]]) -> float | None:
    ones, others = (_sums(problem, side) for side in zip(*both, strict=True))
    if len(both) < 3 or np.ptp(ones) == 0 or np.ptp(others) == 0:
        return None
    from scipy.stats import spearmanr  # a third of a second, which no worker has to wait for

    return float(spearmanr(ones, others).statistic)


def _off(problem: Problem, both: Sequence[tuple[Evaluation, Evaluation]]) -> float | None:
    apart = [
        abs(full.features[m.key] - cheap.features[m.key]) / m.sd
        for full, cheap in both
        for m in problem.measurements
        if math.isfinite(full.features.get(m.key, math.nan)) and math.isfinite(cheap.features.get(m.key, math.nan))
    ]
    return float(np.median(apart)) if apart else None
