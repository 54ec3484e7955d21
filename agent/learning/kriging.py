"""A Gaussian process beside the ensemble: simulated cells are so few at first that two kinds of guess beat either.

One kernel for all features, asinh(z) of each: a constant, slopes and a smooth rest (Rasmussen & Williams 2006, ch. 2
and 5); which of a few kernels is decided by the likelihood of what was observed.
"""

from itertools import product

import numpy as np

ROWS = 128  # nearest cells that it learns from
LEVEL, NOISE = 4.0, 0.01  # variances of a feature's level, and of what no kernel explains
KERNELS = tuple(product((0.1, 1.0, 10.0, 40.0), (0.0, 1.0, 4.0, 16.0), (0.5, 1.0, 2.0, 4.0)))  # slopes, rest, its reach


def krige(u: np.ndarray, rows: np.ndarray, observed: np.ndarray) -> np.ndarray:  # [Q, F]
    """What is to be expected at u [Q, D], NaN for features that are not defined in all rows.

    Args:
        u: [Q, D] in the unit cube.
        rows: [N, D] simulated cells.
        observed: [N, F] what came out, asinh(z), NaN where not defined.
    """
    found = np.full((len(u), observed.shape[1]), np.nan)
    whole = np.isfinite(observed).all(axis=0)
    if not whole.any():
        return found
    values, best, chosen = observed[:, whole], np.inf, KERNELS[0]
    for kernel in KERNELS:
        factor = np.linalg.cholesky(_covariance(rows, rows, kernel) + NOISE * np.eye(len(rows)))
        surprise = 0.5 * np.sum(np.linalg.solve(factor, values) ** 2)
        surprise += values.shape[1] * np.log(np.diag(factor)).sum()
        if surprise < best:
            best, chosen = float(surprise), kernel
    among = _covariance(rows, rows, chosen) + NOISE * np.eye(len(rows))
    found[:, whole] = _covariance(u, rows, chosen) @ np.linalg.solve(among, values)
    return found


def _covariance(a: np.ndarray, b: np.ndarray, kernel: tuple[float, float, float]) -> np.ndarray:  # [A, D], [B, D]
    slopes, rest, reach = kernel
    square = np.maximum(np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1)[None] - 2 * a @ b.T, 0.0)
    near: np.ndarray = LEVEL + slopes * (a - 0.5) @ (b - 0.5).T + rest * np.exp(-square / (2 * reach**2))
    return near
