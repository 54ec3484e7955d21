"""One recorded sweep, in mV, nA and ms whatever the file held, or the reason why its numbers cannot be believed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gbar.sim.errors import GbarError, nearest

VOLTAGE = {"kV": 1e6, "V": 1e3, "mV": 1.0, "uV": 1e-3}  # to mV
CURRENT = {"A": 1e9, "mA": 1e6, "uA": 1e3, "nA": 1.0, "pA": 1e-3}  # to nA
TIME = {"s": 1e3, "ms": 1.0, "us": 1e-3}  # to ms
PREFIXES = {"": "", "kilo": "k", "milli": "m", "micro": "u", "nano": "n", "pico": "p"}
WORDS = {"volt": "V", "amp": "A", "ampere": "A", "second": "s", "sec": "s"}
SPELT = {  # "millivolts" and the like
    f"{prefix}{word}{plural}": short + symbol
    for prefix, short in PREFIXES.items()
    for word, symbol in WORDS.items()
    for plural in ("", "s")
} | {"msec": "ms"}

SAMPLED_MS = (1e-4, 10.0)  # between two samples: amplifiers reach 10 MHz, and a spike lasts 1 ms
FEWEST_SAMPLES = 10
EVEN = 0.01  # what the intervals of sample times may differ by, as a share
ALREADY = (0.05, 0.005)  # what a bias and the level before the step may differ by if they are the same: share, nA

LARGEST_MV = 300.0  # no membrane and no electrode offset goes further
SMALLEST_MV = 1.0  # a trace that stays within is one in volts, written where millivolts are said
LARGEST_NA = 200.0  # through one electrode
SMALLEST_NA = 0.5e-3  # no rig commands less than half a picoampere
REST_MV = (-120.0, -20.0)  # where a cell's voltage lies, to name the likely unit


def unit_name(unit: str) -> str:
    """One spelling of a unit: µ as u, words as symbols."""
    unit = unit.strip().replace("µ", "u").replace("μ", "u")
    return SPELT.get(unit.lower(), unit)


@dataclass(frozen=True)
class Channel:
    """What one channel of a file holds, as it stands there."""

    name: str
    values: np.ndarray  # [T]
    unit: str
    interval: float  # ms between samples
    start: float = float("nan")  # ms, on the file's clock; NaN where it has none, or says itself what belongs together

    def measures(self) -> str:
        """ "voltage", "current", "time", or "" for a unit that is none of these."""
        unit = unit_name(self.unit)
        return "voltage" if unit in VOLTAGE else "current" if unit in CURRENT else "time" if unit in TIME else ""


@dataclass(frozen=True)
class Raw:
    """A sweep as a file holds it. `clamped` is "current" unless the rig held the voltage and recorded the current."""

    cell: str
    name: str  # file, and the sweep's number where the file has several
    response: Channel
    stimulus: Channel | None
    clamped: str = "current"
    sweep: str = ""  # what the rig calls it
    bias: float = 0.0  # nA, what the amplifier added to the stimulus


@dataclass(frozen=True)
class Unusable:
    """A sweep that is there and cannot be read, with the reason. The file's others can still be."""

    cell: str
    reason: str


@dataclass(frozen=True)
class Sweep:
    """The voltage of one cell and the current that made it, evenly sampled."""

    cell: str
    name: str
    interval: float  # ms between samples
    v: np.ndarray  # [T] mV
    i: np.ndarray  # [T] nA

    @property
    def t(self) -> np.ndarray:  # [T] ms
        return np.arange(len(self.v)) * self.interval

    @property
    def rate_khz(self) -> float:
        return 1.0 / self.interval


def even_interval(times: np.ndarray, what: str) -> float:
    """The interval of evenly spaced sample times, in their unit.

    Args:
        times: [T].
        what: file and name, for the message.

    Raises:
        GbarError: they are not: samples are missing, or were taken at several rates.
    """
    t = np.asarray(times, float)
    step = np.diff(t)
    if len(step) == 0 or not np.isfinite(t).all() or not (step > 0).all():
        raise GbarError(f"{what}: the samples are not evenly spaced: expected times that rise")
    rounding = 4 * float(np.spacing(np.abs(times).max())) if np.asarray(times).dtype == np.float32 else 0.0
    if np.ptp(step) > EVEN * step.mean() + rounding:
        worst = int(np.argmax(np.abs(step - np.median(step))))
        raise GbarError(
            f"{what}: the samples are not evenly spaced: {step[worst]:.4g} after {t[worst]:.6g}, "
            f"elsewhere {np.median(step):.4g}: resample the trace first, or cut it there"
        )
    return float((t[-1] - t[0]) / (len(t) - 1))


