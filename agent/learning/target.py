"""How far features are from measurements."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from gbar.sim import Measurement
from gbar.surrogate import Scaling, unsquash

UNDEFINED = 4.0  # asinh(z) that an undefined feature counts as: some 27 SD
HOLD = 10.0  # times the weight of a measurement that must hold, in descents
BEHIND = 10.0  # added to the distance of what misses one: beyond that of any other cell worth looking at


Array = TypeVar("Array", np.ndarray, jax.Array)


class Target(NamedTuple, Generic[Array]):
    """What is to be reproduced: NumPy's where a run decides, JAX's in what is compiled."""

    mean: Array  # [..., F]
    sd: Array  # [..., F]
    weight: Array | None = None  # [..., F], 1 in the mean: how much each counts in a compromise; None: all alike
    must_hold: Array | None = None  # [F] bool; None: nothing must; JAX's has it in its weights


def target_of(measurements: Sequence[Measurement]) -> Target[np.ndarray]:
    """The measurements as arrays, in their order."""
    mean, sd, weight = np.array([(m.mean, m.sd, m.weight) for m in measurements]).reshape(-1, 3).T
    must_hold = np.array([m.must_hold for m in measurements], bool)
    weighted = weight / weight.mean() if (weight != 1).any() else None
    return Target(mean.copy(), sd.copy(), weighted, must_hold if must_hold.any() else None)


def planning_weight(target: Target[np.ndarray]) -> np.ndarray:  # [F]
    """What each measurement counts in descents, 1 in the mean: more where it must hold."""
    weight = np.ones(len(target.mean)) if target.weight is None else target.weight
    if target.must_hold is None:
        return weight
    held = np.where(target.must_hold, HOLD, 1.0) * weight
    planning: np.ndarray = held / held.mean()
    return planning


def as_float32(target: Target[np.ndarray]) -> Target[jax.Array]:
    """A target as the jitted functions take it."""
    mean, sd, weight = (
        jnp.asarray(part.astype(np.float32)) for part in (target.mean, target.sd, planning_weight(target))
    )
    return Target(mean, sd, None if target.weight is None and target.must_hold is None else weight)


def z_scores(features: Array, target: Target[Array]) -> Array:  # [..., F] -> [..., F]
    """(feature - mean) / SD, NaN where the feature is not defined."""
    z: Array = (features - target.mean) / target.sd
    return z


def worst(z: np.ndarray) -> np.ndarray:  # [..., F] -> [...]
    """The largest |z|; infinite where any feature is not defined, so that such a cell never ranks among the best."""
    largest: np.ndarray = np.max(np.where(np.isfinite(z), np.abs(z), np.inf), axis=-1)
    return largest


def distance(z: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:  # [..., F] -> [...]
    """Root mean square of asinh(z), undefined features counting as far: orders cells that are not yet solutions."""
    square = np.where(np.isfinite(z), np.arcsinh(z), UNDEFINED) ** 2
    far: np.ndarray = np.sqrt(np.mean(square if weight is None else weight * square, axis=-1))
    return far


def breaks(z: np.ndarray, target: Target[np.ndarray], tolerance: float) -> np.ndarray:  # [..., F] -> [...] bool
    """Whether a measurement that must hold is missed."""
    if target.must_hold is None:
        return np.zeros(z.shape[:-1], bool)
    missed: np.ndarray = np.any(~(np.abs(z) <= tolerance) & target.must_hold, axis=-1)
    return missed


def rank(features: np.ndarray, target: Target[np.ndarray], tolerance: float) -> np.ndarray:  # [..., F] -> [...]
    """The weighted distance, with what misses a measurement that must hold behind everything else."""
    z = z_scores(features, target)
    return distance(z, target.weight) + BEHIND * breaks(z, target, tolerance)


def sd_elsewhere(target: Target[np.ndarray], features: np.ndarray) -> np.ndarray:  # [..., F] -> [..., F]
    """What the SD would be, had these features been measured: it grows with the value, within a factor of four."""
    share = np.abs(features) / np.maximum(np.abs(target.mean), 1e-12)
    sd: np.ndarray = target.sd * np.clip(np.where(np.isfinite(share), share, 1.0), 0.25, 4.0)
    return sd


def residual(scaling: Scaling, value: jax.Array, target: Target[jax.Array]) -> jax.Array:  # [..., F]
    """asinh(z) of predicted values: z itself near the measurement, its logarithm far away."""
    return jnp.arcsinh(z_scores(unsquash(scaling, value), target))
