"""Features of sweeps, computed as the model's are, and what they are on average: mean, SD, and a floor under the SD."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gbar.sim import features
from gbar.sim.features import f_I_gain
from gbar.sim.problem import SD_FLOOR_OF_A_RATIO, SD_FLOORS, FiCurve, Problem, Rheobase
from gbar.sim.recordings.intake import Good
from gbar.sim.recordings.match import families
from gbar.sim.recordings.quality import PEAK, peak_error, shake, too_coarse
from gbar.sim.recordings.sweep import count

FLOORS = {unit: floor.recorded for unit, floor in SD_FLOORS.items()}  # smallest SD that a measurement is given
FLOOR_OF_A_RATIO, FLOOR_OF_A_COUNT = SD_FLOOR_OF_A_RATIO, 0.5
COUNT = re.compile(r"(?i)spike_?count.*|burst_number|strict_burst_number|number_initial_spikes")
DEFINED = 0.5  # a feature that fewer of the sweeps have is not measured

# What a table holds unless it is asked for more: each says something that the others do not.
NEGATIVE = ["voltage_base", "ohmic_input_resistance", "time_constant", "sag_ratio1"]
SILENT = ["voltage_base", "ohmic_input_resistance", "Spikecount"]
FIRING = [
    *["voltage_base", "Spikecount", "mean_frequency", "time_to_first_spike", "inv_first_ISI", "adaptation_index2"],
    *["AP_amplitude", "AP_height", "AP_begin_voltage", "AP_duration_half_width", "AHP_depth", "AHP_time_from_peak"],
]
PULSE = [
    *["voltage_base", "AP_amplitude_from_voltagebase", "AP_duration_half_width", "AP_rise_time", "AHP_depth"],
    *["AHP_half_decay_time", "AHP_half_duration"],
]
RHEOBASE = ["rheobase", "AP_begin_voltage"]


@dataclass(frozen=True)
class Average:
    """One row of a table, or the reason why there is none."""

    protocol: str
    feature: str
    mean: float
    sd: float
    unit: str
    note: str  # from how many sweeps and cells, and what became of the SD
    omitted: str = ""


Values = dict[str, dict[str, list[float]]]  # feature -> cell -> a value a sweep


def averages(
    problem: Problem, sweeps: Mapping[str, Sequence[Good]], good: Sequence[Good], wanted: Sequence[str], share: float
) -> list[Average]:
    """Measure every protocol's sweeps.

    Args:
        problem: with the protocols made from recordings in it.
        sweeps: by step protocol.
        good: all sweeps, which a rheobase is looked for in.
        wanted: features; none for the usual ones, "all" for every one that gbar computes unasked.
        share: of the mean, that an SD is at least.
    """
    rows = []
    for name, protocol in problem.protocol.items():
        if isinstance(protocol, FiCurve):
            rows += _gain(name, protocol, problem, sweeps, wanted, share)
        elif isinstance(protocol, Rheobase):
            threshold = float(problem.efel_settings(name)["Threshold"])
            found = families(protocol, good, threshold)
            if found:
                floor = {"rheobase": (max(gap for _, gap in found.values()) / 2, "half the distance between steps")}
                rows += _measured(problem, name, [one for one, _ in found.values()], wanted, share, floor)
        elif name in sweeps:
            rows += _measured(problem, name, sweeps[name], wanted, share, {})
    return rows


def usual(kind: str, amplitude: float, fires: bool) -> list[str]:
    """The features of a table that nobody asked more of."""
    if kind == "rheobase":
        return RHEOBASE
    if kind == "pulse":
        return PULSE
    return NEGATIVE if amplitude < 0 else FIRING if fires else SILENT


def _measured(
    problem: Problem,
    name: str,
    used: Sequence[Good],
    wanted: Sequence[str],
    share: float,
    floors: Mapping[str, tuple[float, str]],
) -> list[Average]:
    """The rows of one protocol. `floors` are a feature's own, with the reason."""
    protocol, settings = problem.protocol[name], problem.efel_settings(name)
    threshold = float(settings["Threshold"])
    amplitude = used[0].step.amplitude
    fires = any(one.sweep.v[one.step.first :].max() > threshold for one in used)
    known = features.known_features(protocol.kind)
    names = usual(protocol.kind, amplitude, fires) if not wanted else features.catalogue(protocol.kind, amplitude)
    if wanted and "all" not in wanted:
        names = [feature for feature in wanted if feature in known]
    values: Values = {feature: {} for feature in names}
    coarse: dict[str, str] = {}
    own = {feature: [floors.get(feature, (0.0, ""))] for feature in names}  # floors under the SDs
    for one in used:
        reasons = {feature: too_coarse(feature, one.sweep.rate_khz) for feature in names}
        fine = [feature for feature in names if not reasons[feature]]
        measured = _features(one, one.sweep.v, fine, settings)
        shaken = _features(one, shake(one.sweep, one.step), fine, settings)
        missed = peak_error(one.sweep, threshold)
        for feature in fine:
            values[feature].setdefault(one.sweep.cell, []).append(measured[feature])
            changed = abs(shaken[feature] - measured[feature])
            own[feature].append((changed if np.isfinite(changed) else 0.0, "what noise of its size changes"))
            if features.unit_of(feature) == "ms":
                own[feature].append((one.sweep.interval, "the sampling interval"))
            if PEAK.fullmatch(feature):
                own[feature].append((missed, "what a peak may hide between two samples"))
        coarse |= {feature: reason for feature, reason in reasons.items() if reason}
    return [_average(name, f, values[f], share, max(own[f]), coarse.get(f, "")) for f in names]


