"""Features of our own, only where eFEL has none. Pure NumPy, so that an exported script can carry their source.

Each takes a voltage trace, rising times t [T] ms and v [T] mV, and the stimulus' start and end in ms; each returns NaN
where it is not defined. The `signal_` ones take any recording x [T], `blank` (ms after a change of the stimulus that
are left out) and `until` (ms, where they stop looking). Crossings are interpolated linearly between samples, so no
result is quantised by the sampling.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

ONSET_V_PER_S = 10.0  # a spike begins where the voltage rises faster: eFEL's own default, DerivativeThreshold


def after_hyperpolarisation(
    t: np.ndarray, v: np.ndarray, start: float, end: float, threshold: float
) -> tuple[float, float, int, int, int] | None:
    """The first spike's AHP: returns t_fall (ms), rest (mV) and the indices fall, trough, last; None without one.

    Rest is the mean of the last tenth before the stimulus (as eFEL's voltage_base). The AHP begins where the falling
    spike crosses rest (between the samples fall - 1 and fall) and lasts until the next spike's onset or the end of the
    trace (before the sample last); its trough is the minimum in between.
    """
    first, on = t.searchsorted([0.9 * start, start])
    above = v[on:] > threshold
    if first == on or not above.any():
        return None
    rest = v[first:on].mean()
    rises = on + (above[1:] > above[:-1]).nonzero()[0] + 1  # one a spike
    rises = np.append(on, rises) if above[0] else rises
    last = rises[1] if len(rises) > 1 else len(v)
    while 0 < last < len(v) and v[last] - v[last - 1] > ONSET_V_PER_S * (t[last] - t[last - 1]):
        last -= 1
    below = v[rises[0] : last] < rest
    fall = rises[0] + int(below.argmax())
    if not below.any() or last - fall < 3:
        return None
    t_fall = np.interp(-rest, [-v[fall - 1], -v[fall]], [t[fall - 1], t[fall]])
    return float(t_fall), float(rest), int(fall), int(fall + np.argmin(v[fall:last])), int(last)


def recovery_time(t: np.ndarray, v: np.ndarray, ahp: tuple[float, float, int, int, int], recovered: float) -> float:
    """When (ms) an AHP has recovered a share `recovered` of its depth, or NaN if it never does."""
    _, rest, _, trough, last = ahp
    level = v[trough] + recovered * (rest - v[trough])
    reached = v[trough:last] >= level
    if reached[0] or not reached.any():
        return np.nan
    i = trough + int(reached.argmax())
    return float(np.interp(level, [v[i - 1], v[i]], [t[i - 1], t[i]]))


def AHP_half_decay_time(t: np.ndarray, v: np.ndarray, start: float, end: float, threshold: float) -> float:
    """Time from the trough of the first AHP until half of its depth has recovered, ms."""
    ahp = after_hyperpolarisation(t, v, start, end, threshold)
    return np.nan if ahp is None else float(recovery_time(t, v, ahp, 1 / 2) - t[ahp[3]])


def AHP_two_thirds_decay_time(t: np.ndarray, v: np.ndarray, start: float, end: float, threshold: float) -> float:
    """Time from the trough of the first AHP until two thirds of its depth have recovered, ms."""
    ahp = after_hyperpolarisation(t, v, start, end, threshold)
    return np.nan if ahp is None else float(recovery_time(t, v, ahp, 2 / 3) - t[ahp[3]])


def AHP_half_duration(t: np.ndarray, v: np.ndarray, start: float, end: float, threshold: float) -> float:
    """Time the first AHP stays below half of its depth, ms: from falling through it to recovering through it."""
    ahp = after_hyperpolarisation(t, v, start, end, threshold)
    if ahp is None:
        return np.nan
    _, rest, fall, trough, last = ahp
    level = (rest + v[trough]) / 2
    i = fall + int((v[fall:last] <= level).argmax())
    t_level = np.interp(-level, [-v[i - 1], -v[i]], [t[i - 1], t[i]])
    return float(recovery_time(t, v, ahp, 1 / 2) - t_level)


def AHP_duration(t: np.ndarray, v: np.ndarray, start: float, end: float, threshold: float) -> float:
    """Duration of the first AHP, ms: from the spike falling through rest until 95 % of the depth has recovered.

    Not until rest itself, which a decaying voltage reaches never or, with a sag current, long before it has settled.
    """
    ahp = after_hyperpolarisation(t, v, start, end, threshold)
    return np.nan if ahp is None else float(recovery_time(t, v, ahp, 0.95) - ahp[0])


def signal_base(t: np.ndarray, x: np.ndarray, start: float, end: float, blank: float, until: float) -> float:
    """Mean of a recording over the last tenth before the stimulus."""
    before = (t >= 0.9 * start) & (t < start)
    return float(x[before].mean()) if before.any() else np.nan


def signal_mean(t: np.ndarray, x: np.ndarray, start: float, end: float, blank: float, until: float) -> float:
    """Mean during the stimulus."""
    during = (t >= start + blank) & (t < end)
    return float(x[during].mean()) if during.any() else np.nan


def signal_steady_state(t: np.ndarray, x: np.ndarray, start: float, end: float, blank: float, until: float) -> float:
    """Mean over the last tenth of the stimulus."""
    late = (t >= max(start + blank, end - 0.1 * (end - start))) & (t < end)
    return float(x[late].mean()) if late.any() else np.nan


def signal_minimum(t: np.ndarray, x: np.ndarray, start: float, end: float, blank: float, until: float) -> float:
    """The lowest value from the start of the stimulus on."""
    seen = (t >= start + blank) & (t < until)
    return float(x[seen].min()) if seen.any() else np.nan


def signal_maximum(t: np.ndarray, x: np.ndarray, start: float, end: float, blank: float, until: float) -> float:
    """The highest value from the start of the stimulus on."""
    seen = (t >= start + blank) & (t < until)
    return float(x[seen].max()) if seen.any() else np.nan


def signal_peak(t: np.ndarray, x: np.ndarray, start: float, end: float, blank: float, until: float) -> float:
    """The value furthest from the base, from the start of the stimulus on."""
    return signal_base(t, x, start, end, blank, until) + signal_peak_change(t, x, start, end, blank, until)


def signal_peak_change(t: np.ndarray, x: np.ndarray, start: float, end: float, blank: float, until: float) -> float:
    """The largest distance from the base, with its sign, from the start of the stimulus on."""
    seen = (t >= start + blank) & (t < until)
    change = x[seen] - signal_base(t, x, start, end, blank, until)
    return float(change[np.argmax(np.abs(change))]) if seen.any() else np.nan


def signal_time_to_peak(t: np.ndarray, x: np.ndarray, start: float, end: float, blank: float, until: float) -> float:
    """Time from the start of the stimulus until the value furthest from the base, ms."""
    seen = (t >= start + blank) & (t < until)
    change = np.abs(x[seen] - signal_base(t, x, start, end, blank, until))
    return float(t[seen][np.argmax(change)] - start) if np.isfinite(change).any() else np.nan


def signal_tail(t: np.ndarray, x: np.ndarray, start: float, end: float, blank: float, until: float) -> float:
    """The value when the stimulus is over."""
    after = t >= end + blank
    return float(x[after][0]) if after.any() else np.nan


def f_I_gain(currents: Sequence[Any] | np.ndarray, frequencies: np.ndarray) -> float:
    """Slope of firing rate against current, Hz/nA: least squares over the steps that fire, NaN with fewer than two."""
    fires = np.isfinite(frequencies)
    currents, frequencies = np.asarray(currents)[fires], np.asarray(frequencies)[fires]
    if len(set(currents)) < 2:
        return np.nan
    return float(np.polyfit(currents, frequencies, 1)[0])
