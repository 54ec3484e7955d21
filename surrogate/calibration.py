"""Honest intervals: as wide as past predictions turned out to need, feature by feature, pooled while few are known.

Split-conformal in spirit (Papadopoulos et al. 2002, normalised residuals), kept up to date as batches arrive: the
scores are |error| / predicted SD of predictions made before their simulation.
"""

import numpy as np

Z90 = 1.645  # half-width of a 90 % interval, in SDs of a normal
RECENT = 64  # predictions that say how wrong the surrogate is now
PRIOR = 8.0  # predictions' worth of weight on the first guess
LARGEST = 2.0  # an error counts at most this, so that one surprise does not blind the search
LARGEST_HERE = 4.0  # where it was made; the places near it pay for it, not all others
REACH = 0.2  # distance in the unit cube over which a place says what errors are made beside it
HALF = 16.0  # later predictions with which one says half as much of its place: what it taught is known by then
FORGOTTEN = 256  # and after which it says nothing, so that long runs think no longer
DOUBT = 0.5  # predictions' worth of weight on what is usual elsewhere
POOLED = 24.0  # a feature's own scores count as much as all others' when it has this many


class Calibration:
    """Errors of predictions so far, in the order in which they were made."""

    def __init__(self, features: int, dimension: int, first: float = 1.0):
        """`first`: what to widen by before any prediction has been tested."""
        self.first = first
        self.places = np.empty((0, dimension))  # [n, D] where
        self.known = np.empty(0, int)  # [n] predictions known with each, its own batch's among them
        self.errors = np.empty((0, features))  # [n, F] simulated - predicted, NaN where undefined
        self.expected = np.empty((0, features))  # [n, F] the SD that was predicted, before widening

    def add(self, places: np.ndarray, errors: np.ndarray, expected: np.ndarray) -> None:
        """Take in a batch: places [B, D] in the unit cube, the others [B, F]."""
        self.places = np.concatenate([self.places, places])
        self.known = np.concatenate([self.known, np.full(len(places), len(self.places))])
        self.errors = np.concatenate([self.errors, errors])
        self.expected = np.concatenate([self.expected, expected])

    def noise(self, first: np.ndarray) -> np.ndarray:  # [F] -> [F]
        """SD of recent errors; `first` is the guess before anything has been predicted."""
        recent = self.errors[-RECENT:]
        square = np.nansum(np.minimum(recent**2, LARGEST**2), axis=0) + PRIOR * first**2
        error: np.ndarray = np.sqrt(square / (np.isfinite(recent).sum(axis=0) + PRIOR))
        return error

    def noise_at(self, places: np.ndarray, first: np.ndarray) -> np.ndarray:  # [Q, D], [F] -> [Q, F]
        """SD of errors made lately near places, that of `noise` where there were none.

        Where a response jumps, say from one spike to a train of them, what is smooth goes through the middle: it may
        promise what no cell does, and errs there again and again.
        """
        errors, made, age = (part[-FORGOTTEN:] for part in (self.errors, self.places, len(self.places) - self.known))
        away = np.sum((places[:, None] - made[None]) ** 2, axis=2)
        near = np.exp(-away / (2 * REACH**2)) * 0.5 ** (age / HALF)  # [Q, n]
        square = np.minimum(np.nan_to_num(np.abs(errors)), LARGEST_HERE) ** 2
        seen = near @ np.isfinite(errors)
        error: np.ndarray = np.sqrt((near @ square + DOUBT * self.noise(first) ** 2) / (seen + DOUBT))
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
