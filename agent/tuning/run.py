"""A run folder: where one `tune` works and what it leaves there."""

import contextlib
import csv
import fcntl
import io
import itertools
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gbar.agent.learning import configure, digest
from gbar.agent.report import write_report
from gbar.agent.result import (
    LIVE,
    PROGRESS,
    Compensation,
    Measured,
    Range,
    Recalled,
    Result,
    Wall,
    read_result,
    write_result,
    write_traces,
)
from gbar.agent.tuning.behaviour import misbehaviour
from gbar.agent.tuning.definition import Definition, TuneConfig, run_name
from gbar.agent.tuning.diagnosis import diagnose
from gbar.agent.tuning.findings import Findings
from gbar.agent.tuning.interrupts import undisturbed
from gbar.agent.tuning.ledger import Observer
from gbar.agent.tuning.live import LiveFiles
from gbar.agent.tuning.loop import search
from gbar.agent.tuning.outcome import Outcome
from gbar.agent.tuning.said import accuracies, candidate
from gbar.sim import Archive, Choice, GbarError, Integrator, Problem, choose_engine
from gbar.sim.files import Made, resolved, write_whole
from gbar.sim.problem import Parameter
from gbar.sim.setup import DEAR_S

VERSIONS = ("gbar", "neuron", "efel", "jax", "flax", "optax", "numpy", "scikit-learn")
OURS = ("neuron.log", "archive.sqlite")  # every run folder has the first; older ones, and copies, the second
COMPENSATES = 0.4  # correlation from which on one parameter is said to make up for another
WRITTEN = ("result.json", "solutions.csv", "predictions.csv", "traces.npz", "report.html", "solutions", PROGRESS, LIVE)


def tune_into(
    problem: Problem,
    config: TuneConfig,
    out: Path,
    archive: Path | None,
    observe: Observer,
    announce: Callable[[str], None] = lambda plan: None,
) -> Result:
    """Tune inside a run folder and write everything a run leaves. See `agent.tune`.

    `announce` is told what a dear model's run will cost, before it begins.
    """
    out, archive = resolved(out, "--out"), archive and resolved(archive, "--archive")
    start = time.perf_counter()
    configure()
    problem, choice = choose_engine(problem)
    if choice.seconds > DEAR_S:
        announce(_plan(choice, config))
    choosing_s = time.perf_counter() - start
    with _run_folder(out) as made:
        with Archive(archive or out / "archive.sqlite", problem, made) as kept:
            finished = _finished(problem, config, out, kept)
            if finished is not None:
                return finished
            earlier = _earlier(problem, config, out)
            with LiveFiles(out, Definition.of(problem, config)) as live:
                outcome = search(problem, config, kept, out / "neuron.log", observe, live)
            searched, simulated = time.perf_counter(), kept.seconds(run_name(problem, config))
        if outcome.status == "interrupted" and outcome.ledger.kept and (out / "result.json").is_file():
            live.end("interrupted")
            raise KeyboardInterrupt  # it had not come to where the last session ended: that one's result says more
        with undisturbed():
            result = make_result(outcome, archive or Path("archive.sqlite"), earlier)
            result.engine_why = choice.why if outcome.misled is None else f"{choice.why}; {outcome.misled}"
            result.simulated_s = {engine: round(seconds, 3) for engine, seconds in simulated.items()}
            result.wall_s.choose = round(choosing_s, 3)
            result.wall_s.earlier = round(earlier.wall_s.total + earlier.wall_s.earlier, 3) if earlier else 0.0
            write_traces(out, [candidate.done.traces for candidate in outcome.shown])
            write_whole(out / "predictions.csv", _predictions(outcome.findings))
            write_result(out, result)
            write_report(out)
    _export(out, result, problem)
    now = time.perf_counter()
    result.wall_s.write, result.wall_s.total = round(now - searched, 3), round(now - start - live.paused_s, 3)
    write_result(out, result)
    write_report(out)
    live.end(result.status, result.evaluations)
    return result


def _plan(choice: Choice, config: TuneConfig) -> str:
    """What a run on a dear model will cost, as the cell is where a search begins."""
    form = next((trial for trial in choice.fidelities if trial.engine == choice.engine), None)
    each = form.seconds if form and form.seconds else choice.seconds
    minutes = config.budget * each / config.workers / 60
    spent = (
        f"{config.budget} evaluations take {minutes:.0f} min on {config.workers} workers, longer where the cell fires"
    )
    if form is None:
        return f"an evaluation of this model takes {each:.2g} s: {spent}"
    return (
        f"an evaluation of this model takes {form.full_seconds:.2g} s: the search is on a cheaper form of it "
        f"({form.engine}), {each:.2g} s each: {spent}; what comes out is confirmed on the model itself"
    )


