"""A tuning problem as the user wrote it: model, free parameters, protocols, measurements.

Everything here is frozen and validated when it is loaded; nothing later writes to it.
"""

import csv
import hashlib
import json
import os
import reprlib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sim import features
from sim.errors import GbarError, nearest
from sim.explain import explained

Kind = TypeVar("Kind", bound=BaseModel)
MODEL_FILES = {".hoc", ".py", ".mod", ".inc", ".swc", ".asc", ".json", ".ses", ".dat"}  # what decides a simulation
RESULTS = {"archive.sqlite", "result.json"}  # a folder with one of these is a run of ours, not part of the model
NO_MODEL = {"measurements", "runs", "solutions", "x86_64", "arm64", "aarch64", "__pycache__"}
OURS = {"folder", "measurements_file"}  # fields of a Problem that nobody writes in problem.toml


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Model(Strict):
    """Where the user's model is and how it is started. The model itself is never changed."""

    load: str  # a hoc file, or "file.py:function"
    template: str | None = None  # hoc template to instantiate; nothing for a flat hoc
    mechanisms: tuple[str, ...] = ()  # folders of MOD files
    celsius: float  # degC
    v_init: float  # mV


class Parameter(Strict):
    """A free parameter: where it is set in the model and between which bounds."""

    name: str = Field(min_length=1)
    set: tuple[str, ...] = Field(min_length=1)  # SECTIONS.VARIABLE, one value for every place
    bounds: tuple[float, float]  # in NEURON's own units
    scale: Literal["linear", "log"] = "linear"
    unit: str | None = None  # checked against NEURON's, when given

    @field_validator("set")
    @classmethod
    def _places(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        for place in places:
            if "." not in place.strip("."):
                raise ValueError(f"'{place}' is no place in a model: expected SECTIONS.VARIABLE, such as soma.g_pas")
        return places

    @model_validator(mode="after")
    def _bounds(self) -> "Parameter":
        low, high = self.bounds
        if low >= high:
            raise ValueError(f"bounds [{low:g}, {high:g}] are the wrong way round or empty: expected [low, high]")
        if self.scale == "log" and low <= 0:
            raise ValueError(f'bounds [{low:g}, {high:g}] with scale "log": expected low > 0, or scale "linear"')
        return self


class Timed(Strict):
    """What every stimulus has: when, where, what is recorded. Times in ms from the start of the simulation."""

    delay: float = Field(ge=0)  # ms
    duration: float = Field(gt=0)  # ms
    total: float = Field(gt=0)  # ms
    at: str = "soma(0.5)"  # where the current goes in
    record: str = "soma(0.5).v"
    efel: dict[str, float | int | bool | str] = {}  # settings for this protocol only

    @model_validator(mode="after")
    def _inside(self) -> "Timed":
        if self.delay + self.duration > self.total:
            raise ValueError(
                f"delay + duration = {self.delay + self.duration:g} ms is longer than total = {self.total:g} ms: "
                "lengthen total"
            )
        return self

    @field_validator("at", "record")
    @classmethod
    def _place(cls, place: str, info: Any) -> str:
        wanted, example = (
            ("SECTION(X).v", "soma(0.5).v") if info.field_name == "record" else ("SECTION(X)", "soma(0.5)")
        )
        if not features.PLACE[info.field_name].fullmatch(place):
            raise ValueError(f"'{place}' is no place on a cell: expected {wanted}, such as {example}")
        return place


class Step(Timed):
    """A square current. `pulse` is the same, brief: what follows it is measured rather than what happens in it."""

    kind: Literal["step", "pulse"]
    amplitude: float  # nA


class Rheobase(Timed):
    """The smallest square current that makes a spike, found by bisection for each candidate."""

    kind: Literal["rheobase"]
    bounds: tuple[float, float] = (0.0, 50.0)  # nA
    precision: float = Field(default=0.05, gt=0)  # nA

    @model_validator(mode="after")
    def _bracket(self) -> "Rheobase":
        if self.bounds[0] >= self.bounds[1]:
            raise ValueError(f"bounds {list(self.bounds)} are the wrong way round or empty: expected [low, high] in nA")
        return self


class FiCurve(Strict):
    """No stimulus of its own: relates the firing in several step protocols to their currents."""

    kind: Literal["fi"]
    steps: tuple[str, ...] = Field(min_length=2)


KINDS: dict[str, type[BaseModel]] = {"step": Step, "pulse": Step, "rheobase": Rheobase, "fi": FiCurve}
Protocol = Annotated[Step | Rheobase | FiCurve, Field(discriminator="kind")]


class Simulation(Strict):
    """How a model is simulated and what one evaluation may cost."""

    engine: Literal["cvode", "fixed"] = "cvode"
    atol: float = Field(default=1e-4, gt=0)  # CVODE's absolute tolerance
    dt: float = Field(default=0.025, gt=0)  # ms, for engine = "fixed"
    time_limit: float = Field(default=60.0, gt=0)  # s for one evaluation
    memory_limit: float = Field(default=2048.0, gt=0)  # MB for one worker


class Measurement(Strict):
    """The experimental mean and standard deviation of one feature under one protocol."""

    protocol: str
    feature: str
    mean: float
    sd: float = Field(gt=0)
    unit: str

    @property
    def key(self) -> str:
        return f"{self.protocol}.{self.feature}"


class Problem(Strict):
    """One tuning problem: the frozen content of problem.toml and of a table of measurements."""

    name: str
    folder: Path
    model: Model
    parameter: tuple[Parameter, ...] = Field(min_length=1)
    protocol: dict[str, Protocol] = Field(min_length=1)
    efel: dict[str, float | int | bool | str] = {}
    simulation: Simulation = Simulation()
    measurements: tuple[Measurement, ...] = ()
    measurements_file: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names, in the order of every parameter vector."""
        return tuple(parameter.name for parameter in self.parameter)

    def physical(self, unit: np.ndarray) -> np.ndarray:  # [..., D] in [0, 1] -> [..., D] in NEURON's units
        """Map the unit cube onto the bounds, each parameter on its own scale."""
        low, high, log = self._bounds()
        value = low + np.asarray(unit, float) * (high - low)
        return np.where(log, np.exp(np.where(log, value, 0.0)), value)

    def unit(self, physical: np.ndarray) -> np.ndarray:  # [..., D] in NEURON's units -> [..., D]
        """The inverse of `physical`."""
        low, high, log = self._bounds()
        physical = np.asarray(physical, float)
        return (np.where(log, np.log(np.where(log, physical, 1.0)), physical) - low) / (high - low)

    def _bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        log = np.array([parameter.scale == "log" for parameter in self.parameter])
        bounds = np.array([parameter.bounds for parameter in self.parameter])
        bounds[log] = np.log(bounds[log])
        return bounds[:, 0], bounds[:, 1], log

    def efel_settings(self, protocol: str) -> dict[str, float | int | bool | str]:
        """The eFEL settings in force under one protocol."""
        return {**features.SETTINGS, **self.efel, **getattr(self.protocol[protocol], "efel", {})}

    def identity(self) -> str:
        """Hash of everything that decides what a parameter vector's features are: model files, places, protocols."""
        digest = hashlib.sha256()
        folders = [self.folder, *(self.folder / folder for folder in self.model.mechanisms)]
        for file in sorted({file for folder in folders for file in _model_files(folder)}):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        content = {
            "model": self.model.model_dump(),
            "parameters": [(parameter.name, parameter.set) for parameter in self.parameter],
            "protocols": {name: protocol.model_dump() for name, protocol in sorted(self.protocol.items())},
            "efel": {**features.SETTINGS, **self.efel},
        }
        digest.update(json.dumps(content, sort_keys=True).encode())
        return digest.hexdigest()[:16]


def _model_files(folder: Path) -> Iterator[Path]:
    """The files in a model's folder that decide a simulation, without what runs have left there."""
    for path, folders, files in os.walk(folder):
        here = Path(path).resolve()
        ours = {name for name in folders if RESULTS & set(os.listdir(here / name))}
        folders[:] = [name for name in folders if name not in NO_MODEL | ours and not name.startswith(".")]
        yield from (here / name for name in files if Path(name).suffix in MODEL_FILES and name not in RESULTS)


def load_problem(path: str | Path, measurements: str | Path | None = None, *, measured: bool = True) -> Problem:
    """Read a problem folder (or its problem.toml) and its table of measurements.

    Args:
        path: the folder, or the toml file in it.
        measurements: a CSV to use instead of the one problem.toml names.
        measured: whether a table is needed (`sample` needs none, and uses the problem's own where there is one).

    Raises:
        GbarError: whatever is wrong, in one line that names the nearest valid word.
    """
    file = Path(path)
    file = file / "problem.toml" if file.is_dir() else file
    if not file.is_file():
        raise GbarError(f"no problem at {path}: expected a folder with a problem.toml, or that file")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise GbarError(f"{file}: not valid TOML: {error}") from None
    default = content.pop("measurements", None)
    if default is not None and not isinstance(default, str):
        raise GbarError(f"{file}: measurements: expected a file name in quotes, got {reprlib.repr(default)}")
    for key in OURS & set(content):
        raise GbarError(f"{file}: unknown key '{key}'{nearest(key, _owner(Problem, ()))}")
    content.setdefault("name", file.resolve().parent.name)
    problem = _validated(Problem, {**content, "folder": file.resolve().parent}, str(file))
    _check_problem(problem, str(file))
    table = Path(measurements) if measurements else (problem.folder / default if default else None)
    if table is None or not (measured or measurements or table.is_file()):
        if measured:
            raise GbarError(
                f'{file}: no measurements: give --measurements CSV, or write measurements = "FILE.csv" at the top'
            )
        return problem
    return problem.model_copy(update={"measurements": read_measurements(table, problem), "measurements_file": table})


def read_measurements(table: Path, problem: Problem) -> tuple[Measurement, ...]:
    """Read a CSV of protocol, feature, mean, sd, unit and check every row against the problem's protocols.

    Raises:
        GbarError: with the file and the row.
    """
    if not table.is_file():
        raise GbarError(f"no measurements at {table}: expected a CSV with columns protocol,feature,mean,sd,unit")
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader((line for line in stream if not line.startswith("#")), skipinitialspace=True)
            columns, rows = reader.fieldnames or [], list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise GbarError(f"{table}: not a CSV text file: {error}") from None
    known = list(Measurement.model_fields)
    for column in columns:
        if column not in known:
            raise GbarError(f"{table}: unknown column '{column}'{nearest(column or '', known)}")
    for column in known:
        if column not in columns:
            raise GbarError(f"{table}: no column '{column}': expected {','.join(known)}")
        if list(columns).count(column) > 1:
            raise GbarError(f"{table}: two columns are called '{column}': keep one")
    if not rows:
        raise GbarError(f"{table}: no measurements in it: expected one row a measurement under the header")
    measurements: list[Measurement] = []
    for number, row in enumerate(rows, start=1):
        where = f"{table}, measurement {number}"
        if None in row or None in row.values():
            raise GbarError(f"{where}: expected {len(known)} fields ({','.join(known)})")
        measurement = _validated(Measurement, row, where)
        _check_measurement(measurement, problem, where)
        if any(measurement.key == other.key for other in measurements):
            raise GbarError(f"{where}: {measurement.key} is measured twice: keep one row")
        measurements.append(measurement)
    return tuple(measurements)


def _check_problem(problem: Problem, where: str) -> None:
    """Cross-checks that no single field can make. Raises GbarError."""
    for name in problem.names:
        if problem.names.count(name) > 1:
            raise GbarError(f"{where}: two parameters are called '{name}': names must differ")
    for name, protocol in problem.protocol.items():
        if "." in name:
            raise GbarError(
                f"{where}: protocol '{name}': a name without a dot is expected, such as '{name.replace('.', '_')}'"
            )
        if isinstance(protocol, FiCurve):
            _check_steps(name, protocol, problem, where)
        else:
            _check_settings(protocol.efel, f"{where}: protocol.{name}.efel")
    _check_settings(problem.efel, f"{where}: efel")
    load = problem.model.load.partition(":")[0]
    if not (problem.folder / load).is_file():
        files = [file.name for file in problem.folder.iterdir() if file.suffix in {".hoc", ".py"}]
        raise GbarError(f"{where}: model.load: no file '{load}' in {problem.folder.name}/{nearest(load, files)}")
    if load.endswith(".py") and ":" not in problem.model.load:
        raise GbarError(f"{where}: model.load: '{load}' names no function: expected \"{load}:FUNCTION\"")
    if not load.endswith((".hoc", ".py")):
        raise GbarError(f"{where}: model.load: '{load}' is neither .hoc nor .py")
    for folder in problem.model.mechanisms:
        if not (problem.folder / folder).is_dir():
            folders = [entry.name for entry in problem.folder.iterdir() if entry.is_dir()]
            raise GbarError(f"{where}: model.mechanisms: no folder '{folder}'{nearest(folder, folders)}")
        if not any((problem.folder / folder).glob("*.mod")):
            raise GbarError(f"{where}: model.mechanisms: no MOD files in '{folder}': name the folder that holds them")


def _check_steps(name: str, protocol: FiCurve, problem: Problem, where: str) -> None:
    others = problem.protocol.items()
    steps = {key: other.amplitude for key, other in others if isinstance(other, Step) and other.kind == "step"}
    for step in protocol.steps:
        if step not in steps:
            raise GbarError(f"{where}: protocol.{name}.steps: '{step}' is no step protocol{nearest(step, steps)}")
        if steps[step] < 0:
            raise GbarError(
                f"{where}: protocol.{name}.steps: '{step}' is a step of {steps[step]:g} nA: expected 0 or more"
            )
    if len({steps[step] for step in protocol.steps}) < 2:
        raise GbarError(f"{where}: protocol.{name}.steps: expected steps of at least two different amplitudes")


def _check_settings(settings: Mapping[str, Any], where: str) -> None:
    known = features.known_settings()
    for key, value in settings.items():
        if key not in known:
            raise GbarError(f"{where}: eFEL has no setting '{key}'{nearest(key, known)}")
        default = known[key]
        fits = isinstance(value, int | float) if isinstance(default, float) else isinstance(value, type(default))
        if not fits or isinstance(value, bool) != isinstance(default, bool):
            raise GbarError(f"{where}.{key}: expected a value such as {default!r}, got {value!r}")
    if not float(settings.get("interp_step", 1.0)) > 0:
        raise GbarError(f"{where}.interp_step: expected more than 0 ms, got {settings['interp_step']!r}")


def _check_measurement(measurement: Measurement, problem: Problem, where: str) -> None:
    protocol = problem.protocol.get(measurement.protocol)
    if protocol is None:
        raise GbarError(
            f"{where}: no protocol '{measurement.protocol}'{nearest(measurement.protocol, problem.protocol)}"
        )
    known = features.known_features(protocol.kind)
    if measurement.feature not in known:
        homes = [kind for kind in KINDS if measurement.feature in features.known_features(kind)]
        hint = f" (it belongs under: {', '.join(homes)})" if homes else nearest(measurement.feature, known)
        raise GbarError(f"{where}: no feature '{measurement.feature}' under a {protocol.kind} protocol{hint}")
    by_tau = measurement.feature in {"time_constant", "membrane_capacitance"}
    if by_tau and isinstance(protocol, Timed) and protocol.duration < features.TAU_STEP_MS:
        raise GbarError(
            f"{where}: {measurement.key} is not defined for a step of {protocol.duration:g} ms: "
            f"eFEL asks for {features.TAU_STEP_MS:g} ms or more"
        )
    expected = features.unit_of(measurement.feature)
    if features.plain_unit(measurement.unit) != features.plain_unit(expected):
        raise GbarError(
            f"{where}: {measurement.key} is in '{measurement.unit}': expected '{expected}', convert mean and sd"
        )


def _validated(kind: type[Kind], content: Mapping[str, Any], where: str) -> Kind:
    """Build a model, or raise a GbarError of one line for the first thing wrong."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problems = error.errors()
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise GbarError(
            f"{where}: {explained(problems[0], content, lambda path: _owner(kind, path), KINDS)}{more}"
        ) from None


def _owner(kind: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys known where `path` leads from `kind`."""
    inner: dict[str, type[BaseModel]] = {"model": Model, "parameter": Parameter, "simulation": Simulation}
    owner = kind
    if path and path[0] == "protocol" and len(path) > 2:
        owner = KINDS[str(path[2])]
    elif path and str(path[0]) in inner:
        owner = inner[str(path[0])]
    return [key for key in owner.model_fields if key not in OURS]
