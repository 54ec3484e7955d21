"""Units of numbers that a user reads or writes, for schemas and the reference pages."""

from typing import Annotated, Any

from pydantic import Field


def unit(name: str) -> Any:
    """What makes `Annotated[float, unit("mV")]` a number in millivolts."""
    return Field(json_schema_extra={"unit": name})


Celsius = Annotated[float, unit("degC")]
Millivolt = Annotated[float, unit("mV")]
Millisecond = Annotated[float, unit("ms")]
Second = Annotated[float, unit("s")]
Micrometre = Annotated[float, unit("µm")]
Megabyte = Annotated[float, unit("MB")]
Nanoampere = Annotated[float, unit("nA")]
Percent = Annotated[float, unit("%")]
Hertz = Annotated[float, unit("Hz")]
Megaohm = Annotated[float, unit("MΩ")]
Microsiemens = Annotated[float, unit("µS")]
