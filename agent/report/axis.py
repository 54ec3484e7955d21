"""Axes: data to positions in percent of a plot, and the ticks to label."""

import math
from dataclasses import dataclass

from gbar.agent.report import words

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Tick:
    at: float  # % of the plot, from the left or from the top
    label: str


@dataclass(frozen=True)
class Axis:
    """One axis of a plot, left to right, or bottom to top when it is upright."""

    low: float
    high: float
    log: bool = False
    upright: bool = False

    def at(self, value: float) -> float:
        """Position in percent of the plot's width (or of its height, from the top). Not clipped.

        The middle where both ends are the same number, or have the same logarithm.
        """
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        share = 100 * (value - low) / (high - low) if high > low else 50.0
        return round(100 - share if self.upright else share, 3)

    def clipped(self, value: float) -> float:
        """The same, or the end of the plot that a value lies beyond."""
        share = self.at(value) if value > 0 or not self.log else 100.0 * self.upright
        return min(100.0, max(0.0, share))

    def ticks(self, about: int = 5, *, whole: bool = False) -> list[Tick]:
        """Round values inside the axis: decades (with 2 and 5 where there is room) on a log axis; two at least."""
        values = self._decades(about) if self.log else []
        values = values if len(values) > 1 else self._steps(about, whole)
        if len(values) < 2 and about < 10:
            return self.ticks(about + 1, whole=whole)
        return [Tick(self.at(value), self._label(value, values[1] - values[0])) for value in values]

    def _steps(self, about: int, whole: bool) -> list[float]:
        raw = (self.high - self.low) / about
        raw = max(1.0, raw) if whole else raw
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * s for s in STEPS if power * s >= raw * (1 - 1e-9) and not (whole and power * s % 1))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]

    def _decades(self, about: int) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for within in ((1, 2, 5), (1, 3), (1,)):
            values = [m * 10.0**e for e in range(first, last + 1) for m in within]
            values = [v for v in values if self.low * (1 - 1e-9) <= v <= self.high * (1 + 1e-9)]
            if len(values) <= about + 1:
                return values
        every = math.ceil(len(values) / about)
        return values[::every]

    def _label(self, value: float, step: float) -> str:
        """As many digits as tell neighbouring ticks apart, and no more."""
        if value == 0 or self.log:
            return words.short(value)
        places = next((p for p in range(12) if abs(round(step, p) - step) < 1e-6 * step), 12)
        return words.number(value, max(1, math.floor(math.log10(abs(value)) + 1e-9) + 1 + places))


def around(values: list[float], room: float = 0.05, *, log: bool = False, upright: bool = False) -> Axis:
    """An axis that holds all values with some room at both ends; a sensible one for equal or no values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if log:
        low, high = (low / 1.5, high * 1.5) if low == high else (low, high)
        grow = (high / low) ** room
        return Axis(low / grow, high * grow, True, upright)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        half = abs(low) * 0.05 or 0.5
        low, high = low - half, high + half
    grow = room * (high - low)
    return Axis(low - grow, high + grow, False, upright)
