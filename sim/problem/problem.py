"""A tuning problem as the user wrote it: model, free parameters, protocols, measurements.

Everything here is frozen and validated when it is loaded; nothing later writes to it.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from gbar.sim import features
from gbar.sim.files import check_name
from gbar.sim.problem.kinds import MAIN, CurrentStimulus, FiCurve, Protocol, Rheobase, Stimulus
from gbar.sim.problem.modelfiles import ModelFiles, file_digest, find_model_files
from gbar.sim.problem.parameter import Parameter, check_place, parsed
from gbar.sim.problem.responsekey import ResponseKey
from gbar.sim.problem.strict import Strict
from gbar.sim.problem.units import (
    Celsius,
    Lambdas,
    Megabyte,
    Micrometre,
    Millivolt,
    Number,
    Second,
    Segments,
    TimeStep,
    Tolerance,
    Whole,
)

SMALLEST_SD = 1e-9  # of the mean: CVODE at its tightest is no more exact
METHOD = 4  # raised when simulating or measuring changes, so that new rows never mix with earlier ones
ROUNDING = 1e-9  # of a range: a value this far beyond a bound is at it
OURS = {"folder", "file", "measurements_file", "times", "currents"}  # fields that nobody writes in problem.toml


class Model(Strict):
    """Where the user's model is and how it is started. The model itself is never changed."""

    load: str = Field(
        description='a hoc file, `"file.py:function"`, or a morphology (`.swc`, `.asc`); relative to the folder'
    )
    template: str | None = Field(default=None, description="the hoc template to make one cell of")
    arguments: tuple[str | Whole | Number, ...] = Field(
        default=(), description="what the template, function or class is called with"
    )
    requires: tuple[str, ...] = Field(
        default=(),
        description="hoc files to load first, such as a template's or `import3d.hoc`",
    )
    setup: tuple[str, ...] = Field(default=(), description="hoc statements, once after a flat hoc has loaded")
    mechanisms: tuple[str, ...] = Field(default=(), description="folders that hold the MOD files")
    celsius: Celsius = Field(description="temperature of every simulation")
    v_init: Millivolt = Field(description="voltage at which every simulation starts")
    init: str | None = Field(
        default=None, description="hoc statement to start a simulation, instead of `finitialize(v_init)`"
    )
    advance: str | None = Field(
        default=None,
        description="hoc statement for a time step, instead of `fadvance()`",
    )
    outputs: tuple[str, ...] = Field(
        default=(), description='files that the model itself writes, such as `"out/*.txt"`'
    )
    stimuli: Literal["off", "keep"] = Field(default="off", description="the clamps that the model brings along")
    insert: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description='mechanisms to put in: `SECTIONS = ["NAME", …]`'
    )
    values: dict[str, Number | str] = Field(
        default_factory=dict,
        description='fixed values, in this order: `"SECTIONS.VARIABLE" = number`, or a formula in quotes',
    )
    axon: Literal["keep", "stub", "none"] = Field(
        default="keep", description="of a morphology: as traced, two cylinders of 30 µm, or none"
    )
    d_lambda: Lambdas = Field(default=0.1, description="of a morphology: NEURON's rule for the number of segments")
    segment_length: Micrometre | None = Field(
        default=None, description="instead of `d_lambda`: 1 + 2 ⌊L / `segment_length`⌋ segments a section"
    )

    @field_validator("values")
    @classmethod
    def _fixed(cls, values: dict[str, float | str]) -> dict[str, float | str]:
        for place, given in values.items():
            check_place(place)
            unknown = parsed(given).names - {"distance", "own"} if isinstance(given, str) else set()
            if unknown:
                raise ValueError(f"'{given}': a fixed value knows distance and own, not '{min(unknown)}'")
        return values


