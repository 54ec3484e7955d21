"""The kinds of protocol as problem.toml describes them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from sim import features
from sim.strict import Strict


class Timed(Strict):
    """What every stimulus has: when, where, what is recorded. Times in ms from the start of the simulation."""

    delay: float = Field(ge=0)  # ms
    duration: float = Field(gt=0)  # ms
    total: float = Field(gt=0)  # ms
    at: str = "soma(0.5)"  # where the current goes in
    record: str = "soma(0.5).v"
    efel: dict[str, float | int | bool | str] = Field(default_factory=dict)  # settings for this protocol only

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

    @property
    def quiet_until(self) -> float:
        """Until when (ms) nothing is injected: protocols that start alike can share that time."""
        return self.delay


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

    @property
    def quiet_until(self) -> float:
        """Nothing is simulated."""
        return 0.0


KINDS: dict[str, type[BaseModel]] = {"step": Step, "pulse": Step, "rheobase": Rheobase, "fi": FiCurve}
Stimulus = Step | Rheobase  # the kinds that are simulated
Protocol = Annotated[Step | Rheobase | FiCurve, Field(discriminator="kind")]
