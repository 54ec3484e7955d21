"""Traces to feature values: eFEL first, our own definitions only where eFEL has none.

A feature that is not defined (a silent cell has no spike height) is NaN here, never a number standing in for it.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from gbar.sim.features import definitions, formulas

# eFEL interpolates before it measures; its own default of 0.1 ms quantises spike widths by a tenth of themselves.
SETTINGS: dict[str, float | int | bool | str] = {"interp_step": 0.025, "Threshold": -20.0}

OWN = {  # of one trace
    "AHP_half_decay_time": "ms",
    "AHP_two_thirds_decay_time": "ms",
    "AHP_half_duration": "ms",
    "AHP_duration": "ms",
}
OWN_OF_SIGNAL = (  # of any recording, in its unit; times in ms
    "signal_base",
    "signal_mean",
    "signal_steady_state",
    "signal_minimum",
    "signal_maximum",
    "signal_peak",
    "signal_peak_change",
    "signal_time_to_peak",
    "signal_tail",
)
OWN_OF_STEP = {"membrane_capacitance": "nF"}  # time constant over input resistance
OWN_OF_RHEOBASE = {"rheobase": "nA"}
OWN_OF_FI = {"f_I_gain": "Hz/nA"}

# What is computed for every evaluation, so that one archive serves measurements nobody has thought of yet.
PASSIVE = [
    "voltage_base",
    "minimum_voltage",
    "maximum_voltage",
    "steady_state_voltage_stimend",
    "voltage_deflection_vb_ssse",
    "ohmic_input_resistance",
    "ohmic_input_resistance_vb_ssse",
    "time_constant",
    "decay_time_constant_after_stim",
    "sag_amplitude",
    "sag_ratio1",
    "sag_ratio2",
]
BEFORE_DECAY_ENDS = {*PASSIVE, *OWN_OF_STEP}  # look no further than rest and the decay after a stimulus
FIRING = [
    "voltage_base",
    "minimum_voltage",
    "maximum_voltage",
    "steady_state_voltage_stimend",
    "Spikecount",
    "depol_block_bool",
    "mean_frequency",
    "time_to_first_spike",
    "time_to_last_spike",
    "inv_first_ISI",
    "inv_last_ISI",
    "ISI_CV",
    "adaptation_index2",
    "AP_amplitude",
    "AP_amplitude_from_voltagebase",
    "AP_height",
    "AP_duration_half_width",
    "AP_begin_voltage",
    "AHP_depth_abs",
    "AHP_time_from_peak",
    "AP1_amp",
    "AP1_peak",
]
SPIKE = [
    "voltage_base",
    "minimum_voltage",
    "maximum_voltage",
    "Spikecount",
    "AP_amplitude",
    "AP_amplitude_from_voltagebase",
    "AP_height",
    "AP_begin_voltage",
    "AP_duration_half_width",
    "spike_half_width",
    "AP_rise_time",
    "AP_fall_time",
    "AP_rise_rate",
    "AP_fall_rate",
    "AP_peak_upstroke",
    "AP_peak_downstroke",
    "AHP_depth",
    "AHP_depth_abs",
    "AHP_time_from_peak",
    "time_to_first_spike",
]

# eFEL's raw arrays, what it computes from a recorded current, and what it computes from a clamped voltage
NOT_MEASURED = re.compile(
    r".*_indices$|^(time|voltage|current|trace_check|current_base|steady_state_current_stimend|impedance)$"
    r"|^(activation|deactivation|inactivation)_time_constant$"
)
HALF_WIDTHS = {"AP_duration_half_width", "AP_duration_half_width_change"}  # eFEL's, of spikes that have to end
ENDS = ("AP_duration_half_width", "AP_end_indices", "peak_indices")  # which say whether they do
ROUNDING_MS = 1e-6  # by which the last of many fixed steps may miss the end
TAU_STEP_MS = 141.0  # eFEL fits time_constant to the first half of a step: of that it asks 70 ms and skips ten samples

SPELLINGS = {"mohm": "MΩ", "mω": "MΩ", "megaohm": "MΩ", "": "constant", "1": "constant", "-": "constant"}
SPELLINGS |= {"dimensionless": "constant", "mv/ms": "V/s", "1/(ms)": "1/ms", "hz/na": "Hz/nA"}


UNITS = (  # of recorded variables; NEURON knows those of others, and the engine asks it
    (re.compile(r"v"), "mV"),
    (re.compile(r"clamp\.i"), "nA"),
    (re.compile(r"(ca|na|k|cl|mg)[io]"), "mM"),
    (re.compile(r"i(ca|na|k|cl|_\w+)"), "mA/cm2"),
)
Settings = Mapping[str, float | int | bool | str]


class Trace(NamedTuple):
    """One recording and the stimulus that made it."""

    t: np.ndarray  # [T] ms, not necessarily evenly spaced
    v: np.ndarray  # [T] mV, or whatever was recorded
    start: float  # ms
    end: float  # ms
    current: float  # nA
    blank: float = 0.0  # ms after a change of the stimulus that our definitions for any recording leave out
    until: float = float("inf")  # ms, where they stop looking


@functools.cache
def known_settings() -> dict[str, float | int | bool | str]:
    """eFEL's settings and their defaults."""
    from efel.settings import Settings

    settings = dict(vars(Settings()))
    del settings["dependencyfile_path"]  # eFEL's own inner workings
    return settings