class Simulation(Strict):
    """How a model is simulated and what one evaluation may cost."""

    engine: Literal["auto", "coreneuron", "neuron", "cvode", "fixed"] = Field(
        default="auto", description='how it is simulated; `"auto"` tries, once for each model'
    )
    atol: Tolerance = Field(default=1e-4, description="CVODE's absolute tolerance while searching")
    dt: TimeStep = Field(
        default=0.025, description="step of every other engine; many copies together take a quarter to two of it"
    )
    segments: Segments | None = Field(
        default=None,
        description="most segments of a section while searching; what confirms has all",
    )
    fidelities: Literal["auto"] | tuple[str, ...] = Field(
        default="auto",
        description="cheaper forms to search a dear model on, such as "
        '`["cvode atol 0.01 segments 1"]`; `[]`: none; `"auto"` tries, once for each model whose `engine` is `"auto"`',
    )
    confirm: Literal["cvode", "fixed"] = Field(
        default="cvode",
        description='what confirms solutions, at `atol` 1e-7 or `dt` 0.0025; `"fixed"` where CVODE cannot',
    )
    process: Literal["auto", "kept", "each"] = Field(
        default="auto",
        description='`"each"`: an evaluation has a process of its own; `"auto"` tries whether it needs one',
    )
    time_limit: Second = Field(default=60.0, description="an evaluation that takes longer counts as failed")
    memory_limit: Megabyte = Field(
        default=2048.0, description="a worker that grows larger is ended; its evaluation failed"
    )


def _number(value: Any) -> Any:
    """Text is a number where a table is text; true is none."""
    if isinstance(value, bool):
        raise ValueError(f"expected a number, got {str(value).lower()}")
    return value


Read = Annotated[float, BeforeValidator(_number), Field(ge=-1e12, le=1e12)]


class Measurement(Strict):
    """The experimental mean and standard deviation of one feature under one protocol."""

    protocol: str = Field(description="one of problem.toml's, or `PROTOCOL:RECORDING`")
    feature: str = Field(description="an eFEL feature or one of ours")
    mean: Read = Field(description="the experimental mean, or the one cell's value")
    sd: Read = Field(gt=0, description="standard deviation, more than 0, in the same unit")
    unit: str = Field(description="the feature's, or one that is converted to it (GOhm, pA, us …)")
    weight: Annotated[float, BeforeValidator(_number)] = Field(
        default=1.0, gt=0, le=1e6, description="its weight in the sum by which compromises are judged"
    )
    must_hold: bool = Field(
        default=False,
        description="`yes`: compromises that miss it come last",
        json_schema_extra={"written": "`yes`, `no`", "unless given": "`no`"},
    )
    note: str = Field(default="", description="for the reader")
    said: str = ""  # how the row was read, where that is not as it stands there

    @model_validator(mode="after")
    def _countable(self) -> "Measurement":
        if self.sd < SMALLEST_SD * abs(self.mean):
            raise ValueError(
                f"sd = {self.sd:g} beside mean = {self.mean:g}: neither a measurement nor NEURON is so exact"
            )
        return self

    @property
    def key(self) -> str:
        return f"{self.protocol}.{self.feature}"

    @property
    def demand(self) -> str:
        """What it asks for beyond the others, in words."""
        return demanded(self.weight, self.must_hold)

    def z(self, value: float) -> float:
        """How many SDs a value lies from the mean; NaN where it is not defined."""
        return (value - self.mean) / self.sd

    @property
    def under(self) -> str:
        """The protocol alone, whatever is recorded."""
        return ResponseKey.parse(self.protocol).protocol


