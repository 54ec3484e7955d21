"""What a run ends with: result.json and the files beside it in the run folder.

RUN/result.json       this model, as JSON
RUN/solutions.csv     one row a solution: parameters, then z of every measurement
RUN/predictions.csv   every simulated feature beside what the surrogate said before it was simulated
RUN/traces.npz        voltages of the solutions (or the nearest): "01/PROTOCOL/t" ms, "01/PROTOCOL/v" mV
RUN/archive.sqlite    every evaluation
RUN/report.html       the page
RUN/solutions/NN/     the solution as run.py, and as solution.hoc where the model is hoc
"""

import html
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from gbar.sim import GbarError
from gbar.sim.files import as_csv, packed_arrays, read_arrays, read_json, write_whole
from gbar.sim.problem import unit

if TYPE_CHECKING:
    from pandas import DataFrame

SDs = Annotated[float, unit("SD")]
Seconds = Annotated[float, unit("s")]
Share = Annotated[float, unit("0…1")]
InNeuronsUnit = Annotated[float, unit("NEURON's")]
InItsUnit = Annotated[float, unit("the feature's")]
Evaluations = Annotated[int, unit("evaluations")]

Traces = dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]  # protocol -> "01" -> (t [T] ms, v [T] mV)
FREE = 0.8  # uncertainty left from which on the measurements do not constrain a parameter


class Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Candidate(Plain):
    """One parameter set and what NEURON makes of it at the confirming accuracy."""

    parameters: dict[str, InNeuronsUnit] = Field(description="name → value")
    features: dict[str, InItsUnit | None] = Field(description="every feature that was computed, measured or not")
    z: dict[str, SDs | None] = Field(description="(feature − mean) / SD of every measurement")
    max_abs_z: SDs | None = Field(description="the largest |z|; `null` when a measured feature is not defined")
    undefined: int = Field(default=0, description="how many measured features are not defined")
    proposer: str = Field(description="`design`, `policy`, `gradient`, or `archive` for another run's")
    evaluation: int = Field(description="the how-manieth of the run it was")


class Accuracy(Plain):
    """How well the surrogate predicted one feature before it was simulated."""

    rmse_over_sd: SDs | None = Field(
        description="root mean square error of predictions over the whole run; `null` with fewer than two"
    )
    coverage_90: Share | None = Field(
        description="simulated values inside the predicted 90 % interval; 0.9 is honest, less is over-confident"
    )
    n: int = Field(description="predictions whose simulated value was defined")
    recent_rmse_over_sd: SDs | None = Field(default=None, description="the error over the second half of the run")
    verdict: str = Field(
        description="`good` (recent error ≤ 0.5, coverage ≥ 0.8), `usable` (≤ 1, ≥ 0.6), `do not trust`, `not tested`"
    )


class Wall(Plain):
    """Seconds of wall clock. All but `compile` add up to `total`, less a few that nothing is worth naming for."""

    simulate: Seconds = Field(description="waiting for NEURON")
    fit: Seconds = Field(description="training the surrogate and the policy")
    plan: Seconds = Field(description="proposing candidates")
    total: Seconds = Field(description="this session from beginning to end")
    choose: Seconds = Field(default=0.0, description="trying engines, once for a model")
    start: Seconds = Field(default=0.0, description="building the mechanisms, starting NEURON, loading the model")
    diagnose: Seconds = Field(default=0.0, description="where nothing was found: looking for what is in the way")
    write: Seconds = Field(default=0.0, description="the page and every solution's files")
    compile: Seconds = Field(default=0.0, description="JAX compiling; contained in `fit` and `plan`")

    def parts(self) -> list[tuple[str, float]]:
        """What the time went into, in words, in the order of doing; what nothing has a name for is last."""
        fit = f"learning ({self.compile:.0f} s of it compiling)" if self.compile >= 1 else "learning"
        named = [
            ("choosing an engine", self.choose),
            ("starting NEURON", self.start),
            ("simulating", self.simulate),
            (fit, self.fit),
            ("planning", self.plan),
            ("looking at what is in the way", self.diagnose),
            ("writing", self.write),
        ]
        always = {"simulating", fit, "planning"}
        other = ("the rest", self.total - sum(seconds for _, seconds in named))
        return [(word, max(0.0, seconds)) for word, seconds in [*named, other] if word in always or seconds >= 0.5]


class Measured(Plain):
    protocol: str = Field(description="as in the table")
    feature: str = Field(description="as in the table")
    mean: InItsUnit = Field(description="as in the table")
    sd: InItsUnit = Field(description="as in the table")
    unit: str = Field(description="as in the table")