def _export(out: Path, result: Result, problem: Problem) -> None:
    """RUN/solutions/NN: every solution as a stand-alone script, and as hoc where the model is hoc."""
    from gbar.agent.export import export_solution

    _set_aside(out / "solutions", len(result.solutions))
    forms: list[Literal["hoc", "python"]] = ["python", "hoc"] if problem.model.load.endswith(".hoc") else ["python"]
    for number in range(1, len(result.solutions) + 1):
        for form in forms:
            with contextlib.suppress(GbarError):  # the run has succeeded; `gbar export` says what is in the way
                export_solution(out, number, form)


def _set_aside(solutions: Path, count: int) -> None:
    """Rename what an earlier session exported as solutions that this one does not have (with narrower bounds, say)."""
    if not solutions.is_dir():
        return
    for folder in sorted(solutions.iterdir()):
        if folder.name.isdigit() and int(folder.name) > count:
            names = (folder.with_name(f"{folder.name}.earlier{k or ''}") for k in itertools.count())
            with contextlib.suppress(OSError):
                folder.rename(next(name for name in names if not name.exists()))


def _finished(problem: Problem, config: TuneConfig, out: Path, archive: Archive) -> Result | None:
    """What an earlier session left, when this one asks the same of the same problem and that one was not cut short."""
    if not (out / "result.json").is_file():
        return None
    try:
        found = read_result(out)
    except GbarError:  # of another version
        return None
    batch = config.batch or found.batch
    asked = (config.seed, config.tolerance, config.budget, config.solutions, batch, config.agent.planner)
    was_asked = (found.seed, found.tolerance, found.budget, found.wanted, found.batch, found.planner)
    engine = str(Integrator.of(problem))
    same = asked == was_asked and found.versions == _versions() and (found.left_form or found.engine) == engine
    ranges = [_range(parameter) for parameter in problem.parameter]
    same = same and ranges == [p.model_dump(exclude={"unit", "uncertainty_left"}) for p in found.parameters]
    same = same and found.measurements == _measured(problem) and config.schedule in ("auto", found.schedule)
    whole = found.status != "interrupted" and found.evaluations == archive.count(run_name(problem, config))
    return found if same and whole else None


def _earlier(problem: Problem, config: TuneConfig, out: Path) -> Result | None:
    """What an earlier session of this run left in the folder; None without one, or of another version."""
    try:
        found = read_result(out)
    except GbarError:
        return None
    same = (found.seed, found.tolerance) == (config.seed, config.tolerance) and found.measurements == _measured(problem)
    return found if same else None


def _measured(problem: Problem) -> list[Measured]:
    """The table as the result keeps it: without the notes in its margin."""
    return [Measured.of(m) for m in problem.measurements]


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in VERSIONS}}


@contextmanager
def _run_folder(out: Path) -> Iterator[Made]:
    """Make the folder and keep it to this process.

    Yields:
        What was made. When the run cannot even start, the archive takes it back (see `Archive`).
    """
    if out.exists() and not out.is_dir():
        raise GbarError(f"--out {out}: is a file: expected a folder, or a name that is free")
    _refuse_foreign(out)
    made = Made()
    try:
        made.folder(out)
    except OSError as error:
        raise GbarError(f"--out {out}: cannot be made: {error.strerror}") from None
    with _alone(out):
        try:
            made.file(out / "neuron.log")
        except OSError as error:
            made.take_back()
            raise GbarError(f"--out {out}: cannot be written in: {error.strerror}") from None
        yield made


