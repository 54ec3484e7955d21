"""A Gaussian process beside the ensemble: simulated cells are few, and of each feature only a few parameters matter.

Of each feature, on the network's scale: a level, slopes and a rest that bends, with the Matérn 5/2 kernel (Rasmussen &
Williams 2006, eq. 4.17) and a reach of its own along every parameter (automatic relevance determination, section 5.1).
These are where the posterior of the kernel's parameters is highest, climbed by the signs of its gradient (Blum &
Riedmiller 2013) from where they were before the last cells came.
"""

from typing import NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

ROWS = 128  # nearest cells that it learns from
FEWEST = 4  # cells in which a feature is defined, to say anything of it
LEVEL = 4.0  # variance of a feature's level, of its mean square
SURELY = 1e-6  # variance that no kernel explains, at least

REACH, SLOPES, REST, NOISE = -4, -3, -2, -1  # places in a kernel's parameters, behind one for each of the model's
CENTRES = np.log([2.0, 4.0, 1.0, 1e-3])  # of their priors: a reach in the unit cube, and variances
SPREADS = np.array([1.0, 1.5, 1.5, 3.0])  # SDs of their logarithms
RELEVANCE = 1.0  # SD of the logarithm of one reach over that of all
AT_ONCE = 2**15  # numbers in the covariances that are climbed by together: they fit the processor's cache
STEPS, FIRST_STEPS = 8, 40  # of a climb that goes on, and of a feature's first
PACE, SLOWEST, FASTEST = 0.2, 1e-3, 0.7  # of a climb, in logarithms: at first, and its limits

LARGEST = 2.0  # an error counts at most this
HALF = 12.0  # evaluations after which one counts half
LENT = 4.0  # evaluations' worth of all features' error that a feature's own begins with
AT_FIRST = 0.25  # mean square error of both before any
SURE = 0.98  # share that neither is given more than


THREADS = ThreadpoolController()
ALONE = {"limits": 1, "user_api": "blas"}  # matrices so small are slower on several threads


class Pattern(NamedTuple):
    """Features that are defined in the same cells, G of them."""

    features: np.ndarray  # [G] their indices
    rows: np.ndarray  # [N, D] those cells
    weights: np.ndarray  # [G, N] by which likeness to each cell counts
    root: np.ndarray  # [G, N, N] inverse of the Cholesky factor of the rows' covariance
    size: np.ndarray  # [G] RMS of what was observed


class Kriging(NamedTuple):
    """What a few cells say of every other place."""

    patterns: list[Pattern]
    known: np.ndarray  # [F] bool: whether a feature was defined often enough
    kernels: np.ndarray  # [F, D + 4] logarithms of their parameters

    def expect(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F]
        """What was observed, at other places; NaN for what hardly ever was."""
        found = np.full((len(u), len(self.known)), np.nan)
        with THREADS.limit(**ALONE):
            for features, rows, weights, _, size in self.patterns:
                for g, feature in enumerate(features):  # one at a time: they fit the processor's cache
                    likeness = Likeness(u, rows, self.kernels[[feature]]).all()[0]
                    found[:, feature] = likeness @ weights[g] * size[g]
        return found

    def slopes(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F, D]
        """Of what is expected; NaN for what hardly ever was observed."""
        found = np.full((len(u), len(self.known), u.shape[1]), np.nan)
        with THREADS.limit(**ALONE):
            for features, rows, weights, _, size in self.patterns:
                for g, feature in enumerate(features):
                    likeness = Likeness(u, rows, self.kernels[[feature]])
                    away, towards = -likeness.steep()[0] * weights[g], likeness.b[0]  # [Q, N], [N, D]
                    bend = away.sum(axis=1)[:, None] * likeness.a[0] - away @ towards
                    found[:, feature] = (
                        (bend + likeness.slopes[0] * (weights[g] @ towards)) / likeness.reach[0] * size[g]
                    )
        return found

    def doubt(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F]
        """SD of what would be observed there, NaN for what hardly ever was (Rasmussen & Williams 2006, eq. 2.26)."""
        found = np.full((len(u), len(self.known)), np.nan)
        with THREADS.limit(**ALONE):
            for features, rows, _, root, size in self.patterns:
                likeness = Likeness(u, rows, self.kernels[features])
                explained = np.sum((likeness.all() @ root.transpose(0, 2, 1)) ** 2, axis=2)  # [G, Q]
                left = np.maximum(likeness.own() - explained, SURELY) + likeness.noise[:, 0]
                found[:, features] = np.sqrt(left).T * size
        return found


