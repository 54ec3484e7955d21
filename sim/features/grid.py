"""The times on which eFEL measures: `interp_step` apart, added up one by one from the trace's first.

The sum drifts off the multiples of the step by a few 1e-10 ms. That decides which sample is the first at or after a
stimulus' edge, so it is reproduced rather than tidied up.
"""

import functools
from typing import NamedTuple

import numpy as np

KEPT = 16  # grids, about 1 MB each: a few lengths of trace for every protocol of a problem


class Grid(NamedTuple):
    """eFEL's sample times for one vector of recorded times, and the straight lines between the recorded samples."""

    t: np.ndarray  # [N] ms
    left: np.ndarray  # [N] the recorded sample before each
    right: np.ndarray  # [N] and the one after it; the last sample stands for what lies beyond it
    width: np.ndarray  # [N] ms between those two
    past: np.ndarray  # [N] ms since the left one
    step: np.ndarray  # [N] ms, what `central` makes of t

    def on(self, v: np.ndarray) -> np.ndarray:
        """Recorded voltages [T] on the grid [N], mV."""
        left, out = v.take(self.left), v.take(self.right)
        out -= left
        out /= self.width
        out *= self.past
        out += left
        return out


def central(y: np.ndarray) -> np.ndarray:
    """Differences a sample: central, one-sided at both ends."""
    out = np.empty_like(y)
    np.subtract(y[2:], y[:-2], out=out[1:-1])
    out[1:-1] /= 2
    out[0], out[-1] = y[1] - y[0], y[-1] - y[-2]
    return out


class _Times:
    """Recorded times as a key: equal when every one of them is."""

    def __init__(self, t: np.ndarray):
        self.t = t

    def __hash__(self) -> int:
        return hash((len(self.t), self.t[0], self.t[-1]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Times) and np.array_equal(self.t, other.t)


def grid(t: np.ndarray, step: float) -> Grid | None:
    """The grid of recorded times t [T] ms, or None where they do not rise."""
    return None if len(t) < 3 or not step > 0 else _grid(_Times(t.copy()), step)


@functools.lru_cache(KEPT)
def _grid(times: _Times, step: float) -> Grid | None:
    recorded = times.t
    if not (np.diff(recorded) > 0).all() or not np.isfinite(recorded).all():
        return None
    steps = np.full(int(np.ceil((recorded[-1] - recorded[0]) / step)) + 1, step)
    steps[0] = recorded[0]
    even = np.add.accumulate(steps)
    if even[-2] >= recorded[-1]:  # the last point is there only to reach the end
        even = even[:-1]
    last = len(recorded) - 1
    left = np.clip(np.searchsorted(recorded, even) - 1, 0, last)
    right = np.minimum(left + 1, last)
    width = np.where(right > left, recorded[right] - recorded[left], 1.0)
    return Grid(even, left, right, width, np.where(right > left, even - recorded[left], 0.0), central(even))
