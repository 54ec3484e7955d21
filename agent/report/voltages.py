"""Voltage traces: one small plot per protocol, every solution in it, over the recordings where there are some."""

from dataclasses import dataclass

import numpy as np

from gbar.agent.report.axis import Axis, Tick, around
from gbar.agent.report.contents import Contents, Stimulus
from gbar.agent.report.limits import SAYS

POINTS = 1500  # at most, in one trace
POINTS_OF_PAGE = 110_000  # at most, in all traces together: about 600 kB
WIDTH, HEIGHT = 4000, 2000  # of the plot, in path units
BEFORE = 0.08  # of the window is shown before the stimulus
AFTER_STEP = 0.3  # of a step's duration is shown after it


Trace = tuple[np.ndarray, np.ndarray]  # t [T] ms, v [T] mV


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
    recorded: list[str]  # paths of sweeps
    missing: list[int]  # solutions that have traces, but none here
    warnings: list[str]  # of what a cell should not do there
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    x_label: str
    y_label: str
    shade: tuple[float, float] | None  # left and width in %


def plots(contents: Contents) -> list[VoltagePlot]:
    """A plot for every protocol that has traces, measured protocols first."""
    points = points_of_each(contents)
    return [_plot(contents, response, points) for response in contents.responses]


def points_of_each(contents: Contents) -> int:
    """How many points each trace may have, so that the page stays small."""
    number = sum(len(traces) + len(contents.recorded(name)) for name, traces in contents.traces.items())
    return min(POINTS, POINTS_OF_PAGE // max(1, number))


def drawn(contents: Contents) -> set[int]:
    """The solutions, or compromises, whose voltages were kept: numbers from 1."""
    return {int(number) for traces in contents.traces.values() for number in traces}


def simulated(contents: Contents, response: str) -> dict[int, Trace]:
    """The traces of each solution that has one, on the clock of the stimulus."""
    stimulus = contents.stimuli.get(response)
    traces = {int(number): trace for number, trace in contents.traces[response].items() if len(trace[0])}
    return {number: (t - (stimulus.delay if stimulus else 0.0), v) for number, (t, v) in sorted(traces.items())}


def sweeps(contents: Contents, response: str) -> list[Trace]:
    """The recordings, on the clock of the stimulus; none where nobody knows when it began."""
    stimulus = contents.stimuli.get(response)
    return [(one.t - stimulus.delay, one.v) for one in contents.recorded(response)] if stimulus else []


def _plot(contents: Contents, response: str, points: int) -> VoltagePlot:
    stimulus, traces = contents.stimuli.get(response), simulated(contents, response)
    start, end = _window(stimulus, [t for t, _ in traces.values()])
    cut = {number: inside(t, v, start, end) for number, (t, v) in traces.items()}
    recorded = [inside(t, v, start, end) for t, v in sweeps(contents, response)]
    seen = [v for _, v in [*cut.values(), *recorded] if len(v)]
    x = Axis(start, end)
    y = around([float(f(v)) for v in seen for f in (np.min, np.max)], upright=True)
    shade = None
    if stimulus:
        left = max(0.0, x.at(0.0))
        shade = left, max(0.4, min(100.0, x.at(stimulus.duration)) - left)
    return VoltagePlot(
        protocol=response,
        stimulus=stimulus.words if stimulus else "",
        measured=contents.is_measured(response),
        lines=[Line(number, path(t, v, x, y, points)) for number, (t, v) in cut.items()],
        recorded=[path(t, v, x, y, points) for t, v in recorded if len(t)],
        missing=sorted(drawn(contents) - set(traces)),
        warnings=_warnings(contents, response),
        x_ticks=x.ticks(5),
        y_ticks=y.ticks(5),
        x_label="time from stimulus onset, ms" if stimulus else "time, ms",
        y_label=stimulus.recorded if stimulus else "mV",
        shade=shade,
    )


def _warnings(contents: Contents, response: str) -> list[str]:
    found = [warning for warning in contents.result.warnings if warning.protocol == response]
    return [f"{', '.join(map(str, warning.sets))}: {SAYS[warning.kind]}" for warning in found]


def _window(stimulus: Stimulus | None, times: list[np.ndarray]) -> tuple[float, float]:
    """The interesting part in ms, from stimulus onset: a little before it, to where the response is over."""
    first = min((float(t[0]) for t in times), default=0.0)
    last = max((float(t[-1]) for t in times), default=1.0)
    if stimulus is None:
        return first, last if last > first else first + 1.0
    end = last if stimulus.kind == "pulse" else min(last, stimulus.duration * (1 + AFTER_STEP))
    start = max(first, -BEFORE * end)
    return start, end if end > start else start + 1.0  # traces of another stimulus may end before it begins


def inside(t: np.ndarray, v: np.ndarray, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
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
