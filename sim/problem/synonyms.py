"""What other people and tools call features and units.

Another spelling of the same name is read as that name. Another tool's quantity is never taken for eFEL's, however
alike: it is refused with the name of the feature that is meant, because windows, fits and signs differ.
"""

import re
import unicodedata
from collections.abc import Iterable

from gbar.sim import features
from gbar.sim.errors import GbarError

RMP = "voltage_base", "the mean of the last tenth before the stimulus"
RIN = "ohmic_input_resistance", "the steady deflection over the current"
TAU = "time_constant", "an exponential fitted to a step of 141 ms or more"
RHEOBASE = "rheobase", "under a protocol of kind rheobase"
GAIN = "f_I_gain", "under a protocol of kind fi"
THRESHOLD = "AP_begin_voltage", "where dV/dt passes 10 V/s"
PEAK = "AP_height", "the peak itself"
WIDTH = "AP_duration_half_width", "at half of the height above threshold; spike_half_width: above the trough"
AMPLITUDE = "AP_amplitude", "peak - threshold; AP_amplitude_from_voltagebase: peak - rest"
AHP = "AHP_depth", "minimum - rest, negative below it; AHP_depth_abs: the minimum itself"
TROUGH = "AHP_depth_abs", "the minimum itself; AHP_depth: minimum - rest"
SAG = "sag_ratio1", "(steady - minimum) / deflection, a share; sag_amplitude: in mV"
RATE = "mean_frequency", "spikes over the time until the last one"
LATENCY = "time_to_first_spike", "from the start of the stimulus"
COUNT = "Spikecount", "spikes of the whole trace"
RATIO = "AP_peak_upstroke", "and AP_peak_downstroke: the ratio of the two is no feature; measure both"
CONDUCTANCE = "ohmic_input_resistance", "1 / conductance: 0.1 µS are 10 MΩ; SD = SD of the conductance / conductance²"

# what somebody writes, folded -> the feature that is meant and what it is
MEANT: dict[str, tuple[str, str]] = {
    word: meant
    for words, meant in {
        "v_rest rest rmp vm resting_potential resting_membrane_potential membrane_potential v_baseline baseline "
        "baseline_voltage e_rest": RMP,
        "rin r_in ri r_input input_resistance inputresistance resistance membrane_resistance rm r_m rn": RIN,
        "tau tau_m taum membrane_tau membrane_time_constant tau_membrane": TAU,
        "rheobase_i rheo rheobase_current i_rheo irheo current_threshold threshold_current threshold_i": RHEOBASE,
        "f_i_curve_slope fi_fit_slope fi_slope f_i_slope fi_curve_slope gain i_f_slope if_slope": GAIN,
        "threshold threshold_v v_threshold vth v_th ap_threshold spike_threshold firing_threshold": THRESHOLD,
        "peak peak_v v_peak ap_peak spike_peak overshoot": PEAK,
        "width half_width halfwidth fwhm ap_half_width spike_width ap_halfwidth duration_half_amplitude": WIDTH,
        "amplitude spike_amplitude ap_amp spike_height spike_amp ap_amplitude_from_threshold": AMPLITUDE,
        "ahp ahp_amplitude fast_ahp_depth afterhyperpolarization afterhyperpolarisation ahp_amp fahp mahp": AHP,
        "trough trough_v fast_trough_v v_trough": TROUGH,
        "sag sag_ratio sag_index sag_percent": SAG,
        "avg_rate firing_rate rate frequency f mean_rate mean_firing_rate avg_firing_rate average_rate": RATE,
        "latency first_spike_latency latency_to_first_spike": LATENCY,
        "n_spikes num_spikes number_of_spikes spikes spike_number nspikes": COUNT,
        "upstroke_downstroke_ratio updown updown_ratio upstroke_downstroke": RATIO,
        "input_conductance g_in gin conductance leak_conductance": CONDUCTANCE,
        "upstroke upstroke_v max_dvdt dvdt_max maximum_rise_slope": ("AP_peak_upstroke", "the steepest dV/dt"),
        "downstroke downstroke_v min_dvdt dvdt_min": ("AP_peak_downstroke", "the steepest fall, negative"),
        "cm c_m capacitance cap membrane_cap": ("membrane_capacitance", "time_constant / ohmic_input_resistance"),
        "adapt adaptation adaptation_ratio": ("adaptation_index2", "from differences of intervals over their sums"),
        "isi_cv cv_isi cv": ("ISI_CV", "of the intervals after the first, SD over n - 1"),
        "first_isi": ("inv_first_ISI", "1000 / interval in ms"),
        "mean_isi isi": ("ISI_values", "the intervals after the first; inv_first_ISI: 1000 / interval"),
    }.items()
    for word in (folded.replace("_", "") for folded in words.split())
}

