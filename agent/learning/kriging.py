"""A Gaussian process beside the ensemble: simulated cells are so few at first that two kinds of guess beat either.

One kernel for all features, asinh(z) of each: a constant, slopes and a smooth rest (Rasmussen & Williams 2006, ch. 2
and 5); which of a few kernels is decided by the likelihood of what was observed.
"""

from itertools import product
from typing import NamedTuple

import numpy as np

ROWS = 128  # nearest cells that it learns from
FEWEST = 4  # cells in which a feature is defined, to say anything of it
LEVEL, NOISE = 4.0, 0.01  # variances of a feature's level, and of what no kernel explains


class Kernel(NamedTuple):
    """How alike two places are."""

    slopes: float  # variance of a feature's slopes, per unit of the cube
    rest: float  # variance of what bends
    reach: float  # and over what distance


class Group(NamedTuple):
    """Features that are defined in the same cells."""

    features: np.ndarray  # [G] their indices
    rows: np.ndarray  # [N, D] those cells
    weights: np.ndarray  # [N, G] by which likeness to each of them counts


class Kriging(NamedTuple):
    """What a few cells say of every other place."""

    kernel: Kernel
    groups: list[Group]
    features: int

    def expect(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F]
        """asinh(z) where a feature is defined; NaN for one that hardly ever was."""
        found = np.full((len(u), self.features), np.nan)
        for features, rows, weights in self.groups:
            found[:, features] = _covariance(u, rows, self.kernel) @ weights
        return found


KERNELS = tuple(Kernel(*one) for one in product((0.1, 1.0, 10.0, 40.0), (0.0, 1.0, 4.0, 16.0), (0.5, 1.0, 2.0, 4.0)))


def krige(rows: np.ndarray, observed: np.ndarray) -> Kriging:
    """Learn from a few cells.

    Args:
        rows: [N, D] in the unit cube.
        observed: [N, F] what came out, asinh(z), NaN where not defined.
    """
    patterns, of = np.unique(np.isfinite(observed), axis=1, return_inverse=True)
    alike = [(np.flatnonzero(patterns[:, i]), np.flatnonzero(of.ravel() == i)) for i in range(patterns.shape[1])]
    known = [(rows[there], observed[np.ix_(there, own)], own) for there, own in alike if len(there) >= FEWEST]
    kernel = min(KERNELS, key=lambda one: sum(_surprise(places, values, one) for places, values, _ in known))
    groups = [Group(own, places, np.linalg.solve(_with_noise(places, kernel), values)) for places, values, own in known]
    return Kriging(kernel, groups, observed.shape[1])


def _surprise(rows: np.ndarray, values: np.ndarray, kernel: Kernel) -> float:
    """The negative log-likelihood of values [N, F] at rows [N, D], without its constant."""
    factor = np.linalg.cholesky(_with_noise(rows, kernel))
    misfit = 0.5 * np.sum(np.linalg.solve(factor, values) ** 2)
    return float(misfit + values.shape[1] * np.log(np.diag(factor)).sum())


def _with_noise(rows: np.ndarray, kernel: Kernel) -> np.ndarray:  # [N, D] -> [N, N]
    return _covariance(rows, rows, kernel) + NOISE * np.eye(len(rows))


def _covariance(a: np.ndarray, b: np.ndarray, kernel: Kernel) -> np.ndarray:  # [A, D], [B, D]
    square = np.maximum(np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1)[None] - 2 * a @ b.T, 0.0)
    bend = kernel.rest * np.exp(-square / (2 * kernel.reach**2))
    near: np.ndarray = LEVEL + kernel.slopes * (a - 0.5) @ (b - 0.5).T + bend
    return near
