"""A Gaussian process beside the ensemble: simulated cells are so few at first that two kinds of guess beat either.

Of each feature, on the network's scale: a level, slopes and a rest that bends, with the Matérn 5/2 kernel (Rasmussen &
Williams 2006, eq. 4.17). What a feature is expected to be is the mean over a few kernels, each counting by the
likelihood of what was observed (ch. 5).
"""

from itertools import product
from typing import NamedTuple

import numpy as np

ROWS = 128  # nearest cells that it learns from
FEWEST = 4  # cells in which a feature is defined, to say anything of it
LEVEL, NOISE = 4.0, 1e-3  # variances of a feature's level, and of what no kernel explains: of its mean square
UNLIKELY = 1e-3  # share of the likelihood below which a kernel is left out

LARGEST = 2.0  # an error counts at most this
HALF = 12.0  # evaluations after which one counts half
LENT = 4.0  # evaluations' worth of all features' error that a feature's own begins with
AT_FIRST = 0.25  # mean square error of both before any
SURE = 0.98  # share that neither is given more than


class Kernel(NamedTuple):
    """How alike two places are."""

    slopes: float  # variance of a feature's slopes, per unit of the cube
    rest: float  # variance of what bends
    reach: float  # and over what distance


class Group(NamedTuple):
    """What one kernel makes of some features."""

    kernel: Kernel
    features: np.ndarray  # [G] their indices
    weights: np.ndarray  # [N, G] by which likeness to each cell counts


class Doubt(NamedTuple):
    """What one kernel leaves open of some features, those that it explains best."""

    kernel: Kernel
    features: np.ndarray  # [G] their indices
    root: np.ndarray  # [N, N] inverse of the Cholesky factor of the rows' covariance
    size: np.ndarray  # [G] SD of what they would be without any row, in the kernel's units


class Pattern(NamedTuple):
    """Features that are defined in the same cells."""

    rows: np.ndarray  # [N, D] those cells
    groups: list[Group]
    doubts: list[Doubt]


class Kriging(NamedTuple):
    """What a few cells say of every other place."""

    patterns: list[Pattern]
    known: np.ndarray  # [F] bool: whether a feature was defined often enough

    def expect(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F]
        """What was observed, at other places; NaN for what hardly ever was."""
        found = np.zeros((len(u), len(self.known)))
        for rows, groups, _ in self.patterns:
            likeness = Likeness(u, rows)
            for kernel, features, weights in groups:
                found[:, features] += likeness.under(kernel) @ weights
        found[:, ~self.known] = np.nan
        return found

    def doubt(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F]
        """SD of what was not observed there, NaN for what hardly ever was (Rasmussen & Williams 2006, eq. 2.26)."""
        found = np.full((len(u), len(self.known)), np.nan)
        for rows, _, doubts in self.patterns:
            likeness = Likeness(u, rows)
            for kernel, features, root, size in doubts:
                own = LEVEL + kernel.slopes * np.sum((u - 0.5) ** 2, axis=1) + kernel.rest
                explained = np.sum((likeness.under(kernel) @ root.T) ** 2, axis=1)
                left = np.sqrt(np.maximum(own - explained, NOISE))
                found[:, features] = left[:, None] * size
        return found


KERNELS = tuple(
    Kernel(*one) for one in product((0.1, 1.0, 10.0, 40.0), (0.0, 0.25, 1.0, 4.0, 16.0), (0.5, 1.0, 2.0, 4.0, 8.0))
)


