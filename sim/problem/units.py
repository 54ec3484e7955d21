"""Units of numbers that a user reads or writes, for schemas and the reference pages, and what such a number can be.

The limits are generous: what lies outside is a slip of the pen or of the unit, and the message says which.
"""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, Field

Number = Annotated[float, Field(strict=True)]  # neither true nor "5"
Positive = Annotated[float, Field(strict=True, gt=0)]
Whole = Annotated[int, Field(strict=True)]


def unit(name: str) -> Any:
    """What makes `Annotated[float, unit("mV")]` a number in millivolts."""
    return Field(json_schema_extra={"unit": name})


def unit_in(schema: Any) -> str:
    """The first unit in a piece of JSON schema, however deep; empty where there is none."""
    match schema:
        case {"unit": str(found)}:
            return found
        case dict():
            return next(filter(None, map(unit_in, schema.values())), "")
        case list():
            return next(filter(None, map(unit_in, schema)), "")
    return ""


def within(low: float, high: float, unit: str, hint: str) -> AfterValidator:
    """A check that a number lies in limits; the message gives them and the usual slip."""

    def check(value: float) -> float:
        if not low <= value <= high:
            limits = f"{low:g} to {high:g}" if math.isfinite(low) else f"at most {high:g}"
            raise ValueError(f"{value:g} {unit}: expected {limits} {unit}: {hint}")
        return value

    return AfterValidator(check)


Celsius = Annotated[Number, unit("degC"), within(-5, 60, "degC", "no cell lives outside; is it in kelvin?")]
Millivolt = Annotated[Number, unit("mV"), within(-500, 500, "mV", "no membrane holds more; is it in µV?")]
Millisecond = Annotated[
    Number, unit("ms"), within(-math.inf, 1e6, "ms", "a quarter of an hour of a cell's life; is it in µs?")
]
TimeStep = Annotated[Positive, unit("ms"), within(1e-5, 1, "ms", "a spike lasts 1 ms")]
Second = Annotated[Positive, unit("s"), within(1e-3, 1e6, "s", "that is eleven days")]
Micrometre = Annotated[Positive, unit("µm"), within(0.01, 1e6, "µm", "the number of segments follows from it")]
Segments = Annotated[Whole, within(1, 32767, "segments", "a section has at least one")]
Lambdas = Annotated[Positive, within(1e-4, 100, "length constants", "the number of segments follows from it")]
Megabyte = Annotated[Positive, unit("MB"), within(50, 1e7, "MB", "Python and NEURON alone take 50; is it in GB?")]
Nanoampere = Annotated[Number, unit("nA"), within(-1e5, 1e5, "nA", "no electrode passes more; is it in pA?")]
Percent = Annotated[Number, unit("%"), within(-1e5, 1e5, "%", "no cell survives it")]
Hertz = Annotated[Positive, unit("Hz"), within(1e-6, 1e5, "Hz", "no synapse follows it")]
Megaohm = Annotated[Positive, unit("MΩ"), within(1e-9, 1e6, "MΩ", "an electrode has a few")]
Microsiemens = Annotated[Positive, unit("µS"), within(1e-12, 1e6, "µS", "no synapse is larger; is it in pS?")]
Tolerance = Annotated[Positive, within(1e-12, 1, "mV", "NEURON's own is 1e-3")]
Factor = Annotated[Number, within(-1e9, 1e9, "times", "is the file in another unit?")]
Bound = Annotated[Number, within(-1e30, 1e30, "in NEURON's units", "nothing in a cell is larger")]
