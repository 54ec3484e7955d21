"""Stimuli as they are drawn: what is put in, over time."""

from dataclasses import dataclass

import numpy as np

from gbar.sim.problem import Clamp, CurrentStimulus, Rheobase, Stimulus, Waveform

WIDTH, HEIGHT = 300.0, 70.0
POINTS = 400


@dataclass(frozen=True)
class Drawn:
    """A stimulus in a box of WIDTH × HEIGHT."""

    path: str
    other: str  # a second line: the other end of a search
    unit: str
    low: str
    high: str
    total: str


def drawn(stimulus: Stimulus) -> Drawn:
    """Any kind of stimulus."""
    t, levels, unit = _over_time(stimulus)
    every = np.concatenate(levels)
    low, high = float(every.min()), float(every.max())
    span = high - low or 1.0
    paths = []
    for values in levels:
        y = 6 + (high - values) / span * (HEIGHT - 12) if high > low else np.full(len(t), HEIGHT / 2)
        x = t / stimulus.total * WIDTH
        paths.append("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True)))
    return Drawn(paths[0], paths[1] if len(paths) > 1 else "", unit, f"{low:g}", f"{high:g}", f"{stimulus.total:g} ms")


def _over_time(s: Stimulus) -> tuple[np.ndarray, list[np.ndarray], str]:
    end = s.delay + s.duration
    edges = np.array([0, s.delay, s.delay, end, end, s.total], float)
    hold = float(getattr(s, "holding", 0.0))
    if isinstance(s, Rheobase):
        return edges, [np.array([hold, hold, hold + to, hold + to, hold, hold]) for to in reversed(s.bounds)], "nA"
    if isinstance(s, Clamp):
        tail = s.holding if s.tail is None else s.tail
        return edges, [np.array([s.holding, s.holding, s.voltage, s.voltage, tail, tail])], "mV"
    if isinstance(s, Waveform):
        t = np.linspace(0, s.total, POINTS)
        return t, [s.scale * np.interp(t, s.times, s.currents)], "nA"
    if isinstance(s, CurrentStimulus):
        unit = "nA" if s.amplitude is not None else "% of rheobase"
        size = s.amplitude if s.amplitude is not None else float(s.percent or 0.0)
        return *_current(s, size, hold if unit == "nA" else 0.0), unit
    return _opened(s)


def _current(s: CurrentStimulus, size: float, hold: float) -> tuple[np.ndarray, list[np.ndarray]]:
    end = s.delay + s.duration
    edges = np.array([0, s.delay, s.delay, end, end, s.total], float)
    kind = s.kind
    if kind in {"step", "pulse"}:
        return edges, [np.array([hold, hold, hold + size, hold + size, hold, hold])]
    if kind in {"ramp", "triangle"}:
        first = float(getattr(s, "first", 0.0))
        if kind == "ramp":
            return edges, [hold + np.array([0, 0, first, size, 0, 0])]
        middle = (s.delay + end) / 2
        t = np.array([0, s.delay, s.delay, middle, end, end, s.total])
        return t, [hold + np.array([0, 0, first, size, first, 0, 0])]
    t = np.linspace(0, s.total, 8 * POINTS)
    inside = (t >= s.delay) & (t < end)
    if kind == "train":
        phase = (t - s.delay) % (1000.0 / float(getattr(s, "frequency", 1.0)))
        return t, [hold + np.where(inside & (phase < float(getattr(s, "width", 1.0))), size, 0.0)]
    spread = float(getattr(s, "sd", 0.0)) * np.random.default_rng(0).standard_normal(len(t))  # noise, as it may look
    return t[::8], [(hold + np.where(inside, size + spread, 0.0))[::8]]


def _opened(s: Stimulus) -> tuple[np.ndarray, list[np.ndarray], str]:
    """A conductance of two exponentials."""
    t = np.linspace(0, s.total, POINTS)
    rise, decay = float(getattr(s, "tau1", 1.0)), float(getattr(s, "tau2", 2.0))
    total = np.zeros(len(t))
    for onset in getattr(s, "onsets", (0.0,)):
        since = np.clip(t - s.delay - onset, 0, None)
        total += np.exp(-since / decay) - np.exp(-since / rise)
    weight = float(getattr(s, "weight", 1.0))
    return t, [weight * total / (total.max() or 1.0)], "µS"
