"""Features of sweeps, computed as the model's are, and what they are on average: mean, SD, and a floor under the SD."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from gbar.sim import features
from gbar.sim.features import f_I_gain
from gbar.sim.problem import SD_FLOORS, FiCurve, Problem, Rheobase, Step, sd_floor
from gbar.sim.recordings.doubts import ABSOLUTE, Floor, undecided
from gbar.sim.recordings.doubts import floors as floors_of
from gbar.sim.recordings.intake import Good
from gbar.sim.recordings.match import families
from gbar.sim.recordings.quality import too_coarse
from gbar.sim.recordings.sweep import count

FLOOR_OF_A_COUNT = 0.5  # smallest SD that one is given
COUNT = re.compile(r"(?i)spike_?count.*|burst_number|strict_burst_number|number_initial_spikes")
FEW = 3  # values from which an SD says something about an absolute voltage
SPAN_MV = 100.0  # that a membrane spans, which a share is taken of where the voltage counts from 0
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
BASE = "voltage_base"
SHAPES = {*FIRING[FIRING.index("AP_amplitude") :]}


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


@dataclass(frozen=True)
class Values:
    """What a feature is in the sweeps of each cell, and the floors under its SD that each cell's sweeps ask for."""

    protocol: str
    feature: str
    of: dict[str, list[float]]  # cell -> a value a sweep
    floors: dict[str, list[Floor]]  # cell -> floors
    coarse: str = ""  # why some sweeps are left out
    percents: dict[str, list[float]] = field(default_factory=dict)  # cell -> of its rheobase, a sweep

    def of_cell(self, cell: str) -> "Values":
        """Those of one cell."""
        kept = {cell: self.of[cell]} if cell in self.of else {}
        percents = {cell: self.percents.get(cell, [])}
        return replace(self, of=kept, floors={cell: self.floors.get(cell, [])}, percents=percents)

    @property
    def relative(self) -> str:
        """At which percentages of the rheobase sweeps were recorded, for a note."""
        percents = [percent for of_cell in self.percents.values() for percent in of_cell]
        ends = [f"{percent:.4g}" for percent in (min(percents), max(percents))] if percents else []
        return f" at {' to '.join(dict.fromkeys(ends))} % of rheobase" if ends else ""


def measured(
    problem: Problem, sweeps: Mapping[str, Sequence[Good]], good: Sequence[Good], wanted: Sequence[str]
) -> list[Values]:
    """Measure every protocol's sweeps.

    Args:
        problem: with the protocols made from recordings in it.
        sweeps: by step protocol.
        good: all sweeps, which a rheobase is looked for in.
        wanted: features; none for the usual ones, "all" for every one that gbar computes unasked.
    """
    found: list[Values] = []
    for name, protocol in problem.protocol.items():
        if isinstance(protocol, FiCurve):
            found += _gain(name, protocol, problem, sweeps, wanted)
        elif isinstance(protocol, Rheobase):
            at = families(problem, name, good, float(problem.efel_settings(name)["Threshold"]))
            floors = {cell: (one.gap / 2, "half the distance between steps") for cell, one in at.items()}
            found += _measured(problem, name, [one.sweep for one in at.values()], wanted, {"rheobase": floors})
        elif name in sweeps:
            found += _measured(problem, name, sweeps[name], wanted, {})
    return found


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
    own_floors: Mapping[str, Mapping[str, Floor]],
) -> list[Values]:
    """The features of one protocol's sweeps. `own_floors`: feature -> cell -> a floor."""
    if not used:
        return []
    protocol, settings = problem.protocol[name], problem.efel_settings(name)
    threshold = float(settings["Threshold"])
    amplitude = used[0].step.amplitude
    fires = any(one.sweep.v[one.step.first :].max() > threshold for one in used)
    known = features.known_features(protocol.kind)
    names = usual(protocol.kind, amplitude, fires) if not wanted else features.catalogue(protocol.kind, amplitude)
    if wanted and "all" not in wanted:
        names = [feature for feature in wanted if feature in known]
    of: dict[str, dict[str, list[float]]] = {feature: {} for feature in names}
    floors: dict[str, dict[str, list[Floor]]] = {
        feature: {cell: [floor] for cell, floor in own_floors.get(feature, {}).items()} for feature in names
    }
    coarse: dict[str, str] = {}
    for one in used:
        cell = one.sweep.cell
        reasons = {feature: too_coarse(feature, one.sweep.rate_khz) for feature in names}
        coarse |= {feature: reason for feature, reason in reasons.items() if reason}
        fine = [feature for feature in names if not reasons[feature]]
        known_values = _features(one, one.sweep.v, fine, settings)
        values = {feature: known_values[feature] for feature in fine}
        for feature, of_sweep in floors_of(one, values, settings, partial(_features, one)).items():
            of[feature].setdefault(cell, []).append(values[feature])
            floors[feature].setdefault(cell, []).extend(of_sweep)
    percents: dict[str, list[float]] = {}
    for one in used:
        percents.setdefault(one.sweep.cell, []).extend([one.percent] if np.isfinite(one.percent) else [])
    return [Values(name, f, of[f], floors[f], coarse.get(f, ""), percents) for f in names]


