"""What a run folder holds, read for the page: result.json, predictions.csv, traces.npz, and the problem's stimuli."""

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

from gbar.agent.result import Candidate, Result, Traces, read_result, read_traces
from gbar.sim import GbarError, load_problem
from gbar.sim.features import unit_of
from gbar.sim.problem import ResponseKey


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


@dataclass(frozen=True)
class Contents:
    """Everything the page is made of. Files that are absent leave their part empty."""

    run: Path
    result: Result
    predictions: dict[str, list[PredictedValue]]  # "protocol.feature" -> in the order they were made
    traces: Traces
    stimuli: dict[str, Stimulus] = field(default_factory=dict)  # empty when the problem's folder is gone

    @property
    def shown(self) -> list[Candidate]:
        """The solutions, or without any the compromises, nearest first."""
        return self.result.shown

    @property
    def best(self) -> int:
        """Which of `shown` is in front."""
        return self.result.in_front - 1


def read_contents(run: Path) -> Contents:
    """Read a run folder.

    Raises:
        GbarError: no result.json, or a file in the folder is not what gbar writes.
    """
    result = read_result(run)
    return Contents(
        run,
        result,
        _read_predictions(run),
        read_traces(run) if (run / "traces.npz").is_file() else {},
        _read_stimuli(result.problem_folder),
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


def _read_stimuli(folder: str) -> dict[str, Stimulus]:
    """The protocols' timing from the model folder, or nothing where that is gone: a run is readable alone."""
    try:
        problem = load_problem(folder, measured=False)
    except (GbarError, OSError):
        return {}
    stimuli = {}
    for name, protocol in problem.stimuli.items():
        described = f"{protocol.words} for {protocol.duration:g} ms".replace("-", "−")
        for recording, variable in protocol.variables.items():
            stimuli[str(ResponseKey(name, recording))] = Stimulus(
                protocol.kind, protocol.delay, protocol.duration, described, _axis(variable)
            )
    return stimuli


def _axis(variable: str) -> str:
    """What stands beside a plot: the unit of a voltage, name and unit of anything else."""
    unit = unit_of("signal_mean", variable)
    return "mV" if variable == "v" else f"{variable}, {unit}" if unit else variable