class Likeness:
    """Covariances between places a [A, D] and b [B, D] under G kernels, their parameters [G, D + 4] as logarithms."""

    def __init__(self, a: np.ndarray, b: np.ndarray, kernels: np.ndarray):
        self.reach = np.exp(kernels[:, [REACH]] + kernels[:, :REACH])[:, None]  # [G, 1, D]
        self.a, self.b = (a - 0.5) / self.reach, (b - 0.5) / self.reach  # [G, A, D], [G, B, D]
        self.slopes, self.rest, self.noise = (np.exp(kernels[:, i, None, None]) for i in (SLOPES, REST, NOISE))
        self.plane = self.a @ self.b.transpose(0, 2, 1)
        square = np.sum(self.a**2, axis=2)[:, :, None] + np.sum(self.b**2, axis=2)[:, None] - 2 * self.plane
        self.away = np.sqrt(5.0 * np.maximum(square, 0.0))
        self.decay = np.exp(-self.away)

    def bend(self) -> np.ndarray:  # [G, A, B]
        """The part that bends, for a variance of 1."""
        bend: np.ndarray = (1.0 + self.away + self.away**2 / 3.0) * self.decay
        return bend

    def steep(self) -> np.ndarray:  # [G, A, B]
        """How much less the rest is per unit by which half of the squared distance, over the reach, is more."""
        steep: np.ndarray = self.rest * (5.0 / 3.0) * (1.0 + self.away) * self.decay
        return steep

    def all(self) -> np.ndarray:  # [G, A, B]
        """Level, slopes and rest together."""
        every: np.ndarray = LEVEL + self.slopes * self.plane + self.rest * self.bend()
        return every

    def own(self) -> np.ndarray:  # [G, A]
        """The same, of each place a with itself."""
        own: np.ndarray = LEVEL + self.slopes[:, :, 0] * np.sum(self.a**2, axis=2) + self.rest[:, :, 0]
        return own


