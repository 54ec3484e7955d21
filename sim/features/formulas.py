"""eFEL's features as functions of a `Voltage`: the same numbers in a fraction of the time.

eFEL measures every feature on a copy of the whole trace; here all share the places found once. A feature that is not
in `FORMULAS`, or a case that `Voltage` is unsure of, is eFEL's.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gbar.sim.features.decay import decay_after_stimulus, time_constant
from gbar.sim.features.voltage import NONE, Undefined, UseEfel, Voltage, average, mean

Values = np.ndarray | float  # one a spike, or one a trace; empty or NaN where it is not defined
LONG_HYPERPOLARISATION_MV = -75.0  # eFEL's own, for a block


def values(
    names: Iterable[str],
    t: np.ndarray,
    v: np.ndarray,
    start: float,
    end: float,
    current: float,
    settings: Mapping[str, Any],
) -> dict[str, float]:
    """Those of the features that have a formula here, each the mean over its values; NaN where it is not defined.

    Args:
        names: eFEL's.
        t, v: [T] ms, [T] mV.
        start, end: of the stimulus, ms.
        current: nA.
        settings: every setting of eFEL.
    """
    found: dict[str, float] = {}
    with np.errstate(all="ignore"):
        try:
            voltage = Voltage(t, v, start, end, current, settings)
        except Undefined:
            return {name: np.nan for name in names if name in FORMULAS}
        except UseEfel:
            return {}
        for name in names:
            if name in FORMULAS:
                try:
                    found[name] = _value(name, voltage)
                except UseEfel:  # which eFEL then says
                    continue
    return found


def _value(name: str, voltage: Voltage) -> float:
    try:
        value = FORMULAS[name](voltage)
    except Undefined:
        return np.nan
    value = mean(value) if isinstance(value, np.ndarray) else float(value)
    return value if math.isfinite(value) else np.nan


# ------------------------------------------------------------------------------------------------ one value a trace


def voltage_deflection(x: Voltage) -> float:
    """From the mean before the stimulus to the second last five samples of it."""
    after = int(x.t.searchsorted(x.end, "right"))
    if after == len(x.t) or after < 10:
        return np.nan
    return average(x.v[after - 10 : after - 5]) - average(x.v[: x.first])


def input_resistance(x: Voltage, deflection: float) -> float:
    return deflection / x.current if x.current else np.nan


def sag_amplitude(x: Voltage) -> float:
    return x.steady - minimum(x) if x.steady - x.base <= 0 else np.nan


def minimum(x: Voltage) -> float:
    return x.during.min() if len(x.during) else np.nan


def maximum(x: Voltage) -> float:
    return x.during.max() if len(x.during) else np.nan


def mean_frequency(x: Voltage) -> float:
    """Spikes of the stimulus over the time from its start to the last of them, Hz; 0 where they are all elsewhere."""
    if len(x.times) == 0:
        return np.nan
    within = x.times[in_stimulus(x)]
    last = within[-1] if len(within) else 0.0
    return len(within) * 1000 / (last - x.start) if last != x.start else np.nan


def adaptation(x: Voltage, skipped: int, times: np.ndarray) -> float:
    """The mean change from one interval to the next over their sum."""
    intervals = np.diff(times[skipped:])
    return average(np.diff(intervals) / (intervals[1:] + intervals[:-1]))


def adaptation_index(x: Voltage) -> float:
    times, share = x.times[in_stimulus(x)], float(x.settings["spike_skipf"])
    skipped = min(int(len(times) * share + 0.5), int(x.settings["max_spike_skip"]))
    return adaptation(x, max(skipped, 0), times) if len(times) - skipped >= 4 and 0 <= share < 1 else np.nan


def adaptation_index2(x: Voltage) -> float:
    times = x.times[in_stimulus(x)]
    return adaptation(x, 1, times) if len(times) >= 4 else np.nan


def depolarisation_block(x: Voltage) -> float:
    """1 where the voltage stays above the spikes' onset, or below -75 mV in the stimulus, for too long."""
    if x.first == len(x.t) or x.last == len(x.t):
        return np.nan
    if len(x.onsets) == 0:
        return 0.0
    longest = float(x.settings["depol_block_min_duration"])
    up, down = crossings(x.v, mean(x.v[x.onsets]))
    if len(up) == 0:
        return 1.0
    down = np.append(down, x.last) if len(up) > len(down) else down
    if (x.t[down[: len(up)]] - x.t[up]).max() > longest:
        return 1.0
    up, down = (at[(at > x.first) & (at < x.last)] for at in crossings(x.v, LONG_HYPERPOLARISATION_MV))
    if len(down) == 0:
        return 0.0
    up = np.append(up[up > down[0]], x.last)
    return float((x.t[up[: len(down)]] - x.t[down]).max() > longest)