class Range(Plain):
    """A free parameter as the problem defines it, and how much the measurements say about it."""

    name: str = Field(description="of the free parameter")
    low: InNeuronsUnit = Field(description="lower bound")
    high: InNeuronsUnit = Field(description="upper bound")
    scale: Literal["linear", "log"] = Field(description="`linear` or `log`")
    unit: str = Field(description="as NEURON has it; empty where NEURON names none")
    uncertainty_left: Share | None = Field(
        default=None, description="how much of its range the measurements leave open; `null` where nothing was learned"
    )


class BatchTiming(Plain):
    """What the batch was chosen from, measured once for a model and remembered (agent.tuning.batch_size)."""

    batch: Evaluations = Field(description="between two fits")
    think_s: Seconds = Field(description="fitting and planning of one batch, once everything is compiled")
    round_s: Seconds = Field(description="simulating `at_once` evaluations")
    at_once: Evaluations = Field(
        description="that take as long as one: one a worker, or eight where copies are simulated together"
    )


class FirstBatch(Plain):
    """How far the first batch came, before anything was learned from this cell."""

    evaluations: int = Field(description="in the batch, before anything was learned from this cell")
    best_max_abs_z: SDs | None = Field(
        description="the smallest largest |z|; `null` where none had every measured feature defined"
    )
    within_3: Evaluations = Field(description="with every |z| ≤ 3")
    within_tolerance: Evaluations = Field(description="with every |z| ≤ the tolerance")


class Recalled(Plain):
    """What the archive had taught before this run."""

    evaluations: int = Field(description="it was learned from")
    digest: str = Field(description="runs with the same digest began with the same surrogate and policy")
    learned_now: bool = Field(description="whether this run learned it; `false`: it was kept")
    why: str = Field(description="it was learned now; empty where it was kept")


class Pressing(Plain):
    """A parameter that solutions (or the nearest sets) have at a bound: they may lie beyond it."""

    parameter: str = Field(description="its name")
    side: Literal["lower", "upper"] = Field(description="`lower` or `upper`")
    bound: InNeuronsUnit = Field(description="the bound on that side")
    sets: int = Field(description="how many of the solutions (of the nearest sets where there are none) lie there")
    of: int = Field(description="how many there are")


class Achieved(Plain):
    """What NEURON gave for one measurement; null = not defined."""

    feature: str = Field(description="`protocol.feature`")
    value: InItsUnit | None = Field(description="as NEURON simulated it; `null` where not defined")
    z: SDs | None = Field(description="(value − mean) / SD")


class Unreachable(Plain):
    """A measurement that no parameter set meets, and the nearest to it that NEURON gave."""

    nearest: Achieved = Field(description="the nearest that NEURON gave")
    parameters: dict[str, InNeuronsUnit] = Field(description="name → value, where it gave that")


class Conflict(Plain):
    """Two measurements that can be met one at a time only."""

    together: list[Achieved] = Field(
        description="of the first and of the second, in the simulation where the worse of both is nearest"
    )
    trade_off: list[list[Achieved]] = Field(
        description="such pairs, from the first at its nearest to the second; no simulation beats one in both"
    )


class Uninformative(Plain):
    """A measurement that tells no parameter set from another."""

    feature: str = Field(description="`protocol.feature`")
    reason: Literal["constant", "always met"] = Field(
        description="`constant` (the same whatever the parameters) or `always met` (so wide that everything passes)"
    )


class Misbehaviour(Plain):
    """What parameter sets do under a protocol without a measurement that a cell should not: see docs/result.md."""

    protocol: str = Field(description="which")
    stimulus: str = Field(description="in words")
    kind: Literal[
        "depolarisation block",
        "no repetitive firing",
        "fires before the stimulus",
        "fires after the stimulus",
        "does not return to rest",
    ] = Field(
        description="`depolarisation block`: no spike in the last 40 % of a current of 200 ms or more, the voltage "
        "above −45 mV; `no repetitive firing`: none there, below that, after a first spike or at 1.5 times the set's "
        "own rheobase; `fires before the stimulus`, later than 20 ms; `fires after the stimulus`, later than 50 ms; "
        "`does not return to rest`: 10 mV away at the end"
    )
    sets: list[int] = Field(description="numbers of the solutions, from 1; of the nearest sets where there are none")
    of: int = Field(description="how many there are")


class Diagnosis(Plain):
    """What limits the answer, see docs/result.md."""

    pressing: list[Pressing] = Field(default_factory=list, description="parameters at a bound")
    unreachable: list[Unreachable] = Field(default_factory=list, description="measurements that no parameter set meets")
    conflicts: list[Conflict] = Field(default_factory=list, description="pairs that can be met one at a time only")
    uninformative: list[Uninformative] = Field(
        default_factory=list, description="measurements that tell no parameter set from another"
    )
    unconstrained: list[str] = Field(
        default_factory=list, description="parameters whose `uncertainty_left` is 0.8 or more"
    )
    probed: Evaluations | None = Field(
        default=None, description="made outside the budget to find out; `null` where nobody looked"
    )