def krige(rows: np.ndarray, observed: np.ndarray) -> Kriging:
    """Learn from a few cells.

    Args:
        rows: [N, D] in the unit cube.
        observed: [N, F] what came out, about what is expected where nothing is known; NaN where not defined.
    """
    defined, of = np.unique(np.isfinite(observed), axis=1, return_inverse=True)
    alike = [(np.flatnonzero(defined[:, i]), np.flatnonzero(of.ravel() == i)) for i in range(defined.shape[1])]
    alike = [(there, own) for there, own in alike if len(there) >= FEWEST]
    known, surprise = np.zeros(observed.shape[1], bool), np.zeros((len(KERNELS), observed.shape[1]))
    size, patterns = np.ones(observed.shape[1]), []
    for there, own in alike:
        root = np.sqrt(np.mean(observed[np.ix_(there, own)] ** 2, axis=0))
        known[own], size[own] = True, np.where(root > 0, root, 1.0)
        weighed, surprise[:, own] = _weighed(rows[there], observed[np.ix_(there, own)] / size[own])
        patterns.append((rows[there], own, weighed))
    share = _likely(surprise, known)
    return Kriging([_kept(*pattern, share[:, pattern[1]], size[pattern[1]]) for pattern in patterns], known)


class Weighed(NamedTuple):
    """What one kernel makes of the rows."""

    weights: np.ndarray  # [N, G]
    factor: np.ndarray  # [N, N] Cholesky factor of their covariance
    size: np.ndarray  # [G] RMS of the values, made white


def _weighed(rows: np.ndarray, values: np.ndarray) -> tuple[list[Weighed], np.ndarray]:  # [N, D], [N, G]
    """What every kernel makes of the rows, and its surprise [K, G], the negative log likelihood."""
    likeness, noise = Likeness(rows, rows), NOISE * np.eye(len(rows))
    weighed, surprise = [], np.empty((len(KERNELS), values.shape[1]))
    for number, kernel in enumerate(KERNELS):
        factor = np.linalg.cholesky(likeness.under(kernel) + noise)
        white = np.linalg.solve(factor, values)
        surprise[number] = 0.5 * np.sum(white**2, axis=0) + np.log(np.diag(factor)).sum()
        weighed.append(Weighed(np.linalg.solve(factor.T, white), factor, np.sqrt(np.mean(white**2, axis=0))))
    return weighed, surprise


def _kept(
    rows: np.ndarray, features: np.ndarray, weighed: list[Weighed], share: np.ndarray, size: np.ndarray
) -> Pattern:
    """The kernels that are not unlikely for every feature, each with its share [K, G] of what is expected."""
    likely, best = np.flatnonzero((share > UNLIKELY).any(axis=1)), share.argmax(axis=0)
    groups = [Group(KERNELS[k], features, weighed[k].weights * (share[k] * size)) for k in likely]
    doubts = []
    for k in np.unique(best):
        own = best == k
        root = np.linalg.inv(weighed[k].factor)
        doubts.append(Doubt(KERNELS[k], features[own], root, (weighed[k].size * size)[own]))
    return Pattern(rows, groups, doubts)


class Likeness:
    """Covariances between places a [A, D] and b [B, D]. What kernels have in common is computed once."""

    def __init__(self, a: np.ndarray, b: np.ndarray):
        square = np.maximum(np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1)[None] - 2 * a @ b.T, 0.0)
        self._a, self._b, self._far = a, b, np.sqrt(5.0 * square)
        self._level: dict[float, np.ndarray] = {}  # by slopes
        self._bend: dict[float, np.ndarray] = {}  # by reach

    def under(self, kernel: Kernel) -> np.ndarray:  # [A, B]
        """By one kernel."""
        if kernel.slopes not in self._level:
            self._level[kernel.slopes] = LEVEL + kernel.slopes * (self._a - 0.5) @ (self._b - 0.5).T
        if kernel.reach not in self._bend:
            away = self._far / kernel.reach
            self._bend[kernel.reach] = (1.0 + away + away**2 / 3.0) * np.exp(-away)
        return self._level[kernel.slopes] + kernel.rest * self._bend[kernel.reach]


def _likely(surprise: np.ndarray, known: np.ndarray) -> np.ndarray:  # [K, F], [F] -> [K, F]
    """The share of each kernel, by how little it is surprised by a feature and, as much again, by the mean of all."""
    both = surprise + surprise[:, known].mean(axis=1, keepdims=True) if known.any() else surprise
    likelihood = np.exp(both.min(axis=0) - both)
    share: np.ndarray = likelihood / likelihood.sum(axis=0)
    return share


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
