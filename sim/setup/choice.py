"""Which engine simulates a model while searching: found by trying, once for each model, and remembered."""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from gbar.sim import mechanisms
from gbar.sim.archive import design, near
from gbar.sim.engine import Evaluation
from gbar.sim.errors import GbarError, MachineError
from gbar.sim.files import cache_folder, write_whole
from gbar.sim.pool import KILLED, Workers
from gbar.sim.problem import LANES, Integrator, Problem, typical_sd
from gbar.sim.setup.fidelity import DOUBTFUL_S, FidelityTrial, try_fidelities
from gbar.sim.setup.reuse import Difference, Process, Reuse, compare, differences, with_process

CANDIDATES = (
    Integrator("coreneuron"),
    Integrator("neuron"),
)  # the faster first; CVODE where neither will do
POINTS = LANES  # parameter vectors that are compared: a batch simulates as many copies in any case
FAR = 2  # of them lie anywhere in the bounds, the others where a search begins and cells do what was measured
NEAR_STEP = 0.05  # of the ranges, from the start or the model's own values
PATIENCE_S = 20.0  # for CVODE on all of them; fewer are compared where one takes longer
FEW = 4  # evaluations by CVODE that a trial may cost, where all of them would take longer than PATIENCE_S
LONGEST_S = 60.0  # for an evaluation by CVODE; nothing is compared with one that takes longer
LEAST_S = 5.0  # that a candidate is given in any case: its first steps cost more than later ones
NEAR = 0.5  # SD within which a feature counts as the same
# Shares of features that must be: of the median cell, and of all. Broad samples hold cells that fire by themselves; a
# stimulus meets them in another phase with every engine, and then all of their features differ.
AGREE, ALL_AGREE = 0.9, 0.75


class EngineTrial(BaseModel):
    """What one engine did."""

    model_config = ConfigDict(extra="forbid")

    engine: str
    seconds: float | None = None  # of one worker for an evaluation; None where it cannot simulate the model
    agree: float | None = None  # share of features within `NEAR` of CVODE's, over all cells
    typical: float | None = None  # in the median cell
    refused: str = ""  # why it cannot be used
    slow: bool = False  # whether that is because it was stopped for taking too long
    passing: bool = False  # whether that is the machine's fault, such as no memory left: another time it may do

    @property
    def simulates(self) -> bool:
        """Whether it can simulate the model at all."""
        return self.slow or self.seconds is not None

    @property
    def sees_the_same(self) -> bool:
        """Whether its features are CVODE's, but for a few cells."""
        return (self.typical or 0.0) >= AGREE and (self.agree or 0.0) >= ALL_AGREE


class Choice(BaseModel):
    """The engine chosen, and everything that was tried."""

    model_config = ConfigDict(extra="forbid")

    engine: str
    confirm: str  # cvode | fixed
    why: str
    trials: list[EngineTrial]
    process: Process = "kept"  # for all evaluations, or one for each
    passing: bool = False  # whether a process was killed meanwhile, so that another time it may be another choice
    fidelities: list[FidelityTrial] = []  # cheaper forms of a dear model that were tried
    further_out_s: float | None = None  # of an evaluation of the model at the points where these were tried

    @property
    def seconds(self) -> float:
        """That a worker needs for an evaluation of the model itself, or at least; 0 where nobody has seen it."""
        tried = [trial.seconds for trial in self.trials if trial.seconds is not None and trial.sees_the_same]
        too_long = bool(self.trials) and all(trial.slow for trial in self.trials)
        return max(min(tried, default=LONGEST_S if too_long else 0.0), self.further_out_s or 0.0)


