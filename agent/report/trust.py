"""Whether the surrogate can be trusted: its accuracy per feature, and what it said beside what NEURON did."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from gbar.agent.report import words
from gbar.agent.report.axis import Axis, Tick, around
from gbar.agent.report.contents import Contents, PredictedValue
from gbar.agent.result import Accuracy, Measured

# as in surrogate.accuracy, which a page must not load JAX for; a test holds them equal
GOOD, USABLE = 0.5, 1.0  # error in measured SD, at most
GOOD_COVERAGE, USABLE_COVERAGE = 0.8, 0.6  # of the 90 % intervals, at least
Z90 = 1.645  # SD to either side of a 90 % interval
FURTHEST = 8.0  # measured SD from the mean: the edge of a plot
POINTS = 120  # at most, in one plot
SIZE = 1000  # of a plot, in path units
NOT_TESTED = "not tested"
VERDICTS = ("good", "usable", "do not trust", NOT_TESTED)


@dataclass(frozen=True)
class Assessment:
    """One row of the table."""

    protocol: str
    feature: str
    n: str
    error: str  # measured SD
    recent: str
    coverage: str  # %
    verdict: str


@dataclass(frozen=True)
class PredictionPlot:
    """Predicted against simulated for one feature. Paths in SIZE × SIZE units."""

    protocol: str
    feature: str
    unit: str
    verdict: str
    halves: list[tuple[str, str]]  # earlier, later: intervals and dots
    ticks: list[Tick]
    y_ticks: list[Tick]
    band: tuple[float, float]  # measured mean ± SD: left and width in %
    shown: int
    outside: int


def verdict(accuracy: Accuracy | None) -> str:
    """What the run says of a feature's predictions."""
    return NOT_TESTED if accuracy is None else accuracy.verdict


def assessments(contents: Contents) -> list[Assessment]:
    """A row per measured feature."""
    rows = []
    for measured in contents.measurements:
        known = contents.result.surrogate.get(measured.key)
        rows.append(
            Assessment(
                measured.protocol,
                measured.feature,
                str(known.n) if known and known.n else "–",
                _short(known.rmse_over_sd if known else None),
                _short(known.recent_rmse_over_sd if known else None),
                f"{100 * known.coverage_90:.0f}" if known and known.coverage_90 is not None else "–",
                verdict(known),
            )
        )
    return rows


def _short(value: float | None) -> str:
    return "–" if value is None else words.number(value, 2)


def summary(contents: Contents) -> str:
    """How many features got which verdict, in words."""
    verdicts = Counter(row.verdict for row in assessments(contents))
    return words.listed([f"{verdicts[word]} {word}" for word in VERDICTS if verdicts[word]])


def plots(contents: Contents) -> list[PredictionPlot]:
    """A plot for every measured feature with predictions."""
    made = (_plot(contents, measured) for measured in contents.measurements)
    return [plot for plot in made if plot is not None]


def _plot(contents: Contents, measured: Measured) -> PredictionPlot | None:
    key = measured.key
    made = [p for p in contents.predictions.get(key, []) if _finite(p)]
    if not made:
        return None
    stride = math.ceil(len(made) / POINTS)
    kept = made[::-1][::stride][::-1]  # the newest is always among them
    axis = _axis(kept, measured)
    inside = [p for p in kept if axis.low <= p.simulated <= axis.high and axis.low <= p.predicted <= axis.high]
    half = len(inside) // 2
    left = axis.at(max(axis.low, measured.mean - measured.sd))
    upright = Axis(axis.low, axis.high, upright=True)
    return PredictionPlot(
        protocol=measured.protocol,
        feature=measured.feature,
        unit=words.unit_of(measured.unit),
        verdict=verdict(contents.result.surrogate.get(key)),
        halves=[_paths(inside[:half], axis), _paths(inside[half:], axis)],
        ticks=axis.ticks(3),
        y_ticks=upright.ticks(4),
        band=(left, round(axis.at(min(axis.high, measured.mean + measured.sd)) - left, 3)),
        shown=len(inside),
        outside=len(kept) - len(inside),
    )


def _finite(prediction: PredictedValue) -> bool:
    return all(math.isfinite(v) for v in (prediction.predicted, prediction.sd, prediction.simulated))


def _axis(made: list[PredictedValue], measured: Measured) -> Axis:
    """The measurement, and around it the middle nine tenths of what was simulated: outliers would flatten the rest."""
    middle = np.quantile(np.array([p.simulated for p in made]), [0.05, 0.95])
    least, most = 2 * measured.sd, FURTHEST * measured.sd
    low = measured.mean - np.clip(measured.mean - middle[0], least, most)
    high = measured.mean + np.clip(middle[1] - measured.mean, least, most)
    return around([float(low), float(high)], 0.08)


def _paths(made: list[PredictedValue], axis: Axis) -> tuple[str, str]:
    """SVG path data: 90 % intervals as upright lines, predictions as dots (drawn by round line caps)."""
    intervals, dots = [], []
    for p in made:
        x, y = _scaled(axis, p.simulated), SIZE - _scaled(axis, p.predicted)
        low, high = (SIZE - _scaled(axis, p.predicted + sign * Z90 * p.sd) for sign in (-1, 1))
        low, high = min(low, SIZE), max(high, 0)
        intervals.append(f"M{x} {low}V{high}")
        dots.append(f"M{x} {y}h0")
    return "".join(intervals), "".join(dots)


def _scaled(axis: Axis, value: float) -> int:
    return round(axis.at(value) * SIZE / 100)
