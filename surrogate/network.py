"""The ensemble: for every feature a value head and a validity head, and several members that may disagree."""

from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import linen as nn

Params = Any  # a pytree of arrays; in an ensemble every leaf has a leading member axis [M, ...]


class Prediction(NamedTuple):
    """What a network says of parameter vectors; squashed features, see surrogate.scaling."""

    value: jax.Array  # [..., F]
    logit: jax.Array  # [..., F] log-odds that the feature is defined


class Response(nn.Module):
    """One member: unit-cube parameters to squashed features.

    The direct path makes the untrained network linear in its inputs, which is most of what few points can tell.
    """

    features: int
    hidden: int
    layers: int = 2

    def setup(self) -> None:
        self.trunk = [nn.Dense(self.hidden) for _ in range(self.layers)]
        self.value = nn.Dense(self.features)
        self.logit = nn.Dense(self.features)

    def __call__(self, u: jax.Array) -> Prediction:  # [..., D]
        both = self.basis(u)
        return Prediction(self.value(both), self.logit(both))

    def basis(self, u: jax.Array) -> jax.Array:  # [..., D] -> [..., hidden + D]
        """What the heads are linear in."""
        x = 2.0 * u - 1.0
        h = nn.silu(self.trunk[0](x))
        for layer in self.trunk[1:]:
            h = h + nn.silu(layer(h))
        return jnp.concatenate([h, x], axis=-1)


def respond(network: Response, member: Params, u: jax.Array) -> Prediction:  # [..., D]
    """What one member predicts."""
    return cast(Prediction, network.apply(member, u))


def basis(network: Response, member: Params, u: jax.Array) -> jax.Array:  # [..., D] -> [..., H + D]
    """What a member's heads are linear in."""
    return cast(jax.Array, network.apply(member, u, method=Response.basis))


@partial(jax.jit, static_argnames=("network", "members", "dimension"))
def init_params(key: jax.Array, network: Response, members: int, dimension: int) -> Params:
    """Fresh parameters for an ensemble: leaves [M, ...]."""
    return jax.vmap(lambda k: network.init(k, jnp.zeros(dimension)))(jax.random.split(key, members))
