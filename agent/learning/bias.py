"""What the searching engine gets wrong near the target, learned from what the confirming engine said of the same cells.

A fast engine may be off by more than a narrow tolerance in one feature: then nothing it simulates looks like a solution
where there are some. The difference hardly changes from one near cell to the next, so a few confirmations reveal it.
A larger one is another behaviour, a spike gained or lost, and says something of the places beside it alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gbar.agent.learning.target import Target, distance, z_scores

DOUBT = 0.1  # weight on there being no difference; a confirmed solution weighs about 0.7
LARGEST = 2.0  # SDs; more is a spike gained or lost, not a bias
LARGEST_HERE = 10.0  # and of what is said of the places beside it
FEWEST = 3  # cells compared before it is believed: until then a cheaper form may be what misleads
TINY = 1e-9  # instead of nothing, where all are far
REACH = 0.1  # of each side of the unit cube, over which that is believed


def engine_bias(searched: np.ndarray, confirmed: np.ndarray, target: Target[np.ndarray]) -> np.ndarray:
    """What to add [F] to searched features to have what the confirming engine would have said, in the features' units.

    Args:
        searched, confirmed: [n, F] the same n cells by both engines, NaN where not defined.
        target: cells near it count, as exp(-distance^2).
    """
    difference = (confirmed - searched) / target.sd
    known = np.isfinite(difference) & (np.abs(difference) <= LARGEST)
    weight = known * np.exp(-(distance(z_scores(confirmed, target)) ** 2))[:, None]
    bias: np.ndarray = (
        target.sd * np.sum(weight * np.where(known, difference, 0.0), axis=0) / (np.sum(weight, axis=0) + DOUBT)
    )
    return bias


@dataclass(frozen=True)
class EngineBias:
    """What is known of the searching engine's error: the cells that the confirming one has simulated too."""

    target: Target[np.ndarray]
    u: np.ndarray  # [n, D]
    searched: np.ndarray  # [n, F]
    confirmed: np.ndarray  # [n, F]

    @classmethod
    def unknown(cls, target: Target[np.ndarray], dimension: int) -> "EngineBias":
        """Before any cell was confirmed."""
        none = np.empty((0, len(target.mean)))
        return cls(target, np.empty((0, dimension)), none, none)

    def compared(self, u: np.ndarray, searched: np.ndarray, confirmed: np.ndarray) -> "EngineBias":
        """With more cells, u [n, D] in the unit cube, features [n, F], that both engines have simulated."""
        parts = ((self.u, u), (self.searched, searched), (self.confirmed, confirmed))
        return EngineBias(self.target, *(np.concatenate(part) for part in parts))

    @cached_property
    def shift(self) -> np.ndarray:  # [F]
        """What to add to searched features anywhere: see `engine_bias`."""
        return engine_bias(self.searched, self.confirmed, self.target)

    def corrected(self, u: np.ndarray, searched: np.ndarray) -> np.ndarray:  # [N, D], [N, F] -> [N, F]
        """Features as the confirming engine would probably have given them at places in the unit cube.

        What was larger counts beside cells in which the searching engine had about the same of that feature. Without
        it, a search goes on confirming what lies beside a cell that the confirming engine has seen otherwise.
        """
        shifted: np.ndarray = searched + self.shift
        difference = (self.confirmed - self.searched) / self.target.sd
        jumps = np.abs(difference) > LARGEST
        if len(self.u) < FEWEST or not jumps.any():
            return shifted
        rest = np.where(jumps, difference - self.shift / self.target.sd, 0.0)
        rest = np.clip(rest, -LARGEST_HERE, LARGEST_HERE)
        square = np.sum(u**2, axis=1)[:, None] + np.sum(self.u**2, axis=1) - 2 * u @ self.u.T
        away = np.maximum(square, 0.0) / (REACH**2 * u.shape[1])  # [N, n]
        here, there = (
            np.arcsinh(z_scores(np.where(np.isinf(features), np.nan, features), self.target))
            for features in (searched, self.searched)
        )
        for f in np.flatnonzero(jumps.any(axis=0)):
            unlike = np.nan_to_num(here[:, None, f] - there[None, :, f]) ** 2
            near = np.isfinite(difference[:, f]) * np.exp(-(away + unlike) / 2)  # [N, n]
            mean = near @ rest[:, f] / np.maximum(near.sum(axis=1), TINY)
            shifted[:, f] += self.target.sd[f] * near.max(axis=1) * mean  # the less, the further the nearest of them
        return shifted
