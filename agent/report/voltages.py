"""Voltage traces: one small plot per protocol, every solution in it."""

from dataclasses import dataclass

import numpy as np

from gbar.agent.report.axis import Axis, Tick, around
from gbar.agent.report.contents import Contents, Stimulus

POINTS = 1500  # at most, in one trace
POINTS_OF_PAGE = 110_000  # at most, in all traces together: about 600 kB
WIDTH, HEIGHT = 4000, 2000  # of the plot, in path units
BEFORE = 0.08  # of the window is shown before the stimulus
AFTER_STEP = 0.3  # of a step's duration is shown after it


@dataclass(frozen=True)
class Line:
    number: int  # the solution, from 1
    path: str


@dataclass(frozen=True)
class VoltagePlot:
    """The responses to one protocol."""

    protocol: str
    stimulus: str
    measured: bool
    lines: list[Line]
    missing: list[int]  # solutions that have traces, but none here
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    x_label: str
    y_label: str
    shade: tuple[float, float] | None  # left and width in %


def plots(contents: Contents) -> list[VoltagePlot]:
    """A plot for every protocol that has traces, measured protocols first."""
    measured = {m.protocol for m in contents.result.measurements}
    order = sorted(contents.traces, key=lambda protocol: protocol not in measured)
    number = sum(len(traces) for traces in contents.traces.values())
    points = min(POINTS, POINTS_OF_PAGE // max(1, number))
    return [_plot(contents, protocol, protocol in measured, points) for protocol in order]


def drawn(contents: Contents) -> set[int]:
    """The solutions, or compromises, whose voltages were kept: numbers from 1."""
    return {int(number) for traces in contents.traces.values() for number in traces}


def _plot(contents: Contents, protocol: str, measured: bool, points: int) -> VoltagePlot:
    stimulus = contents.stimuli.get(protocol)
    traces = {int(number): trace for number, trace in contents.traces[protocol].items() if len(trace[0])}
    traces = {number: (t - (stimulus.delay if stimulus else 0.0), v) for number, (t, v) in sorted(traces.items())}
    start, end = _window(stimulus, [t for t, _ in traces.values()])
    cut = {number: _inside(t, v, start, end) for number, (t, v) in traces.items()}
    seen = [v for _, v in cut.values() if len(v)]
    x = Axis(start, end)
    y = around([float(f(v)) for v in seen for f in (np.min, np.max)], upright=True)
    shade = None
    if stimulus:
        left = max(0.0, x.at(0.0))
        shade = left, max(0.4, min(100.0, x.at(stimulus.duration)) - left)
    missing = sorted(drawn(contents) - set(traces))
    return VoltagePlot(
        protocol=protocol,
        stimulus=stimulus.words if stimulus else "",
        measured=measured,
        lines=[Line(number, path(t, v, x, y, points)) for number, (t, v) in cut.items()],
        missing=missing,
        x_ticks=x.ticks(5),
        y_ticks=y.ticks(5),
        x_label="time from stimulus onset, ms" if stimulus else "time, ms",
        y_label=stimulus.recorded if stimulus else "mV",
        shade=shade,
    )


def _window(stimulus: Stimulus | None, times: list[np.ndarray]) -> tuple[float, float]:
    """The interesting part in ms, from stimulus onset: a little before it, to where the response is over."""
    first = min((float(t[0]) for t in times), default=0.0)
    last = max((float(t[-1]) for t in times), default=1.0)
    if stimulus is None:
        return first, last if last > first else first + 1.0
    end = last if stimulus.kind == "pulse" else min(last, stimulus.duration * (1 + AFTER_STEP))
    start = max(first, -BEFORE * end)
    return start, end if end > start else start + 1.0  # traces of another stimulus may end before it begins


def _inside(t: np.ndarray, v: np.ndarray, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    """The samples [T] of a window and one beyond each end, so that lines reach the edges."""
    low = max(0, int(np.searchsorted(t, start)) - 1)
    high = int(np.searchsorted(t, end, side="right")) + 1
    return t[low:high], v[low:high]


def decimate(t: np.ndarray, v: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `points` of the samples t [T], v [T]: each stretch of time keeps its lowest and highest, so peaks stay.

    Where a stretch holds one sample only, that one is kept once.
    """
    if len(t) <= points:
        return t, v
    stretches = max(1, (points - 2) // 2)
    place = np.minimum(((t - t[0]) / (t[-1] - t[0]) * stretches).astype(int), stretches - 1)  # [T]
    by_value = np.lexsort((v, place))  # within each stretch from lowest to highest
    edges = np.flatnonzero(np.diff(place[by_value])) + 1
    lowest = by_value[np.concatenate([[0], edges])]
    highest = by_value[np.concatenate([edges - 1, [len(t) - 1]])]
    kept = np.unique(np.concatenate([[0], lowest, highest, [len(t) - 1]]))
    return t[kept], v[kept]


def path(t: np.ndarray, v: np.ndarray, x: Axis, y: Axis, points: int) -> str:
    """SVG path data of a trace, t [T] ms and v [T] mV, in whole units of a WIDTH × HEIGHT plot, relative moves."""
    if not len(t):
        return ""
    t, v = decimate(t, v, points)
    across = np.rint((t - x.low) / (x.high - x.low) * WIDTH).astype(int)
    down = np.rint((y.high - v) / (y.high - y.low) * HEIGHT).astype(int)
    flat = np.zeros(len(t), bool)  # inside a level stretch nothing needs drawing
    flat[1:-1] = (np.diff(down)[:-1] == 0) & (np.diff(down)[1:] == 0)
    across, down = across[~flat], down[~flat]
    moves = zip(np.diff(across).tolist(), np.diff(down).tolist(), strict=True)
    return f"M{across[0]} {down[0]}l" + " ".join(f"{dx}{dy}" if dy < 0 else f"{dx} {dy}" for dx, dy in moves)
