"""Time constants of a voltage, fitted as eFEL fits them."""

import math
from typing import NamedTuple

import numpy as np

from gbar.sim.features.voltage import Undefined, Voltage, total

SLOW = 5e-3  # mV/ms: a fall slower than this is flat
FLAT_MS = 70.0  # over which it has to be flat
SKIPPED = 10  # samples after the onset, for a transient
FALLING = 5  # samples in a row that have to fall for a decay to have begun
MIN_SAMPLES = 10  # of a decay
OFFSET_MV, PRECISION_MV = 5.0, 0.01  # the asymptote is looked for up to this far below the last voltage, this finely
GOLDEN = 1.618033988
AFTER_MS = 1.0, 10.0  # the end of the stimulus: the decay


class _Line:
    """Least-squares lines over the same times t [n] ms, summed one by one as eFEL does.

    For a voltage that hardly moves the slope is what rounding leaves of it.
    """

    def __init__(self, t: np.ndarray):
        self.t, self.n, self.sum = t, len(t), total(t)
        self.delta = self.n * total(t * t) - self.sum * self.sum

    def slope(self, y: np.ndarray) -> float:
        return (self.n * total(self.t * y) - self.sum * total(y)) / self.delta

    def fit(self, y: np.ndarray, spread: float) -> tuple[float, float]:
        """The slope, and the sum of squared residuals over the square of the spread of y."""
        slope = self.slope(y)
        rest = y - (total(y) - slope * self.sum) / self.n - slope * self.t
        return slope, total(rest * rest) / spread**2


class _Decay(NamedTuple):
    t: np.ndarray  # [n] ms
    above: np.ndarray  # [n] mV, above the last voltage


def time_constant(x: Voltage) -> float:
    """Of the decay in the first half of a hyperpolarising step, ms, or NaN.

    The logarithm of the voltage above an asymptote is fitted by a line; a golden-section search over the asymptote
    takes the straightest, and the slope of the last one tried is the answer.
    """
    decay = _decay(x)
    if decay is None:
        return np.nan
    line, top, bottom = _Line(decay.t), decay.above.max(), decay.above.min()

    def fitted(offset: float) -> tuple[float, float]:
        if bottom + offset <= 0:  # no logarithm
            return np.nan, np.nan
        return line.fit(np.log(decay.above + offset), float(np.log(top + offset) - np.log(bottom + offset)))

    low, high, upwards = 0.0, OFFSET_MV, True
    middle = (low * GOLDEN + high) / (1 + GOLDEN)
    slope, least = fitted(middle)
    while high - low > PRECISION_MV:
        new = (middle * GOLDEN + high) / (1 + GOLDEN) if upwards else (low + GOLDEN * middle) / (1 + GOLDEN)
        slope, left = fitted(new)
        if left < least:
            low, high, middle, least = (middle, high, new, left) if upwards else (low, middle, new, left)
        else:
            low, high, upwards = (low, new, False) if upwards else (new, high, True)
    return -1 / slope if slope else np.nan


def _decay(x: Voltage) -> _Decay | None:
    """The first fall of a step, until it is flat."""
    begin = x.first + SKIPPED
    middle = begin + int(x.t[begin:].searchsorted((x.start + x.end) / 2))
    if middle >= len(x.v):
        return None
    if middle - begin < FALLING:
        raise Undefined
    t, v = x.t[begin:middle], x.v[begin:middle]
    slope = stencil(v) / stencil(t)
    slow = slope > -SLOW
    start = _run(~slow, FALLING)
    if start is None:
        return None
    flat = max(start, int(t.searchsorted(x.t[middle] - FLAT_MS)))
    for i in (start + np.flatnonzero(slope[start:flat] + SLOW > 0)).tolist():
        stop = int(t.searchsorted(t[i] + FLAT_MS))
        while stop > i and t[stop - 1] - t[i] >= FLAT_MS:
            stop -= 1
        while stop < len(t) and t[stop] - t[i] < FLAT_MS:
            stop += 1
        if slope[i:stop].mean() + SLOW > 0:
            flat = i
            break
    if flat - start < MIN_SAMPLES:
        return None
    return _Decay(t[start:flat], v[start:flat] - v[flat - 1])


def _run(true: np.ndarray, length: int) -> int | None:
    """Where the first run of so many true values begins."""
    whole = true[: len(true) - length + 1].copy()
    for i in range(1, length):
        whole &= true[i : len(true) - length + 1 + i]
    at = int(whole.argmax())
    return at if whole[at] else None


def stencil(y: np.ndarray) -> np.ndarray:
    """Differences a sample by the five-point formula, simpler ones at both ends."""
    out = np.empty_like(y)
    out[2:-2] = (-y[4:] + 8 * y[3:-1] - 8 * y[1:-3] + y[:-4]) / 12
    out[0], out[1] = y[1] - y[0], (y[2] - y[0]) / 2
    out[-2], out[-1] = (y[-1] - y[-3]) / 2, y[-1] - y[-2]
    return out


def decay_after_stimulus(x: Voltage) -> float:
    """Time constant of the return to the voltage at the onset, ms, or NaN: a line through the logarithms."""
    first, last = (x.index(x.end + after) for after in AFTER_MS)
    if last == first or x.first == len(x.v):
        return np.nan
    t, away = x.t[first:last], np.abs(x.v[first:last] - x.v[x.first])
    # the C library's logarithm, as eFEL's: NumPy's own may differ in the last bit
    slope = _Line(t).slope(np.array([math.log(one) for one in away])) if away.all() else np.nan
    return abs(1 / slope) if slope else np.nan
