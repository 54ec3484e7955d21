"""Features of our own, only where eFEL has none. Pure NumPy, so that an exported script can carry their source.

Each takes a voltage trace t [T] ms, v [T] mV and the stimulus' start and end in ms; each returns NaN where it is not
defined. Crossings are interpolated linearly between samples, so no result is quantised by the sampling.
"""

import numpy as np


def after_hyperpolarisation(t, v, start, end, threshold):
    """The first spike's AHP: returns t_fall, t_trough (ms), rest, trough (mV), or None without one.

    Rest is the mean of the last tenth before the stimulus (as eFEL's voltage_base). The AHP begins where the falling
    spike crosses rest and lasts until the next spike or the end of the trace; its trough is the minimum in between.
    """
    before = (t >= 0.9 * start) & (t < start)
    above = (v > threshold) & (t >= start)
    if not before.any() or not above.any():
        return None
    rest = v[before].mean()
    first = np.flatnonzero(above)[0]
    below = np.flatnonzero((v < rest) & (np.arange(len(v)) > first))
    if len(below) == 0:
        return None
    fall = below[0]
    again = np.flatnonzero(above & (np.arange(len(v)) > fall))
    last = again[0] if len(again) else len(v)
    if len(np.flatnonzero(above & (np.arange(len(v)) < fall))) == 0 or last - fall < 3:
        return None
    trough = fall + int(np.argmin(v[fall:last]))
    t_fall = np.interp(-rest, [-v[fall - 1], -v[fall]], [t[fall - 1], t[fall]])
    return t_fall, t[trough], rest, v[trough], slice(trough, last)


def recovery_time(t, v, start, end, threshold, recovered):
    """When (ms) the first AHP has recovered a share `recovered` of its depth, or NaN if it never does."""
    ahp = after_hyperpolarisation(t, v, start, end, threshold)
    if ahp is None:
        return np.nan
    _, _, rest, trough, after = ahp
    level = trough + recovered * (rest - trough)
    reached = np.flatnonzero(v[after] >= level)
    if len(reached) == 0 or reached[0] == 0:
        return np.nan
    i = after.start + reached[0]
    return np.interp(level, [v[i - 1], v[i]], [t[i - 1], t[i]])


def AHP_half_decay_time(t, v, start, end, threshold):
    """Time from the trough of the first AHP until half of its depth has recovered, ms."""
    ahp = after_hyperpolarisation(t, v, start, end, threshold)
    return np.nan if ahp is None else recovery_time(t, v, start, end, threshold, 1 / 2) - ahp[1]


def AHP_two_thirds_decay_time(t, v, start, end, threshold):
    """Time from the trough of the first AHP until two thirds of its depth have recovered, ms."""
    ahp = after_hyperpolarisation(t, v, start, end, threshold)
    return np.nan if ahp is None else recovery_time(t, v, start, end, threshold, 2 / 3) - ahp[1]


def AHP_half_duration(t, v, start, end, threshold):
    """Time the first AHP stays below half of its depth, ms: from falling through it to recovering through it."""
    ahp = after_hyperpolarisation(t, v, start, end, threshold)
    if ahp is None:
        return np.nan
    t_fall, t_trough, rest, trough, _ = ahp
    level = (rest + trough) / 2
    falling = (t >= t_fall) & (t <= t_trough)
    t_level = np.interp(-level, -v[falling], t[falling])
    return recovery_time(t, v, start, end, threshold, 1 / 2) - t_level


def AHP_duration(t, v, start, end, threshold):
    """Duration of the first AHP, ms: from the spike falling through rest until 95 % of the depth has recovered.

    Not until rest itself, which a decaying voltage reaches never or, with a sag current, long before it has settled.
    """
    ahp = after_hyperpolarisation(t, v, start, end, threshold)
    return np.nan if ahp is None else recovery_time(t, v, start, end, threshold, 0.95) - ahp[0]


def f_I_gain(currents, frequencies):
    """Slope of firing rate against current, Hz/nA: least squares over the steps that fire, NaN with fewer than two."""
    fires = np.isfinite(frequencies)
    if fires.sum() < 2:
        return np.nan
    return np.polyfit(np.asarray(currents)[fires], np.asarray(frequencies)[fires], 1)[0]
