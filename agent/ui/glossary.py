"""What features are: a few words, and where they are measured on a trace."""

from dataclasses import dataclass

import numpy as np

from gbar.sim.features import unit_of

WIDTH, HEIGHT = 150.0, 84.0


@dataclass(frozen=True)
class Picture:
    """A schematic trace and the mark of what is measured on it, as SVG paths."""

    trace: str
    marks: tuple[str, ...]
    guides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Word:
    """One feature."""

    name: str
    unit: str
    words: str
    picture: Picture | None


def _path(x: np.ndarray, y: np.ndarray) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


def _across(x1: float, x2: float, y: float) -> str:
    """A double arrow."""
    return f"M{x1} {y}H{x2}M{x1 + 4} {y - 3}L{x1} {y}L{x1 + 4} {y + 3}M{x2 - 4} {y - 3}L{x2} {y}L{x2 - 4} {y + 3}"


def _down(x: float, y1: float, y2: float) -> str:
    return f"M{x} {y1}V{y2}M{x - 3} {y1 + 4}L{x} {y1}L{x + 3} {y1 + 4}M{x - 3} {y2 - 4}L{x} {y2}L{x + 3} {y2 - 4}"


def _step(sag: float = 0.0) -> str:
    """A response to a current that hyperpolarises, from x = 25 to 110: base 24, steady 60."""
    x = np.linspace(4, 146, 143)
    on, off = np.clip(x - 25, 0, None), np.clip(x - 110, 0, None)
    rise = 1 - np.exp(-on / 8)
    y = 24 + 36 * rise + sag * rise * np.exp(-on / 22)
    end = 24 + 36 + sag * np.exp(-85 / 22)
    return _path(x, np.where(x < 110, y, 24 + (end - 24) * np.exp(-off / 8)))


def _spike() -> str:
    """One spike and its after-hyperpolarisation: base 52, threshold 40, peak 8, trough 72."""
    x = np.array([4, 34, 46, 50, 53, 56, 59, 63, 70, 80, 95, 115, 146], float)
    y = np.array([52, 52, 46, 40, 8, 20, 52, 70, 72, 69, 60, 54, 52], float)
    fine = np.linspace(4, 146, 260)
    return _path(fine, np.interp(fine, x, y))


SPIKES = (38.0, 54.0, 74.0, 98.0)


def _train() -> str:
    x = np.linspace(4, 146, 580)
    y = np.where((x > 25) & (x < 115), 50.0, 58.0)
    for at in SPIKES:
        y = np.where(abs(x - at) < 1.6, 50 - 38 * (1 - abs(x - at) / 1.6), y)
        y = np.where((x > at + 1.6) & (x < at + 9), np.maximum(y, 64 - (x - at) * 1.5), y)
    return _path(x, y)


