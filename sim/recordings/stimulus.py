"""The square current in a recorded current channel, found in spite of noise and transients at its edges.

Every piece of the current counts: what is neither the step nor a test pulse before it refuses the sweep.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import median_filter

from gbar.sim.errors import GbarError
from gbar.sim.recordings.sweep import SMALLEST_NA, Sweep

CLEANED_MS = 0.3  # a median over this removes capacitive transients and single bad samples
NOISES = 6.0  # a level is another one from this many SDs of the current's noise on,
LEAST_NA = 1e-9  # and from this on: less is rounding
SHARE = 0.03  # and from this share of the largest lasting excursion on: less is hum
AHEAD_MS = 5.0  # at the beginning of a sweep, where the current is the holding current
OFF_SQUARE = 0.1  # of the amplitude: what the samples inside a square may be off,
FEW = 0.05  # except for this share of them: ringing after the edges
APART_MS = 5.0  # a piece that lasts as long is no transient, wherever it is
EDGE_MS = 1.0  # after an edge, a transient of any size
RINGING = 0.5  # and until APART_MS after it one of this share of the amplitude: a current monitor that rings
FURTHER_MS = 0.3  # a further current that lasts as long counts
FURTHER = 0.01  # of the step's charge: and one that carries as much
TAIL = 0.2  # of the step's charge: more than a monitor's slow return to the holding level may seem to carry
STEADY = 1.1  # what the next of its swings may be of the one before
DECAYS = 0.75  # from the first to the last third of it: a return to the holding level, and no level of its own
BRIEF_MS = 10.0  # a pulse is briefer than this
RECOVERY_MS = 10.0  # from a test pulse to the step, or half as long as the pulse
LONGEST_RECOVERY_MS = 100.0  # at the most


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

    @property
    def charge(self) -> float:  # pC, without a sign
        return abs(self.amplitude) * self.duration


class Current(NamedTuple):
    """A current channel, cleaned, away from its holding level."""

    name: str
    interval: float  # ms
    off: np.ndarray  # [T] nA, without capacitive transients
    smooth: np.ndarray  # [T] nA, without anything brief
    holding: float  # nA
    noise: float  # nA, SD of `off` while nothing happens
    hum: float  # nA, SD of `smooth` then

    @property
    def lasting(self) -> float:
        """The largest excursion that lasts, nA."""
        return float(np.abs(self.smooth).max())


def within(sweep: Sweep, start: float, end: float) -> Square:
    """The step between two times (ms) that the user gives. Raises GbarError where they hold none."""
    first, last = (round(at / sweep.interval) for at in (start, end))
    if not 0 < first < last <= len(sweep.i):
        raise GbarError(
            f"{sweep.name}: a step from {start:g} to {end:g} ms: expected one after the start, before the end"
        )
    holding = float(np.median(sweep.i[: min(first, max(1, round(AHEAD_MS / sweep.interval)))]))
    amplitude = float(np.median(sweep.i[first:last])) - holding
    if abs(amplitude) < SMALLEST_NA:
        raise GbarError(f"{sweep.name}: no current between {start:g} and {end:g} ms")
    return Square(first * sweep.interval, last * sweep.interval, amplitude, holding, first, last)


def squares(sweep: Sweep) -> tuple[Square, Square | None]:
    """The step of a sweep, and the test pulse before it where there is one.

    Raises:
        GbarError: no step, a current that is not square, several steps, or anything else in the current.
    """
    current = _cleaned(sweep)
    faults = []
    # a step is as large as what lasts; where only a brief pulse makes sense of the current, that is the largest
    for brief in (False, True):
        pieces = _pieces(current, brief)
        if not pieces:
            continue
        try:
            return _described(current, pieces, brief)
        except GbarError as error:
            faults.append(error)
    if faults:
        raise faults[0]
    raise GbarError(f"{sweep.name}: no step in the current: it stays at {1000 * current.holding:.4g} pA")


def _cleaned(sweep: Sweep) -> Current:
    clean = _median(sweep.i, CLEANED_MS, sweep.interval)
    ahead = max(3, round(AHEAD_MS / sweep.interval))  # sweeps begin at the holding current
    off, noise = clean - np.median(clean[:ahead]), float(clean[:ahead].std())
    away = np.abs(off) > max(NOISES * noise, SHARE * np.abs(_median(off, APART_MS, sweep.interval)).max(), LEAST_NA)
    if away.any():  # now it is known how long the holding current lasts
        ahead = max(3, int(np.argmax(away)))
    holding, noise = float(np.median(clean[:ahead])), float(clean[:ahead].std())
    smooth = _median(clean - holding, APART_MS, sweep.interval)
    known = ahead * sweep.interval >= 4 * APART_MS
    hum = float(smooth[: ahead - round(APART_MS / sweep.interval)].std()) if known else noise
    return Current(sweep.name, sweep.interval, clean - holding, smooth, holding, noise, min(hum, noise))


def _median(values: np.ndarray, over_ms: float, interval: float) -> np.ndarray:
    width = max(1, round(over_ms / interval))
    return np.asarray(median_filter(values, size=width + 1 - width % 2, mode="nearest"))


def _pieces(current: Current, brief: bool) -> list[Square]:
    """What the current does away from its holding level, in the order of time: squares, if it is made of such."""
    largest = float(np.abs(current.off).max()) if brief else current.lasting
    runs = _runs(current.off, current.interval, max(NOISES * current.noise, (0.5 if brief else SHARE) * largest))
    if not brief:  # and what noise hides unless it lasts
        weak = _runs(current.smooth, current.interval, max(NOISES * current.hum, SHARE * largest))
        for first, last in weak:
            parts = [run for run in runs if run[0] < last and first < run[1]]
            covered = sum(min(end, last) - max(start, first) for start, end in parts)
            if (last - first) * current.interval >= APART_MS and (len(parts) != 1 or covered < 0.5 * (last - first)):
                within = [run for run in parts if first - 1 <= run[0] and run[1] <= last + 1]
                runs = [run for run in runs if run not in within]
                runs += [(first, last)] if len(parts) == len(within) else []
    return [_square(current, run) for run in sorted(runs)]


def _runs(off: np.ndarray, interval: float, least: float) -> list[tuple[int, int]]:
    """Stretches [first, last) away from the holding level, each cut where it passes half of its own amplitude."""
    least, runs = max(least, LEAST_NA), []
    for first, last in [*_stretches(off > least), *_stretches(off < -least)]:
        inside = first + np.flatnonzero(off[first:last] / np.median(off[first:last]) > 0.5)
        runs.append((int(inside[0]), int(inside[-1]) + 1))
        rest = [(int(first), int(inside[0])), (int(inside[-1]) + 1, int(last))]  # of a staircase or a ramp
        runs += [(a, b) for a, b in rest if (b - a) * interval >= APART_MS]
    return [run for run in runs if (run[1] - run[0]) * interval >= FURTHER_MS]


def _described(current: Current, pieces: Sequence[Square], brief: bool) -> tuple[Square, Square | None]:
    """Step and test pulse, if they and transients are all that the current has.

    Raises:
        GbarError: they are not.
    """
    name = current.name
    largest = max(pieces, key=lambda piece: piece.charge)
    if brief and largest.duration >= BRIEF_MS:
        raise GbarError(f"{name}: the current is not square: gbar makes measurements of square currents")
    ringing = _ringing(pieces, largest)
    pieces = [p for p in pieces if p is largest or not (p in ringing or _is_transient(p, largest, current.off))]
    main = largest
    if len(pieces) == 2 and pieces[1].duration >= 2 * pieces[0].duration:
        main = pieces[1]  # a weak step after a brief test pulse
    _check_square(current, main, pieces)
    before = [piece for piece in pieces if piece.last < main.first and _is_test(piece, main)]
    if len(pieces) > 1 + len(before) or len(before) > 1:
        others = "; ".join(_said(piece) for piece in pieces if piece is not main)
        raise GbarError(
            f"{name}: the current leaves its holding level {len(pieces)} times ({_said(main)}; {others[:200]}): "
            "expected one step"
        )
    test = before[0] if before else None
    recovery = max(RECOVERY_MS, min(test.duration / 2, LONGEST_RECOVERY_MS)) if test else 0.0
    if test and main.start - test.end < recovery:
        raise GbarError(
            f"{name}: a pulse ({_said(test)}) ends {main.start - test.end:.3g} ms before the step: "
            f"expected {recovery:g} ms or more"
        )
    _check_rest(current, main, test, max((piece.last for piece in ringing), default=0))
    return main, test


def _check_square(current: Current, main: Square, pieces: Sequence[Square]) -> None:
    wrong = np.abs(current.off[main.first : main.last] - main.amplitude)
    slanted = (wrong > max(OFF_SQUARE * abs(main.amplitude), 4 * current.noise)).mean() > FEW
    if slanted or any(main.first == piece.last or main.last == piece.first for piece in pieces):
        raise GbarError(
            f"{current.name}: the current from {main.start:.4g} to {main.end:.4g} ms is not square: "
            "gbar makes measurements of square currents"
        )


def _check_rest(current: Current, main: Square, test: Square | None, rings_until: int) -> None:
    """Whether the squares and transients at their edges leave nothing of the current.

    Raises:
        GbarError: there is more, with where it is.
    """
    interval, amplitude, noise = current.interval, abs(main.amplitude), current.noise
    rest, transient = current.off.copy(), np.zeros(len(current.off))  # [T] nA
    blur, edge, ringing = (round(ms / interval) for ms in (CLEANED_MS, EDGE_MS, APART_MS))
    edges = []
    for square in (main, *([test] if test else [])):
        rest[square.first : square.last] -= square.amplitude
        for at in (square.first, square.last):
            edges.append(at)
            zone = slice(max(0, at - blur), at + ringing)
            transient[zone] = np.maximum(transient[zone], RINGING * abs(square.amplitude))
            transient[max(0, at - blur) : at + max(1, edge)] = np.inf
    rest[main.last : max(main.last, rings_until + edge)] = 0.0
    smooth = _median(rest, APART_MS, interval)
    large = (np.abs(rest) > max(OFF_SQUARE * amplitude, 4 * noise)) & (np.abs(rest) > transient)
    weak = np.abs(rest) > max(SHARE * float(np.abs(smooth).max()), NOISES * noise, LEAST_NA)
    lasting = np.abs(smooth) > max(SHARE * amplitude, NOISES * current.hum)
    for which, least_ms in ((large, FURTHER_MS), (weak, FURTHER_MS), (lasting, APART_MS)):
        for first, last in _stretches(which):
            at_edge = which is not large and min(abs(first - at) for at in edges) <= edge
            inside = main.first <= first < main.last and which is not large  # a droop: `_check_square` judges it
            charge = float(np.abs(rest[first:last]).sum()) * interval
            share = TAIL if at_edge else 0.0 if which is lasting else FURTHER
            if charge > share * main.charge and (last - first) * interval >= least_ms and not inside:
                level, start, end = float(np.median(rest[first:last])), first * interval, last * interval
                raise GbarError(
                    f"{current.name}: the current has more than its step ({_said(main)}): {1e3 * level:+.4g} pA from "
                    f"{start:.4g} to {end:.4g} ms: expected one step"
                )


def _said(square: Square) -> str:
    return f"{1e3 * square.amplitude:.4g} pA from {square.start:.4g} to {square.end:.4g} ms"


def _is_test(piece: Square, step: Square) -> bool:
    """Whether a piece before the step is as brief, or as weak beside it, as pulses are that test a resistance."""
    return piece.duration <= step.duration / 2 or abs(piece.amplitude) <= abs(step.amplitude) / 2


def _ringing(pieces: Sequence[Square], step: Square) -> list[Square]:
    """The swings of a current monitor that rings after a step: one follows the other, smaller and smaller."""
    found: list[Square] = []
    before = step
    for piece in sorted(piece for piece in pieces if piece.first >= step.last):
        largest = RINGING * abs(step.amplitude) if before is step else STEADY * abs(before.amplitude)
        follows = piece.start - before.end <= EDGE_MS + before.duration * bool(found)
        if not follows or piece.duration >= APART_MS * 2 or abs(piece.amplitude) > largest:
            break
        found.append(piece)
        before = piece
    net = abs(sum(piece.amplitude * piece.duration for piece in found))
    return found if len(found) > 1 and net <= TAIL * step.charge else []


def _is_transient(piece: Square, step: Square, off: np.ndarray) -> bool:
    """Whether a piece at the edge of a larger one is what a current monitor makes of that edge.

    Off: [T] nA.
    """
    edges = (abs(piece.start - step.end), abs(step.start - piece.end), abs(piece.start - step.start))
    if piece.duration < APART_MS and piece.charge <= FURTHER * step.charge:
        size = abs(piece.amplitude / step.amplitude)
        return size <= OFF_SQUARE or min(edges) < (APART_MS if size <= RINGING else EDGE_MS)
    third = max(1, (piece.last - piece.first) // 3)
    first, last = off[piece.first : piece.first + third], off[piece.last - third : piece.last]
    decays = abs(np.median(last)) < DECAYS * abs(np.median(first))
    small = abs(piece.amplitude) <= OFF_SQUARE * abs(step.amplitude) and piece.charge <= TAIL * step.charge
    return edges[0] < EDGE_MS and bool(decays) and small


def _stretches(which: np.ndarray) -> np.ndarray:  # [T] bool -> [N, 2]
    """Where something holds, as first sample and the one after the last."""
    return np.flatnonzero(np.diff(np.concatenate([[0], which.astype(np.int8), [0]]))).reshape(-1, 2)


def _square(current: Current, run: tuple[int, int]) -> Square:
    first, last = run
    amplitude = float(np.median(current.off[first:last]))
    return Square(first * current.interval, last * current.interval, amplitude, current.holding, first, last)
