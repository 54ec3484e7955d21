"""What the searching engine gets wrong near the target, learned from what the confirming engine said of the same cells.

A fast engine may be off by more than a narrow tolerance in one feature: then nothing it simulates looks like a solution
where there are some. The difference hardly changes from one near cell to the next, so a few confirmations reveal it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gbar.agent.learning.target import Target, distance, z_scores

DOUBT = 0.1  # weight on there being no difference; a confirmed solution weighs about 0.7
LARGEST = 2.0  # SDs; more is a spike gained or lost, not a bias


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
    searched: np.ndarray  # [n, F]
    confirmed: np.ndarray  # [n, F]

    @classmethod
    def unknown(cls, target: Target[np.ndarray]) -> "EngineBias":
        """Before any cell was confirmed."""
        none = np.empty((0, len(target.mean)))
        return cls(target, none, none)

    def compared(self, searched: np.ndarray, confirmed: np.ndarray) -> "EngineBias":
        """With more cells [n, F] that both engines have simulated."""
        both = np.concatenate([self.searched, searched]), np.concatenate([self.confirmed, confirmed])
        return EngineBias(self.target, *both)

    @cached_property
    def shift(self) -> np.ndarray:  # [F]
        """What to add to searched features: see `engine_bias`."""
        return engine_bias(self.searched, self.confirmed, self.target)
