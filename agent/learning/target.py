"""How far features are from measurements."""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from gbar.sim import Measurement
from gbar.surrogate import Scaling, unsquash

UNDEFINED = 4.0  # asinh(z) that an undefined feature counts as: some 27 SD


Array = TypeVar("Array", np.ndarray, jax.Array)


class Target(NamedTuple, Generic[Array]):
    """What is to be reproduced: NumPy's where a run decides, JAX's in what is compiled."""

    mean: Array  # [..., F]
    sd: Array  # [..., F]


def target_of(measurements: Sequence[Measurement]) -> Target[np.ndarray]:
    """The measurements as arrays, in their order."""
    return Target(np.array([m.mean for m in measurements]), np.array([m.sd for m in measurements]))


def as_float32(target: Target[np.ndarray]) -> Target[jax.Array]:
    """A target as the jitted functions take it."""
    return Target(jnp.asarray(target.mean.astype(np.float32)), jnp.asarray(target.sd.astype(np.float32)))


def z_scores(features: Array, target: Target[Array]) -> Array:  # [..., F] -> [..., F]
    """(feature - mean) / SD, NaN where the feature is not defined."""
    z: Array = (features - target.mean) / target.sd
    return z


def worst(z: np.ndarray) -> np.ndarray:  # [..., F] -> [...]
    """The largest |z|; infinite where any feature is not defined, so that such a cell never ranks among the best."""
    largest: np.ndarray = np.max(np.where(np.isfinite(z), np.abs(z), np.inf), axis=-1)
    return largest


def distance(z: np.ndarray) -> np.ndarray:  # [..., F] -> [...]
    """Root mean square of asinh(z), undefined features counting as far: orders cells that are not yet solutions."""
    far: np.ndarray = np.sqrt(np.mean(np.where(np.isfinite(z), np.arcsinh(z), UNDEFINED) ** 2, axis=-1))
    return far


def sd_elsewhere(target: Target[np.ndarray], features: np.ndarray) -> np.ndarray:  # [..., F] -> [..., F]
    """What the SD would be, had these features been measured: it grows with the value, within a factor of four."""
    share = np.abs(features) / np.maximum(np.abs(target.mean), 1e-12)
    sd: np.ndarray = target.sd * np.clip(np.where(np.isfinite(share), share, 1.0), 0.25, 4.0)
    return sd


def residual(scaling: Scaling, value: jax.Array, target: Target[jax.Array]) -> jax.Array:  # [..., F]
    """asinh(z) of predicted values: z itself near the measurement, its logarithm far away."""
    return jnp.arcsinh(z_scores(unsquash(scaling, value), target))
