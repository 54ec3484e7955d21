"""Actor and critic."""

from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import linen as nn

from gbar.surrogate import Params


class Actor(nn.Module):
    """Observation to an action's mean and SD. Untrained it adds nothing to the Gauss-Newton step."""

    dimension: int
    hidden: int = 128

    @nn.compact
    def __call__(self, observation: jax.Array) -> tuple[jax.Array, jax.Array]:  # [..., O] -> [..., D], [..., D]
        h = _trunk(observation, self.hidden)
        both = nn.Dense(2 * self.dimension, kernel_init=nn.initializers.normal(0.01))(h)
        mean, spread = jnp.split(both, 2, axis=-1)
        return mean, nn.softplus(spread - 1.5)


class Critic(nn.Module):
    """Observation to the return still to come."""

    hidden: int = 128

    @nn.compact
    def __call__(self, observation: jax.Array) -> jax.Array:  # [..., O] -> [...]
        return nn.Dense(1)(_trunk(observation, self.hidden))[..., 0]


def _trunk(x: jax.Array, hidden: int) -> jax.Array:
    for _ in range(2):
        x = nn.silu(nn.LayerNorm()(nn.Dense(hidden)(x)))
    return x


class Policy(NamedTuple):
    """Trained parameters of both."""

    actor: Params
    critic: Params


def init_policy(key: jax.Array, observation: int, dimension: int) -> Policy:
    """A policy that knows nothing yet."""
    actor_key, critic_key = jax.random.split(key)
    blank = jnp.zeros(observation)
    return Policy(Actor(dimension).init(actor_key, blank), Critic().init(critic_key, blank))


def value(critic: Params, observation: jax.Array) -> jax.Array:  # [..., O] -> [...]
    """The critic's estimate of the return still to come."""
    return cast(jax.Array, Critic().apply(critic, observation))


def act(noise: jax.Array, actor: Params, observation: jax.Array) -> jax.Array:  # [..., D], [..., O] -> [..., D]
    """An action in [-1, 1] from standard normal noise, differentiable in the actor's parameters (reparameterised)."""
    mean, sd = cast(tuple[jax.Array, jax.Array], Actor(noise.shape[-1]).apply(actor, observation))
    return jnp.tanh(mean + sd * noise)