def _refuse_foreign(out: Path) -> None:
    """What another program wrote is not overwritten: a folder that holds our names and was never ours.

    Raises:
        GbarError: there is such a file.
    """
    found = [name for name in WRITTEN if (out / name).exists()]
    if not found or any((out / name).exists() for name in OURS):
        return
    try:
        read_result(out)
    except GbarError:
        raise GbarError(f"--out {out}: holds a {found[0]} that gbar did not write: name another folder") from None


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep the folder to this process; the system lets go of it however this one ends."""
    folder = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise GbarError(f"--out {out}: another gbar is at work in it: wait for it, or name another folder") from None
    finally:
        os.close(folder)


def make_result(outcome: Outcome, archive: Path, earlier: Result | None = None) -> Result:
    """What a search found, in the form that is kept; `earlier`: what the run's last session left."""
    definition, findings, ledger = outcome.definition, outcome.findings, outcome.ledger
    problem, config = definition.problem, definition.config
    solutions = [candidate(definition, found) for found in findings.solutions]
    shown, open_ = outcome.shown, _posteriors(outcome)
    ranges = _ranges(outcome, open_)
    nearest = sorted(solutions, key=lambda s: s.max_abs_z or 0.0) or [
        candidate(definition, c) for c in outcome.compromises
    ]
    return Result(
        problem=problem.name,
        problem_folder=str(problem.path),
        measurements_file=str(problem.measurements_file),
        archive=str(archive),
        status=outcome.status,
        seed=config.seed,
        tolerance=config.tolerance,
        budget=config.budget,
        wanted=config.solutions,
        batch=outcome.batch.size,
        pace=outcome.batch.timing,
        planner=config.agent.planner,
        workers=config.workers,
        engine=definition.engine,
        left_form=outcome.misled.form if outcome.misled else None,
        confirmed_by=str(definition.tight),
        schedule=outcome.schedule,
        arms_s=ledger.arms_s(),
        evaluations=ledger.evaluations,
        failed_evaluations=sum(ledger.failures.values()),
        failures=dict(ledger.failures),
        first_solution_at=findings.first_solution_at,
        wall_s=Wall(
            **{part: round(seconds, 3) for part, seconds in ledger.seconds.items()},
            compile=round(outcome.compiled_s, 3),
        ),
        measurements=_measured(problem),
        parameters=ranges,
        solutions=solutions,
        nearest=nearest[0] if nearest else None,
        next_nearest=[] if solutions else nearest[1:],
        diagnosis=diagnose(outcome, ranges, earlier.diagnosis if earlier else None),
        warnings=misbehaviour(problem, [s.done.traces for s in shown], [s.done.features for s in shown]),
        compensating=_compensating(problem.names, open_),
        surrogate=accuracies(findings),
        memory=_recalled(outcome),
        first_batch=findings.first_batch,
        history=list(findings.history),
        versions=_versions(),
    )


def _recalled(outcome: Outcome) -> Recalled | None:
    agent, note = outcome.pretraining
    if agent is None:
        return None
    return Recalled(evaluations=agent.rows, digest=digest(agent), learned_now=bool(note), why=note)


def _posteriors(outcome: Outcome) -> np.ndarray:  # [K, D, D]; K = 0 where nothing was learned
    """What the measurements leave open around each of the solutions, or of the nearest."""
    agent, d = outcome.agent, len(outcome.definition.problem.names)
    each = [agent.posterior(found.u) for found in outcome.shown] if agent is not None else []
    return np.reshape(each, (-1, d, d))


def _compensating(names: Sequence[str], posteriors: np.ndarray) -> list[Compensation]:
    """Pairs whose correlation, in the mean over posteriors [K, D, D], is `COMPENSATES` or more."""
    if not len(posteriors):
        return []
    sd = np.sqrt(np.diagonal(posteriors, axis1=1, axis2=2))  # [K, D]
    mean = (posteriors / (sd[:, :, None] * sd[:, None, :])).mean(axis=0)
    pairs = [
        Compensation(first=names[i], second=names[j], correlation=round(float(mean[i, j]), 3))
        for i, j in itertools.combinations(range(len(names)), 2)
        if abs(mean[i, j]) >= COMPENSATES
    ]
    return sorted(pairs, key=lambda pair: -abs(pair.correlation))


def _ranges(outcome: Outcome, posteriors: np.ndarray) -> list[Range]:
    problem = outcome.definition.problem
    left: list[float | None] = [None] * len(problem.names)
    if len(posteriors):
        variance = np.diagonal(posteriors, axis1=1, axis2=2)  # [K, D]
        left = [float(share) for share in np.sqrt(12.0 * variance).mean(axis=0)]  # 1/12 is the prior's
    return [
        Range(**_range(parameter), unit=outcome.units[parameter.name], uncertainty_left=share)
        for parameter, share in zip(problem.parameter, left, strict=True)
    ]


def _range(parameter: Parameter) -> dict[str, Any]:
    """A parameter as the result keeps it, but for what a run finds out."""
    (low, high), prior = parameter.bounds, parameter.prior
    kept = {"name": parameter.name, "low": low, "high": high, "scale": parameter.scale, "start": parameter.start}
    return kept | {"prior_mean": prior.mean if prior else None, "prior_sd": prior.sd if prior else None}


def _predictions(findings: Findings) -> str:
    """predictions.csv: every predicted feature beside what NEURON then said, in the feature's own unit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["evaluation", "batch", "proposer", "protocol", "feature", "predicted", "sd", "simulated", "measured_sd"]
    writer.writerow(columns)
    target, measurements = findings.definition.target, findings.definition.problem.measurements
    for made in findings.predictions:
        middle = target.mean + target.sd * np.sinh(made.forecast.r)
        ends = [target.sd * np.sinh(made.forecast.r + side * made.forecast.sd) for side in (1, -1)]
        spread = (ends[0] - ends[1]) / 2
        for f, measured in enumerate(measurements):
            simulated = made.features[f]
            numbers = [middle[f], spread[f], simulated, measured.sd]
            written = [f"{value:.6g}" if np.isfinite(value) else "" for value in numbers]
            writer.writerow([made.evaluation, made.batch, made.proposer, measured.protocol, measured.feature, *written])
    return text.getvalue()
