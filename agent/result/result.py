"""The outcome of a run: result.json, read and written, and how it shows itself."""

import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field, PrivateAttr, ValidationError

from gbar.agent.result.parts import (
    Accuracy,
    BatchTiming,
    Candidate,
    Compensation,
    Diagnosis,
    Evaluations,
    FirstBatch,
    Measured,
    Misbehaviour,
    Plain,
    Progress,
    Range,
    Recalled,
    SDs,
    Wall,
)
from gbar.agent.result.traces import read_traces
from gbar.sim import GbarError
from gbar.sim.files import as_csv, read_json, write_whole

if TYPE_CHECKING:
    from pandas import DataFrame


class Result(Plain):
    """The outcome of `gbar tune`, complete enough to verify, report, export and repeat it."""

    problem: str = Field(description="its name")
    problem_folder: str = Field(description="where it was; the toml file where it is not called problem.toml")
    measurements_file: str = Field(description="the table that was used")
    archive: str = Field(description="relative to the run folder unless it is absolute")
    status: Literal["solved", "out of budget", "interrupted"] = Field(
        description="`solved` (all that were wanted), `out of budget`, `interrupted`; both may have solutions too"
    )
    seed: int = Field(description="of the run")
    tolerance: SDs = Field(description="the largest |z| of a solution")
    budget: Evaluations = Field(description="at most, confirmations included")
    wanted: int = Field(description="distinct solutions at which the run stops")
    batch: Evaluations = Field(description="between two fits; `--batch` takes it back")
    pace: BatchTiming | None = Field(
        default=None, description="what the batch was chosen from; `null` where `--batch` or a memory decided"
    )
    planner: Literal["auto", "policy", "gradient", "both"] = Field(
        description="as asked for: `policy`, `gradient`, `both`, or `auto`: both with a memory, gradient without"
    )
    workers: int = Field(description="processes that simulated")
    engine: str = Field(description="integrator and accuracy while searching; `--engine` takes it back")
    engine_why: str = Field(default="", description="engines tried, and what each did")
    left_form: str | None = Field(default=None, description="the cheaper form that the search left because it misled")
    confirmed_by: str = Field(description="integrator and accuracy at which every solution holds")
    schedule: Literal["whole", "greedy"] = Field(
        default="whole",
        description="of an evaluation's protocols: all of them, or in turn until it cannot be among the best; "
        "`--schedule` takes it back",
    )
    simulated_s: dict[str, float] = Field(
        default_factory=dict, description="engine → seconds of one worker, of earlier sessions too"
    )
    arms_s: dict[str, float] = Field(
        default_factory=dict,
        description="schedule → seconds of one worker that the last session's search would have taken; empty where "
        "cells are simulated together",
    )
    evaluations: int = Field(
        description="made for this run, in earlier sessions too; one is all protocols simulated once"
    )
    failed_evaluations: int = Field(description="of them: crashed, timed out, not finite")
    failures: dict[str, int] = Field(default_factory=dict, description="reason → how often")
    first_solution_at: Evaluations | None = Field(description="until the first solution")
    wall_s: Wall = Field(description="where the time went")
    measurements: list[Measured] = Field(description="the table")
    parameters: list[Range] = Field(description="in the order of every parameter vector")
    solutions: list[Candidate] = Field(description="in the order they were found")
    nearest: Candidate | None = Field(
        description="the solution with the smallest largest |z|, else the first [compromise](#compromises); where a "
        "run was stopped, as the searching engine gave it, without voltages"
    )
    next_nearest: list[Candidate] = Field(
        default_factory=list,
        description="the other compromises",
    )
    diagnosis: Diagnosis = Field(default_factory=Diagnosis, description="what limits the answer")
    warnings: list[Misbehaviour] = Field(default_factory=list, description="what the sets do that a cell should not")
    compensating: list[Compensation] = Field(
        default_factory=list, description="pairs of parameters that make up for one another, the strongest first"
    )
    surrogate: dict[str, Accuracy] = Field(description="how well each feature was predicted")
    memory: Recalled | None = Field(
        default=None,
        description="what the archive had taught before; `null` below 512 evaluations of other runs",
    )
    first_batch: FirstBatch | None = Field(
        default=None,
        description="what the archive alone was worth; `null` without a memory, and where the run was resumed",
    )
    history: list[Progress] = Field(description="one a batch")
    versions: dict[str, str] = Field(description="package → version")

    @property
    def in_front(self) -> int:
        """Which of `shown`, from 1, is nearest to the measurements, of those that behave where nothing was measured.

        Compromises are in that order already.
        """
        odd = {number for warning in self.warnings for number in warning.sets}

        def order(number: int) -> tuple[bool, float]:
            one = self.shown[number - 1]
            return number in odd, one.max_abs_z or 0.0 if self.solutions else float(number)

        return min(range(1, len(self.shown) + 1), key=order, default=1)

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
        """The solutions; where there are none, the compromises."""
        nearest = [self.nearest] if self.nearest else []
        return self.solutions or [*nearest, *self.next_nearest]

    def to_dataframe(self) -> "DataFrame":
        """A row for every solution, or for the compromises where there is none.

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
            solution: counted from 1; of the compromises where there is no solution.

        Raises:
            GbarError: no such solution, or its traces cannot be read.
        """
        found = {
            protocol: traces[f"{solution:02d}"]
            for protocol, traces in read_traces(self.folder).items()
            if f"{solution:02d}" in traces
        }
        if not found:
            raise GbarError(f"no traces of solution {solution}: expected 1 to {len(self.shown)}")
        return found

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        """One line. Everything is in `model_dump()`."""
        found = len(self.solutions) or "no"
        nearest = f", largest |z| {_shown(self.shown[0].max_abs_z)}" if self.shown else ""
        made = f"in {self.evaluations} evaluation{'s' * (self.evaluations != 1)}"
        return f"{self.problem}: {found} solution{'s' * (found != 1)} {made} ({self.status}{nearest})"

    def _repr_html_(self) -> str:
        """A table of measured and simulated values, for a notebook."""
        shown, e = self.shown[:5], html.escape
        what = "solution" if self.solutions else "compromise"
        heads = "".join(f"<th>{what} {number}</th>" for number in range(1, len(shown) + 1))
        rows = "".join(
            f"<tr><td>{e(m.protocol)}</td><td>{e(m.feature)}</td><td>{m.mean:.4g} ± {m.sd:.2g} {e(m.unit)}</td>"
            + "".join(f"<td>{_shown(c.features.get(m.key))}</td>" for c in shown)
            + "</tr>"
            for m in self.measurements
        )
        worst = "".join(f"<td>{_shown(c.max_abs_z)}</td>" for c in shown)
        return (
            f"<p>{e(str(self))}</p><table><tr><th>protocol</th><th>feature</th><th>measured</th>{heads}</tr>{rows}"
            f"<tr><td></td><td>largest |z|</td><td></td>{worst}</tr></table>"
        )


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def write_result(run: Path, result: Result) -> None:
    """Write result.json and solutions.csv, each moved into place whole."""
    result._folder = run
    write_whole(run / "result.json", result.model_dump_json(indent=1) + "\n")
    names = [parameter.name for parameter in result.parameters]
    keys = [m.key for m in result.measurements]
    rows = [["solution", *names, *(f"z:{key}" for key in keys), "max_abs_z", "proposer"]]
    for number, solution in enumerate(result.solutions, start=1):
        values = [*(solution.parameters[name] for name in names), *(solution.z[key] for key in keys)]
        rows.append([f"{number:02d}", *map(_number, values), _number(solution.max_abs_z), solution.proposer])
    write_whole(run / "solutions.csv", as_csv(rows))


def read_result(run: str | Path) -> Result:
    """Read RUN/result.json.

    Raises:
        GbarError: not a run folder, or a file that is not what gbar writes.
    """
    file = Path(run) / "result.json"
    if not file.is_file():
        raise GbarError(f"no result.json in {run}: expected a run folder, which gbar tune makes with --out")
    try:
        result = Result.model_validate(read_json(file), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        said = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise GbarError(f"{file}: not a result of this version of gbar: {said}") from None
    _check_whole(result, file)
    result._folder = file.parent
    return result


def _check_whole(result: Result, file: Path) -> None:
    """Every parameter set has a value for every parameter and measurement. Raises GbarError."""
    keys = {m.key for m in result.measurements}
    names = {parameter.name for parameter in result.parameters}
    for number, found in enumerate(result.shown, start=1):
        lacking = sorted((names - set(found.parameters)) | (keys - set(found.z)) | (keys - set(found.features)))
        if lacking:
            raise GbarError(f"{file}: set {number} has no '{lacking[0]}': was the file edited?")


def schema() -> str:
    """The JSON schema of result.json."""
    return json.dumps(Result.model_json_schema(), indent=1)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