class Problem(Strict):
    """One tuning problem: the frozen content of problem.toml and of a table of measurements."""

    name: str = Field(
        description="what tables and runs call the problem", json_schema_extra={"unless given": "the folder's name"}
    )
    folder: Path
    file: Path  # problem.toml, or what it is called
    model: Model = Field(description="the cell")
    parameter: tuple[Parameter, ...] = Field(
        min_length=1, description="what is free, one or more", json_schema_extra={"written": "list of tables"}
    )
    protocol: dict[str, Protocol] = Field(
        min_length=1,
        description="how the cell is stimulated, one or more",
        json_schema_extra={"written": "table of tables"},
    )
    efel: dict[str, float | int | bool | str] = Field(
        default_factory=dict, description="eFEL settings for all protocols"
    )
    simulation: Simulation = Field(
        default=Simulation(), description="engine and limits", json_schema_extra={"unless given": "see there"}
    )
    measurements: tuple[Measurement, ...] = Field(
        default=(),
        description="the table, relative to the folder; `--measurements CSV` replaces it",
        json_schema_extra={"written": "text", "unless given": "none"},
    )
    measurements_file: Path | None = None

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        return check_name(name)  # a run's folder is called by it

    @property
    def names(self) -> tuple[str, ...]:
        """Parameter names, in the order of every parameter vector."""
        return tuple(parameter.name for parameter in self.parameter)

    @property
    def mechanism_folders(self) -> list[Path]:
        """The folders that hold the MOD files."""
        return [self.folder / name for name in self.model.mechanisms]

    @property
    def stimuli(self) -> dict[str, Stimulus]:
        """The protocols that are simulated, in their order."""
        return {name: protocol for name, protocol in self.protocol.items() if isinstance(protocol, Stimulus)}

    @property
    def rheobases(self) -> dict[str, Rheobase]:
        """Those whose current is searched for each candidate, before all others, as these may depend on it."""
        return {name: protocol for name, protocol in self.protocol.items() if isinstance(protocol, Rheobase)}

    @property
    def curves(self) -> dict[str, FiCurve]:
        """The protocols that relate others, and are not simulated themselves."""
        return {name: protocol for name, protocol in self.protocol.items() if isinstance(protocol, FiCurve)}

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """The protocols that can be simulated apart from all others, in their order: a percentage of a rheobase goes
        with the rheobase, and the steps of a measured curve go together."""
        measured = {m.under for m in self.measurements}
        together = [{*curve.steps} for name, curve in self.curves.items() if name in measured]
        for name, protocol in self.stimuli.items():
            base = protocol.relative_to if isinstance(protocol, CurrentStimulus) else None
            together.append({name, base} if base else {name})
        groups: list[set[str]] = []
        for names in together:
            meeting = [group for group in groups if group & names]
            groups = [group for group in groups if not group & names] + [names.union(*meeting)]
        order = list(self.stimuli)
        return sorted(
            (tuple(sorted(group, key=order.index)) for group in groups), key=lambda names: order.index(names[0])
        )

    @property
    def globals(self) -> tuple[str, ...]:
        """The global variables that parameters set, as hoc calls them."""
        targets = [target for parameter in self.parameter for target in (*parameter.set, *parameter.tied)]
        return tuple(dict.fromkeys(at.removeprefix("global.") for at in targets if at.startswith("global.")))

    def physical(self, unit: np.ndarray) -> np.ndarray:  # [..., D] in [0, 1] -> [..., D] in NEURON's units
        """Map the unit cube onto the bounds, each parameter on its own scale."""
        low, high, log = self._bounds()
        value = low + np.asarray(unit, float) * (high - low)
        return np.where(log, np.exp(np.where(log, value, 0.0)), value)

    def outside(self, physical: np.ndarray) -> list[str]:  # [D] in NEURON's units
        """The parameters outside their bounds: what a run or an archive holds may have been made with others."""
        unit = self.unit(physical)
        return [name for name, u in zip(self.names, unit, strict=True) if not within(np.array([u]))]

    def unit(self, physical: np.ndarray) -> np.ndarray:  # [..., D] in NEURON's units -> [..., D]
        """The inverse of `physical`; beyond 0 and 1 outside the bounds, not finite where a log scale has no place."""
        low, high, log = self._bounds()
        physical = np.asarray(physical, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            unit: np.ndarray = (np.where(log, np.log(np.where(log, physical, 1.0)), physical) - low) / (high - low)
            return unit

    def nearest(self, physical: np.ndarray) -> np.ndarray:  # [..., D] in NEURON's units -> [..., D] in [0, 1]
        """The points of the unit cube that are nearest to points inside or outside the bounds."""
        low, high = np.array([parameter.bounds for parameter in self.parameter]).T
        unit: np.ndarray = np.clip(self.unit(np.clip(physical, low, high)), 0, 1)
        return unit

    def started(self, own: np.ndarray) -> np.ndarray:  # [D] in NEURON's units -> [D]
        """The model's own values, but for parameters that name a start."""
        named = [np.nan if parameter.start is None else parameter.start for parameter in self.parameter]
        return np.where(np.isfinite(named), named, own)

    def believed(self) -> tuple[np.ndarray, np.ndarray]:  # [D], [D]
        """Median and SD of every parameter's prior in the unit cube, NaN for those without one."""
        pairs = [parameter.believed() or (np.nan, np.nan) for parameter in self.parameter]
        median, sd = np.array(pairs).T
        return median, sd

    def _bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        log = np.array([parameter.scale == "log" for parameter in self.parameter])
        bounds = np.array([parameter.bounds for parameter in self.parameter])
        bounds[log] = np.log(bounds[log])
        return bounds[:, 0], bounds[:, 1], log

    def efel_settings(self, response: str) -> dict[str, float | int | bool | str]:
        """The eFEL settings in force for "protocol" or "protocol:recording"."""
        key = ResponseKey.parse(response)
        stimulus = self.stimuli.get(key.protocol)
        own = {**stimulus.efel, **stimulus.recordings_efel.get(key.recording, {})} if stimulus else {}
        return {**features.SETTINGS, **self.efel, **own}

    def unit_of(self, key: str) -> str | None:
        """The unit of "protocol.feature" or "protocol:recording.feature"; None where only NEURON knows."""
        return features.unit_of(ResponseKey.parse(key).feature, self.variable(key))

    @property
    def responses(self) -> list[str]:
        """What is recorded: "protocol" for main recordings, "protocol:recording" for others."""
        return [str(ResponseKey(name, key)) for name in self.protocol for key in self.variables(name)]

    def variables(self, protocol: str) -> dict[str, str]:
        """Recording -> what is recorded; a curve counts as a voltage."""
        return {MAIN: "v"} if isinstance(found := self.protocol[protocol], FiCurve) else found.variables

    def variable(self, response: str) -> str:
        """What is recorded as "protocol" or "protocol:recording", with a feature of it or without."""
        key = ResponseKey.parse(response)
        return self.variables(key.protocol)[key.recording]

    def model_files(self) -> ModelFiles:
        """The files that decide what a simulation gives. Raises GbarError where there are too many to be a model's."""
        return find_model_files(self.folder, self.model.mechanisms, self.model.outputs)

    def manifest(self) -> dict[str, str]:
        """Every file that decides what a simulation gives, by its path from the folder, and a hash of its content."""
        return {name: file_digest(file) for name, file in self.model_files().files.items()}

    @property
    def path(self) -> Path:
        """What it is loaded from again: its folder, or the file where that is not called problem.toml."""
        return self.folder if self.file.name == "problem.toml" else self.file

    def identity(self) -> str:
        """Hash of everything that decides what a parameter vector's features are: model files, places, protocols."""
        content = {
            "files": self.manifest(),
            "model": self.model.model_dump(exclude={"outputs"}, exclude_defaults=True),
            "parameters": self._places(),
            "protocols": {
                name: {"kind": protocol.kind, **protocol.model_dump(exclude_defaults=True)}
                for name, protocol in sorted(self.protocol.items())
            },
            "efel": {**features.SETTINGS, **self.efel},
            "method": METHOD,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def _places(self) -> list[dict[str, Any]]:
        unasked = {"bounds", "scale", "unit", "start", "prior"}
        return [parameter.model_dump(exclude=unasked, exclude_defaults=True) for parameter in self.parameter]


def within(unit: np.ndarray, beyond: float = ROUNDING) -> np.ndarray:  # [..., D] -> [...] bool
    """Whether points of the unit cube lie in it, or at most so many ranges beyond."""
    inside: np.ndarray = np.all((unit >= -beyond) & (unit <= 1 + beyond), axis=-1)  # NaN is not
    return inside


def demanded(weight: float, must_hold: bool) -> str:
    """What a row of a table asks for beyond the others, in words; empty for a plain one."""
    return ", ".join(["must hold"] * must_hold + [f"weight {weight:g}"] * (weight != 1))
