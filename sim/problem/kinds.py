"""The kinds of protocol as problem.toml describes them."""

import re
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, field_validator, model_validator

from gbar.sim.errors import nearest
from gbar.sim.problem.strict import Strict
from gbar.sim.problem.units import (
    Factor,
    Hertz,
    Megaohm,
    Microsiemens,
    Millisecond,
    Millivolt,
    Nanoampere,
    Percent,
    Whole,
)

SITE = r"[\w\[\]]+(?:\(\s*\d*\.?\d+\s*\)|@\d+(?:\.\d+)?)"  # a point on a cell
PLACE = re.compile(SITE)
RECORDING = re.compile(SITE + r"\.[A-Za-z]\w*")
NAME = re.compile(r"\w+")
ELECTRODE = "clamp.i"  # what the electrode of a voltage clamp injects, nA
SUSTAINED_MS = 200.0  # of a step that makes a cell fire again and again
MAIN = "record"  # what the main recording is called among a protocol's recordings


class Stimulus(Strict):
    """What is put on a cell: when, where, and what is recorded. Times in ms from the start of the simulation.

    `coreneuron` says whether CoreNEURON can run what the kind is made of.
    """

    kind: str
    coreneuron: ClassVar[bool] = True  # IClamp, SEClamp, Exp2Syn, NetStim and Vector.play are all its own

    delay: Millisecond = Field(
        ge=0,
        description="start of the stimulus, 0 or more. Rest is measured in its last tenth: let the slowest gate settle",
    )
    duration: Millisecond = Field(gt=0, description="of the stimulus, more than 0")
    total: Millisecond = Field(
        gt=0, description="end of the simulation, at least `delay + duration`. An AHP needs time after the spike"
    )
    at: str = Field(default="soma(0.5)", description="the point where the stimulus is")
    record: str = Field(default="soma(0.5).v", description="what is measured: a point and a variable, `POINT.v`")
    recordings: dict[str, str] = Field(
        default_factory=dict, description='what else is recorded: `NAME = "POINT.VARIABLE"`'
    )
    efel: dict[str, float | int | bool | str] = Field(
        default_factory=dict, description="eFEL settings for this protocol alone"
    )
    recordings_efel: dict[str, dict[str, float | int | bool | str]] = Field(
        default_factory=dict, description="eFEL settings for one of `recordings`, by name"
    )

    @model_validator(mode="after")
    def _inside(self) -> "Stimulus":
        if self.delay + self.duration > self.total:
            raise ValueError(
                f"delay + duration = {self.delay + self.duration:g} ms is longer than total = {self.total:g} ms: "
                "lengthen total"
            )
        return self

    @field_validator("at")
    @classmethod
    def _at(cls, place: str) -> str:
        if not PLACE.fullmatch(place):
            raise ValueError(
                f"'{place}' is no place on a cell: expected SECTION(X) or SECTIONS@DISTANCE, such as soma(0.5)"
            )
        return place

    @field_validator("record")
    @classmethod
    def _record(cls, place: str) -> str:
        if place != cls.model_fields["record"].default and not RECORDING.fullmatch(place):
            raise ValueError(
                f"'{place}' is no recording: expected SECTION(X).v, SECTIONS@DISTANCE.v or another variable in the "
                "place of v, such as soma(0.5).v"
            )
        return place

    @field_validator("recordings")
    @classmethod
    def _recordings(cls, recordings: dict[str, str]) -> dict[str, str]:
        for name, place in recordings.items():
            if not NAME.fullmatch(name) or name == MAIN:
                raise ValueError(f"'{name}' is no name for a recording: expected letters and digits, such as dend1")
            cls._record(place)
        return recordings

    @model_validator(mode="after")
    def _settings_of_recordings(self) -> "Stimulus":
        for name in self.recordings_efel:
            if name not in self.recordings:
                raise ValueError(f"recordings_efel: no recording '{name}'{nearest(name, self.recordings)}")
        return self

    @property
    def variables(self) -> dict[str, str]:
        """Recording -> the variable that is recorded; the main one is called `MAIN`."""
        places = {MAIN: self.record, **self.recordings}
        return {name: place if place == ELECTRODE else place.rpartition(".")[2] for name, place in places.items()}

    @property
    def quiet_until(self) -> float:
        """Until when (ms) nothing is injected, so that protocols that start alike can share that time.

        0 for kinds that inject from the start, and for those made of more than current clamps: NEURON's SaveState
        restores events and synapses only where the same ones are.
        """
        return 0.0

    @property
    def current(self) -> float | None:
        """The amplitude (nA) that features count with; None where it is found for each candidate."""
        return 0.0

    @property
    def sign(self) -> float:
        """Below 0 for a current that hyperpolarises, above 0 for one that depolarises; 0 where nobody can say."""
        return 0.0

    @property
    def words(self) -> str:
        """What is put in, for tables."""
        return self.at

    def later(self, by: float) -> Self:
        """The same stimulus that many ms later, and all that is recorded with it."""
        return self.model_copy(update={"delay": self.delay + by, "total": self.total + by})

    @property
    def sustained(self) -> bool:
        """Whether it is a step so long that it is there to make a cell fire again and again."""
        return self.kind == "step" and self.duration >= SUSTAINED_MS

    @property
    def brief(self) -> str:
        """What and how long."""
        return f"{self.words} for {self.duration:g} ms"

    @property
    def described(self) -> str:
        """What, how long and where."""
        return f"{self.words}, {self.duration:g} ms at {self.at}"


