"""Features to network space and back."""

from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

KNEE = 0.3  # share of a feature's typical size above which it counts by its logarithm
NORMAL_IQR = 1.35  # interquartile range of a standard normal
TAIL = 6.0  # squashed values beyond are far outside anything simulated
Array = TypeVar("Array", np.ndarray, jax.Array)


class Scaling(NamedTuple):
    """How a feature becomes a number of order one: its logarithm about the samples' median, with squeezed tails."""

    knee: jax.Array  # [F] in the feature's unit: linear well below, logarithmic well above, either sign
    centre: jax.Array  # [F] of asinh(feature / knee)
    width: jax.Array  # [F] likewise


def choose_scaling(features: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> Scaling:
    """A scale on which broad samples look normal, whatever the target.

    Experimental SDs grow with the value, and so does what a parameter does to it: logarithms make both even. Rates of
    1000 Hz and half-widths of 100 ms lie in the tails, which a second asinh squeezes.

    Args:
        features: [N, F] of a space-filling design, NaN where not defined.
        mean, sd: [F] measurements: no finer than one SD, and all there is where fewer than four samples are defined.
    """
    knee, quarters = np.empty(len(mean)), np.empty((3, len(mean)))
    for f, column in enumerate(features.T):
        defined = column[np.isfinite(column)]
        if len(defined) < 4:
            defined = mean[f] + sd[f] * np.array([-4.0, -0.675, 0.0, 0.675, 4.0])
        knee[f] = max(KNEE * np.median(np.abs(defined)), sd[f])
        quarters[:, f] = np.quantile(np.arcsinh(defined / knee[f]), [0.25, 0.5, 0.75])
    one_sd = sd / np.hypot(knee, mean)
    width = np.maximum(one_sd, (quarters[2] - quarters[0]) / NORMAL_IQR)
    return Scaling(*(jnp.asarray(part, jnp.float32) for part in (knee, quarters[1], width)))


def squash(scaling: Scaling, features: np.ndarray) -> np.ndarray:  # [..., F] -> [..., F]
    """Network space: see `choose_scaling`."""
    knee, centre, width = (np.asarray(part, float) for part in scaling)
    squashed: np.ndarray = np.arcsinh((np.arcsinh(features / knee) - centre) / width)
    return squashed


def unsquash(scaling: Scaling, squashed: Array) -> Array:  # [..., F] -> [..., F]
    """The inverse of `squash`, NumPy's of NumPy's and JAX's of JAX's."""
    own: Any = np if isinstance(squashed, np.ndarray) else jnp
    knee, centre, width = (own.asarray(part) for part in scaling)
    inner = centre + width * own.sinh(own.clip(squashed, -TAIL, TAIL))
    features: Array = knee * own.sinh(own.clip(inner, -15.0, 15.0))
    return features
