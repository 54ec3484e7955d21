"""Where the solutions lie in parameter space, and what the measurements say about each parameter."""

from dataclasses import dataclass

from gbar.agent.report import words
from gbar.agent.report.axis import Axis, Tick
from gbar.agent.report.contents import Contents
from gbar.agent.result import FREE, Range

LOOSE = 0.4
EDGE = 2.0  # % of a range: a solution this near to a bound is at it


@dataclass(frozen=True)
class Mark:
    number: int
    at: float  # % of the range
    value: str


@dataclass(frozen=True)
class Strip:
    """One free parameter."""

    name: str
    unit: str
    scale: str
    low: str
    high: str
    ticks: list[Tick]
    marks: list[Mark]
    spread: str
    left: float | None  # % of uncertainty left
    verdict: str  # in words
    edge: str  # a warning, or nothing


def strips(contents: Contents) -> list[Strip]:
    """A strip per parameter, in the problem's order."""
    return [_strip(contents, parameter) for parameter in contents.result.parameters]


def _strip(contents: Contents, parameter: Range) -> Strip:
    axis = Axis(parameter.low, parameter.high, parameter.scale == "log")
    values = [candidate.parameters[parameter.name] for candidate in contents.shown]
    places = [(axis.clipped(value), words.with_unit(value, parameter.unit)) for value in values]
    marks = [Mark(number, *place) for number, place in enumerate(places, start=1)]
    low = sum(mark.at < EDGE for mark in marks)
    high = sum(mark.at > 100 - EDGE for mark in marks)
    edges = [f"{n} at the {end} bound" for n, end in ((low, "lower"), (high, "upper")) if n]
    left = parameter.uncertainty_left
    return Strip(
        name=parameter.name,
        unit=words.unit_of(parameter.unit),
        scale=parameter.scale,
        low=words.short(parameter.low),
        high=words.short(parameter.high),
        ticks=[tick for tick in axis.ticks(4 if axis.log else 5) if 1 < tick.at < 99],
        marks=marks,
        spread=words.spread(values, parameter.unit),
        left=None if left is None else round(100 * min(1.0, max(0.0, left)), 1),
        verdict=verdict(left),
        edge=", ".join(edges),
    )


def verdict(uncertainty_left: float | None) -> str:
    """What the measurements say about a parameter, in words."""
    if uncertainty_left is None:
        return "not assessed"
    if uncertainty_left >= FREE:
        return "not constrained"
    return "weakly constrained" if uncertainty_left >= LOOSE else "constrained"


def unconstrained(contents: Contents) -> list[str]:
    """Parameters the measurements say (nearly) nothing about."""
    return [p.name for p in contents.result.parameters if verdict(p.uncertainty_left) == "not constrained"]