def _features(one: Good, v: np.ndarray, names: Sequence[str], settings: Mapping[str, Any]) -> dict[str, float]:
    """Features of a sweep, or of one like it: v [T] mV."""
    trace = features.Trace(one.sweep.t, v, one.step.start, one.step.end, one.step.amplitude)
    return features.measure(trace, names, settings) | {"rheobase": one.step.amplitude}


def _gain(
    name: str, curve: FiCurve, problem: Problem, sweeps: Mapping[str, Sequence[Good]], wanted: Sequence[str]
) -> list[Values]:
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
    return [Values(name, "f_I_gain", gains, {})]


def redundant(problem: Problem, found: Sequence[Values]) -> dict[tuple[str, str], str]:
    """Rows that say what others say already: (protocol, feature) -> the reason.

    The voltage before a step is the same for all steps on one holding current; of a spike's shape under many steps, the
    weakest, the middle and the strongest of each cell say what there is.
    """
    reasons: dict[tuple[str, str], str] = {}
    alike: dict[tuple[Any, ...], list[Values]] = {}
    for one in found:
        protocol = problem.protocol[one.protocol]
        if one.of and isinstance(protocol, Step | Rheobase):
            kind = "" if one.feature == BASE else (protocol.kind, protocol.duration)
            site = (protocol.at, protocol.record, protocol.holding)
            alike.setdefault((one.feature, kind, site), []).append(one)
    for (feature, *_), rows in alike.items():
        kept = _bases(rows) if feature == BASE else _spread_out(problem, rows) if feature in SHAPES else rows
        names = ", ".join(dict.fromkeys(one.protocol for one in kept))
        reason = f"already under {names}, --feature {feature} takes all"
        reasons |= {(one.protocol, feature): reason for one in rows if one not in kept}
    return reasons


def _bases(rows: Sequence[Values]) -> list[Values]:
    """As few rows as hold every cell, those of most sweeps first."""
    kept: list[Values] = []
    covered: set[str] = set()
    for one in sorted(rows, key=lambda one: -sum(map(len, one.of.values()))):
        if set(one.of) - covered:
            kept.append(one)
            covered |= set(one.of)
    return kept


def _spread_out(problem: Problem, rows: Sequence[Values]) -> list[Values]:
    """For each cell the rows of its weakest, middle and strongest step."""
    kept: list[Values] = []
    for cell in dict.fromkeys(cell for one in rows for cell in one.of):
        own = sorted((one for one in rows if cell in one.of), key=lambda one: _strength(problem, one.protocol))
        kept += [own[k] for k in {0, len(own) // 2, len(own) - 1}]
    return kept


def _strength(problem: Problem, name: str) -> float:
    protocol = problem.protocol[name]
    if not isinstance(protocol, Step):
        return 0.0
    return (protocol.percent or 0.0) if protocol.amplitude is None else protocol.amplitude


def average(found: Values, share: float) -> Average:
    """Mean and SD: over the cells' means where there are several cells, else over the sweeps of the one.

    Args:
        found: the values.
        share: of the mean, that an SD is at least.
    """
    protocol, feature = found.protocol, found.feature
    unit = features.unit_of(feature) or ""
    total = sum(map(len, found.of.values()))
    defined = {cell: np.array([v for v in of_cell if np.isfinite(v)]) for cell, of_cell in found.of.items()}
    defined = {cell: of_cell for cell, of_cell in defined.items() if len(of_cell)}
    having = sum(map(len, defined.values()))
    if having < DEFINED * total or having == 0:
        reason = found.coarse if total == 0 else f"defined in {having} of {total} sweeps"
        return Average(protocol, feature, np.nan, np.nan, unit, "", reason)
    means = np.array([of_cell.mean() for of_cell in defined.values()])
    spread = means if len(means) > 1 else next(iter(defined.values()))
    sd = float(spread.std(ddof=1)) if len(spread) > 1 else 0.0
    mean = float(means.mean())
    note = f"{count(having, 'sweep')} of {count(len(defined), 'cell')}{found.relative}"
    least = FLOOR_OF_A_COUNT if COUNT.fullmatch(feature) else sd_floor(unit).recorded
    kind = "of a count" if COUNT.fullmatch(feature) else f"of {unit}" if unit in SD_FLOORS else "of a ratio"
    own = [floor for cell in defined for floor in found.floors.get(cell, [])]
    if why := undecided(mean, unit, own):
        return Average(protocol, feature, np.nan, np.nan, unit, "", why)
    floor, reason = max((least, kind), _share(feature, mean, len(spread), share), *own)
    if sd < floor:
        before = f"SD {sd:.3g}" if len(spread) > 1 else "no SD from one"
        note += f"; {before}: floor {floor:.3g} ({reason})"
    else:
        note += f"; SD over {'cells' if len(means) > 1 else 'sweeps'}"
    return Average(
        protocol, feature, mean, max(sd, floor), unit, note + (f"; some sweeps {found.coarse}" if found.coarse else "")
    )


def _share(feature: str, mean: float, values: int, share: float) -> Floor:
    """The floor under an SD that the user's share makes."""
    if not ABSOLUTE.fullmatch(feature):
        return share * abs(mean), f"{share:.3g} of the mean"
    if values >= FEW:
        return 0.0, ""
    return share * SPAN_MV, f"{share:.3g} of the {SPAN_MV:g} mV from rest to peak"
