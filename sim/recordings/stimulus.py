"""The square current in a recorded current channel, found in spite of noise and transients at its edges."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import median_filter

from gbar.sim.errors import GbarError
from gbar.sim.recordings.sweep import Sweep

CLEANED_MS = 0.3  # a median over this removes capacitive transients and single bad samples
NOISES = 6.0  # a level is another one from this many SDs of the current's noise on,
SHARE = 0.1  # and from this share of the largest lasting excursion on: less is hum
AHEAD_MS = 5.0  # at the beginning of a sweep, where the current is the holding current
OFF_SQUARE = 0.1  # of the amplitude: what the samples inside a square may be off,
FEW = 0.05  # except for this share of them: ringing after the edges
APART_MS = 5.0  # shorter excursions beside the step are transients; a test pulse lasts longer


class Square(NamedTuple):
    """A square current: `amplitude` on top of `holding`, from sample `first` to before sample `last`."""

    start: float  # ms
    end: float  # ms
    amplitude: float  # nA
    holding: float  # nA
    first: int
    last: int

    @property
    def duration(self) -> float:  # ms
        return self.end - self.start


def squares(sweep: Sweep) -> tuple[Square, Square | None]:
    """The step of a sweep, and the test pulse before it where there is one.

    Raises:
        GbarError: no step, a current that is not square, or several steps in one sweep.
    """
    width = max(1, round(CLEANED_MS / sweep.interval))
    clean = median_filter(sweep.i, size=width + 1 - width % 2, mode="nearest")  # [T]
    ahead = clean[: max(3, round(AHEAD_MS / sweep.interval))]  # sweeps begin at the holding current
    noise = float(ahead.std())
    found = _runs(clean - np.median(ahead), noise, sweep.interval)
    if found:  # now that it is known how long the holding current lasts
        ahead = clean[: max(3, min(first for first, _ in found))]
        found = _runs(clean - np.median(ahead), noise, sweep.interval)
    holding = float(np.median(ahead))
    if not found:
        raise GbarError(f"{sweep.name}: no step in the current: it stays at {1000 * holding:.4g} pA")
    measured = [_square(sweep, clean, run, holding) for run in found]
    main = max(measured, key=lambda square: abs(square.amplitude) * square.duration)
    others = [square for square in measured if square is not main and square.duration >= APART_MS]
    off = np.abs(clean[main.first : main.last] - holding - main.amplitude)
    slanted = (off > max(OFF_SQUARE * abs(main.amplitude), 4 * noise)).mean() > FEW
    if slanted or any(main.first == square.last or main.last == square.first for square in others):
        raise GbarError(
            f"{sweep.name}: the current from {main.start:.4g} to {main.end:.4g} ms is not square: "
            "gbar makes measurements of square currents"
        )
    before = [square for square in others if square.end < main.start]
    if len(others) > len(before) or len(before) > 1:
        times = len(others) + 1
        raise GbarError(f"{sweep.name}: the current leaves its holding level {times} times: expected one step")
    return main, (before[0] if before else None)


def _runs(off: np.ndarray, noise: float, interval: float) -> list[tuple[int, int]]:
    """Stretches [first, last) away from the holding level, each cut where it passes half of its own amplitude."""
    block = max(1, round(APART_MS / interval))
    lasting = np.median(off[: len(off) // block * block].reshape(-1, block), axis=1)  # without transients
    largest = float(np.abs(lasting).max(initial=0))
    if largest <= NOISES * noise or largest < 1e-9:
        largest = float(np.abs(off).max())  # nothing lasts: a brief pulse, then
    least = max(NOISES * noise, SHARE * largest)
    if largest <= least or largest < 1e-9:
        return []
    away = np.concatenate([[0], (np.abs(off) > least).astype(np.int8), [0]])
    runs = []
    for first, last in np.flatnonzero(np.diff(away)).reshape(-1, 2):
        inside = first + np.flatnonzero(off[first:last] / np.median(off[first:last]) > 0.5)
        runs.append((int(inside[0]), int(inside[-1]) + 1))
        rest = [(int(first), int(inside[0])), (int(inside[-1]) + 1, int(last))]  # of a staircase or a ramp
        runs += [(a, b) for a, b in rest if (b - a) * interval >= APART_MS]
    return runs


def _square(sweep: Sweep, clean: np.ndarray, run: tuple[int, int], holding: float) -> Square:
    first, last = run
    amplitude = float(np.median(clean[first:last])) - holding
    return Square(first * sweep.interval, last * sweep.interval, amplitude, holding, first, last)