STEP, SAG, SPIKE, TRAIN = _step(), _step(18.0), _spike(), _train()
FI = "M20 70L45 70L60 58L80 44L100 30L125 14"
PICTURES = {
    "base": Picture(STEP, ("M4 24H25",), ("M4 24H146",)),
    "steady": Picture(STEP, ("M98 60H110",)),
    "deflection": Picture(STEP, (_down(100, 24, 60),), ("M4 24H146",)),
    "tau": Picture(STEP, ("M25 24C29 40 36 54 50 59",)),
    "decay": Picture(STEP, ("M110 60C114 44 121 30 135 25",)),
    "sag": Picture(SAG, (_down(40, 60, 69.5),), ("M25 60H112",)),
    "minimum": Picture(SAG, ("M30 69.5H48",)),
    "threshold": Picture(SPIKE, ("M47 40a3 3 0 1 0 6 0a3 3 0 1 0 -6 0",), ("M4 40H60",)),
    "height": Picture(SPIKE, ("M49 8a3 3 0 1 0 7 0a3 3 0 1 0 -7 0",), ("M4 8H146",)),
    "amplitude": Picture(SPIKE, (_down(72, 8, 40),), ("M46 40H80", "M53 8H80")),
    "amplitude_base": Picture(SPIKE, (_down(84, 8, 52),), ("M4 52H146", "M53 8H90")),
    "width": Picture(SPIKE, (_across(51.5, 57.0, 26),), ("M44 26H70",)),
    "upstroke": Picture(SPIKE, ("M50 40L53 8",)),
    "downstroke": Picture(SPIKE, ("M53 8L59 52",)),
    "ahp": Picture(SPIKE, (_down(70, 52, 72),), ("M4 52H146",)),
    "ahp_abs": Picture(SPIKE, ("M62 72H78",), ("M4 72H146",)),
    "ahp_half": Picture(SPIKE, (_across(69, 91, 76),), ("M69 72V80", "M91 62V80")),
    "ahp_duration": Picture(SPIKE, (_across(59, 128, 78),), ("M59 52V82", "M128 53V82", "M4 52H146")),
    "count": Picture(TRAIN, tuple(f"M{at} 6v6" for at in SPIKES)),
    "frequency": Picture(TRAIN, (_across(25, 98, 74), *(f"M{at} 6v6" for at in SPIKES))),
    "first": Picture(TRAIN, (_across(25, 38, 74),), ("M25 50V80", "M38 12V80")),
    "last": Picture(TRAIN, (_across(25, 98, 74),), ("M25 50V80", "M98 12V80")),
    "first_isi": Picture(TRAIN, (_across(38, 54, 74),), ("M38 12V80", "M54 12V80")),
    "last_isi": Picture(TRAIN, (_across(74, 98, 74),), ("M74 12V80", "M98 12V80")),
    "adaptation": Picture(TRAIN, (_across(38, 54, 74), _across(74, 98, 74))),
    "fi": Picture(FI, ("M60 58L125 14",), ("M20 6V76H140",)),
    "rheobase": Picture("M4 60H30C40 60 44 44 60 42H90C96 42 100 60 112 60H146" + SPIKE, ("M4 76H34V68H100V76H146",)),
}
WORDS = {
    "voltage_base": ("base", "resting voltage: the mean before the stimulus"),
    "ohmic_input_resistance": ("deflection", "input resistance: the steady deflection over the current"),
    "ohmic_input_resistance_vb_ssse": ("deflection", "input resistance, from the base to the end of the step"),
    "voltage_deflection": ("deflection", "how far the step moves the voltage"),
    "voltage_deflection_vb_ssse": ("deflection", "how far the step moves the voltage, base to the end of the step"),
    "steady_state_voltage_stimend": ("steady", "voltage at the end of the stimulus"),
    "time_constant": ("tau", "membrane time constant: an exponential fitted to the onset"),
    "decay_time_constant_after_stim": ("decay", "time constant of the return after the stimulus"),
    "membrane_capacitance": ("tau", "time constant over input resistance"),
    "sag_amplitude": ("sag", "how far the voltage comes back during the step"),
    "sag_ratio1": ("sag", "the sag as a share of the peak deflection, 0 to 1"),
    "sag_ratio2": ("sag", "the steady deflection as a share of the peak one"),
    "minimum_voltage": ("minimum", "the lowest voltage of the stimulus"),
    "maximum_voltage": ("height", "the highest voltage of the stimulus"),
    "AP_begin_voltage": ("threshold", "threshold: the voltage where a spike begins"),
    "AP_height": ("height", "the voltage of spike peaks"),
    "AP1_peak": ("height", "the voltage of the first spike’s peak"),
    "AP_amplitude": ("amplitude", "spike height from its threshold to its peak"),
    "AP1_amp": ("amplitude", "the first spike’s height, threshold to peak"),
    "AP_amplitude_from_voltagebase": ("amplitude_base", "spike height from rest to its peak"),
    "AP_duration_half_width": ("width", "spike width at half of its height"),
    "spike_half_width": ("width", "spike width at half of its height, counted from the trough after it"),
    "AP_peak_upstroke": ("upstroke", "the steepest rise"),
    "AP_rise_rate": ("upstroke", "mean rate of the rise"),
    "AP_rise_time": ("upstroke", "time from threshold to peak"),
    "AP_peak_downstroke": ("downstroke", "the steepest fall, negative"),
    "AP_fall_rate": ("downstroke", "mean rate of the fall, negative"),
    "AP_fall_time": ("downstroke", "time from the peak to the end of the spike"),
    "AHP_depth": ("ahp", "trough after the spike, from rest: negative below it"),
    "AHP_depth_abs": ("ahp_abs", "voltage of the trough after the spike"),
    "AHP_time_from_peak": ("ahp_abs", "time from the peak to the trough"),
    "AHP_half_decay_time": ("ahp_half", "time from the trough until half of the depth has recovered"),
    "AHP_two_thirds_decay_time": ("ahp_half", "time from the trough until two thirds have recovered"),
    "AHP_half_duration": ("ahp_half", "how long the AHP is deeper than half of its depth"),
    "AHP_duration": ("ahp_duration", "from falling through rest until 95 % have recovered"),
    "Spikecount": ("count", "number of spikes"),
    "mean_frequency": ("frequency", "spikes per second, up to the last spike"),
    "time_to_first_spike": ("first", "latency: from the start of the stimulus to the first spike"),
    "time_to_last_spike": ("last", "from the start of the stimulus to the last spike"),
    "inv_first_ISI": ("first_isi", "rate of the first interval"),
    "inv_last_ISI": ("last_isi", "rate of the last interval"),
    "ISI_CV": ("adaptation", "how irregular the intervals are: SD over mean"),
    "adaptation_index2": ("adaptation", "how much intervals lengthen"),
    "rheobase": ("rheobase", "the smallest current that fires"),
    "f_I_gain": ("fi", "slope of firing rate against current"),
    "depol_block_bool": ("steady", "1 where the voltage stays high without spikes"),
}


def word(name: str, variable: str = "v") -> Word:
    """A feature in words; what has no entry is eFEL's own."""
    picture, words = WORDS.get(name, ("", "an eFEL feature: its documentation says how it is computed"))
    unit = unit_of(name, variable) or ""
    return Word(name, "" if unit == "constant" else unit, words, PICTURES.get(picture))