def choose_engine(
    problem: Problem, log: Path | None = None, observe: Callable[[str], None] = lambda doing: None
) -> tuple[Problem, Choice]:
    """Settle which engine simulates a problem.

    Args:
        problem: one whose `simulation.engine` is not "auto" keeps it; for others $GBAR_ENGINE decides, if it is set.
            The same with `simulation.process`.
        log: where NEURON's own output goes.
        observe: told what is being tried.

    Returns:
        The problem with the engine in it and whether each evaluation has a process of its own, and why.

    Raises:
        GbarError: no engine can simulate the model, with the reason of the single-cell one; or the model is another
            cell every time that it is built.
    """
    if problem.simulation.engine == "auto" and (wanted := os.environ.get("GBAR_ENGINE")):
        problem = with_engine(problem, wanted)
    asked = problem.simulation.engine != "auto"
    memory = _memory(problem)
    if asked and problem.simulation.process != "auto":
        as_asked = _as_asked(problem, problem.simulation.process, "")
        return _with_fidelity(problem, as_asked, memory, log, observe)
    choice = _remembered(memory)
    if choice is None:
        choice = _only_compared(problem, log, observe) if asked else _tried(problem, log, observe)
        if not (choice.passing or any(trial.passing for trial in choice.trials)):
            memory.parent.mkdir(parents=True, exist_ok=True)
            write_whole(memory, choice.model_dump_json(indent=1))
    chosen = with_process(with_engine(problem, choice.engine, choice.confirm), choice.process)
    return _with_fidelity(chosen, choice, memory, log, observe)


def _with_fidelity(
    problem: Problem, choice: Choice, memory: Path, log: Path | None, observe: Callable[[str], None]
) -> tuple[Problem, Choice]:
    """On a cheaper form of a dear model, where one orders parameter sets as the model does."""
    wanted = problem.simulation.fidelities
    doubtful = choice.seconds > DOUBTFUL_S and problem.simulation.segments is None
    if not problem.measurements or not (doubtful if wanted == "auto" else wanted):
        return problem, choice
    found = try_fidelities(problem, memory, log, observe)
    choice = choice.model_copy(update={"fidelities": found.trials, "further_out_s": found.full_seconds})
    if not found.trials:
        return problem, choice
    if found.best is None:
        tried = "; ".join(map(str, found.trials))
        return problem, choice.model_copy(update={"why": f"{choice.why}; no cheaper form serves: {tried}"})
    why = f"{found.best.compared}; confirmed on the model itself"
    return with_engine(problem, found.best.engine), choice.model_copy(update={"engine": found.best.engine, "why": why})


def _as_asked(problem: Problem, process: Process, why: str) -> Choice:
    integrator = Integrator.of(problem)
    said = f"asked for; {why}" if why else "asked for"
    return Choice(engine=str(integrator), confirm=integrator.confirm, why=said, trials=[], process=process)


def _only_compared(problem: Problem, log: Path | None, observe: Callable[[str], None]) -> Choice:
    """An engine that was asked for. Raises GbarError where it cannot have the process for each evaluation it needs."""
    observe("Comparing a process that is used again with a fresh one")
    integrator = Integrator.of(problem)
    single = integrator.tight() if integrator.batched else integrator
    found = compare(problem, single, list(_points(problem)[:FAR]), LONGEST_S, log)
    if integrator.batched and found.process == "each":
        raise GbarError(
            f"{integrator.engine} simulates many cells in one process, which this model does not bear ({found.why}): "
            "leave out simulation.engine"
        )
    return _as_asked(problem, found.process, found.why).model_copy(update={"passing": found.passing})


def _points(problem: Problem) -> np.ndarray:  # [POINTS, D] in NEURON's units
    return problem.physical(design(len(problem.names), POINTS, 0))


def with_engine(problem: Problem, engine: str, confirm: str | None = None) -> Problem:
    """The problem with an engine as `result.json` names it, such as "coreneuron dt 0.025".

    Raises:
        GbarError: there is no such engine.
    """
    asked = Integrator.parse(engine)
    changed: dict[str, object] = {"engine": asked.engine, "atol": asked.atol, "dt": asked.dt}
    changed["segments"] = asked.segments
    changed |= {"confirm": confirm} if confirm else {}
    return problem.model_copy(update={"simulation": problem.simulation.model_copy(update=changed)})


def _memory(problem: Problem) -> Path:
    """The file that remembers a model's engine on this processor with these versions."""
    content = f"{problem.identity()}-{metadata.version('gbar')}-{metadata.version('neuron')}-{mechanisms.processor()}"
    asked = problem.simulation
    content += f"-{Integrator.of(problem)}" if asked.engine != "auto" else ""
    content += f"-{asked.process}" if asked.process != "auto" else ""
    content += f"-segments {asked.segments}" if asked.segments is not None else ""
    return cache_folder() / "engines" / f"{content.replace(' ', '-')}.json"


