"""How far features are from measurements."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gbar.sim import Measurement
from gbar.surrogate import Scaling, unsquash

UNDEFINED = 4.0  # asinh(z) that an undefined feature counts as: some 27 SD


class Goal(NamedTuple):
    """What is to be reproduced."""

    mean: np.ndarray  # [F]
    sd: np.ndarray  # [F]
    tolerance: float  # every |z| up to this is a solution


def goal_of(measurements: tuple[Measurement, ...], tolerance: float) -> Goal:
    """The measurements as arrays, in their order."""
    return Goal(np.array([m.mean for m in measurements]), np.array([m.sd for m in measurements]), tolerance)


def z_scores(features: np.ndarray, goal: Goal) -> np.ndarray:  # [..., F] -> [..., F]
    """(feature - mean) / SD, NaN where the feature is not defined."""
    return (features - goal.mean) / goal.sd


def worst(z: np.ndarray) -> np.ndarray:  # [..., F] -> [...]
    """The largest |z|; infinite where any feature is not defined, so that such a cell never ranks among the best."""
    return np.max(np.where(np.isfinite(z), np.abs(z), np.inf), axis=-1)


def distance(z: np.ndarray) -> np.ndarray:  # [..., F] -> [...]
    """Root mean square of asinh(z), undefined features counting as far: orders cells that are not yet solutions."""
    return np.sqrt(np.mean(np.where(np.isfinite(z), np.arcsinh(z), UNDEFINED) ** 2, axis=-1))


class Aim(NamedTuple):
    """A goal as the jitted functions take it."""

    mean: jax.Array  # [..., F]
    sd: jax.Array  # [..., F]


def aim_at(goal: Goal) -> Aim:
    """The measurements as 32-bit arrays."""
    return Aim(jnp.asarray(goal.mean.astype(np.float32)), jnp.asarray(goal.sd.astype(np.float32)))


def sd_elsewhere(goal: Goal, features: np.ndarray) -> np.ndarray:  # [..., F] -> [..., F]
    """What the SD would be, had these features been measured: it grows with the value, within a factor of four."""
    share = np.abs(features) / np.maximum(np.abs(goal.mean), 1e-12)
    return goal.sd * np.clip(np.where(np.isfinite(share), share, 1.0), 0.25, 4.0)


def residual(scaling: Scaling, value: jax.Array, aim: Aim) -> jax.Array:  # [..., F]
    """asinh(z) of predicted values: z itself near the measurement, its logarithm far away."""
    return jnp.arcsinh((unsquash(scaling, value) - aim.mean) / aim.sd)
