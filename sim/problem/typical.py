"""The SD of a measurement that nobody has repeated."""

SD_SHARE = 0.05  # SD as a share of the value
SD_FLOORS = {"mV": 0.25, "ms": 0.05, "nA": 0.1, "Hz": 0.5, "MΩ": 0.02, "nF": 0.05, "V/s": 2.0, "Hz/nA": 0.1}
SD_FLOOR_OF_A_RATIO = 0.01


def typical_sd(unit: str, value: float) -> float:
    """The SD that a measurement of this value gets where nobody has measured one: a share of it, with a floor."""
    return max(SD_SHARE * abs(value), SD_FLOORS.get(unit, SD_FLOOR_OF_A_RATIO))
