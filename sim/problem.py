"""A tuning problem as the user wrote it: model, free parameters, protocols, measurements.

Everything here is frozen and validated when it is loaded; nothing later writes to it.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sim import features

MODEL_FILES = {".hoc", ".py", ".mod", ".inc", ".swc", ".asc", ".json", ".ses", ".dat"}  # what decides a simulation
RESULTS = {"archive.sqlite", "result.json"}  # a folder with one of these is a run of ours, not part of the model
NO_MODEL = {"measurements", "runs", "solutions", "x86_64", "arm64", "aarch64", "__pycache__"}
OURS = {"folder", "file", "measurements_file"}  # fields of a Problem that nobody writes in problem.toml


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
    file: Path  # problem.toml, or what it is called
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
        for file in sorted({file for folder in folders for file in model_files(folder)}):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        content = {
            "model": self.model.model_dump(),
            "parameters": [(parameter.name, parameter.set) for parameter in self.parameter],
            "protocols": {name: protocol.model_dump() for name, protocol in sorted(self.protocol.items())},
            "efel": {**features.SETTINGS, **self.efel},
        }
        digest.update(json.dumps(content, sort_keys=True).encode())
        return digest.hexdigest()[:16]


def model_files(folder: Path) -> Iterator[Path]:
    """The files in a model's folder that decide a simulation, without what runs have left there."""
    for path, folders, files in os.walk(folder):
        here = Path(path).resolve()
        ours = {name for name in folders if RESULTS & set(os.listdir(here / name))}
        folders[:] = [name for name in folders if name not in NO_MODEL | ours and not name.startswith(".")]
        yield from (here / name for name in files if Path(name).suffix in MODEL_FILES and name not in RESULTS)
