"""A tuning problem as the user wrote it: model, free parameters, protocols, measurements.

Everything here is frozen and validated when it is loaded; nothing later writes to it.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from gbar.sim import features
from gbar.sim.made import check_name
from gbar.sim.problem.kinds import MAIN, Protocol
from gbar.sim.problem.parameter import Parameter, check_place, parsed
from gbar.sim.problem.strict import Strict

MODEL_FILES = {".hoc", ".py", ".mod", ".inc", ".swc", ".asc", ".json", ".ses", ".dat"}  # what decides a simulation
TABLES = {"features.json"}  # measurements, beside the model in a BluePyOpt folder
RESULTS = {"archive.sqlite", "result.json"}  # a folder with one of these is a run of ours, not part of the model
NO_MODEL = {"measurements", "runs", "solutions", "x86_64", "arm64", "aarch64", "__pycache__"}
METHOD = 4  # raised when simulating or measuring changes, so that new rows never mix with earlier ones
OURS = {"folder", "file", "measurements_file", "times", "currents"}  # fields that nobody writes in problem.toml


class Model(Strict):
    """Where the user's model is and how it is started. The model itself is never changed."""

    load: str  # a hoc file, "file.py:function", or a morphology (.swc, .asc)
    template: str | None = None  # hoc template to instantiate; nothing for a flat hoc
    arguments: tuple[str | int | float, ...] = ()  # of the template, function or class
    requires: tuple[str, ...] = ()  # hoc files to load before, such as the one of another template that this one makes
    setup: tuple[str, ...] = ()  # hoc statements, once after a flat hoc has loaded: what a panel's button would do
    mechanisms: tuple[str, ...] = ()  # folders of MOD files
    celsius: float  # degC
    v_init: float  # mV
    init: str | None = None  # a hoc statement that starts a simulation instead of finitialize(v_init)
    advance: str | None = None  # a hoc statement that makes a time step instead of fadvance()
    stimuli: Literal["off", "keep"] = "off"  # the clamps that the model brings along
    insert: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # sections -> mechanisms
    values: dict[str, float | str] = Field(default_factory=dict)  # place -> number, or formula of distance and own
    axon: Literal["keep", "stub", "none"] = "keep"  # of a morphology
    d_lambda: float = Field(default=0.1, gt=0)  # of a morphology: NEURON's rule for the number of segments
    segment_length: float | None = Field(default=None, gt=0)  # µm, instead of d_lambda: 1 + 2 int(L / segment_length)

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

    engine: Literal["auto", "coreneuron", "neuron", "cvode", "fixed"] = "auto"
    atol: float = Field(default=1e-4, gt=0)  # CVODE's absolute tolerance
    dt: float = Field(default=0.025, gt=0)  # ms, for every engine but cvode
    confirm: Literal["cvode", "fixed"] = "cvode"  # what confirms solutions
    process: Literal["auto", "kept", "each"] = "auto"  # one for all evaluations of a worker, or one for each
    time_limit: float = Field(default=60.0, gt=0)  # s for one evaluation
    memory_limit: float = Field(default=2048.0, gt=0)  # MB for one worker


class Measurement(Strict):
    """The experimental mean and standard deviation of one feature under one protocol."""

    protocol: str
    feature: str
    mean: float
    sd: float = Field(gt=0)
    unit: str
    note: str = ""  # where it comes from; of no consequence
    said: str = ""  # how the row was read, where that is not as it stands there

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
    efel: dict[str, float | int | bool | str] = Field(default_factory=dict)
    simulation: Simulation = Simulation()
    measurements: tuple[Measurement, ...] = ()
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
    def globals(self) -> tuple[str, ...]:
        """The global variables that parameters set, as hoc calls them."""
        targets = [target for parameter in self.parameter for target in (*parameter.set, *parameter.tied)]
        return tuple(dict.fromkeys(at.removeprefix("global.") for at in targets if at.startswith("global.")))

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

    def efel_settings(self, response: str) -> dict[str, float | int | bool | str]:
        """The eFEL settings in force for "protocol" or "protocol:recording"."""
        name, _, recording = response.partition(":")
        protocol = self.protocol[name]
        of_recording = getattr(protocol, "recordings_efel", {}).get(recording, {})
        return {**features.SETTINGS, **self.efel, **getattr(protocol, "efel", {}), **of_recording}

    def unit_of(self, key: str) -> str | None:
        """The unit of "protocol.feature" or "protocol:recording.feature"; None where only NEURON knows."""
        response, _, feature = key.partition(".")
        return features.unit_of(feature, self.variable(response))

    @property
    def responses(self) -> list[str]:
        """What is recorded: "protocol" for main recordings, "protocol:recording" for others."""
        found = {name: getattr(protocol, "recordings", {}) for name, protocol in self.protocol.items()}
        return [response for name, more in found.items() for response in (name, *(f"{name}:{key}" for key in more))]

    def variable(self, response: str) -> str:
        """What is recorded as "protocol" or "protocol:recording"."""
        name, _, recording = response.partition(":")
        variables: dict[str, str] = getattr(self.protocol[name], "variables", {MAIN: "v"})
        return variables[recording or MAIN]

    def identity(self) -> str:
        """Hash of everything that decides what a parameter vector's features are: model files, places, protocols."""
        digest = hashlib.sha256()
        folders = [self.folder, *(self.folder / folder for folder in self.model.mechanisms)]
        for file in sorted({file for folder in folders for file in model_files(folder)}):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        content = {
            "model": self.model.model_dump(),
            "parameters": [
                parameter.model_dump(exclude={"bounds", "scale", "unit"}, exclude_defaults=True)
                for parameter in self.parameter
            ],
            "protocols": {name: protocol.model_dump() for name, protocol in sorted(self.protocol.items())},
            "efel": {**features.SETTINGS, **self.efel},
            "method": METHOD,
        }
        digest.update(json.dumps(content, sort_keys=True).encode())
        return digest.hexdigest()[:16]


def model_files(folder: Path) -> Iterator[Path]:
    """The files in a model's folder that decide a simulation, without what runs have left there."""
    yield from (file for file in files_in(folder) if file.suffix in MODEL_FILES and file.name not in TABLES)


def files_in(folder: Path) -> Iterator[Path]:
    """The files in a model's folder, without measurements, what runs have left there and what was built."""
    for path, folders, files in os.walk(folder):
        here = Path(path).resolve()
        ours = {name for name in folders if RESULTS & set(os.listdir(here / name))}
        folders[:] = [name for name in folders if name not in NO_MODEL | ours and not name.startswith(".")]
        yield from (here / name for name in files if name not in RESULTS)