@functools.cache
def known_features(kind: str, variable: str = "v") -> tuple[str, ...]:
    """The features that can be measured under a kind of protocol on a recorded variable."""
    if kind == "fi":
        return tuple(OWN_OF_FI)
    names = {*OWN_OF_SIGNAL} | ({*OWN_OF_RHEOBASE} if kind == "rheobase" else set())
    if variable == "v":
        import efel

        names |= {name for name in efel.get_feature_names() if not NOT_MEASURED.match(name)} | {*OWN}
        names |= {*OWN_OF_STEP} if kind == "step" else set()
    return tuple(sorted(names))


@functools.cache
def unit_of(feature: str, variable: str = "v") -> str | None:
    """The unit of a feature, as eFEL writes it ("constant" for pure numbers); None where only NEURON knows."""
    if feature in OWN_OF_SIGNAL and not feature.startswith("signal_time"):
        return next((unit for pattern, unit in UNITS if pattern.fullmatch(variable)), None)
    own = {**OWN, **OWN_OF_STEP, **OWN_OF_RHEOBASE, **OWN_OF_FI, "signal_time_to_peak": "ms"}
    if feature in own:
        return own[feature]
    from efel.units import get_unit

    try:
        return str(get_unit(feature))
    except KeyError:  # counts, flags and lists of intervals, which eFEL's own table leaves out
        return "ms" if feature in {"ISIs"} else "constant"


def plain_unit(unit: str) -> str:
    """One spelling for each unit. Case matters: a milliohm is no megaohm, a megavolt no millivolt."""
    unit = unit.strip()
    milli = unit.startswith("m") and unit[1:].lower() in {"ohm", "ω"}
    return unit if milli else SPELLINGS.get(unit.lower(), unit)


def catalogue(kind: str, sign: float = 0.0, variable: str = "v") -> list[str]:
    """The features computed for every evaluation.

    Args:
        kind: of the protocol.
        sign: below 0 for a step that hyperpolarises.
        variable: what was recorded.
    """
    if kind == "fi":
        return list(OWN_OF_FI)
    if variable != "v" or kind in {"clamp", "synapse"}:
        return list(OWN_OF_SIGNAL)
    if kind == "step" and sign < 0:
        return [*PASSIVE, *OWN_OF_STEP]
    if kind in {"pulse", "rheobase"}:
        after = [name for name in OWN if name.startswith("AHP")]
        return [*SPIKE, *after] if kind == "pulse" else [*SPIKE, *OWN_OF_RHEOBASE]
    return list(FIRING)


def measure(trace: Trace, names: Iterable[str], settings: Settings) -> dict[str, float]:
    """Compute features of one trace: by our own formulas where there is one, the rest by eFEL, which gives the same.

    Args:
        trace: the recorded voltage; its times rise.
        names: eFEL's names and our own, as `known_features` lists them.
        settings: eFEL settings in force; `Threshold` serves our own definitions too.

    Returns:
        A value for every name that the trace has: the mean over an eFEL feature's values (over spikes, say), NaN where
        it is undefined.
    """
    return _measured(trace, names, settings, _values)


def measure_by_efel(trace: Trace, names: Iterable[str], settings: Settings) -> dict[str, float]:
    """`measure` without our formulas: the reference for them, and what an exported script carries."""
    return _measured(trace, names, settings, _efel_values)


