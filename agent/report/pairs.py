"""Parameters that make up for one another: where the solutions lie in the plane of two of them."""

from dataclasses import dataclass

import numpy as np

from gbar.agent.report import words
from gbar.agent.report.axis import Axis, Tick
from gbar.agent.report.contents import Contents
from gbar.agent.result import Compensation, Range

MOST = 6  # pairs that are drawn
ENOUGH = 8  # solutions from which on their own correlation says something


@dataclass(frozen=True)
class Dot:
    number: int
    x: float  # % across
    y: float  # % down
    value: str


@dataclass(frozen=True)
class PairPlot:
    """One pair: its first parameter across, its second up, each over its range."""

    first: str
    second: str
    said: str
    correlation: str
    dots: list[Dot]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def pairs(contents: Contents) -> list[PairPlot]:
    """The strongest pairs."""
    ranges = {r.name: r for r in contents.result.parameters}
    return [
        _plot(contents, pair, ranges[pair.first], ranges[pair.second]) for pair in contents.result.compensating[:MOST]
    ]


def _plot(contents: Contents, pair: Compensation, first: Range, second: Range) -> PairPlot:
    x = Axis(first.low, first.high, first.scale == "log")
    y = Axis(second.low, second.high, second.scale == "log", upright=True)
    dots = []
    for number, candidate in enumerate(contents.shown, start=1):
        a, b = candidate.parameters[pair.first], candidate.parameters[pair.second]
        value = f"{words.with_unit(a, first.unit)}, {words.with_unit(b, second.unit)}"
        dots.append(Dot(number, x.at(a), y.at(b), value))
    correlation = f"correlation {words.signed(f'{pair.correlation:+.2f}')}"
    if (own := among_solutions(contents, pair)) is not None:
        count = words.count(len(contents.result.solutions), "solution")
        correlation += f"; ranks of the {count} {words.signed(f'{own:+.2f}')}"
    said = "both rise together" if pair.correlation > 0 else "one rises as the other falls"
    return PairPlot(pair.first, pair.second, said, correlation, dots, x.ticks(3), y.ticks(3))


def among_solutions(contents: Contents, pair: Compensation) -> float | None:
    """Spearman's correlation among the solutions themselves; None where they are too few to say, or all alike."""
    values = [np.array([s.parameters[name] for s in contents.result.solutions]) for name in (pair.first, pair.second)]
    if len(values[0]) < ENOUGH or any(np.ptp(each) == 0 for each in values):
        return None
    ranks = np.array([np.argsort(np.argsort(each)) for each in values])
    return float(np.corrcoef(ranks)[0, 1])
