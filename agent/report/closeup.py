"""The first spike and what follows it, close up: every trace set to its own peak."""

import re
from dataclasses import dataclass

import numpy as np

from gbar.agent.report.axis import Axis, Tick, around
from gbar.agent.report.contents import Contents, Stimulus
from gbar.agent.report.voltages import Line, Trace, inside, path, simulated, sweeps

SHAPE = re.compile("AP|AHP|spike_(half_)?width|peak_voltage")  # in the name of a feature of a spike's shape
MOST = 4  # protocols
POINTS = 400  # at most, in one trace
SPIKE_MS = (-2.0, 5.0)  # around the peak
AFTER_MS = (-5.0, 120.0)  # around the peak, at most: up to the next spike
ABOVE_MV = 15.0  # of the voltage before the spike, up to which what follows it is drawn


@dataclass(frozen=True)
class CloseUp:
    """One plot."""

    protocol: str
    what: str
    lines: list[Line]
    recorded: list[str]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def close_ups(contents: Contents) -> list[CloseUp]:
    """Two plots for each protocol under which a spike's shape is measured; else for the first that fires."""
    shaped = {m.protocol for m in contents.result.measurements if SHAPE.search(m.feature)}
    firing = [name for name in contents.responses if _fires(contents, name)]
    chosen = [name for name in firing if name in shaped][:MOST] or firing[:1]
    return [plot for name in chosen for plot in _pair(contents, name)]


def _fires(contents: Contents, response: str) -> bool:
    stimulus = contents.stimuli.get(response)
    if stimulus is None or stimulus.recorded != "mV":
        return False
    return any(len(peaks(*trace, stimulus)) for trace in simulated(contents, response).values())


def peaks(t: np.ndarray, v: np.ndarray, stimulus: Stimulus) -> np.ndarray:
    """When spikes peak, from the stimulus's onset on: t [T] ms from it and v [T] mV -> [S] ms."""
    above = v >= stimulus.crossing
    edges = np.flatnonzero(np.diff(above.astype(int)))  # the last sample before each crossing
    starts = [first + 1 for first in edges if not above[first] and t[first + 1] >= 0]
    ends = [next((last + 1 for last in edges if last >= first), len(v)) for first in starts]
    return np.array([t[a + int(np.argmax(v[a:b]))] for a, b in zip(starts, ends, strict=True)])


def _pair(contents: Contents, response: str) -> list[CloseUp]:
    stimulus = contents.stimuli[response]
    found, intervals = {}, []
    for number, (t, v) in simulated(contents, response).items():
        if len(at := peaks(t, v, stimulus)):
            found[number] = t - at[0], v
            intervals += list(np.diff(at)[:1])
    recorded = [(t - at[0], v) for t, v in sweeps(contents, response) if len(at := peaks(t, v, stimulus))]
    end = min([AFTER_MS[1], *(0.9 * float(interval) for interval in intervals)])
    end = min(end, max(float(t[-1]) for t, _ in found.values()))
    front = found.get(contents.best + 1) or next(iter(found.values()))
    rest = float(np.interp(SPIKE_MS[0], *front))
    plots = [_plot(response, "first spike", found, recorded, SPIKE_MS, None)]
    if end > SPIKE_MS[1]:
        plots.append(_plot(response, "and what follows it", found, recorded, (AFTER_MS[0], end), rest + ABOVE_MV))
    return plots


def _plot(
    protocol: str,
    what: str,
    found: dict[int, Trace],
    recorded: list[Trace],
    window: tuple[float, float],
    ceiling: float | None,
) -> CloseUp:
    """The traces in a window (ms from the peak), up to a voltage (mV)."""
    cut = {number: _below(inside(*trace, *window), ceiling) for number, trace in found.items()}
    beneath = [_below(inside(*trace, *window), ceiling) for trace in recorded]
    ends = [float(f(v)) for _, v in [*cut.values(), *beneath] for f in (np.min, np.max)]
    x, y = Axis(*window), around(ends, upright=True)
    lines = [Line(number, path(t, v, x, y, POINTS)) for number, (t, v) in cut.items()]
    return CloseUp(protocol, what, lines, [path(t, v, x, y, POINTS) for t, v in beneath], x.ticks(5), y.ticks(5))


def _below(trace: Trace, ceiling: float | None) -> Trace:
    t, v = trace
    return (t, v) if ceiling is None else (t, np.minimum(v, ceiling))
