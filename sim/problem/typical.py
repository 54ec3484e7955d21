"""SDs of measurements: the least that one is given, and what one has that nobody has repeated. One table of floors."""

from typing import NamedTuple


class Floor(NamedTuple):
    """The smallest SD, in the unit that it is listed under."""

    recorded: float  # what electrodes, bridge balance and eFEL's definitions leave open, however well sweeps agree
    simulated: float  # of the benchmarks' cells, which are known exactly, and of features that nobody has measured


SD_SHARE = 0.05  # SD as a share of the value
SD_FLOORS = {
    "mV": Floor(0.5, 0.25),
    "ms": Floor(0.1, 0.05),
    "nA": Floor(0.005, 0.1),
    "Hz": Floor(0.5, 0.5),
    "MΩ": Floor(0.1, 0.02),
    "nF": Floor(0.005, 0.05),
    "V/s": Floor(2.0, 2.0),
    "Hz/nA": Floor(0.1, 0.1),
    "1/ms": Floor(0.001, 0.01),
}
RATIO = Floor(0.01, 0.01)  # and what has no unit or another


def sd_floor(unit: str) -> Floor:
    """The floors of a feature's unit."""
    return SD_FLOORS.get(unit, RATIO)


def typical_sd(unit: str, value: float) -> float:
    """The SD that a measurement of this value gets where nobody has measured one: a share of it, with a floor."""
    return max(SD_SHARE * abs(value), sd_floor(unit).simulated)