def _remembered(file: Path) -> Choice | None:
    try:
        return Choice.model_validate_json(file.read_text())
    except (OSError, ValidationError):
        return None


def _tried(problem: Problem, log: Path | None, observe: Callable[[str], None]) -> Choice:
    """Simulate a few points with CVODE and with each candidate, and take the fastest that sees the same."""
    observe("Trying engines: CVODE, one cell at a time")
    reference = _reference(problem, log)
    if not reference.evaluations:
        why = f"an evaluation takes longer than {LONGEST_S:g} s: no other engine was tried"
        refused = EngineTrial(engine=str(reference.integrator), refused=why, slow=True)
        return Choice(engine=refused.engine, confirm=reference.integrator.confirm, why=why, trials=[refused])
    itself = EngineTrial(engine=str(reference.integrator), seconds=reference.seconds, agree=1.0, typical=1.0)
    if reference.reuse.process == "each":
        why = f"{reference.reuse.why}: engines that simulate many cells in one process would be wrong"
        confirm = reference.integrator.confirm
        return Choice(engine=itself.engine, confirm=confirm, why=why, trials=[itself], process="each")
    trials = [itself]
    for candidate in CANDIDATES:
        observe(f"Trying engines: many cells at once, by {candidate.engine} (built once)")
        candidate = replace(candidate, segments=problem.simulation.segments)
        trials.append(_compared(problem, candidate, reference.x, reference, log))
        if trials[-1].simulates:
            break  # the next one takes the same steps, more slowly
    usable = [trial for trial in trials if trial.seconds is not None and trial.sees_the_same]
    best = min(usable, key=lambda trial: trial.seconds or math.inf)
    others = [f"{trial.engine}: {_said(trial)}" for trial in trials if trial is not best]
    why = "; ".join(filter(None, [_said(best), *others, reference.reuse.why]))
    confirm, passing = reference.integrator.confirm, reference.reuse.passing
    return Choice(engine=best.engine, confirm=confirm, why=why, trials=trials, passing=passing)


def _said(trial: EngineTrial) -> str:
    if trial.seconds is None:
        return trial.refused
    same = f", {trial.agree:.0%} of features as CVODE's" if trial.agree is not None and trial.agree < 1 else ""
    same += f" ({trial.typical:.0%} in the median cell)" if same and trial.typical is not None else ""
    return f"{1000 * trial.seconds:.3g} ms an evaluation{same}"


class Reference(NamedTuple):
    """What candidates are compared with."""

    integrator: Integrator
    evaluations: dict[int, Evaluation]  # of some of `x`; of none where one takes too long
    loading: float  # s, for one worker to load one cell
    reuse: Reuse = Reuse("kept", "", {})
    x: np.ndarray = np.empty((0, 0))  # [POINTS, D]

    @property
    def seconds(self) -> float:
        """That a worker needs for an evaluation where a search begins, or where nothing is known of that, anywhere.

        What fires costs CVODE twice as much as what is silent, and a batch nothing more.
        """
        near = [evaluation.seconds for i, evaluation in self.evaluations.items() if i >= FAR]
        return float(np.mean(near or [evaluation.seconds for evaluation in self.evaluations.values()]))

    @property
    def patience(self) -> float:
        """Seconds for a batch: as long as one cell after the other takes, since who needs longer is not the faster."""
        return max(LEAST_S, min(LANES * self.seconds, max(PATIENCE_S, FEW * self.seconds)))