class Held(Stimulus):
    """A stimulus on top of a holding current that flows from the start to the end."""

    starts_quiet: ClassVar[bool] = False  # whether nothing is injected before the delay, but for the holding current

    holding: Nanoampere = Field(
        default=0.0,
        description="a current from start to end, under the stimulus. Amplitudes and the rheobase count from it",
    )

    @property
    def quiet_until(self) -> float:
        """The delay, of kinds that start quiet and have no holding current."""
        return self.delay if self.starts_quiet and not self.holding else 0.0


class CurrentStimulus(Held):
    """A current whose amplitude is given in nA, or in percent of each candidate's own rheobase."""

    amplitude: Nanoampere | None = Field(
        default=None,
        description="negative hyperpolarises. A ramp's at the end, a triangle's in the middle, the mean of a noise",
    )
    relative_to: str | None = Field(
        default=None, description="a `rheobase` protocol: the amplitude is a share of what it finds for each candidate"
    )
    percent: Percent | None = Field(default=None, description="that share; 150 is 1.5 times")

    @model_validator(mode="after")
    def _one_amplitude(self) -> "CurrentStimulus":
        if self.amplitude is None and self.relative_to is None and self.percent is None:
            raise ValueError("no amplitude: expected amplitude = NA, or relative_to = PROTOCOL with percent = NUMBER")
        if (self.relative_to is None) != (self.percent is None):
            missing = "percent" if self.percent is None else "relative_to"
            raise ValueError(f"'{missing}' is missing: relative_to = PROTOCOL and percent = NUMBER go together")
        if self.amplitude is not None and self.percent is not None:
            raise ValueError("amplitude and relative_to are two amplitudes: keep one")
        return self

    @property
    def current(self) -> float | None:
        """None for a percentage."""
        return self.amplitude

    @property
    def words(self) -> str:
        """Nanoamperes, or percent of what."""
        size = f"{self.percent:g} % of {self.relative_to}" if self.amplitude is None else f"{self.amplitude:g} nA"
        return f"{size} on {self.holding:g} nA" if self.holding else size

    @property
    def sign(self) -> float:
        """That of the amplitude."""
        return (self.percent or 0.0) if self.amplitude is None else self.amplitude


class Step(CurrentStimulus):
    """A square current. `pulse` is the same, brief: what follows it is measured rather than what happens in it."""

    kind: Literal["step", "pulse"]
    starts_quiet: ClassVar[bool] = True


class Train(CurrentStimulus):
    """Brief square currents at a fixed rate, from the delay until the duration is over."""

    kind: Literal["train"]
    starts_quiet: ClassVar[bool] = True
    width: Millisecond = Field(gt=0, description="of each pulse")
    frequency: Hertz = Field(description="of the pulses, from `delay` on until `duration` is over")

    @model_validator(mode="after")
    def _apart(self) -> "Train":
        if self.width >= 1000 / self.frequency:
            raise ValueError(
                f"pulses of {self.width:g} ms at {self.frequency:g} Hz touch: expected a width below "
                f"{1000 / self.frequency:g} ms"
            )
        return self


class Ramp(CurrentStimulus):
    """A current that changes linearly: to the amplitude at the end, or with `triangle` in the middle and back."""

    kind: Literal["ramp", "triangle"]
    first: Nanoampere = Field(default=0.0, description="the current at the start; with `triangle` also at the end")


class Noise(CurrentStimulus):
    """A current that fluctuates around the amplitude: white, or Ornstein–Uhlenbeck with a correlation time."""

    kind: Literal["noise"]
    sd: Nanoampere = Field(gt=0, description="standard deviation of the samples around the amplitude")
    tau: Millisecond = Field(
        default=0.0, ge=0, description="correlation time of an Ornstein–Uhlenbeck process; 0 is white"
    )
    every: Millisecond = Field(default=0.1, ge=1e-3, description="between samples; linear in between")
    seed: Whole = Field(default=0, ge=0, lt=2**63, description="another seed, another noise")

    @property
    def words(self) -> str:
        """Mean and SD."""
        return f"{super().words} ± {self.sd:g} nA"