SEPARATORS = re.compile(r"[\s_.,:/()\[\]+\-\u2010-\u2015\u2212]+")  # spaces, dashes, brackets
OHM = "Ω"
PREFIXES = {"G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9, "p": 1e-12}
LONG = {"giga": "G", "mega": "M", "meg": "M", "kilo": "k", "milli": "m", "micro": "µ", "nano": "n", "pico": "p"}
BASES = {  # in any case
    **dict.fromkeys(("ohm", "ohms", "ω"), OHM),
    **dict.fromkeys(("volt", "volts"), "V"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("amp", "amps", "ampere", "amperes"), "A"),
    **dict.fromkeys(("hz", "hertz", "1/s", "/s", "s-1", "s^-1", "s⁻¹", "spikes/s", "ap/s", "aps/s"), "Hz"),
    **dict.fromkeys(("farad", "farads"), "F"),
    **dict.fromkeys(("siemens",), "S"),
}
SYMBOLS = {"v": "V", "s": "s", "a": "A", "f": "F", "siemens": "S", "ohm": OHM, "hz": "Hz"}  # S and s are two units
WITHOUT = {"ratio", "none", "unitless", "count", "counts", "spikes"}
PERCENT = {"%", "percent", "pct", "per cent"}
# What rigs report beside a feature's own unit is converted. Any other multiple is a slip more often than not, so it is
# asked about with the number that it would be.
CONVERTED = {"MΩ": {"GΩ"}, "ms": {"s", "µs"}, "nA": {"pA"}, "nF": {"pF"}, "Hz": {"kHz"}, "Hz/nA": {"Hz/pA"}}
GREEK_LOST = {"MÙ": "MΩ", "M½": "MΩ", "GÙ": "GΩ", "G½": "GΩ"}  # Ω of a Greek or a Macintosh code page, read as Western


def feature_of(text: str, known: Iterable[str]) -> str | None:
    """The known feature that a text spells in another case or with other separators; None where there is none."""
    known = list(known)
    if text in known:
        return text
    if _letters(text) in MEANT and not re.search(r"[A-Z]{2}", text):  # isi_cv is ipfx's, ISI_cv eFEL's
        return None
    for spelling in (_words, _letters):
        same = [name for name in known if spelling(name) == spelling(text)]
        if len(same) == 1:
            return same[0]
    return None


def meant(text: str) -> str:
    """ ": gbar's word, its unit and what it is", for another tool's or a paper's name; "" for one never heard of."""
    word = _letters(text)
    if word not in MEANT:
        return ""
    name, what = MEANT[word]
    unit = features.unit_of(name)
    return f": the feature is '{name}' ({'no unit' if unit == 'constant' else unit}): {what}"


def _words(text: str) -> str:
    return SEPARATORS.sub("_", _plain(text))


def _letters(text: str) -> str:
    return SEPARATORS.sub("", _plain(text))


def _plain(text: str) -> str:
    """In one case, and without what nobody sees; a letter that does not belong there stays, so that it is no match."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in folded if unicodedata.category(letter) != "Cf").strip()


def unit_of(text: str) -> str:
    """One spelling for each unit, "MΩ" for "megohm"; what is not known stays as it is."""
    text = unicodedata.normalize("NFKC", GREEK_LOST.get(text.strip(), text.strip())).replace("μ", "µ")  # Greek mu
    if text.lower() in PERCENT:
        return "%"
    if text.lower() in WITHOUT:
        return "constant"
    over, slash, under = text.partition("/")
    if slash and _single(text) is None:
        one, other = _single(over.strip()), _single(under.strip())
        text = f"{one}/{other}" if one and other else text
    return features.plain_unit(_single(text) or text)


def _single(text: str) -> str | None:
    """A prefix and a unit, as SI writes them; None for anything else."""
    word = text.lower().replace(" ", "")
    if word in BASES and not (BASES[word] == "Hz" and "S" in text):  # 1/S is an ohm
        return BASES[word]
    for long, prefix in LONG.items():
        rest = word.removeprefix(long)
        if rest != word and (rest in BASES or rest in {"hm", "hms"}):  # megohm
            return prefix + BASES.get(rest, OHM)
    text = text.replace(" ", "")
    if text in SYMBOLS.values():
        return text
    prefix, base = ("µ" if text[:1] == "u" else text[:1]), text[1:]
    if prefix not in PREFIXES or not base.isalpha():
        return None
    if text[0].islower() and base in SYMBOLS:  # mv, na, pf; but MS or NA may be anything
        return prefix + SYMBOLS[base]
    known = base if base in SYMBOLS.values() else BASES.get(base.lower())
    return prefix + known if known else None


def converted(mean: float, sd: float, unit: str, expected: str, counts: bool = False) -> tuple[float, float, str]:
    """Mean and SD in the expected unit.

    Args:
        mean, sd, unit: as given.
        expected: of the feature.
        counts: whether the feature counts something, of which there is no percentage.

    Returns:
        Mean, SD, and what was done ("" where the unit is the expected one).

    Raises:
        GbarError: another unit; the message begins with what was given.
    """
    given, wanted = unit_of(unit), unit_of(expected)
    if given == wanted:
        return mean, sd, ""
    factor = _factor(given, wanted, counts)
    if factor is not None:
        mean, sd = (float(f"{value * factor:.15g}") for value in (mean, sd))
    if factor is None:
        raise GbarError(f"'{unit}': expected '{expected}', convert mean and sd{_hint(given, wanted)}")
    if given == "mΩ":
        raise GbarError(f"'{unit}', which is a milliohm: expected '{expected}': a megaohm is MOhm")
    if given != "%" and given not in CONVERTED.get(wanted, ()):
        raise GbarError(
            f"'{unit}': expected '{expected}', convert mean and sd: they would be {mean:g} and {sd:g} {expected}"
        )
    return mean, sd, f"{mean:g} ± {sd:g} {'' if expected == 'constant' else expected}".rstrip() + f", given in {unit}"


def _factor(given: str, wanted: str, counts: bool) -> float | None:
    if given == "%":
        return 0.01 if wanted == "constant" and not counts else None
    scale, other = _scale(given), _scale(wanted)
    return scale[0] / other[0] if scale and other and scale[1] == other[1] else None


def _scale(unit: str) -> tuple[float, str] | None:
    """A unit's factor and what it is a multiple of, such as 1e6 and Ω."""
    over, slash, under = unit.partition("/")
    if slash:
        one, other = _scale(over), _scale(under)
        return (one[0] / other[0], f"{one[1]}/{other[1]}") if one and other else None
    for base in ("Hz", "Ω", "V", "s", "A", "F", "S"):
        if unit.endswith(base) and unit.removesuffix(base) in PREFIXES:
            return PREFIXES[unit.removesuffix(base)], base
    return None


def _hint(given: str, wanted: str) -> str:
    scale = _scale(given)
    return ": a conductance, MΩ = 1 / µS" if scale and scale[1] == "S" and wanted == "MΩ" else ""
