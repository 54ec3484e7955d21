"""What a run has spent: evaluations, those of its earlier sessions included, and wall clock."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gbar.agent.tuning.definition import Definition
from gbar.agent.tuning.findings import Findings
from gbar.sim import Evaluation

if TYPE_CHECKING:
    from gbar.agent.tuning.live import LiveFiles

PARTS = {  # of the wall clock, and what is done in them
    "start": "starting NEURON",
    "simulate": "simulating",
    "fit": "learning",
    "plan": "planning",
    "diagnose": "looking at what is in the way",
    "total": "",
}
WRITING = "summing up and writing"


@dataclass(frozen=True)
class Kept:
    """What an earlier session of this run has simulated."""

    x: np.ndarray  # [D]
    done: Evaluation  # without traces
    batch: int
    proposer: str
    number: int  # which of the run's evaluations


class Status(NamedTuple):
    """How far a run has come, for whoever waits."""

    phase: str  # what is being done
    evaluations: int  # confirmations and earlier sessions included
    budget: int
    batches: int
    solutions: int  # confirmed
    best: float  # smallest largest |z|; infinite while every evaluation has an undefined feature
    tolerance: float = 2.0
    nearest: tuple[tuple[str, float], ...] = ()  # z of each measurement in the nearest evaluation; NaN: not defined
    failures: tuple[tuple[str, int], ...] = ()  # reason, how often


Observer = Callable[[Status], None]


def unseen(status: Status) -> None:
    """Nobody waits."""


class Ledger:
    """The account of a run. It changes with every evaluation, so that it is right whenever Ctrl-C comes."""

    def __init__(self, budget: int, observe: Observer = unseen, live: "LiveFiles | None" = None):
        self.budget, self._observe, self._live = budget, observe, live
        self.evaluations = 0
        self.confirmations = 0
        self.failures: Counter[str] = Counter()
        self.kept: dict[tuple[bytes, bool], Kept] = {}  # by (x, confirmed?), of earlier sessions; not come to again yet
        self.batches = 0  # made by earlier sessions and not gone through again
        self.confirmed_before: set[bytes] = set()  # x that have been paid for
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.spent: Counter[str] = Counter()  # protocol -> processor seconds of this session, by the searching engine
        self.ran: Counter[str] = Counter()  # protocol -> how often that was
        self.doing = "starting"
        self._start = time.perf_counter()

    def again(self, definition: Definition) -> "Ledger":
        """An account of the same run, begun anew on another form of the model: the time spent so far stays."""
        other = Ledger(self.budget, self._observe, self._live)
        other.seconds, other._start = self.seconds, self._start
        if self._live is not None:
            self._live.live.engine = definition.engine
        return other

    @property
    def is_watched(self) -> bool:
        """Whether the run tells how it stands through files."""
        return self._live is not None

    @property
    def left(self) -> int:
        """Evaluations still in the budget."""
        return self.budget - self.evaluations

    def batch(self, findings: Findings) -> int:
        """The number of the batch that is made next, from 0 in the run's first session on."""
        return self.batches + len(findings.history)

    def count(self, done: Evaluation, findings: Findings) -> None:
        """One more of the run's evaluations, made now or by an earlier session."""
        self.evaluations += 1
        if done.status == "failed":
            self.failures[done.reason] += 1
        self.tell(findings)

    def charge(self, spent: Mapping[str, float]) -> None:
        """What the protocols of an evaluation have taken by the searching engine, where one cell is simulated alone."""
        self.spent.update(spent)
        self.ran.update(spent.keys())

    def arms_s(self) -> dict[str, float]:
        """Seconds of one worker that this session's search has taken; and would have, with all protocols each time."""
        if not self.spent:
            return {}
        if len(set(self.ran.values())) == 1:
            return {"whole": round(sum(self.spent.values()), 3)}
        most = max(self.ran.values())  # every evaluation has run the first protocol of its order, whichever that was
        whole = sum(most * self.spent[name] / self.ran[name] for name in self.spent)
        return {"whole": round(whole, 3), "greedy": round(sum(self.spent.values()), 3)}

    def tell(self, findings: Findings) -> None:
        """Say how the run stands."""
        solutions, made = len(findings.solutions), len(findings.history)
        how_far = (self.doing, self.evaluations, self.budget, made, solutions, findings.best)
        tolerance, failures = findings.definition.config.tolerance, tuple(self.failures.most_common())
        self._observe(Status(*how_far, tolerance, findings.nearest_z, failures))
        if self._live is not None:
            self._live.show(self, findings)

    def tell_of(self, doing: str, findings: Findings) -> None:
        """Say that something else is done from now on."""
        self.doing = doing
        self.tell(findings)

    def saw(self, x: np.ndarray, done: Evaluation, proposer: str) -> None:
        """An evaluation by the searching engine, x [D], before its batch is whole."""
        if self._live is not None:
            self._live.saw(x, done, self.evaluations + 1, proposer)

    def pause(self) -> None:
        """While nothing is simulated, as long as whoever watches asks for it."""
        if self._live is not None:
            before = self._live.paused_s
            self._live.between(self)
            self._start += self._live.paused_s - before

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time spent inside to a part of the wall clock."""
        start, self.doing = time.perf_counter(), PARTS[part]
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - start

    @contextmanager
    def phase(self, part: str, findings: Findings) -> Iterator[None]:
        """A part of the wall clock that whoever waits is told of when it begins."""
        self.pause()
        with self.timed(part):
            self.tell(findings)
            yield

    def stop(self) -> None:
        """The whole is known."""
        self.seconds["total"] = time.perf_counter() - self._start
