"""Features to network space and back."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Scaling(NamedTuple):
    """Which value of each feature lies at 0 in network space, and which distance from it at asinh(1)."""

    centre: jax.Array  # [F] in the feature's unit
    width: jax.Array  # [F] in the feature's unit


def choose_scaling(features: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> Scaling:
    """Centre on the measurements; as wide as half the samples' interquartile range, and at least one SD.

    Narrower (one SD) would resolve the neighbourhood of the measurement no better and turn a smooth response into a
    cliff there, which few points cannot teach a network: see docs/how-it-works.md.

    Args:
        features: [N, F] of a space-filling design, NaN where not defined.
        mean, sd: [F] measurements.
    """
    quarter, three_quarters = np.full((2, len(mean)), np.nan)
    for f, column in enumerate(features.T):
        defined = column[np.isfinite(column)]
        if len(defined) >= 4:
            quarter[f], three_quarters[f] = np.quantile(defined, [0.25, 0.75])
    width = np.fmax(sd, (three_quarters - quarter) / 2)
    return Scaling(jnp.asarray(mean, jnp.float32), jnp.asarray(width, jnp.float32))


def squash(scaling: Scaling, features: np.ndarray) -> np.ndarray:  # [..., F] -> [..., F]
    """asinh of the distance from the centre in widths: linear over the bulk of the samples, and squeezing the heavy
    tails of broad ones (half-widths of 100 ms, rates of 1000 Hz) that would otherwise fill the loss."""
    return np.arcsinh((features - np.asarray(scaling.centre)) / np.asarray(scaling.width))


def unsquash(scaling: Scaling, squashed: jax.Array) -> jax.Array:  # [..., F] -> [..., F]
    """The inverse of `squash`."""
    return scaling.centre + scaling.width * jnp.sinh(jnp.clip(squashed, -15.0, 15.0))
