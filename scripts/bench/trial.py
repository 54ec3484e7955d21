"""The evaluator that every method is given: the same cell, score, budget and workers for all."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gbar.agent.learning import UNDEFINED, distance, target_of, worst, z_scores
from gbar.sim import Integrator, Problem, Workers


class Over(Exception):
    """A trial is solved or its budget is spent. Raised through the method, which need not know of either."""


def _unheard(z: np.ndarray) -> None:
    """Nobody listens."""


class Known(NamedTuple):
    """What was simulated before the run, by the same engine."""

    u: np.ndarray  # [N, D] in the unit cube
    z: np.ndarray  # [N, F] NaN where not defined


class Trial:
    """One run of one method: call it with a batch of points and it answers with their z-scores.

    Whatever meets the tolerance is simulated again at the confirming accuracy, and that is an evaluation too.
    """

    def __init__(
        self,
        problem: Problem,
        pool: Workers,
        tolerance: float,
        budget: int,
        note: Callable[[np.ndarray], None] = _unheard,
        known: Known | None = None,
    ):
        self.problem, self.pool, self.budget = problem, pool, budget
        self.target, self.tolerance = target_of(problem.measurements), tolerance
        self.keys = [m.key for m in problem.measurements]
        self.dimension, self.own = len(problem.names), problem.started(pool.found.own)  # with the starts it names
        self.known = known  # None: the run begins from nothing
        self._note = note  # is told the z-scores [F] of each evaluation as it comes
        self.made, self.largest_batch, self.simulate_s = 0, 0, 0.0
        self.solved = False

    def __call__(self, u: np.ndarray) -> np.ndarray:
        """Evaluate points.

        Args:
            u: [B, D] in the unit cube; a batch is one call of the pool, and counts whole.

        Returns:
            [B, F] z-scores, NaN where a feature is not defined.

        Raises:
            Over: a solution is confirmed, or the budget is spent.
        """
        u = np.clip(np.asarray(u, float), 0.0, 1.0)
        asked, u = len(u), u[: self.budget - self.made]
        self.largest_batch = max(self.largest_batch, len(u))
        z = self._simulate(u, Integrator.of(self.problem))
        for met in np.flatnonzero(worst(z) <= self.tolerance):
            if self.made >= self.budget:
                break
            confirmed = self._simulate(u[met : met + 1], Integrator.of(self.problem).tight())
            if worst(confirmed)[0] <= self.tolerance:
                self.solved = True
                raise Over
        if self.made >= self.budget or len(u) < asked:
            raise Over
        return z

    def _simulate(self, u: np.ndarray, accuracy: Integrator) -> np.ndarray:
        start = time.perf_counter()
        z = np.empty((len(u), len(self.keys)))
        for i, done in self.pool.run(list(self.problem.physical(u)), integrator=accuracy):
            z[i] = z_scores(np.array(done.row(self.keys)), self.target)
            self._note(z[i])
        self.simulate_s += time.perf_counter() - start
        self.made += len(u)
        return z


Peer = Callable[[Trial, int], None]  # searches with a trial and a seed until Over is raised


def sum_score(z: np.ndarray) -> np.ndarray:  # [..., F] -> [...]
    """gbar's own distance, squared: mean of asinh(z)^2, an undefined feature counting as asinh(z) = 4."""
    return distance(z) ** 2


def max_score(z: np.ndarray) -> np.ndarray:  # [..., F] -> [...]
    """The largest |asinh(z)|, which ranks as the largest |z| does; the sum decides between equal ones."""
    r = np.where(np.isfinite(z), np.abs(np.arcsinh(z)), UNDEFINED)
    score: np.ndarray = np.max(r, axis=-1) + 1e-3 * sum_score(z)
    return score
