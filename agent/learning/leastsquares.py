"""Descents of the Gaussian process' own errors: Levenberg–Marquardt from the best cells, within what is allowed."""

from collections.abc import Callable

import numpy as np

from gbar.agent.learning.target import UNDEFINED

DAMPING = 0.1  # of the first steps
EASED, STIFFENED = 0.3, 4.0  # times that, after a step that came nearer and one that did not
TINY = 1e-9  # instead of nothing, where all is met
KNEE = 0.3  # |z| below which the sum of |z| is round
POWER = 8  # of asinh(z), whose sum stands for the largest

Model = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # [Q, D] -> [Q, F] asinh(z), [Q, F, D] its slopes
Projection = Callable[[np.ndarray], np.ndarray]  # [Q, D] -> [Q, D], the nearest places that are allowed


def approach(model: Model, starts: np.ndarray, weight: np.ndarray, steps: int, project: Projection) -> np.ndarray:
    """Places where least is missed, as a model has it (Levenberg–Marquardt: Moré 1978, Lect. Notes Math. 630).

    The first of every three starts goes down the squares of asinh(z), the second down the sum of |z|, the third down
    the largest |z|.

    Args:
        model: what is expected at places, and how it changes; its NaNs count nothing.
        starts: [Q, D] in the unit cube.
        weight: [F] of the measurements.
        steps: to take.
        project: onto a part of the unit cube, after every step: one that is bent back at the end only has followed
            a valley that it may not use.
    """
    u, damping = starts, np.full(len(starts), DAMPING)
    r, slopes = _known(model, u)
    for _ in range(steps):
        largest = np.abs(r).max(axis=1, keepdims=True) + TINY  # as it is now: a unit for powers
        missed, pull, curve = (weight * part for part in _goals(r, largest))
        uphill = np.sum(slopes * pull[:, :, None], axis=1)  # [Q, D]
        free = ~((u <= 0) & (uphill > 0) | (u >= 1) & (uphill < 0))
        normal = (slopes * curve[:, :, None]).transpose(0, 2, 1) @ slopes * (free[:, :, None] & free[:, None])
        scale = damping * np.mean(curve, axis=1) + TINY
        normal += (scale[:, None] * free + ~free)[:, :, None] * np.eye(u.shape[1])
        step = np.linalg.solve(normal, (uphill * free)[:, :, None])[:, :, 0]
        reached = project(np.clip(u - step, 0.0, 1.0))
        there, slopes_there = _known(model, reached)
        nearer = np.sum(weight * _goals(there, largest)[0], axis=1) < np.sum(missed, axis=1)
        u, r = np.where(nearer[:, None], reached, u), np.where(nearer[:, None], there, r)
        slopes = np.where(nearer[:, None, None], slopes_there, slopes)
        damping = damping * np.where(nearer, EASED, STIFFENED)
    return u


def _known(model: Model, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r, slopes = model(u)
    return np.nan_to_num(r), np.nan_to_num(slopes)


def _goals(r: np.ndarray, largest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # [Q, F], [Q, 1]
    """What each measurement adds to the goal of its start, the slope of that along asinh(z), and its curvature."""
    missed, pull, curve = 0.5 * r**2, r.copy(), np.ones_like(r)
    size = np.clip(r[1::3], -UNDEFINED, UNDEFINED)
    z, round_off = np.sinh(size), np.hypot(np.sinh(size), KNEE)
    missed[1::3], pull[1::3] = round_off, z * np.cosh(size) / round_off
    curve[1::3] = np.cosh(size) ** 2 / round_off  # of the parabola above it
    share = r[2::3] / largest[2::3]
    missed[2::3], pull[2::3] = share**POWER / POWER, share ** (POWER - 1) / largest[2::3]
    curve[2::3] = (POWER - 1) * share ** (POWER - 2) / largest[2::3] ** 2
    return missed, pull, curve