def converted(
    raw: Raw, junction_mv: float, voltage_unit: str | None, current_unit: str | None
) -> tuple[Sweep, list[str]]:
    """A sweep in mV and nA.

    Args:
        raw: as read.
        junction_mv: liquid junction potential, subtracted from the voltage.
        voltage_unit, current_unit: what the user says the file is in, where its own word is wrong or missing.

    Returns:
        The sweep, and what was converted or added.

    Raises:
        GbarError: no stimulus, one of other times or length, samples that are no number, a unit that is no voltage or
            current, or magnitudes that no cell has; it names the unit that would make them plausible.
    """
    if raw.stimulus is None:
        raise GbarError(f"{raw.name}: no current beside the voltage: gbar needs the stimulus of every sweep")
    v, unit_v = _scaled(raw.response, VOLTAGE, voltage_unit, raw.name, "voltage")
    i, unit_i = _scaled(raw.stimulus, CURRENT, current_unit, raw.name, "current")
    _check_times(raw)
    if len(v) < FEWEST_SAMPLES:
        raise GbarError(f"{raw.name}: {len(v)} samples: expected a trace over time, before, during and after a step")
    for what, values in (("voltage", v), ("current", i)):
        if not np.isfinite(values).all():
            first = int(np.argmin(np.isfinite(values))) * raw.response.interval
            raise GbarError(f"{raw.name}: the {what} has samples that are no number, from {first:.4g} ms on")
    _check_voltage(raw, v, unit_v)
    _check_current(raw, i, unit_i)
    i, biased = _with_bias(raw, i)
    units = ", ".join(f"{unit} → {ours}" for unit, ours in ((unit_v, "mV"), (unit_i, "nA")) if unit != ours)
    return Sweep(raw.cell, raw.name, raw.response.interval, v - junction_mv, i), [s for s in (units, biased) if s]


def _check_times(raw: Raw) -> None:
    response, stimulus = raw.response, raw.stimulus
    assert stimulus is not None
    if not SAMPLED_MS[0] <= response.interval <= SAMPLED_MS[1]:
        raise GbarError(
            f"{raw.name}: a sample every {response.interval:g} ms: expected {SAMPLED_MS[0]:g} to {SAMPLED_MS[1]:g} ms: "
            "what is its time in?"
        )
    samples, given = len(response.values), len(stimulus.values)
    if samples != given or not np.isclose(response.interval, stimulus.interval, rtol=1e-6):
        raise GbarError(
            f"{raw.name}: the voltage has {samples} samples every {response.interval:g} ms, "
            f"the current {given} every {stimulus.interval:g} ms: expected the same"
        )
    late = stimulus.start - response.start
    if response.interval / 2 < abs(late) < samples * response.interval:  # farther apart, they have no clock in common
        raise GbarError(f"{raw.name}: the current begins {late:+.4g} ms from the voltage: expected the same time")


def _with_bias(raw: Raw, i: np.ndarray) -> tuple[np.ndarray, str]:
    """The stimulus with the amplifier's bias current, unless it is in it already; and what to say of it."""
    if not raw.bias:
        return i, ""
    if abs(raw.bias) > LARGEST_NA:
        raise GbarError(f"{raw.name}: a bias current of {raw.bias:.3g} nA goes through no electrode in a cell")
    said = f"{1e3 * raw.bias:.4g} pA of bias current"
    if abs(float(np.median(i[: max(3, len(i) // 100)])) - raw.bias) <= max(ALREADY[0] * abs(raw.bias), ALREADY[1]):
        return i, f"{said}, which the recorded stimulus holds already,"
    return i + raw.bias, f"{said} added to the stimulus"


def _scaled(
    channel: Channel, units: Mapping[str, float], given: str | None, name: str, what: str
) -> tuple[np.ndarray, str]:
    unit = unit_name(given or channel.unit)
    if unit not in units:
        said = f"is in '{unit}'" if unit else "has no unit"
        raise GbarError(
            f"{name}: the {what} ({channel.name}) {said}: expected one of {', '.join(units)}"
            f"{nearest(unit, units) if unit else ''}; say which with --{what}-unit"
        )
    factor = units[unit]
    values = np.asarray(channel.values, float)
    # dividing keeps what was divided by a thousand when it was written: 0.3 pA is 0.0003 nA to the last bit
    return (values * factor if factor >= 1 else values / round(1 / factor)), unit


def _check_voltage(raw: Raw, v: np.ndarray, unit: str) -> None:
    largest, middle = float(np.abs(v).max()), float(np.median(v))
    if SMALLEST_MV < largest <= LARGEST_MV:
        return
    native = middle / VOLTAGE[unit]
    likely = [other for other in ("V", "mV", "uV") if REST_MV[0] < native * VOLTAGE[other] < REST_MV[1]]
    hint = f": likely {likely[0]}, said to be {unit}: give --voltage-unit {likely[0]}" if likely else ""
    raise GbarError(f"{raw.name}: a voltage of {middle:.3g} mV (up to {largest:.3g}) is no cell's{hint}")


def _check_current(raw: Raw, i: np.ndarray, unit: str) -> None:
    largest = float(np.abs(i - np.median(i)).max())
    if largest == 0 or SMALLEST_NA <= largest <= LARGEST_NA:
        return
    slip = {"A": "nA", "mA": "uA", "uA": "nA", "nA": "pA", "pA": "nA"}
    likely = slip[unit] if (largest > LARGEST_NA) == (CURRENT[slip[unit]] < CURRENT[unit]) else None
    plausible = likely and SMALLEST_NA <= largest / CURRENT[unit] * CURRENT[likely] <= LARGEST_NA
    hint = f": likely {likely}, said to be {unit}: give --current-unit {likely}" if plausible else ""
    if largest < SMALLEST_NA and not hint:  # what rounding leaves of no current at all
        raise GbarError(f"{raw.name}: no step in the current: it changes by {1e3 * largest:.2g} pA")
    raise GbarError(f"{raw.name}: a current of {largest:.3g} nA goes through no electrode in a cell{hint}")


def cell_name(cell: str) -> str:
    """What a cell is called: its folder, its file, or its file and electrode."""
    return Path(cell).name


def count(number: int, noun: str) -> str:
    """ "1 sweep", "2 sweeps"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
