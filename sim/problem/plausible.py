"""Values that a feature's definition rules out, and those that a modeller would ask about."""

import math
import re
from collections.abc import Iterator

from gbar.sim.problem.problem import Measurement, Problem

COUNT = re.compile(r"(?i)spike_?count(_stimint)?|burst_number|strict_burst_number|number_initial_spikes")
# never below 0 by their definition: counts, durations, rates, resistances, spreads
NEVER_NEGATIVE = re.compile(
    rf"{COUNT.pattern}|mean_frequency|inv_.*|.*burst_mean_freq|time_to_.*"
    r"|AP_(duration|duration_half_width|width|rise_time|fall_time|width_between_threshold)"
    r"|AP[12]?_(begin_)?width|APlast_width|spike_half_width|spike_width2|AP_rise_rate|AP_peak_upstroke"
    r"|AP\d?_amp(litude)?|ISI_CV|ISI_values|ISIs|all_ISI_values|doublet_ISI"
    r"|AHP_(half_decay_time|two_thirds_decay_time|half_duration|duration|time_from_peak)"
)
# no cell's are, but noise on a small deflection can make them so, and what was measured is written down as it was
HARDLY_NEGATIVE = re.compile(r".*time_constant.*|ohmic_input_resistance.*|membrane_capacitance")
NEVER_POSITIVE = re.compile(r"AP_peak_downstroke|AP_fall_rate")
SHARE = re.compile(r"sag_ratio[12]")  # of a deflection: from 0 to 1, but for noise
NOISE = 2.0
# whose sign is a convention: differences from rest or threshold, which papers write as sizes
RELATIVE = re.compile(
    r"AHP_depth(_slow|_diff)?|AHP\d?_depth_from_peak|fast_AHP(_change)?|initburst_sahp.*|ADP_peak_amplitude"
    r"|sag_.*|voltage_deflection.*|.*_from_voltagebase|.*_amp(litude)?|AP_(fall|rise)_rate|AP_peak_(up|down)stroke"
    r"|ohmic_.*|f_I_gain|rheobase"
)
CHANGES = re.compile(r".*(_change|_diff|_slope)|adaptation_index2?|amp_drop_.*")  # of either sign in healthy cells
PEAKS = re.compile(
    r"(maximum|peak)_voltage|signal_(maximum|peak)|AP_height|AP\d_peak|AP2_AP1_.*"
)  # below 0 without a spike
NEARER = 0.25  # of the distance that is left when a minus is added: then it is missing


def impossible(m: Measurement) -> str:
    """Why no cell can have such a value; "" where one can."""
    if m.mean < 0 and NEVER_NEGATIVE.fullmatch(m.feature):
        return f"mean {m.mean:g}: {m.feature} is never negative: check the sign"
    if m.mean > 0 and NEVER_POSITIVE.fullmatch(m.feature):
        return f"mean {m.mean:g}: {m.feature} is a fall, so negative in eFEL: write {-m.mean:g}"
    if SHARE.fullmatch(m.feature) and abs(m.mean) > NOISE:
        return f"mean {m.mean:g}: {m.feature} is a share of the deflection, at most 1: for percent, write % as its unit"
    return ""


def doubts(m: Measurement) -> str:
    """What a modeller would ask about a value that a cell can have; "" where there is nothing to ask."""
    if m.feature in {"AHP_depth", "AHP_depth_slow"} and m.mean > 0:
        return f"{m.mean:g} mV is a trough ABOVE rest: eFEL's is minimum - rest. If yours is a depth, write {-m.mean:g}"
    if m.feature in {"voltage_base", "AHP_depth_abs", "minimum_voltage"} and m.mean > 0:
        return f"{m.mean:g} mV is above 0: is its minus missing?"
    if m.mean < 0 and HARDLY_NEGATIVE.fullmatch(m.feature):
        return f"{m.mean:g} is negative: is its sign right?"
    if SHARE.fullmatch(m.feature) and not 0 <= m.mean <= 1:
        return f"{m.mean:g}: a share of the deflection is from 0 to 1"
    if COUNT.fullmatch(m.feature) and abs(m.mean - round(m.mean)) > 2 * m.sd:
        return f"{m.mean:g} ± {m.sd:g}: no whole number is within two SDs, so no cell has it: take a larger SD"
    return ""


def doubtful_sign(feature: str, mean: float, sd: float, value: float | None) -> str:
    """What to ask where the model has the opposite sign of what was measured; "" where there is nothing to ask.

    Args:
        feature, mean, sd: of the measurement.
        value: the model's; None where it is not defined.
    """
    if value is None or not math.isfinite(value) or not mean * value < 0 or CHANGES.fullmatch(feature):
        return ""
    if min(abs(mean), abs(value)) <= sd or PEAKS.fullmatch(feature):  # near 0, or no spike
        return ""
    if not RELATIVE.fullmatch(feature) and abs(mean + value) > NEARER * abs(mean - value):
        return ""
    return (
        f"measured {mean:g}, the model gives {value:.4g}: the opposite sign. Is what was measured counted as eFEL "
        f"counts it? If not, write {-mean:g}"
    )


def of_measurements(problem: Problem) -> Iterator[str]:
    """How rows of the table were read where that is not as they stand there, and values that a modeller would doubt."""
    for m in problem.measurements:
        if m.said:
            yield f"{m.key}: {m.said}"
        if doubt := doubts(m):
            yield f"{m.key}: {doubt}"
