"""What a run folder holds, read for the page: result.json, predictions.csv, traces.npz; and, from elsewhere, its
problem's stimuli and the recordings that its table was measured on."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gbar.agent.report import words
from gbar.agent.report.unfinished import finished, state_of, unfinished
from gbar.agent.result import Candidate, Measured, Result, Traces
from gbar.sim import GbarError, Problem, load_problem
from gbar.sim.engine import amplitude
from gbar.sim.features import unit_of
from gbar.sim.problem import MAIN, FiCurve, ResponseKey

if TYPE_CHECKING:
    from gbar.sim.recordings import Recorded


@dataclass(frozen=True)
class PredictedValue:
    """One simulated feature beside what the surrogate said before; NaN = not defined. In the feature's unit."""

    batch: int
    predicted: float
    sd: float
    simulated: float


@dataclass(frozen=True)
class Stimulus:
    """A stimulus: when (ms from the start of the simulation), in words, and what was recorded."""

    kind: str
    delay: float  # ms
    duration: float  # ms
    words: str
    recorded: str = "mV"  # what is on the plot's upright axis
    crossing: float = -20.0  # mV that a spike crosses


@dataclass(frozen=True)
class Contents:
    """Everything the page is made of. Files that are absent leave their part empty."""

    run: Path
    result: Result
    predictions: dict[str, list[PredictedValue]]  # "protocol.feature" -> in the order they were made
    traces: Traces
    stimuli: dict[str, Stimulus] = field(default_factory=dict)  # empty when the problem's folder is gone
    problem: Problem | None = None  # None when its folder is gone
    recordings: dict[str, list["Recorded"]] = field(default_factory=dict)  # protocol -> sweeps
    state: str = ""  # "is still going" and the like; empty where the run has ended as runs do

    @property
    def shown(self) -> list[Candidate]:
        """The solutions, or without any the compromises, nearest first."""
        return self.result.shown

    @property
    def best(self) -> int:
        """Which of `shown` is in front."""
        return self.result.in_front - 1

    @property
    def measurements(self) -> list[Measured]:
        """The table, what belongs to one protocol together: protocols stand in this order everywhere."""
        return by_protocol(self.result.measurements)

    @property
    def responses(self) -> list[str]:
        """What has traces, in the order of the table."""
        return in_order(self.traces, self.result.measurements, self.problem)

    def is_measured(self, response: str) -> bool:
        """Whether a measurement looks at a response, by itself or through a curve."""
        return any(response in (m.protocol, *_steps(self.problem, m.protocol)) for m in self.result.measurements)

    def recorded(self, response: str) -> "list[Recorded]":
        """The sweeps that a response was measured on."""
        key = ResponseKey.parse(response)
        return self.recordings.get(key.protocol, []) if key.recording == MAIN else []

    def current(self, protocol: str, number: int) -> float | None:
        """The current (nA) that a parameter set (from 1) got under a protocol; None where nobody knows."""
        if self.problem is None or protocol not in self.problem.stimuli:
            return None
        features = self.shown[number - 1].features
        return amplitude(self.problem, protocol, {n: features.get(f"{n}.rheobase") for n in self.problem.rheobases})


def by_protocol(measured: Sequence[Measured]) -> list[Measured]:
    """Measurements with what belongs to one protocol together, protocols as the table first names them."""
    order = list(dict.fromkeys(m.protocol for m in measured))
    return sorted(measured, key=lambda m: order.index(m.protocol))


def in_order(responses: Iterable[str], measured: Sequence[Measured], problem: Problem | None) -> list[str]:
    """Responses as the table has them: as measured, behind a curve its steps, then what was not measured."""
    order = list(dict.fromkeys(name for m in measured for name in (m.protocol, *_steps(problem, m.protocol))))
    return sorted(responses, key=lambda name: order.index(name) if name in order else len(order))


def _steps(problem: Problem | None, name: str) -> tuple[str, ...]:
    curve = problem.protocol.get(name) if problem else None
    return curve.steps if isinstance(curve, FiCurve) else ()


def read_contents(run: Path) -> Contents:
    """Read a run folder, of a run that is still going too.

    Raises:
        GbarError: neither result.json nor progress.json, or a file in the folder is not what gbar writes.
    """
    from gbar.sim.recordings import read_kept  # loads SciPy

    state = state_of(run)
    result, traces = unfinished(run) if state else finished(run)
    problem = _read_problem(result.problem_folder)
    return Contents(
        run,
        result,
        _read_predictions(run),
        traces,
        _stimuli(problem) if problem else {},
        problem,
        read_kept(Path(result.measurements_file)),
        state,
    )


def _read_predictions(run: Path) -> dict[str, list[PredictedValue]]:
    file = run / "predictions.csv"
    found: dict[str, list[PredictedValue]] = {}
    if not file.is_file():
        return found
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                values = (_number(row[column]) for column in ("predicted", "sd", "simulated"))
                prediction = PredictedValue(int(row["batch"]), *values)
                found.setdefault(f"{row['protocol']}.{row['feature']}", []).append(prediction)
    except (KeyError, TypeError, ValueError, OSError, csv.Error) as error:
        raise GbarError(f"{file}: not a table of predictions that gbar writes: {error!r}") from None
    return found


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _read_problem(folder: str) -> Problem | None:
    """The problem, or nothing where its folder is gone: a run is readable alone."""
    try:
        return load_problem(folder, measured=False)
    except (GbarError, OSError):
        return None


def _stimuli(problem: Problem) -> dict[str, Stimulus]:
    """The protocols' timing, by response."""
    stimuli = {}
    for name, protocol in problem.stimuli.items():
        described = words.signed(protocol.brief)
        crossing = float(problem.efel_settings(name)["Threshold"])
        for recording, variable in protocol.variables.items():
            stimuli[str(ResponseKey(name, recording))] = Stimulus(
                protocol.kind, protocol.delay, protocol.duration, described, _axis(variable), crossing
            )
    return stimuli


def _axis(variable: str) -> str:
    """What stands beside a plot: the unit of a voltage, name and unit of anything else."""
    unit = unit_of("signal_mean", variable)
    return "mV" if variable == "v" else f"{variable}, {unit}" if unit else variable