def crossings(v: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The last samples before a voltage rises above a level, and before it falls to it."""
    above = v > level
    at = (above[1:] != above[:-1]).nonzero()[0]
    return at[~above[at]], at[above[at]]


# ------------------------------------------------------------------------------------------------ one value a spike


def in_stimulus(x: Voltage) -> np.ndarray:
    return (x.times >= x.start) & (x.times <= x.end)


def amplitudes(x: Voltage) -> np.ndarray:
    """From onset to peak, for the spikes of the stimulus, mV."""
    peaks = x.peaks[in_stimulus(x)]
    return NONE if len(peaks) > len(x.onsets) else x.v[peaks] - x.v[x.onsets[: len(peaks)]]


def steady_intervals(x: Voltage) -> np.ndarray:
    return x.intervals[1:] if x.settings["ignore_first_ISI"] else x.intervals


def interval_cv(x: Voltage) -> float:
    intervals = steady_intervals(x)
    return np.std(intervals, ddof=1) / mean(intervals) if len(intervals) > 1 else np.nan


def paired(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As many of each as there are of both."""
    number = min(len(a), len(b))
    return a[:number], b[:number]


def half_width(x: Voltage) -> np.ndarray:
    rising, falling = x.halves
    widths: np.ndarray = x.t[falling] - x.t[rising]
    return widths


def half_width_change(x: Voltage) -> np.ndarray:
    """Of every spike against the first, as a share of the first's."""
    widths = half_width(x)
    change: np.ndarray = (widths[1:] - widths[:1]) / widths[:1]
    return change


def duration(x: Voltage) -> np.ndarray:
    onsets, ends = paired(x.onsets, x.ends)
    durations: np.ndarray = x.t[ends] - x.t[onsets]
    return durations


def rise(x: Voltage) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and the peaks that eFEL takes with them."""
    number = min(len(x.onsets), len(x.peaks))
    peaks = x.peaks[x.peaks > x.onsets[0]] if number else NONE
    if len(peaks) < number:
        raise Undefined
    return x.onsets[:number], peaks[:number]


def fall(x: Voltage) -> tuple[np.ndarray, np.ndarray]:
    """Peaks and the ends that eFEL takes with them."""
    number = min(len(x.ends), len(x.peaks))
    peaks = x.peaks[x.times > x.start]
    if len(peaks) < number:
        raise Undefined
    return peaks[:number], x.ends[:number]


def rate(x: Voltage, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    slopes: np.ndarray = (x.v[end] - x.v[begin]) / (x.t[end] - x.t[begin])
    return slopes


def rise_time(x: Voltage) -> np.ndarray:
    """Between two shares of the height: from `rise_start_perc` to `rise_end_perc`."""
    begin, end = (float(x.settings[f"rise_{which}_perc"]) for which in ("start", "end"))
    onsets, peaks = rise(x)
    if (begin, end) == (0, 1):
        times: np.ndarray = x.t[peaks] - x.t[onsets]
        return times
    pairs = zip(onsets.tolist(), peaks.tolist(), strict=True)
    return np.array([_rise_time(x, onset, peak, begin, end) for onset, peak in pairs])


def _rise_time(x: Voltage, onset: int, peak: int, begin: float, end: float) -> float:
    height, tolerance = x.v[peak] - x.v[onset], 1e-13
    if onset > peak:
        return float(x.t[peak] - x.t[onset])
    reached = first(x.v[onset:peak] >= x.v[onset] + begin * height - tolerance)
    passed = first(x.v[onset + 1 : peak + 1][::-1] <= x.v[onset] + end * height + tolerance)
    return float(x.t[peak - passed] - x.t[onset + reached])


def upstroke(x: Voltage) -> np.ndarray:
    """The steepest slope from onset to peak, mV/ms."""
    onsets, peaks, waiting = x.onsets.tolist(), [], iter(x.peaks.tolist())
    for onset in onsets:
        peaks += [peak for peak in [next((peak for peak in waiting if peak >= onset), None)] if peak is not None]
    return between(np.maximum, x.slope, x.onsets[: len(peaks)], np.array(peaks, np.intp))


def downstroke(x: Voltage) -> np.ndarray:
    """The steepest fall from peak to trough, mV/ms."""
    return between(np.minimum, x.slope, *paired(x.peaks, x.troughs))


def between(extreme: np.ufunc, y: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """The extreme in each range, which are one after another; the first value of an empty one."""
    return extreme.reduceat(y, np.column_stack([starts, stops]).ravel())[::2] if len(starts) else NONE


def spike_half_width(x: Voltage) -> np.ndarray:
    """Between the two times at half of the height above the trough, interpolated."""
    peaks, troughs = paired(x.peaks, x.troughs)
    if len(troughs) == 0:
        return NONE
    begins, halves = np.append(x.first, troughs[:-1]), (x.v[peaks] + x.v[troughs]) / 2
    if (begins > peaks).any() or (troughs < peaks).any():
        raise UseEfel
    ranges = zip(*(at.tolist() for at in (begins, peaks, troughs, halves)), strict=True)
    found = np.array([(b + first(x.v[b:p] >= half), p + first(x.v[p:e] <= half)) for b, p, e, half in ranges])
    if not found.all():
        raise Undefined
    rising, falling = found.T
    late, soon = ((x.t[i] - x.t[i - 1]) * (halves - x.v[i]) / (x.v[i] - x.v[i - 1]) for i in (rising, falling))
    widths: np.ndarray = x.t[falling] - late - x.t[rising] + soon
    return widths


def first(true: np.ndarray) -> int:
    """Where the first true value is; how many there are if none is."""
    at = int(true.argmax()) if len(true) else 0
    return at if len(true) and true[at] else len(true)


def after_peak(x: Voltage, y: np.ndarray) -> np.ndarray:
    """From the peaks to their troughs."""
    peaks, troughs = paired(x.peaks, x.troughs)
    depths: np.ndarray = y[troughs] - y[peaks]
    return depths


def nth(values: np.ndarray, n: int) -> np.ndarray:
    """The n-th value alone, if there is one."""
    return values[n : n + 1]


FORMULAS: dict[str, Callable[[Voltage], Values]] = {
    "voltage_base": lambda x: x.base,
    "minimum_voltage": minimum,
    "maximum_voltage": maximum,
    "maximum_voltage_from_voltagebase": lambda x: maximum(x) - x.base,
    "steady_state_voltage_stimend": lambda x: x.steady,
    "voltage_deflection": voltage_deflection,
    "voltage_deflection_vb_ssse": lambda x: x.steady - x.base,
    "ohmic_input_resistance": lambda x: input_resistance(x, voltage_deflection(x)),
    "ohmic_input_resistance_vb_ssse": lambda x: input_resistance(x, x.steady - x.base),
    "time_constant": time_constant,
    "decay_time_constant_after_stim": decay_after_stimulus,
    "sag_amplitude": sag_amplitude,
    "sag_ratio1": lambda x: sag_amplitude(x) / (x.base - minimum(x)),
    "sag_ratio2": lambda x: (x.base - x.steady) / (x.base - minimum(x)),
    "Spikecount": lambda x: len(x.peaks),
    "spike_count": lambda x: len(x.peaks),
    "Spikecount_stimint": lambda x: in_stimulus(x).sum(),
    "spike_count_stimint": lambda x: in_stimulus(x).sum(),
    "depol_block_bool": depolarisation_block,
    "mean_frequency": mean_frequency,
    "peak_time": lambda x: x.times,
    "time_to_first_spike": lambda x: nth(x.times, 0) - x.start,
    "time_to_second_spike": lambda x: nth(x.times, 1) - x.start,
    "time_to_last_spike": lambda x: x.times[-1:] - x.start,
    "inv_time_to_first_spike": lambda x: 1000 / (nth(x.times, 0) - x.start),
    "all_ISI_values": lambda x: x.intervals,
    "ISI_values": steady_intervals,
    "doublet_ISI": lambda x: nth(x.intervals, 0),
    "inv_first_ISI": lambda x: 1000 / nth(x.intervals, 0),
    "inv_second_ISI": lambda x: 1000 / nth(x.intervals, 1),
    "inv_third_ISI": lambda x: 1000 / nth(x.intervals, 2),
    "inv_fourth_ISI": lambda x: 1000 / nth(x.intervals, 3),
    "inv_fifth_ISI": lambda x: 1000 / nth(x.intervals, 4),
    "inv_last_ISI": lambda x: 1000 / x.intervals[-1:],
    "ISI_CV": interval_cv,
    "irregularity_index": lambda x: np.abs(np.diff(steady_intervals(x))),
    "adaptation_index": adaptation_index,
    "adaptation_index2": adaptation_index2,
    "AP_amplitude": amplitudes,
    "AP1_amp": lambda x: nth(amplitudes(x), 0),
    "AP2_amp": lambda x: nth(amplitudes(x), 1),
    "APlast_amp": lambda x: amplitudes(x)[-1:],
    "AP_amplitude_from_voltagebase": lambda x: x.v[x.peaks] - x.base,
    "AP_height": lambda x: x.v[x.peaks],
    "peak_voltage": lambda x: x.v[x.peaks],
    "AP1_peak": lambda x: x.v[nth(x.peaks, 0)],
    "AP2_peak": lambda x: x.v[nth(x.peaks, 1)],
    "AP_begin_voltage": lambda x: x.v[x.onsets],
    "AP1_begin_voltage": lambda x: x.v[nth(x.onsets, 0)],
    "AP_begin_time": lambda x: x.t[x.onsets],
    "AP_duration": duration,
    "AP_duration_half_width": half_width,
    "AP_duration_half_width_change": half_width_change,
    "spike_half_width": spike_half_width,
    "AP_rise_time": rise_time,
    "AP_fall_time": lambda x: -np.subtract(*(x.t[at] for at in fall(x))),
    "AP_rise_rate": lambda x: rate(x, *rise(x)),
    "AP_fall_rate": lambda x: rate(x, *fall(x)),
    "AP_peak_upstroke": upstroke,
    "AP_peak_downstroke": downstroke,
    "min_AHP_values": lambda x: x.v[x.troughs],
    "AHP_depth": lambda x: x.v[x.troughs] - x.base,
    "AHP_depth_abs": lambda x: x.v[x.troughs],
    "AHP_depth_from_peak": lambda x: -after_peak(x, x.v),
    "AHP_time_from_peak": lambda x: after_peak(x, x.t),
}
