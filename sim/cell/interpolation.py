"""Traces at even intervals between the uneven steps of an integrator."""

import numpy as np


def resampled(t: np.ndarray, v: np.ndarray, interval: float) -> tuple[np.ndarray, np.ndarray]:
    """A trace at even intervals (ms) between CVODE's own uneven steps.

    Where the voltage is slow those steps are milliseconds apart, and straight lines between them would put the trough
    of an AHP on one of them: features would jump by several per cent between neighbouring parameters. CVODE records a
    stimulus' edge twice, and each side is interpolated by itself: a corner stays a corner, a clamp's current may jump.
    """
    even = np.minimum(np.arange(np.ceil(t[-1] / interval - 1e-6) + 1) * interval, t[-1])
    edges, out = np.flatnonzero(np.diff(t) <= 1e-9) + 1, np.empty(len(even))
    part = np.searchsorted(t[edges], even, side="right")
    for number, (first, last) in enumerate(zip([0, *edges], [*edges, len(t)], strict=True)):
        inside = np.clip(even[part == number], t[first], t[last - 1])
        if last - first > 2:
            out[part == number] = between(t[first:last], v[first:last], inside)
        else:
            out[part == number] = np.interp(inside, t[first:last], v[first:last])
    return even, out


def between(t: np.ndarray, v: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A curve through samples that does not overshoot: the modified Akima spline, piecewise cubic (Akima 1970, J. ACM
    17: 589; the weights of MATLAB's makima).

    SciPy has it, but takes half a second to load, in every process that simulates.

    Args:
        t, v: N >= 3 samples, t rising.
        at: where it is wanted, rising, within t [K].

    Returns:
        values [K].
    """
    width = np.diff(t)
    slope = np.diff(v) / width
    m = np.empty(len(t) + 3)  # two slopes more at either end, on straight lines
    m[2:-2] = slope
    m[1] = 2 * m[2] - m[3]
    m[0] = 2 * m[1] - m[2]
    m[-2] = 2 * m[-3] - m[-4]
    m[-1] = 2 * m[-2] - m[-3]
    rough = np.abs(np.diff(m)) + 0.5 * np.abs(m[1:] + m[:-1])
    after, before = rough[2:], rough[:-2]
    total = after + before
    share = np.divide(before, total, out=np.full(len(t), 0.5), where=total > 0)  # 0: flat on both sides
    tangent = m[1:-2] + share * (m[2:-1] - m[1:-2])
    bend = (tangent[:-1] + tangent[1:] - 2 * slope) / width
    ends = np.searchsorted(at, t[1:-1])
    i = np.repeat(np.arange(len(width)), np.diff(ends, prepend=0, append=len(at)))
    s = at - t[i]
    square = s * s
    return np.asarray(
        v[i] + tangent[i] * s + ((slope - tangent[:-1]) / width - bend)[i] * square + (bend / width)[i] * (square * s)
    )
