"""A voltage on eFEL's grid and the places on it that features are made of: peaks, troughs, onsets, ends.

The definitions are eFEL's (5.7), its corner cases included, so that the numbers are the same; only each place is looked
for once a trace, in compiled loops.
"""

from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from gbar.sim.features.grid import central, grid

NONE = np.empty(0, np.intp)
MIN_SAMPLES = 5  # of a trace


class UseEfel(Exception):
    """A case that is left to eFEL."""


class Undefined(Exception):
    """A case in which eFEL reads outside its arrays: another number every time, or a crash. It is not defined here."""


class Voltage:
    """One trace, its stimulus and the settings in force. Indices count samples of the grid.

    A place that eFEL does not find is an empty array here, a number that it does not find is NaN.

    Args:
        t, v: recorded times [T] ms and voltages [T] mV.
        start, end: of the stimulus, ms.
        current: nA.
        settings: every setting of eFEL.

    Raises:
        Undefined: hardly any samples.
        UseEfel: times that do not rise, hardly any samples on the grid, or a voltage that is not finite.
    """

    def __init__(
        self, t: np.ndarray, v: np.ndarray, start: float, end: float, current: float, settings: Mapping[str, Any]
    ):
        t, v = np.asarray(t, float), np.asarray(v, float)
        if len(t) < MIN_SAMPLES:
            raise Undefined
        even = grid(t, float(settings["interp_step"]))
        if even is None or len(even.t) < MIN_SAMPLES or not np.isfinite(v.sum()):
            raise UseEfel
        self.t, self.v, self._step = even.t, even.on(v), even.step  # [N] ms, [N] mV, [N] ms
        self.start, self.end, self.current, self.settings = start, end, current, settings
        self.strict = bool(settings["strict_stiminterval"])

    def index(self, time: float) -> int:
        """The first sample at or after a time, N if there is none."""
        return int(self.t.searchsorted(time))

    @cached_property
    def first(self) -> int:
        return self.index(self.start)

    @cached_property
    def last(self) -> int:
        return self.index(self.end)

    @cached_property
    def slope(self) -> np.ndarray:  # [N] mV/ms
        slope = central(self.v)
        slope /= self._step
        return slope

    @cached_property
    def peaks(self) -> np.ndarray:
        """The highest sample from each rise through the threshold to the fall through it that follows."""
        threshold = float(self.settings["Threshold"])
        above, below = self.v > threshold, self.v < threshold
        rises = (above[1:] & below[:-1]).nonzero()[0] + 1
        falls = (below[1:] & above[:-1]).nonzero()[0] + 1
        if len(rises) == 0:
            return NONE
        falls = falls[falls.searchsorted(rises[0]) :]
        pairs = zip(rises.tolist(), falls.tolist(), strict=False)
        found = np.array([i + int(self.v[i : j + 1].argmax()) for i, j in pairs if i <= j], np.intp)
        return found[(self.t[found] >= self.start) & (self.t[found] <= self.end)] if self.strict else found

    @cached_property
    def times(self) -> np.ndarray:
        """Of the peaks, ms."""
        times: np.ndarray = self.t[self.peaks]
        return times

    @cached_property
    def intervals(self) -> np.ndarray:
        """Between the peaks, ms."""
        return np.diff(self.times)

    @cached_property
    def later(self) -> np.ndarray:
        """The peaks after the sample on which the stimulus starts."""
        return self.peaks[self.peaks > self.first]

    @cached_property
    def troughs(self) -> np.ndarray:
        """After each peak the first minimum that two samples in a row do not go below, or else the lowest sample.

        Looked for until the next peak, and for the last peak until the end. There it is none if it is the last sample.
        """
        if len(self.peaks) == 0:
            return NONE
        v, end = self.v, self.last if self.strict else len(self.v)
        turns = np.append(((v[1:-1] >= v[:-2]) & (v[2:] >= v[:-2])).nonzero()[0], len(v))
        until = np.append(self.peaks[1:], end)
        if (until < self.peaks).any():
            raise UseEfel
        found = turns[turns.searchsorted(self.peaks)]
        for i in np.flatnonzero(found + 2 >= until).tolist():
            peak, stop = self.peaks[i], until[i]
            found[i] = peak + int(v[peak:stop].argmin()) if stop > peak else stop
        kept: np.ndarray = found[found != end - 1]
        return kept

    @cached_property
    def onsets(self) -> np.ndarray:
        """For each peak after the stimulus' start the last sample before it from which the slope is steep.

        Steep for `DerivativeWindow` samples, after one that is not, and after the trough before; none where it is not.
        """
        window, least = int(self.settings["DerivativeWindow"]), float(self.settings["DerivativeThreshold"])
        lowest = np.append(max(self.first - 2, 0), self.troughs[self.troughs > self.first])
        peaks = self.later
        if len(peaks) == 0 or len(lowest) < len(peaks):
            return NONE
        lowest = lowest[: len(peaks)]
        if window < 1 or peaks[-1] > len(self.v) - window or (lowest > peaks).any():
            raise UseEfel
        steep = self.slope >= least
        found = steep[1 : len(steep) - window + 1].nonzero()[0] + 1
        found = found[self.slope[found - 1] <= least]
        for i in range(1, window):
            found = found[steep[found + i]]
        found = np.append(-1, found)
        found = found[found.searchsorted(peaks, "right") - 1]
        return found[found > lowest]

    @cached_property
    def ends(self) -> np.ndarray:
        """After each peak since the stimulus' start, and its steepest fall, the first sample that falls slowly again.

        Slower than `DownDerivativeThreshold`. None where the next peak, or the end of the trace, comes first.
        """
        slow, found = self.slope >= float(self.settings["DownDerivativeThreshold"]), []
        stops = np.append(self.later, len(self.v) - 1).tolist()
        for peak, stop in pairwise(stops):
            if peak + 1 < stop:
                steepest = peak + 1 + int(self.slope[peak + 1 : stop].argmin())
                end = steepest + int(slow[steepest:stop].argmax())
                found += [end] if slow[end] else []
        return np.array(found, np.intp)

    @cached_property
    def halves(self) -> tuple[np.ndarray, np.ndarray]:
        """The samples nearest to half of each spike's height above its onset: rising, falling.

        Without a last spike that is cut off: eFEL would take its end from whatever lies in memory behind the others.
        """
        peaks, onsets, ends = self.peaks, self.onsets, self.ends
        number = min(len(peaks), len(onsets))
        if number == 0 or len(ends) == 0 or (peaks[:number] < onsets[:number]).any():
            return NONE, NONE
        if len(ends) == number - 1 and ends[-1] <= self.peaks[-1]:  # the trace ends before its last spike has
            number -= 1
        if len(ends) < number:
            raise Undefined
        peaks, onsets, ends = peaks[:number], onsets[:number], ends[:number]
        level = (self.v[peaks] + self.v[onsets]) / 2
        falling = nearest(self.v, peaks, ends, level)
        return nearest(self.v, onsets, peaks, level), np.where(peaks <= ends, falling, 0)  # 0 as eFEL has it

    @cached_property
    def base(self) -> float:
        """The voltage before the stimulus, mV."""
        shares = (float(self.settings[f"voltage_base_{which}_perc"]) for which in ("start", "end"))
        begin, stop = (self.start * share for share in shares)
        if not begin < stop:
            return np.nan
        first, until, tolerance = self.index(begin), self.index(stop), float(self.settings["precision_threshold"])
        while until < len(self.t) and self.t[until] - stop < tolerance:
            until += 1
        if until < 2 or first == len(self.t) or first > until or tolerance < 0:
            raise UseEfel
        before, mode = self.v[first:until], self.settings["voltage_base_mode"]
        if mode == "median" and len(before):
            return float(np.median(before))
        return average(before) if mode == "mean" else np.nan

    @cached_property
    def steady(self) -> float:
        """The mean voltage of the last tenth of the stimulus, mV."""
        return average(self.v[self.index(self.end - 0.1 * (self.end - self.start)) : self.last])

    @cached_property
    def during(self) -> np.ndarray:
        """The voltages of the stimulus, mV; the first alone where it lasts less than a step."""
        last = self.last if self.end <= self.t[-1] else len(self.t) - 1
        return self.v[self.first : max(last, self.first + 1)]


def total(values: np.ndarray) -> float:
    """The sum, one by one as eFEL adds: of small differences between means that is what the last digits are."""
    return float(np.add.accumulate(values)[-1])


def average(values: np.ndarray) -> float:
    """The mean of many samples, NaN of none."""
    return total(values) / len(values) if len(values) else np.nan


def mean(values: np.ndarray) -> float:
    """The mean of a few values, NaN of none. Without the checks that make NumPy's slow."""
    return float(values.sum() / len(values)) if len(values) else np.nan


def nearest(v: np.ndarray, starts: np.ndarray, stops: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """In each range the first of the samples nearest to a level; where a range is empty, its start."""
    lengths = np.maximum(stops - starts, 1)
    offsets = np.cumsum(lengths) - lengths
    places = np.repeat(starts - offsets, lengths) + np.arange(lengths.sum())
    away = np.abs(v[places] - np.repeat(levels, lengths))
    hits = np.flatnonzero(away == np.repeat(np.minimum.reduceat(away, offsets), lengths))
    first: np.ndarray = places[hits[hits.searchsorted(offsets)]]
    return first
