"""How well a feature of a recorded sweep is known: what it changes by when nothing that matters does.

A model's trace is smooth. A recorded one has bumps and noise that a feature's definition may or may not fall for.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gbar.sim.features import unit_of
from gbar.sim.recordings.intake import Good
from gbar.sim.recordings.match import PULSE_MS
from gbar.sim.recordings.quality import PEAK, peak_error, shake

Floor = tuple[float, str]  # under an SD, with the reason
Measure = Callable[[np.ndarray, Sequence[str], Mapping[str, Any]], dict[str, float]]  # voltage [T] mV, names, settings

GRIDS_MS = (0.1, 0.05, 0.025)  # that features are commonly measured on
NOISES = 3  # draws
OF_NOISE = "what noise of its size changes"
OF_THE_GRID = "what a coarser grid changes"
OF_A_PEAK = "what a peak may hide between two samples"
OF_THE_TROUGH = "what the choice of its trough changes"
DECISIVE = {OF_THE_GRID, OF_THE_TROUGH}  # a time that one of these changes by more than
HALF = 0.5  # of itself is no number

# Voltages that count from 0 mV, where a share of them means nothing: what rest may be off says how well they are known.
ABSOLUTE = re.compile(
    r"voltage_base|depolarized_base|voltage_after_stim|steady_state_(hyper|voltage)(_stimend)?|(minimum|maximum|peak)_voltage"
    r"|AP_height|AP\d?_?begin_voltage|AP\d_peak|AHP_depth_abs(_slow)?|min_AHP_values|min_between_peaks_values"
    r"|min_voltage_between_spikes|ADP_peak_values|(strict_)?interburst_\w*|postburst_\w*_values"
    r"|signal_(base|mean|steady_state|minimum|maximum|tail|peak)"
)


def floors(
    one: Good, values: Mapping[str, float], settings: Mapping[str, Any], measure: Measure
) -> dict[str, list[Floor]]:
    """What the SD of each feature of a sweep is at least.

    Args:
        one: the sweep.
        values: what was measured.
        settings: eFEL's, in force.
        measure: measures a voltage like the sweep's.
    """
    names, v = list(values), one.sweep.v
    noisy = [measure(shake(one.sweep, one.step, seed), names, settings) for seed in range(NOISES)]
    coarser = [step for step in GRIDS_MS if step != settings["interp_step"]]
    gridded = [measure(v, names, {**settings, "interp_step": step}) for step in coarser]
    lowest = _at_lowest(one, float(settings["Threshold"]), measure(v, ["voltage_base"], settings)["voltage_base"])
    missed = peak_error(one.sweep, float(settings["Threshold"]))
    found: dict[str, list[Floor]] = {}
    for name, value in values.items():
        found[name] = [
            (_change(value, [other[name] for other in noisy]), OF_NOISE),
            (_change(value, [other[name] for other in gridded]), OF_A_PEAK if PEAK.fullmatch(name) else OF_THE_GRID),
        ]
        if name in lowest:
            found[name].append((_change(value, [lowest[name]]), OF_THE_TROUGH))
        if unit_of(name) == "ms":
            found[name].append((one.sweep.interval, "the sampling interval"))
        if PEAK.fullmatch(name):
            found[name].append((missed, OF_A_PEAK))
    return found


def undecided(mean: float, unit: str, own: Sequence[Floor]) -> str:
    """Why a feature is no number at all; "" where it is one."""
    size, reason = max((floor for floor in own if floor[1] in DECISIVE), default=(0.0, ""))
    if unit != "ms" or size <= HALF * abs(mean):
        return ""
    return f"{reason}: {size:.3g} of {mean:.3g} {unit}"


def _change(value: float, others: Sequence[float]) -> float:
    changes = [abs(other - value) for other in others if np.isfinite(other - value)]
    return max(changes, default=0.0)


def _at_lowest(one: Good, threshold: float, base: float) -> dict[str, float]:
    """Features of the trough after a spike if it is the lowest sample until the next spike.

    eFEL's is the first that two samples in a row do not go below. A bump of a tenth of a millivolt makes one.
    """
    v, interval = one.sweep.v, one.sweep.interval
    rises = 1 + np.flatnonzero((v[1:] > threshold) & (v[:-1] <= threshold))
    rises = rises[rises >= one.step.first]
    end = one.step.last if one.step.duration >= PULSE_MS else len(v)
    starts, stops = rises[rises < end], np.append(rises[1:], end)
    depths, delays = [], []
    for start, stop in zip(starts, np.minimum(stops[: len(starts)], end), strict=True):
        fallen = start + np.flatnonzero(v[start:stop] <= threshold)
        if len(fallen) == 0:
            continue
        peak, trough = start + int(v[start : fallen[0]].argmax()), fallen[0] + int(v[fallen[0] : stop].argmin())
        depths.append(float(v[trough]))
        delays.append((trough - peak) * interval)
    if not depths:
        return {}
    depth = float(np.mean(depths))
    return {
        "AHP_depth": depth - base,
        "AHP_depth_abs": depth,
        "min_AHP_values": depth,
        "AHP_time_from_peak": float(np.mean(delays)),
    }
