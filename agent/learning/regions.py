"""Where a search looks next once it has been stuck for long: away from the basins that it was stuck in.

Every other batch then goes to a second trust region, which starts wide and has its own best. It is left for yet another
one when it gets stuck too; when it beats the first, the search goes on there alone.
"""

from dataclasses import dataclass, field

import numpy as np

AWAY = 0.2  # times the root of the number of parameters: how far from a basin that was left, in the unit cube
FEW = 4  # cells that a region needs to start from


@dataclass
class Regions:
    """The basins that a search is stuck in, and how it stands in the region that it tries instead."""

    dimension: int
    patience: float  # evaluations a parameter that are no better before a search counts as stuck
    stuck: np.ndarray = field(init=False)  # [L, D] the best cells of the basins left
    idle: int = 0  # evaluations since the nearest cell of all was bettered
    idle_there: int = 0  # the same in the region that is tried
    best_there: float = np.inf
    turn: int = 0  # batches since the search got stuck: every other one is tried elsewhere

    def __post_init__(self) -> None:
        self.stuck = np.empty((0, self.dimension))

    @property
    def elsewhere(self) -> bool:
        """Whether the next batch is planned away from all basins left."""
        return len(self.stuck) > 0 and self.turn % 2 == 0

    def allowed(self, u: np.ndarray) -> np.ndarray:  # [N, D] -> [N] bool
        """Which places the next batch may start from and end in."""
        if not self.elsewhere:
            return np.ones(len(u), bool)
        apart = np.linalg.norm(u[:, None] - self.stuck[None], axis=-1).min(axis=1)
        away: np.ndarray = apart > AWAY * np.sqrt(self.dimension)
        return away

    def learn(self, u: np.ndarray, far: np.ndarray, made: int) -> None:
        """Take in what came of a batch.

        Args:
            u: [N, D] all cells, the batch last.
            far: [N] their distances from the measurements.
            made: cells in the batch.
        """
        new, before = float(far[-made:].min()), float(far[:-made].min())
        if new < before:
            if self.elsewhere:
                self.stuck = self.stuck[:0]  # what was found is better: one region again
            self.idle = 0
        else:
            self.idle += made
        limit = self.patience * self.dimension
        if not len(self.stuck):
            if self.idle >= limit:
                self._leave(u[int(far.argmin())])
            return
        if self.elsewhere:
            self.idle_there = 0 if new < self.best_there else self.idle_there + made
            self.best_there = min(self.best_there, new)
            if self.idle_there >= limit:
                there = np.where(self.allowed(u), far, np.inf)
                self._leave(u[int(there.argmin())])
                return
        self.turn += 1

    def _leave(self, basin: np.ndarray) -> None:
        self.stuck = np.vstack([self.stuck, basin])
        self.idle_there, self.best_there, self.turn = 0, np.inf, 0