class Progress(Plain):
    """The state after one batch."""

    evaluations: int = Field(description="after the batch")
    best_max_abs_z: SDs | None = Field(
        description="the smallest largest |z| so far; `null` while no evaluation had every measured feature defined"
    )
    solutions: int = Field(description="confirmed so far")
    proposers: dict[str, int] = Field(description="who → how many of the batch")


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
    engine_why: str = Field(default="", description="what was tried when the engine was chosen, and what each did")
    confirmed_by: str = Field(description="integrator and accuracy at which every solution holds")
    evaluations: int = Field(
        description="made for this run, in earlier sessions too; one is all protocols simulated once"
    )
    failed_evaluations: int = Field(description="of them: crashed, timed out, not finite")
    failures: dict[str, int] = Field(default_factory=dict, description="reason → how often")
    first_solution_at: Evaluations | None = Field(description="until the first solution; `null` without one")
    wall_s: Wall = Field(description="where the time went")
    measurements: list[Measured] = Field(description="the table")
    parameters: list[Range] = Field(description="in the order of every parameter vector")
    solutions: list[Candidate] = Field(description="in the order they were found")
    nearest: Candidate | None = Field(
        description="the set with the smallest largest |z|, a solution where there is one"
    )
    next_nearest: list[Candidate] = Field(
        default_factory=list, description="the next ones; empty where there are solutions"
    )
    diagnosis: Diagnosis = Field(default_factory=Diagnosis, description="what limits the answer")
    warnings: list[Misbehaviour] = Field(
        default_factory=list, description="what the sets do in protocols without a measurement that a cell should not"
    )
    surrogate: dict[str, Accuracy] = Field(description="how well each feature was predicted")
    memory: Recalled | None = Field(
        default=None,
        description="what the archive had taught before; `null` with fewer than 512 evaluations of other runs",
    )
    first_batch: FirstBatch | None = Field(
        default=None,
        description="what the archive alone was worth; `null` without a memory, and where the run was resumed",
    )
    history: list[Progress] = Field(description="one a batch")
    versions: dict[str, str] = Field(description="package → version")

    @property
    def in_front(self) -> int:
        """Which of `shown`, from 1, is nearest to the measurements, of those that behave where nothing was measured."""
        odd = {number for warning in self.warnings for number in warning.sets}

        def order(number: int) -> tuple[bool, int, float]:
            one = self.shown[number - 1]
            return number in odd, one.undefined, math.inf if one.max_abs_z is None else one.max_abs_z

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
        found = {
            protocol: traces[f"{solution:02d}"]
            for protocol, traces in read_traces(self.folder).items()
            if f"{solution:02d}" in traces
        }
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
    keys = {f"{m.protocol}.{m.feature}" for m in result.measurements}
    names = {parameter.name for parameter in result.parameters}
    for number, found in enumerate(result.shown, start=1):
        lacking = sorted((names - set(found.parameters)) | (keys - set(found.z)) | (keys - set(found.features)))
        if lacking:
            raise GbarError(f"{file}: set {number} has no '{lacking[0]}': was the file edited?")


def write_traces(run: Path, traces: list[dict[str, tuple[np.ndarray, np.ndarray]]]) -> None:
    """Keep the voltages of the solutions, as 32-bit floats: protocol -> (t [T] ms, v [T] mV) for each."""
    arrays = {
        f"{number:02d}/{protocol}/{axis}": values.astype(np.float32)
        for number, solution in enumerate(traces, start=1)
        for protocol, (t, v) in solution.items()
        for axis, values in (("t", t), ("v", v))
    }
    write_whole(run / "traces.npz", packed_arrays(arrays))


def read_traces(run: Path) -> Traces:
    """What `write_traces` kept. Raises GbarError where it is damaged or something else."""
    file, traces = run / "traces.npz", Traces()
    arrays = read_arrays(file)
    for name in arrays:
        if name.endswith("/t"):
            number, _, protocol = name.removesuffix("/t").partition("/")
            t, v = arrays[name], arrays.get(f"{number}/{protocol}/v", np.array(None))
            if not number.isdigit() or t.ndim != 1 or t.shape != v.shape or t.dtype.kind + v.dtype.kind != "ff":
                raise GbarError(f"{file}: not the traces that gbar writes: {name} and v are no times and voltages")
            traces.setdefault(protocol, {})[number] = t.astype(float), v.astype(float)
    return traces


def schema() -> str:
    """The JSON schema of result.json."""
    return json.dumps(Result.model_json_schema(), indent=1)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.8g}"