def _measured(
    trace: Trace,
    names: Iterable[str],
    settings: Settings,
    values_of: Callable[[Trace, list[str], Settings], dict[str, float]],
) -> dict[str, float]:
    names = list(names)
    signals = [name for name in names if name in OWN_OF_SIGNAL]
    found = {name: float(getattr(definitions, name)(*trace[:4], trace.blank, trace.until)) for name in signals}
    if len(signals) < len(names):
        found |= _voltage_values(trace, [name for name in names if name not in signals], settings, values_of)
    return {name: _rounded(found[name]) for name in names if name in found}


def _voltage_values(
    trace: Trace,
    names: list[str],
    settings: Settings,
    values_of: Callable[[Trace, list[str], Settings], dict[str, float]],
) -> dict[str, float]:
    in_force = {**known_settings(), **settings}
    trace = _ended(trace)
    ours = {*OWN, *OWN_OF_STEP, *OWN_OF_RHEOBASE}
    needed = ["time_constant", "ohmic_input_resistance_vb_ssse"] if "membrane_capacitance" in names else []
    values = values_of(trace, sorted({*names, *needed} - ours), in_force)
    for name in {*names} & {*OWN}:
        definition = getattr(definitions, name)
        values[name] = float(definition(trace.t, trace.v, trace.start, trace.end, float(in_force["Threshold"])))
    if "membrane_capacitance" in names:  # ms / MOhm = nF
        values["membrane_capacitance"] = values["time_constant"] / (
            values["ohmic_input_resistance_vb_ssse"] or float("nan")
        )
    return values


def _ended(trace: Trace) -> Trace:
    """The trace, with a stimulus that ends no later than its last sample: a last fixed step may miss it by rounding."""
    late = trace.end - trace.t[-1] if len(trace.t) else 0.0
    return trace._replace(end=float(trace.t[-1])) if 0 < late < ROUNDING_MS else trace


def _rounded(value: float) -> float:
    """12 significant digits: the last bit of a trace's steepest slope can differ between two runs of the same process,
    and the same question shall have the same answer."""
    return float(f"{value:.12g}")


def _values(trace: Trace, names: list[str], in_force: Settings) -> dict[str, float]:
    known = in_force.keys() <= known_settings().keys()
    values = formulas.values(names, *trace[:5], in_force) if known and trace.start < trace.end else {}
    rest = [name for name in names if name not in values]
    return values | (_efel_values(trace, rest, in_force) if rest else {})


def _efel_values(trace: Trace, names: list[str], in_force: Settings) -> dict[str, float]:
    """eFEL's values; a feature on which eFEL itself fails (some do where a trace is too short) is not defined."""
    import efel

    for key, value in in_force.items():  # all of them: eFEL's settings are global to the process
        efel.set_setting(key, value)
    data = {
        "T": trace.t,
        "V": trace.v,
        "stim_start": [trace.start],
        "stim_end": [trace.end],
        "stimulus_current": [trace.current],
    }
    asked = [*names, *ENDS] if {*names} & HALF_WIDTHS else names
    try:
        found = efel.get_feature_values([data], asked, raise_warnings=False)[0] if names else {}
    except Exception:
        if len(names) == 1:
            return {names[0]: float("nan")}
        return {name: value for one in names for name, value in _efel_values(trace, [one], in_force).items()}
    return {name: _mean(_of_whole_spikes(found, name) if name in HALF_WIDTHS else found[name]) for name in names}


def _of_whole_spikes(found: Mapping[str, np.ndarray | None], name: str) -> np.ndarray | None:
    """Half-widths without that of a last spike which the end of the trace cuts off.

    eFEL takes the end of a spike that has none from whatever lies in memory behind the others: another value every
    time. Where it is not the last spike, none is defined.
    """
    widths, ends, peaks = found["AP_duration_half_width"], found["AP_end_indices"], found["peak_indices"]
    if widths is None or ends is None or peaks is None:
        return None
    if len(ends) < len(widths) and (len(ends) < len(widths) - 1 or ends[-1] > peaks[-1]):
        return None
    values = found[name]
    return None if values is None else values[: len(ends) - (len(widths) - len(values))]


def _mean(value: np.ndarray | None) -> float:
    if value is None or len(value) == 0:
        return float("nan")
    mean = float(np.mean(value))
    return mean if np.isfinite(mean) else float("nan")