def krige(rows: np.ndarray, observed: np.ndarray, before: Kriging | None = None) -> Kriging:
    """Learn from a few cells.

    Args:
        rows: [N, D] in the unit cube.
        observed: [N, F] what came out, about what is expected where nothing is known; NaN where not defined.
        before: what fewer cells said, whose kernels the climb goes on from.
    """
    dimension, features = rows.shape[1], observed.shape[1]
    kernels = np.tile(prior(dimension)[0], (features, 1)) if before is None else before.kernels.copy()
    met = np.zeros(features, bool) if before is None else before.known
    known, patterns = np.zeros(features, bool), []
    defined, of = np.unique(np.isfinite(observed), axis=1, return_inverse=True)
    for i in range(defined.shape[1]):
        there, alike = np.flatnonzero(defined[:, i]), np.flatnonzero(of.ravel() == i)
        if len(there) < FEWEST:
            continue
        known[alike] = True
        for own in np.array_split(alike, -(-len(alike) * len(there) ** 2 // AT_ONCE)):
            values = observed[np.ix_(there, own)].T
            size = np.sqrt(np.mean(values**2, axis=1))
            size[size == 0] = 1.0
            steps = STEPS if met[own].all() else FIRST_STEPS
            with THREADS.limit(**ALONE):
                kernels[own], weights, root = _climbed(kernels[own], rows[there], values / size[:, None], steps)
            patterns.append(Pattern(own, rows[there], weights, root, size))
    return Kriging(patterns, known, kernels)


def prior(dimension: int) -> tuple[np.ndarray, np.ndarray]:  # [D + 4] each
    """Mean and SD of the logarithms of a kernel's parameters."""
    return np.append(np.zeros(dimension), CENTRES), np.append(np.full(dimension, RELEVANCE), SPREADS)


class Posterior(NamedTuple):
    """Of G features under their kernels."""

    surprise: np.ndarray  # [G] its negative logarithm (Rasmussen & Williams 2006, eq. 5.8)
    slope: np.ndarray  # [G, D + 4] of that along the kernels' parameters (eq. 5.9)
    weights: np.ndarray  # [G, N], as of `Pattern`
    root: np.ndarray  # [G, N, N] likewise


def _climbed(
    kernels: np.ndarray, rows: np.ndarray, values: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # [G, D + 4], [N, D], [G, N] -> [G, D + 4], [G, N], [G, N, N]
    """The likeliest kernels that were seen on the way, with the weights and the root of `Pattern`."""
    pace, last = np.full_like(kernels, PACE), np.zeros_like(kernels)
    now = _posterior(kernels, rows, values)
    best, least, weights, root = kernels, now.surprise, now.weights, now.root
    for _ in range(steps):
        turned = last * now.slope
        pace = np.clip(np.where(turned > 0, 1.2 * pace, np.where(turned < 0, 0.5 * pace, pace)), SLOWEST, FASTEST)
        last = np.where(turned < 0, 0.0, now.slope)
        kernels = kernels - np.sign(last) * pace
        now = _posterior(kernels, rows, values)
        better = now.surprise < least
        best, least = np.where(better[:, None], kernels, best), np.minimum(now.surprise, least)
        weights = np.where(better[:, None], now.weights, weights)
        root = np.where(better[:, None, None], now.root, root)
    return best, weights, root


def _posterior(kernels: np.ndarray, rows: np.ndarray, values: np.ndarray) -> Posterior:
    """Of features [G, N] in cells [N, D], under kernels [G, D + 4]."""
    likeness = Likeness(rows, rows, kernels)
    bend = likeness.bend()
    covariance = LEVEL + likeness.slopes * likeness.plane + likeness.rest * bend
    least = SURELY + 1e-9 * likeness.own().max(axis=1)[:, None, None]  # whatever the kernel, there is a factor
    factor = np.linalg.cholesky(covariance + (likeness.noise + least) * np.eye(len(rows)))
    root = np.linalg.inv(factor)
    white = (root @ values[:, :, None])[:, :, 0]
    weights = (white[:, None] @ root)[:, 0]
    mean, sd = prior(rows.shape[1])
    off = (kernels - mean) / sd
    volume = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    surprise = 0.5 * np.sum(white**2, axis=1) + volume + 0.5 * np.sum(off**2, axis=1)

    by = 0.5 * (root.transpose(0, 2, 1) @ root - weights[:, :, None] * weights[:, None])  # d/d covariance
    steep = by * likeness.steep()
    a = likeness.a
    slope = np.empty_like(kernels)
    curved = (steep.sum(axis=2)[:, None] @ a**2)[:, 0] - np.sum(a * (steep @ a), axis=1)
    slope[:, :REACH] = 2 * curved - 2 * likeness.slopes[:, 0] * np.sum(a * (by @ a), axis=1)
    slope[:, REACH] = slope[:, :REACH].sum(axis=1)
    slope[:, SLOPES] = np.sum(by * likeness.slopes * likeness.plane, axis=(1, 2))
    slope[:, REST] = np.sum(by * likeness.rest * bend, axis=(1, 2))
    slope[:, NOISE] = np.einsum("gnn->g", by) * likeness.noise[:, 0, 0]
    return Posterior(surprise, slope + off / sd, weights, root)


class Rivals:
    """Who has been right lately, the ensemble or the Gaussian process: by predictions made before their simulation."""

    def __init__(self, features: int):
        self._squares = np.empty((0, 2, features))  # [n, 2, F] of errors in asinh(z), 0 where not defined
        self._defined = np.empty((0, features), bool)

    def add(self, ensemble: np.ndarray, local: np.ndarray) -> None:
        """Take in the errors of a batch, [B, F] each, NaN where there is none."""
        defined = np.isfinite(ensemble) & np.isfinite(local)
        squares = np.minimum(np.stack([ensemble, local], axis=1) ** 2, LARGEST**2)
        self._squares = np.concatenate([self._squares, np.where(defined[:, None], squares, 0.0)])
        self._defined = np.concatenate([self._defined, defined])

    def share(self) -> np.ndarray:  # [F]
        """Of the Gaussian process in what is expected: by their mean square errors (Bates & Granger 1969, eq. 4)."""
        weight = 0.5 ** (np.arange(len(self._squares))[::-1] / HALF)
        total, seen = np.einsum("n,nkf->kf", weight, self._squares), weight @ self._defined  # [2, F], [F]
        pooled = (total.sum(axis=1) + AT_FIRST) / (seen.sum() + 1.0)
        ensemble, local = (total + LENT * pooled[:, None]) / (seen + LENT)
        share: np.ndarray = np.clip(ensemble / (ensemble + local), 1 - SURE, SURE)
        return share
