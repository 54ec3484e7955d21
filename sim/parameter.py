"""A free parameter as problem.toml describes it."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from sim.strict import Strict


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
