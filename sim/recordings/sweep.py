"""One recorded sweep, in mV, nA and ms whatever the file held, or the reason why its numbers cannot be believed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gbar.sim.errors import GbarError, nearest

VOLTAGE = {"kV": 1e6, "V": 1e3, "mV": 1.0, "uV": 1e-3}  # to mV
CURRENT = {"A": 1e9, "mA": 1e6, "uA": 1e3, "nA": 1.0, "pA": 1e-3}  # to nA
TIME = {"s": 1e3, "ms": 1.0, "us": 1e-3}  # to ms
SPELT = {"volt": "V", "volts": "V", "millivolt": "mV", "millivolts": "mV", "amp": "A", "ampere": "A", "amperes": "A"}
SPELT |= {"amps": "A", "second": "s", "seconds": "s", "sec": "s", "msec": "ms", "picoamperes": "pA"}

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


def converted(raw: Raw, junction_mv: float, voltage_unit: str | None, current_unit: str | None) -> tuple[Sweep, str]:
    """A sweep in mV and nA.

    Args:
        raw: as read.
        junction_mv: liquid junction potential, subtracted from the voltage.
        voltage_unit, current_unit: what the user says the file is in, where its own word is wrong or missing.

    Returns:
        The sweep, and what was converted ("" where nothing was).

    Raises:
        GbarError: no stimulus, a unit that is no voltage or current, or magnitudes that no cell has; it names the
            unit that would make them plausible.
    """
    if raw.stimulus is None:
        raise GbarError(f"{raw.name}: no current beside the voltage: gbar needs the stimulus of every sweep")
    v, unit_v = _scaled(raw.response, VOLTAGE, voltage_unit, raw.name, "voltage")
    i, unit_i = _scaled(raw.stimulus, CURRENT, current_unit, raw.name, "current")
    if len(v) != len(i) or not np.isclose(raw.response.interval, raw.stimulus.interval, rtol=1e-6):
        raise GbarError(
            f"{raw.name}: the voltage has {len(v)} samples every {raw.response.interval:g} ms, "
            f"the current {len(i)} every {raw.stimulus.interval:g} ms: expected the same"
        )
    if not (np.isfinite(v).all() and np.isfinite(i).all()):
        raise GbarError(f"{raw.name}: has samples that are no number")
    _check_voltage(raw, v, unit_v)
    _check_current(raw, i, unit_i)
    said = [f"{unit} → {ours}" for unit, ours in ((unit_v, "mV"), (unit_i, "nA")) if unit != ours]
    return Sweep(raw.cell, raw.name, raw.response.interval, v - junction_mv, i), ", ".join(said)


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
    hint = f": likely {likely}, said to be {unit}: give --current-unit {likely}" if likely else ""
    raise GbarError(f"{raw.name}: a current of {largest:.3g} nA goes through no electrode in a cell{hint}")


def count(number: int, noun: str) -> str:
    """ "1 sweep", "2 sweeps"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