def _features(one: Good, v: np.ndarray, names: Sequence[str], settings: Mapping[str, Any]) -> dict[str, float]:
    """Features of a sweep, or of one like it: v [T] mV."""
    trace = features.Trace(one.sweep.t, v, one.step.start, one.step.end, one.step.amplitude)
    return features.measure(trace, names, settings) | {"rheobase": one.step.amplitude}


def _gain(
    name: str,
    curve: FiCurve,
    problem: Problem,
    sweeps: Mapping[str, Sequence[Good]],
    wanted: Sequence[str],
    share: float,
) -> list[Average]:
    """The slope of firing rate against current, for each cell that fires under two of the curve's steps or more."""
    if wanted and not {"all", "f_I_gain"} & set(wanted):
        return []
    points: dict[str, list[tuple[float, float]]] = {}
    for step in curve.steps:
        for one in sweeps.get(step, []):
            rate = _features(one, one.sweep.v, ["mean_frequency"], problem.efel_settings(step))["mean_frequency"]
            points.setdefault(one.sweep.cell, []).append((one.step.amplitude, rate))
    if not points:
        return []
    gains = {}
    for cell, measured in points.items():
        currents, rates = np.array(measured).T
        gains[cell] = [float(f_I_gain(currents, rates))]
    return [_average(name, "f_I_gain", gains, share, (0.0, ""), "")]


def _average(
    protocol: str,
    feature: str,
    values: Mapping[str, Sequence[float]],
    share: float,
    own_floor: tuple[float, str],
    coarse: str,
) -> Average:
    """Mean and SD: over the cells' means where there are several cells, else over the sweeps of the one."""
    unit = features.unit_of(feature) or ""
    total = sum(map(len, values.values()))
    defined = {cell: np.array([v for v in of_cell if np.isfinite(v)]) for cell, of_cell in values.items()}
    defined = {cell: of_cell for cell, of_cell in defined.items() if len(of_cell)}
    having = sum(map(len, defined.values()))
    if having < DEFINED * total or having == 0:
        reason = coarse if total == 0 else f"defined in {having} of {total} sweeps"
        return Average(protocol, feature, np.nan, np.nan, unit, "", reason)
    means = np.array([of_cell.mean() for of_cell in defined.values()])
    spread = means if len(means) > 1 else next(iter(defined.values()))
    sd = float(spread.std(ddof=1)) if len(spread) > 1 else 0.0
    mean = float(means.mean())
    note = f"{count(having, 'sweep')} of {count(len(defined), 'cell')}"
    least = FLOOR_OF_A_COUNT if COUNT.fullmatch(feature) else FLOORS.get(unit, FLOOR_OF_A_RATIO)
    kind = "of a count" if COUNT.fullmatch(feature) else f"of {unit}" if unit in FLOORS else "of a ratio"
    floor, reason = max((least, kind), (share * abs(mean), f"{share:.3g} of the mean"), own_floor)
    if sd < floor:
        found = f"SD {sd:.3g}" if len(spread) > 1 else "no SD from one"
        note += f"; {found}: floor {floor:.3g} ({reason})"
    else:
        note += f"; SD over {'cells' if len(means) > 1 else 'sweeps'}"
    return Average(protocol, feature, mean, max(sd, floor), unit, note + (f"; some sweeps {coarse}" if coarse else ""))
