"""Honest intervals: as wide as past predictions turned out to need, feature by feature, pooled while few are known.

Split-conformal in spirit (Papadopoulos et al. 2002, normalised residuals), kept up to date as batches arrive: the
scores are |error| / predicted SD of predictions made before their simulation.
"""

import numpy as np

Z90 = 1.645  # half-width of a 90 % interval, in SDs of a normal
RECENT = 64  # predictions that say how wrong the surrogate is now
PRIOR = 8.0  # predictions' worth of weight on the first guess
LARGEST = 2.0  # an error counts at most this, so that one surprise does not blind the search
POOLED = 24.0  # a feature's own scores count as much as all others' when it has this many


class Calibration:
    """Errors of predictions so far, in the order in which they were made."""

    def __init__(self, features: int, first: float = 1.0):
        """`first`: what to widen by before any prediction has been tested."""
        self.first = first
        self.errors = np.empty((0, features))  # [n, F] simulated - predicted, NaN where undefined
        self.expected = np.empty((0, features))  # [n, F] the SD that was predicted, before widening

    def add(self, errors: np.ndarray, expected: np.ndarray) -> None:
        """Take in a batch: [B, F] each."""
        self.errors = np.concatenate([self.errors, errors])
        self.expected = np.concatenate([self.expected, expected])

    def noise(self, first: np.ndarray) -> np.ndarray:  # [F] -> [F]
        """SD of recent errors; `first` is the guess before anything has been predicted."""
        recent = self.errors[-RECENT:]
        square = np.nansum(np.minimum(recent**2, LARGEST**2), axis=0) + PRIOR * first**2
        error: np.ndarray = np.sqrt(square / (np.isfinite(recent).sum(axis=0) + PRIOR))
        return error

    def widening(self) -> np.ndarray:  # [F]
        """What to multiply predicted SDs by, so that 90 % intervals hold 90 %."""
        scores = np.abs(self.errors[-RECENT:]) / np.maximum(self.expected[-RECENT:], 1e-9)
        features = scores.shape[1]
        if not np.isfinite(scores).any():
            return np.full(features, self.first)
        # newer scores weigh more: the surrogate is refitted to every batch, and soon better than it was
        age = 0.5 ** ((len(scores) - 1 - np.arange(len(scores))) / (RECENT / 2))
        known = np.isfinite(scores)
        values, ages = scores[known], np.broadcast_to(age[:, None], scores.shape)[known]
        owner = np.broadcast_to(np.arange(features), scores.shape)[known]
        order = np.argsort(values, kind="stable")
        values, ages, owner = values[order], ages[order], owner[order]
        factors = np.empty(features)
        for f in range(features):
            own = owner == f
            lent = POOLED / max(float(ages.sum()), 1e-9)  # all features together weigh as much as POOLED own scores
            share = np.cumsum(ages * (own + lent))
            factors[f] = values[np.searchsorted(share, 0.9 * share[-1])]
        return factors / Z90
