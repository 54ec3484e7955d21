"""What a run ends with: result.json and the files beside it in the run folder.

RUN/result.json       this model, as JSON
RUN/solutions.csv     one row a solution: parameters, then z of every measurement
RUN/predictions.csv   every simulated feature beside what the surrogate said before it was simulated
RUN/traces.npz        voltages of the solutions (or the nearest): "01/PROTOCOL/t" ms, "01/PROTOCOL/v" mV
RUN/archive.sqlite    every evaluation
RUN/report.html       the page
RUN/solutions/NN/     the solution as run.py, and as solution.hoc where the model is hoc
"""

import csv
import html
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from gbar.sim import GbarError

if TYPE_CHECKING:
    from pandas import DataFrame

FREE = 0.8  # uncertainty left from which on the measurements do not constrain a parameter


class Plain(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Candidate(Plain):
    """One parameter set and what NEURON makes of it at the confirming accuracy."""

    parameters: dict[str, float]  # NEURON's units
    features: dict[str, float | None]  # "protocol.feature" -> value, null = not defined
    z: dict[str, float | None]  # (feature - mean) / SD of every measurement, null = not defined
    max_abs_z: float | None  # null when a measured feature is not defined
    undefined: int = 0  # measured features that are not defined
    proposer: str  # design | archive | policy | gradient
    evaluation: int  # the how-manieth evaluation of the run it was


class Accuracy(Plain):
    """How well the surrogate predicted one feature before it was simulated."""

    rmse_over_sd: float | None  # null with fewer than two predictions
    coverage_90: float | None  # share of simulated values inside the 90 % interval
    n: int
    recent_rmse_over_sd: float | None = None  # the same over the second half of the run
    verdict: str  # good | usable | do not trust | not tested: surrogate.accuracy says why


class Wall(Plain):
    """Seconds of wall clock."""

    simulate: float
    fit: float
    plan: float
    total: float


class Measured(Plain):
    protocol: str
    feature: str
    mean: float
    sd: float
    unit: str


class Range(Plain):
    """A free parameter as the problem defines it, and how much the measurements say about it."""

    name: str
    low: float
    high: float
    scale: Literal["linear", "log"]
    unit: str
    uncertainty_left: float | None = None  # 1: the measurements say nothing, 0: they fix it (see docs/result.md)


class Pace(Plain):
    """What the batch was chosen from, measured once for a model and remembered (agent.tuning.batch_size)."""

    batch: int  # evaluations between two fits
    think_s: float  # fitting and planning of one batch
    round_s: float  # simulating `at_once` evaluations
    at_once: int  # evaluations that take as long as one


class FirstBatch(Plain):
    """How far the first batch came, before anything was learned from this cell."""

    evaluations: int
    best_max_abs_z: float | None  # null where no evaluation had every measured feature defined
    within_3: int  # evaluations with every |z| <= 3
    within_tolerance: int


class Recalled(Plain):
    """What the archive had taught before this run."""

    evaluations: int  # it was learned from
    digest: str  # the same digest: the same surrogate and policy
    learned_now: bool  # false: it was kept beside the archive
    why: str  # it was learned now; empty where a kept one was used


class Pressing(Plain):
    """A parameter that solutions (or the nearest sets) have at a bound: they may lie beyond it."""

    parameter: str
    side: Literal["lower", "upper"]
    bound: float  # NEURON's units
    sets: int  # how many lie there
    of: int


class Achieved(Plain):
    """What NEURON gave for one measurement; null = not defined."""

    feature: str  # "protocol.feature"
    value: float | None
    z: float | None


class Unreachable(Plain):
    """A measurement that no parameter set meets, and the nearest to it that NEURON gave."""

    nearest: Achieved
    parameters: dict[str, float]  # where


class Conflict(Plain):
    """Two measurements that can be met one at a time only."""

    together: list[Achieved]  # the first and the second, where the worse of both is nearest
    trade_off: list[list[Achieved]]  # from the first at its nearest to the second at its nearest


class Uninformative(Plain):
    """A measurement that tells no parameter set from another."""

    feature: str
    reason: Literal["constant", "always met"]


class Diagnosis(Plain):
    """What limits the answer, see docs/result.md."""

    pressing: list[Pressing] = Field(default_factory=list)
    unreachable: list[Unreachable] = Field(default_factory=list)
    conflicts: list[Conflict] = Field(default_factory=list)
    uninformative: list[Uninformative] = Field(default_factory=list)
    unconstrained: list[str] = Field(default_factory=list)  # parameters
    probed: int | None = None  # evaluations outside the budget that were made to find out; null: nobody looked


class Progress(Plain):
    """The state after one batch."""

    evaluations: int
    best_max_abs_z: float | None  # of evaluations in which every measured feature is defined
    solutions: int
    proposers: dict[str, int]  # how many of the batch each proposer contributed


class Result(Plain):
    """The outcome of `gbar tune`, complete enough to verify, report, export and repeat it."""

    problem: str  # name
    problem_folder: str  # or the toml file, where it is not called problem.toml
    measurements_file: str
    archive: str
    status: Literal["solved", "out of budget", "interrupted"]
    seed: int
    tolerance: float
    budget: int
    wanted: int  # solutions asked for
    batch: int
    pace: Pace | None = None  # what the batch was chosen from; null where the user or a memory decided
    planner: Literal["auto", "policy", "gradient", "both"]
    workers: int
    engine: str  # while searching; --engine takes it back
    engine_why: str = ""  # what was tried, and what each engine did
    confirmed_by: str  # what every solution holds at
    evaluations: int
    failed_evaluations: int
    failures: dict[str, int] = Field(default_factory=dict)  # reason -> how often
    first_solution_at: int | None  # evaluations until the first solution
    wall_s: Wall
    measurements: list[Measured]
    parameters: list[Range]
    solutions: list[Candidate]
    nearest: Candidate | None
    next_nearest: list[Candidate] = Field(default_factory=list)
    diagnosis: Diagnosis = Field(default_factory=Diagnosis)
    surrogate: dict[str, Accuracy]
    memory: Recalled | None = None  # null where the archive held too few evaluations of other runs
    first_batch: FirstBatch | None = None  # null without a memory, and after a run that was resumed
    history: list[Progress]
    versions: dict[str, str]
    _folder: Path | None = PrivateAttr(None)

    @property
    def folder(self) -> Path:
        """The run folder it was read from or written to.

        Raises:
            GbarError: it was neither.
        """
        if self._folder is None:
            raise GbarError("this result is in no run folder: read_result(RUN) reads one that is")
        return self._folder

    @property
    def shown(self) -> list[Candidate]:
        """The solutions; where there are none, the nearest sets."""
        nearest = [self.nearest] if self.nearest else []
        return self.solutions or [*nearest, *self.next_nearest]

    def to_dataframe(self) -> "DataFrame":
        """A row for every solution, or for the nearest sets where there is none.

        Columns are the parameters (NEURON's units), the features ("protocol.feature"), "z:protocol.feature" for every
        measurement, and max_abs_z. Needs pandas.
        """
        try:
            import pandas as pd
        except ImportError:
            raise GbarError("to_dataframe needs pandas: pip install pandas") from None
        rows = [
            {**c.parameters, **c.features, **{f"z:{key}": z for key, z in c.z.items()}, "max_abs_z": c.max_abs_z}
            for c in self.shown
        ]
        return pd.DataFrame(rows, index=pd.Index(range(1, len(rows) + 1), name="solution"))

    def traces(self, solution: int = 1) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What a solution's protocols recorded: "protocol" or "protocol:recording" -> t [T] ms, values [T] (mV for v).

        Args:
            solution: counted from 1; of the nearest sets where there is no solution.

        Raises:
            GbarError: no such solution, or its traces cannot be read.
        """
        file, start = self.folder / "traces.npz", f"{solution:02d}/"
        try:
            with np.load(file, allow_pickle=False) as kept:
                names = [
                    name.removeprefix(start)[:-2] for name in kept if name.startswith(start) and name.endswith("/t")
                ]
                found = {name: (kept[f"{start}{name}/t"], kept[f"{start}{name}/v"]) for name in names}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise GbarError(f"{file}: cannot be read: {error}") from None
        if not found:
            raise GbarError(f"no traces of solution {solution}: expected 1 to {len(self.shown)}")
        return found

    def _repr_html_(self) -> str:
        """A table of measured and simulated values, for a notebook."""
        shown, e = self.shown[:5], html.escape
        what = "solution" if self.solutions else "near set"
        heads = "".join(f"<th>{what} {number}</th>" for number in range(1, len(shown) + 1))
        rows = "".join(
            f"<tr><td>{e(m.protocol)}</td><td>{e(m.feature)}</td><td>{m.mean:.4g} ± {m.sd:.2g} {e(m.unit)}</td>"
            + "".join(f"<td>{_shown(c.features.get(f'{m.protocol}.{m.feature}'))}</td>" for c in shown)
            + "</tr>"
            for m in self.measurements
        )
        worst = "".join(f"<td>{_shown(c.max_abs_z)}</td>" for c in shown)
        found = len(self.solutions) or "no"
        return (
            f"<p>{e(self.problem)}: {found} solution{'s' * (found != 1)} in {self.evaluations} evaluations"
            f" ({e(self.status)}).</p><table><tr><th>protocol</th><th>feature</th><th>measured</th>{heads}</tr>{rows}"
            f"<tr><td></td><td>largest |z|</td><td></td>{worst}</tr></table>"
        )


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def write_result(run: Path, result: Result) -> None:
    """Write result.json and solutions.csv, each moved into place whole."""
    result._folder = run
    write_whole(run / "result.json", result.model_dump_json(indent=1) + "\n")
    names = [parameter.name for parameter in result.parameters]
    keys = [f"{m.protocol}.{m.feature}" for m in result.measurements]
    rows = [["solution", *names, *(f"z:{key}" for key in keys), "max_abs_z", "proposer"]]
    for number, solution in enumerate(result.solutions, start=1):
        values = [*(solution.parameters[name] for name in names), *(solution.z[key] for key in keys)]
        rows.append([f"{number:02d}", *map(_number, values), _number(solution.max_abs_z), solution.proposer])
    with (run / "solutions.csv").open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def write_whole(file: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, never finds half of it."""
    temporary = file.with_suffix(file.suffix + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


def read_result(run: str | Path) -> Result:
    """Read RUN/result.json.

    Raises:
        GbarError: not a run folder, or a file that is not what gbar writes.
    """
    file = Path(run) / "result.json"
    if not file.is_file():
        raise GbarError(f"no result.json in {run}: expected a run folder, which gbar tune makes with --out")
    try:
        result = Result.model_validate_json(file.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise GbarError(f"{file}: not a result of this version of gbar: {reason}") from None
    result._folder = file.parent
    return result


def write_traces(run: Path, traces: list[dict[str, tuple[np.ndarray, np.ndarray]]]) -> None:
    """Keep the voltages of the solutions, as 32-bit floats: protocol -> (t [T] ms, v [T] mV) for each."""
    arrays = {
        f"{number:02d}/{protocol}/{axis}": values.astype(np.float32)
        for number, solution in enumerate(traces, start=1)
        for protocol, (t, v) in solution.items()
        for axis, values in (("t", t), ("v", v))
    }
    np.savez_compressed(run / "traces.npz", **arrays)  # type: ignore[arg-type]


def schema() -> str:
    """The JSON schema of result.json."""
    return json.dumps(Result.model_json_schema(), indent=1)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
