"""Measured beside simulated: a row per measurement, a bar per solution, the distance in SD."""

import math
from dataclasses import dataclass

from gbar.agent.report import words
from gbar.agent.report.axis import Axis, Tick
from gbar.agent.report.contents import Contents
from gbar.agent.result import Candidate, Measured

CLIP = 5.0  # tolerances; bars that reach further are cut there and carry their number
ROOM = 1.12  # the axis ends this far beyond the tolerance, or the furthest bar
LABELLED = 1.4  # tolerances; an axis longer than that gets a round end with a label
ROW = 34.0  # px that the bars of a row share


@dataclass(frozen=True)
class Bar:
    """One solution's z of one measurement. Positions in % across and px down."""

    number: int
    left: float
    width: float
    top: float
    cut: int  # −1 or 1 where the bar goes on beyond the plot, else 0
    defined: bool
    passes: bool
    z: str
    value: str


@dataclass(frozen=True)
class MeasurementBars:
    feature: str
    measured: str
    unit: str
    demand: str  # beyond that of the others, in words
    bars: list[Bar]
    spread: str  # what all of them have, in words


@dataclass(frozen=True)
class Chart:
    """All rows by protocol, and the axis they share."""

    protocols: list[tuple[str, list[MeasurementBars]]]
    ticks: list[Tick]
    band: tuple[float, float]  # the tolerance, left and right in %
    zero: float  # %
    height: float  # px of a row
    bar: float  # px of a bar
    cut: bool  # some bar goes on beyond the plot
    void: bool  # some feature is not defined


def chart(contents: Contents) -> Chart:
    """The z-bars of every shown candidate."""
    result, shown = contents.result, contents.shown
    finite = [abs(z) for candidate in shown for z in candidate.z.values() if z is not None]
    reach = max([result.tolerance * ROOM, *(min(z, CLIP * result.tolerance) * 1.02 for z in finite)])
    reach = math.ceil(reach) if reach > LABELLED * result.tolerance else reach
    axis = Axis(-reach, reach)
    pitch = max(2.5, min(9.0, ROW / max(1, len(shown))))
    bar = pitch * 0.72
    height = max(ROW, pitch * len(shown)) + 8
    protocols: dict[str, list[MeasurementBars]] = {}
    for measured in contents.measurements:
        top = (height - pitch * len(shown) + pitch - bar) / 2
        bars = [
            _bar(number, candidate, measured, axis, result.tolerance, round(top + (number - 1) * pitch, 2))
            for number, candidate in enumerate(shown, start=1)
        ]
        protocols.setdefault(measured.protocol, []).append(_row(measured, shown, bars))
    return Chart(
        protocols=list(protocols.items()),
        ticks=_ticks(axis, result.tolerance),
        band=(axis.at(-result.tolerance), axis.at(result.tolerance)),
        zero=axis.at(0.0),
        height=round(height, 1),
        bar=round(bar, 2),
        cut=any(bar.cut for rows in protocols.values() for row in rows for bar in row.bars),
        void=any(not bar.defined for rows in protocols.values() for row in rows for bar in row.bars),
    )


def _ticks(axis: Axis, tolerance: float) -> list[Tick]:
    values = {-tolerance, 0.0, tolerance} | ({axis.low, axis.high} if axis.high > LABELLED * tolerance else set())
    return [Tick(axis.at(v), words.short(v)) for v in sorted(values)]


def _row(measured: Measured, shown: list[Candidate], bars: list[Bar]) -> MeasurementBars:
    values = [candidate.features.get(measured.key) for candidate in shown]
    defined = [value for value in values if value is not None]
    unit = words.unit_of(measured.unit)
    return MeasurementBars(
        feature=measured.feature,
        measured=words.mean_sd(measured.mean, measured.sd),
        unit=unit,
        demand=measured.demand,
        bars=bars,
        spread=words.spread(defined, unit),
    )


def _bar(number: int, candidate: Candidate, measured: Measured, axis: Axis, tolerance: float, top: float) -> Bar:
    key = measured.key
    z = candidate.z.get(key)
    value = words.with_unit(candidate.features.get(key), measured.unit)
    if z is None:
        return Bar(number, axis.at(0.0), 0.0, top, 0, False, False, words.UNDEFINED, value)
    zero, end = axis.at(0.0), axis.clipped(z)
    cut = 0 if abs(z) <= axis.high else 1 if z > 0 else -1
    width = max(0.3, abs(end - zero))  # a z of 0 still shows
    return Bar(number, min(zero, end), round(width, 3), top, cut, True, abs(z) <= tolerance, words.z_score(z), value)


@dataclass(frozen=True)
class Miss:
    """A measurement that a parameter set does not reproduce."""

    feature: str
    protocol: str
    measured: str
    simulated: str
    unit: str
    z: str
    by: str  # in words
    demand: str  # beyond that of the others, in words


def misses(candidate: Candidate, measurements: list[Measured], tolerance: float) -> list[Miss]:
    """What a candidate misses: first what must hold, then the furthest; undefined features before all."""
    found: list[tuple[bool, float, Miss]] = []
    for measured in measurements:
        z, value = candidate.z.get(measured.key), candidate.features.get(measured.key)
        if z is not None and abs(z) <= tolerance:
            continue
        by, rank = "it has no value here", float("inf")
        if z is not None:
            rank = abs(z)
            side = "too high" if z > 0 else "too low"
            beyond = (rank - tolerance) * measured.sd
            by = f"{words.with_unit(beyond, measured.unit, 2)} {side} to be within tolerance"
        mean, unit = words.mean_sd(measured.mean, measured.sd), words.unit_of(measured.unit)
        miss = Miss(
            feature=measured.feature,
            protocol=measured.protocol,
            measured=mean,
            simulated=words.number(value),
            unit=unit,
            z=words.z_score(z),
            by=by,
            demand=measured.demand,
        )
        found.append((measured.must_hold, rank, miss))
    return [miss for *_, miss in sorted(found, key=lambda item: item[:2], reverse=True)]
