"""How near a run has come to the measurements after so many evaluations, and after how many seconds."""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import psutil

MARKS = (100, 200, 400, 800)  # evaluations after which it is noted, and where the run ends
MOST = 20.0  # SDs that a measurement counts at most in a sum, defined or not
LINE = "reached "  # begins a line of a run's output that holds one


class Reached(NamedTuple):
    """The best of a run so far. The counts are those of the set with the smallest sum."""

    evaluations: int
    seconds: float  # from the start of the run's process
    largest_z: float | None  # None while no set had every measured feature defined
    sum_z: float  # of |z|, each at most MOST
    within_2: int
    within_3: int


class Fit(NamedTuple):
    """How near one parameter set comes."""

    largest_z: float | None  # None where a measurement is not defined
    sum_z: float  # of |z|, each at most MOST; an undefined one counts as that
    within_2: int  # measurements
    within_3: int


def fit_of(z: np.ndarray) -> Fit:
    """Of z-scores [F], NaN where a feature is not defined."""
    size = np.where(np.isfinite(z), np.abs(z), np.inf)
    largest = float(size.max())
    return Fit(
        round(largest, 4) if np.isfinite(largest) else None,
        round(float(np.minimum(size, MOST).sum()), 4),
        int((size <= 2.0).sum()),
        int((size <= 3.0).sum()),
    )


class Progress:
    """The best of a run, told to whoever started it as a line of output at each of MARKS."""

    def __init__(self, tell: Callable[[str], None]):
        self._tell = tell
        self._began = psutil.Process().create_time()
        self._made = self._told = 0
        self._largest: float | None = None
        self._best: Fit | None = None

    def note(self, z: np.ndarray, is_new: bool = True) -> None:
        """The z-scores [F] of one more evaluation, or of the last but with more of its protocols."""
        fit = fit_of(z)
        self._made += is_new
        if fit.largest_z is not None:
            self._largest = min(fit.largest_z, fit.largest_z if self._largest is None else self._largest)
        if self._best is None or fit.sum_z < self._best.sum_z:
            self._best = fit
        if self._made in MARKS and is_new:
            self.tell()

    def tell(self) -> None:
        """Say how it stands, unless that was just said."""
        if self._best and self._made > self._told:
            seconds = round(time.time() - self._began, 2)
            self._told = self._made
            self._tell(LINE + json.dumps(Reached(self._made, seconds, self._largest, *self._best[1:])))


def told(output: str) -> tuple[Reached, ...]:
    """What a run has said; half a line at the end (it was killed) is left out."""
    lines = output[: output.rfind("\n") + 1].splitlines()
    return tuple(Reached(*json.loads(line.removeprefix(LINE))) for line in lines if line.startswith(LINE))


class Stage(NamedTuple):
    """Medians over runs after so many evaluations; a run that had ended counts with what it had."""

    evaluations: int
    seconds: float
    largest_z: float | None  # None where half of the runs had none
    sum_z: float
    within_2: float
    within_3: float


def stages(runs: Iterable[Sequence[Reached]]) -> list[Stage]:
    """At each of MARKS that a run has come to."""
    known = [run for run in runs if run]
    last = max((run[-1].evaluations for run in known), default=0)
    found = []
    for mark in [mark for mark in MARKS if mark <= last]:
        rows = [max((one for one in run if one.evaluations <= mark), default=None) for run in known]
        if any(row is None for row in rows):  # told of nothing yet: killed before its first mark
            continue
        here = [row for row in rows if row]
        largest = float(np.median([np.inf if row.largest_z is None else row.largest_z for row in here]))
        middle = (float(np.median([getattr(row, part) for row in here])) for part in Stage._fields[3:])
        seconds = float(np.median([row.seconds for row in here]))
        found.append(Stage(mark, seconds, largest if np.isfinite(largest) else None, *middle))
    return found