class Waveform(Stimulus):
    """A current from a file, played from the start of the simulation. Delay and duration say where to measure."""

    kind: Literal["waveform"]
    file: str = Field(
        description="in the problem's folder: a CSV with the header `t_ms,i_nA`, or an `.npy` of two columns, ms and nA"
    )
    scale: Factor = Field(default=1.0, description="times the file's current")
    times: tuple[float, ...] = ()  # ms, read from the file
    currents: tuple[float, ...] = ()  # nA

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, content: Any) -> Any:
        if isinstance(content, dict) and {"times", "currents"} & set(content):
            raise ValueError("times and currents are read from the file: expected file = NAME alone")
        return content

    def later(self, by: float) -> Self:
        """With the current that it begins with before."""
        shifted = {"times": (0.0, *(t + by for t in self.times)), "currents": (*self.currents[:1], *self.currents)}
        return super().later(by).model_copy(update=shifted)

    @property
    def words(self) -> str:
        """The file."""
        return self.file if self.scale == 1 else f"{self.file} × {self.scale:g}"

    @property
    def current(self) -> float | None:
        """The mean within the duration, less that of the last tenth of the delay."""
        during = np.linspace(self.delay, self.delay + self.duration, 1001)
        before = np.linspace(0.9 * self.delay, self.delay, 101)[:-1]
        means = [np.interp(t, self.times, self.currents).mean() for t in (during, before)]
        return float(self.scale * (means[0] - means[1]))


class Clamp(Stimulus):
    """A voltage clamp: held, stepped for the duration, and held again or at a tail voltage."""

    kind: Literal["clamp"]
    voltage: Millivolt = Field(description="during the step")
    holding: Millivolt = Field(description="before it")
    tail: Millivolt | None = Field(default=None, description="after it; the holding voltage unless given")
    resistance: Megaohm = Field(default=0.001, description="in series with the electrode")
    blank: Millisecond = Field(
        default=0.5, ge=0, description="after each change of voltage, left out of features: it charges the membrane"
    )
    record: str = Field(default=ELECTRODE, description="the electrode's current, or a point and a variable")

    @property
    def words(self) -> str:
        """The voltages."""
        return f"{self.holding:g} to {self.voltage:g} mV"


class Synapse(Held):
    """A conductance of two exponentials (NEURON's Exp2Syn), opened once or several times."""

    kind: Literal["synapse"]
    weight: Microsiemens = Field(description="conductance at the peak")
    tau1: Millisecond = Field(gt=0, description="rise, shorter than `tau2`")
    tau2: Millisecond = Field(gt=0, description="decay")
    e: Millivolt = Field(default=0.0, description="reversal")
    onsets: tuple[Millisecond, ...] = Field(
        default=(0.0,), min_length=1, max_length=100_000, description="when it opens, after `delay`"
    )

    @property
    def words(self) -> str:
        """The conductance, and how often."""
        return f"{self.weight:g} µS" + (f", {len(self.onsets)} times" if len(self.onsets) > 1 else "")

    @model_validator(mode="after")
    def _rises_first(self) -> "Synapse":
        if self.tau1 >= self.tau2:
            raise ValueError(f"tau1 = {self.tau1:g} ms is not below tau2 = {self.tau2:g} ms: the rise is the faster")
        if min(self.onsets) < 0 or self.delay + max(self.onsets) >= self.total:
            raise ValueError(
                f"onsets {list(self.onsets)} leave the simulation: expected ms after the delay, 0 or more, the last "
                f"before total"
            )
        return self


class Rheobase(Held):
    """The smallest square current that makes a spike, found by bisection for each candidate."""

    kind: Literal["rheobase"]
    starts_quiet: ClassVar[bool] = True
    bounds: tuple[Nanoampere, Nanoampere] = Field(
        default=(0.0, 50.0), description="a cell that fires at `low`, or not at `high`, has no rheobase"
    )
    precision: Nanoampere = Field(
        default=0.05, gt=0, description="width of the last bracket; the value is its upper end"
    )

    @model_validator(mode="after")
    def _bracket(self) -> "Rheobase":
        if self.bounds[0] >= self.bounds[1]:
            raise ValueError(f"bounds {list(self.bounds)} are the wrong way round or empty: expected [low, high] in nA")
        if self.variables[MAIN] != "v":
            raise ValueError(f"record = '{self.record}' is no voltage: a spike is looked for in the main recording")
        return self

    @property
    def words(self) -> str:
        """What is looked for, and where."""
        return "smallest of {:g} … {:g} nA that fires".format(*self.bounds)

    @property
    def current(self) -> float | None:
        """Found for each candidate."""
        return None


class FiCurve(Strict):
    """A curve, not a stimulus: relates the firing in several step protocols to their currents."""

    kind: Literal["fi"]
    steps: tuple[str, ...] = Field(
        min_length=2, description="names of two or more `step` protocols, 0 nA or more, of different amplitudes"
    )

    @property
    def described(self) -> str:
        """The steps that it relates."""
        return ", ".join(self.steps)


KINDS: dict[str, type[BaseModel]] = {
    "step": Step,
    "pulse": Step,
    "train": Train,
    "ramp": Ramp,
    "triangle": Ramp,
    "noise": Noise,
    "waveform": Waveform,
    "clamp": Clamp,
    "synapse": Synapse,
    "rheobase": Rheobase,
    "fi": FiCurve,
}
Protocol = Annotated[
    Step | Train | Ramp | Noise | Waveform | Clamp | Synapse | Rheobase | FiCurve, Field(discriminator="kind")
]
