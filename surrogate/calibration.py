"""Honest intervals: as wide as past predictions turned out to need, feature by feature, pooled while few are known.

How wrong a prediction may be is guessed in two ways: as errors beside it were, and as a local model expects, by what
errors were to what it had expected of them. The first knows of jumps, the second that much is known near many cells.
Each counts by the likelihood of the errors that came.

They are split-conformal in spirit (Papadopoulos et al. 2002, normalised residuals), kept up to date as batches arrive:
the scores are |error| / predicted SD of predictions made before their simulation.
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
SURPRISE = 6.0  # times what a local model expected, which an error counts at most against it
SURE = 0.6  # of what it expects, at least
LENT = 4.0  # predictions' worth of weight on what is usual elsewhere, and twice as much on what is of other features
CERTAIN = 30.0  # log units beyond which one of two guesses counts for nothing
POOLED = 24.0  # a feature's own scores count as much as all others' when it has this many


class Calibration:
    """Errors of predictions so far, in the order in which they were made."""

    def __init__(self, features: int, dimension: int, first: float = 1.0):
        """`first`: what to widen by before any prediction has been tested."""
        self.first = first
        self.places = np.empty((0, dimension))  # [n, D] where
        self.known = np.empty(0, int)  # [n] predictions known with each, its own batch's among them
        self.errors = np.empty((0, features))  # [n, F] simulated - predicted, NaN where undefined
        self.doubt = np.empty((0, features))  # [n, F] the SD that a local model expected, NaN where it knew nothing
        self.better = np.empty((0, features))  # [n, F] log likelihood of the error by that model, over that by errors
        self.expected = np.empty((0, features))  # [n, F] the SD that was predicted, before widening

    def add(
        self, places: np.ndarray, errors: np.ndarray, expected: np.ndarray, doubt: np.ndarray, first: np.ndarray
    ) -> None:
        """Take in a batch: places [B, D] in the unit cube, the next three [B, F]; `first` [F] as in `noise`."""
        guesses = self._as_expected(places, doubt), self.noise_at(places, first)
        by_model, by_errors = (_log_likelihood(errors, sd) for sd in guesses)
        self.better = np.concatenate([self.better, np.nan_to_num(by_model - by_errors)])
        self.doubt = np.concatenate([self.doubt, doubt])
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
        near, errors = self._near(places) * self._lately(), self.errors[-FORGOTTEN:]
        square = np.minimum(np.nan_to_num(np.abs(errors)), LARGEST_HERE) ** 2
        seen = near @ np.isfinite(errors)
        error: np.ndarray = np.sqrt((near @ square + DOUBT * self.noise(first) ** 2) / (seen + DOUBT))
        return error

    def spread_at(self, places: np.ndarray, first: np.ndarray, doubt: np.ndarray) -> np.ndarray:  # [Q, F]
        """SD of errors at places by both guesses, their geometric mean by how likely each made what came lately.

        Args:
            places: [Q, D] in the unit cube.
            first: [F] as in `noise`.
            doubt: [Q, F] the SD that a local model expects, NaN where it knows nothing.
        """
        by_model, by_errors = self._as_expected(places, doubt), self.noise_at(places, first)
        share = 1.0 / (1.0 + np.exp(-np.clip(self._lately() @ self.better[-FORGOTTEN:], -CERTAIN, CERTAIN)))
        spread: np.ndarray = np.where(np.isnan(by_model), by_errors, by_model**share * by_errors ** (1 - share))
        return spread

    def _as_expected(self, places: np.ndarray, doubt: np.ndarray) -> np.ndarray:  # [Q, D], [Q, F] -> [Q, F]
        """The SD that a local model expects, by what errors near places were to what it had expected of them."""
        scores = np.abs(self.errors[-FORGOTTEN:]) / self.doubt[-FORGOTTEN:]
        known = np.isfinite(scores)
        square = np.where(known, np.minimum(scores, SURPRISE), 0.0) ** 2
        usual = (square.sum() + 4 * LENT) / (known.sum() + 4 * LENT)
        own = (square.sum(axis=0) + 2 * LENT * usual) / (known.sum(axis=0) + 2 * LENT)  # [F]
        near = self._near(places)
        scale = np.sqrt((near @ square + LENT * own) / (near @ known + LENT))
        expected: np.ndarray = np.maximum(scale, SURE) * doubt
        return expected

    def _near(self, places: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, n]
        away = np.sum((places[:, None] - self.places[None, -FORGOTTEN:]) ** 2, axis=2)
        near: np.ndarray = np.exp(-away / (2 * REACH**2))
        return near

    def _lately(self) -> np.ndarray:  # [n]
        age = (len(self.places) - self.known)[-FORGOTTEN:]
        lately: np.ndarray = 0.5 ** (age / HALF)
        return lately

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


def _log_likelihood(errors: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Of errors that are normal; larger ones than LARGEST_HERE as if they were that large."""
    found: np.ndarray = -0.5 * (np.clip(errors, -LARGEST_HERE, LARGEST_HERE) / sd) ** 2 - np.log(sd)
    return found