def _reference(problem: Problem, log: Path | None) -> Reference:
    """Simulate one cell at a time: with CVODE, or in fixed steps where no point can be simulated so."""
    far = _points(problem)[:FAR]
    asked = problem.simulation
    cvode = Integrator("cvode", asked.atol, segments=asked.segments)
    for integrator in (cvode, Integrator("fixed", confirm="fixed", segments=asked.segments)):
        reuse = _reuse(problem, integrator, far, log)
        done, started = dict(reuse.fresh), time.monotonic()
        with Workers(with_process(problem, reuse.process), 2, integrator, log) as pool:
            loading = time.monotonic() - started
            x = np.concatenate([far, near(problem, pool.found.own, POINTS - FAR, NEAR_STEP)])
            if problem.simulation.process != "auto":
                done = dict(pool.run(list(far), within=LONGEST_S))
            if done and reuse.process == "kept":
                each = float(np.mean([evaluation.seconds for evaluation in done.values()]))
                count = int(np.clip(PATIENCE_S / max(each, 1e-3), FAR + 1, len(x)))
                done |= {i + FAR: e for i, e in pool.run(list(x[FAR:count]), within=LONGEST_S)}
        if not done or any(evaluation.status == "ok" for evaluation in done.values()):
            return Reference(integrator, done, loading, reuse, x)
    raise GbarError(f"no engine can simulate the model: {next(iter(done.values())).reason}")


def _reuse(problem: Problem, integrator: Integrator, pair: np.ndarray, log: Path | None) -> Reuse:
    if problem.simulation.process != "auto":
        return Reuse(problem.simulation.process, "asked for", {})
    return compare(problem, integrator, list(pair), LONGEST_S, log)


def _compared(
    problem: Problem, candidate: Integrator, x: np.ndarray, reference: Reference, log: Path | None
) -> EngineTrial:
    """One candidate beside the reference. It simulates all points, which costs a batch no more than some of them."""
    limit = reference.patience
    try:
        with Workers(problem, 1, candidate, log) as pool:
            done = dict(pool.run(list(x), within=limit + LANES * reference.loading))  # it makes its copies in this time
            other = _otherwise(pool, x, done, limit) if len(done) == len(x) else None
    except GbarError as error:
        return EngineTrial(engine=str(candidate), refused=str(error), passing=isinstance(error, MachineError))
    pairs = [(done[i], ref) for i, ref in reference.evaluations.items() if i in done]
    failed = [one.reason for one, ref in pairs if (one.status, ref.status) == ("failed", "ok")]
    if failed:
        return EngineTrial(engine=str(candidate), refused=failed[0], passing=any(why in KILLED for why in failed))
    if len(done) < len(x):
        return EngineTrial(engine=str(candidate), refused=_too_slow(reference, limit), slow=True)
    if other is not None:
        return EngineTrial(
            engine=str(candidate), refused=f"{other} in another copy of the cell, after another evaluation"
        )
    seconds = float(np.mean([evaluation.seconds for evaluation in done.values()]))
    shares = _agreement(problem, pairs)
    return EngineTrial(
        engine=str(candidate), seconds=seconds, agree=float(np.mean(shares)), typical=float(np.median(shares))
    )


def _otherwise(pool: Workers, x: np.ndarray, done: dict[int, Evaluation], within: float) -> Difference | None:
    """A feature that is another when the same vectors are given to other copies of the cell, and once more."""
    again = pool.run(list(x[::-1]), within=within)
    return next((each for i, one in again for each in differences(done[len(x) - 1 - i], one)), None)


def _too_slow(reference: Reference, limit: float) -> str:
    """Why a candidate was stopped."""
    times = LANES * reference.seconds / limit
    rival = "slower than" if times <= 1 else f"not {times:.2g} times as fast as"
    return f"{rival} {reference.integrator}: {POINTS} evaluations not done in {limit:.3g} s"


def _agreement(problem: Problem, pairs: Sequence[tuple[Evaluation, Evaluation]]) -> list[float]:
    """Of each cell, the share of features that two engines see within `NEAR` SDs of each other, of those that either
    sees defined. A cell without any counts as seen alike."""
    measured = {m.key: m.sd for m in problem.measurements}
    shares = []
    for one, other in pairs:
        same = []
        for key in measured or other.features:
            a, b = one.features.get(key, math.nan), other.features.get(key, math.nan)
            if math.isfinite(a) or math.isfinite(b):
                sd = measured.get(key) or typical_sd(problem.unit_of(key) or "", b)
                same.append(abs(a - b) <= NEAR * sd)  # not where one of them is NaN
        shares.append(float(np.mean(same)) if same else 1.0)
    return shares
