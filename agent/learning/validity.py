"""Where features are defined, as the nearest cells say: a cell beside one that is silent may be silent too.

Least squares of +1 and −1 by the Gaussian process of `kriging.py` (Rasmussen & Williams 2006, section 6.5).
"""

from typing import NamedTuple

import numpy as np

from gbar.agent.learning.kriging import Kriging, krige, prior

EACH = 3  # cells in which a feature is defined, and in which it is not, to say anything of it
UNSURE = 0.02  # of a chance, at least


class Validity(NamedTuple):
    """What a few cells say of every other place."""

    outcome: Kriging  # of C outcomes, about their level
    level: np.ndarray  # [C]
    column: np.ndarray  # [F] which of them is a feature's; -1 where cells hardly differ

    def chance(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F]
        """Probability of being defined, NaN for a feature that nearly always is, or never."""
        chance = np.clip((1.0 + self.outcome.expect(u) + self.level) / 2.0, UNSURE, 1.0 - UNSURE)
        found: np.ndarray = np.column_stack([chance, np.full(len(u), np.nan)])[:, self.column]
        return found


def learn_validity(rows: np.ndarray, features: np.ndarray, before: Validity | None = None) -> Validity:
    """Learn from a few cells.

    Args:
        rows: [N, D] in the unit cube.
        features: [N, F], NaN where not defined, infinite where not simulated.
        before: what fewer cells said, whose kernels the climb goes on from.
    """
    defined = np.isfinite(features)
    outcome = np.where(np.isinf(features), np.nan, np.where(defined, 1.0, -1.0))
    mixed = np.flatnonzero(np.minimum(defined.sum(axis=0), np.isnan(features).sum(axis=0)) >= EACH)
    alike, of = np.unique(np.nan_to_num(outcome[:, mixed]), axis=1, return_inverse=True)
    column = np.full(features.shape[1], -1)
    column[mixed] = of.ravel()
    first = np.array([np.flatnonzero(column == c)[0] for c in range(alike.shape[1])], int)
    level = np.nanmean(outcome[:, first], axis=0) if len(first) else np.empty(0)
    return Validity(krige(rows, outcome[:, first] - level, _kernels(before, first, rows.shape[1])), level, column)


def _kernels(before: Validity | None, first: np.ndarray, dimension: int) -> Kriging | None:  # [C] features
    if before is None:
        return None
    then = before.column[first]
    known = then >= 0
    kernels = np.tile(prior(dimension)[0], (len(first), 1))
    kernels[known] = before.outcome.kernels[then[known]]
    return Kriging([], known, kernels)
