"""Training the ensemble: one jitted scan over steps, compiled once for a whole run."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from surrogate.network import Params, Prediction, Response, init, respond
from surrogate.scaling import Scaling, squash


class FitConfig(NamedTuple):
    """How the ensemble is built and trained."""

    members: int = 6
    hidden: int = 64
    steps: int = 300  # in one pass; its length is fixed, so that training compiles once
    first_passes: int = 3  # from a fresh start; one pass from the last fit, when a batch has been added
    batch: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4


class Data(NamedTuple):
    """Evaluations padded to a fixed number of rows, so that nothing recompiles as a run grows."""

    u: jax.Array  # [P, D] unit-cube parameters
    s: jax.Array  # [P, F] squashed features, 0 where not defined
    valid: jax.Array  # [P, F] 1 where defined
    weight: jax.Array  # [P] how often a row is drawn; 0 for padding


def pad(u: np.ndarray, features: np.ndarray, weight: np.ndarray, scaling: Scaling, rows: int) -> Data:
    """Arrange N evaluations as `rows` >= N rows.

    Args:
        u: [N, D] unit-cube parameters.
        features: [N, F], NaN where not defined (everything, for an evaluation that failed).
        weight: [N] how often each row is drawn.
        scaling: of the features.
        rows: P.
    """
    more = rows - len(u)
    valid = np.isfinite(features)
    scaled = squash(scaling, features)
    s = np.where(valid, scaled, 0.0)
    arrays = [np.pad(array, ((0, more), (0, 0))) for array in (u, s, valid)] + [np.pad(weight, (0, more))]
    return Data(*(jnp.asarray(array, jnp.float32) for array in arrays))


def fit(key: jax.Array, data: Data, network: Response, config: FitConfig, start: Params | None = None) -> Params:
    """Train an ensemble on padded evaluations, from a fresh start or from an earlier fit.

    Args:
        key: consumed.
        data: from `pad`.
        network, config: static.
        start: parameters of an earlier fit, to which a batch has been added since.

    Returns:
        Parameters, leaves [M, ...].
    """
    init_key, train_key = jax.random.split(key)
    params = init(init_key, network, config.members, data.u.shape[1]) if start is None else start
    for pass_key in jax.random.split(train_key, config.first_passes if start is None else 1):
        params, _ = train(pass_key, params, data, network, config)
    return params


@partial(jax.jit, static_argnames=("network", "config"))
def train(key: jax.Array, params: Params, data: Data, network: Response, config: FitConfig) -> tuple[Params, jax.Array]:
    """Train every member on its own draws of the rows, for one pass of `config.steps`.

    Args:
        key: consumed.
        params: leaves [M, ...] to start from.
        data: padded rows.
        network, config: static; a change compiles anew.

    Returns:
        Trained parameters and the loss of each step.
    """
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.steps)
    optimiser = optax.adamw(schedule, b2=0.99, weight_decay=config.weight_decay)
    bootstrap_key, steps_key = jax.random.split(key)
    # each member has its own random emphasis on the rows (Bayesian bootstrap), drawn anew in every pass
    emphasis = jax.random.exponential(bootstrap_key, (config.members, data.weight.shape[0])) * data.weight
    cumulative = jnp.cumsum(emphasis, axis=1)  # [M, P]

    def loss_of(member: Params, cumulative: jax.Array, key: jax.Array) -> jax.Array:
        draws = jax.random.uniform(key, (config.batch,)) * cumulative[-1]
        rows = jnp.minimum(jnp.searchsorted(cumulative, draws), cumulative.shape[0] - 1)
        return _loss(respond(network, member, data.u[rows]), data.s[rows], data.valid[rows])

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, jax.Array]:
        params, state = carry
        keys = jax.random.split(key, config.members)
        losses, gradients = jax.vmap(jax.value_and_grad(loss_of))(params, cumulative, keys)
        updates, state = optimiser.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), jnp.mean(losses)

    (params, _), losses = jax.lax.scan(
        step, (params, optimiser.init(params)), jax.random.split(steps_key, config.steps)
    )
    return params, losses


def _loss(predicted: Prediction, s: jax.Array, valid: jax.Array) -> jax.Array:
    """Huber loss of defined features plus cross-entropy of definedness. Undefined features never enter the first."""
    value = jnp.sum(valid * optax.huber_loss(predicted.value, s)) / jnp.maximum(jnp.sum(valid), 1.0)
    return value + 0.3 * jnp.mean(optax.sigmoid_binary_cross_entropy(predicted.logit, valid))
