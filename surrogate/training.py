"""Training the ensemble: one jitted scan over steps, compiled once for a whole run."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gbar.surrogate.network import Params, Prediction, Response, basis, init_params, respond
from gbar.surrogate.scaling import Scaling, squash


class FitConfig(NamedTuple):
    """How the ensemble is built and trained."""

    members: int = 6
    hidden: int = 64
    layers: int = 2
    steps: int = 300  # in one pass; its length is fixed, so that training compiles once
    first_passes: int = 3  # from a fresh start
    batch: int = 32  # rows drawn in a step
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    ridge: float = 0.03  # of `refine`: how firmly the heads are held where they were


class Data(NamedTuple):
    """Evaluations padded to a fixed number of rows, so that nothing recompiles as a run grows."""

    u: jax.Array  # [P, D] unit-cube parameters
    s: jax.Array  # [P, F] squashed features, 0 where not defined
    valid: jax.Array  # [P, F] 1 where defined
    known: jax.Array  # [P, F] 1 where simulated: of the rest nobody knows whether it is defined
    weight: jax.Array  # [P] how often a row is drawn; 0 for padding
    fold: jax.Array  # [P] the member that never sees the row, -1 for none


def pad(
    u: np.ndarray,
    features: np.ndarray,
    weight: np.ndarray,
    scaling: Scaling,
    rows: int,
    fold: np.ndarray | None = None,
) -> Data:
    """Arrange N evaluations as `rows` >= N rows.

    Args:
        u: [N, D] unit-cube parameters.
        features: [N, F], NaN where not defined (everything, for an evaluation that failed), infinite where not
            simulated.
        weight: [N] how often each row is drawn.
        scaling: of the features.
        rows: P.
        fold: [N] see `Data`; every member sees everything where it is not given.
    """
    fold = np.full(len(u), -1) if fold is None else fold
    more = rows - len(u)
    valid, known = np.isfinite(features), ~np.isinf(features)
    scaled = squash(scaling, np.where(valid, features, 0.0))
    s = np.where(valid, scaled, 0.0)
    arrays = [np.pad(array, ((0, more), (0, 0))) for array in (u, s, valid, known)] + [
        np.pad(weight, (0, more)),
        np.pad(fold, (0, more), constant_values=-1),
    ]
    return Data(*(jnp.asarray(array.astype(np.float32)) for array in arrays))


def fit(
    key: jax.Array, data: Data, network: Response, config: FitConfig, start: Params | None = None, passes: int = 1
) -> Params:
    """Train an ensemble on padded evaluations, from a fresh start or from an earlier fit.

    Args:
        key: consumed.
        data: from `pad`.
        network, config: static.
        start: parameters of an earlier fit, to which a batch has been added since.
        passes: from such a start; from a fresh one `first_passes` times as many.

    Returns:
        Parameters, leaves [M, ...].
    """
    init_key, train_key = jax.random.split(key)
    params = init_params(init_key, network, config.members, data.u.shape[1]) if start is None else start
    for number in range(passes * (config.first_passes if start is None else 1)):
        params, _ = train(jax.random.fold_in(train_key, number), params, data, network, config)
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
    emphasis = emphasis * (data.fold != jnp.arange(config.members)[:, None])
    cumulative = jnp.cumsum(emphasis, axis=1)  # [M, P]

    def loss_of(member: Params, cumulative: jax.Array, key: jax.Array) -> jax.Array:
        draws = jax.random.uniform(key, (config.batch,)) * cumulative[-1]
        rows = jnp.minimum(jnp.searchsorted(cumulative, draws), cumulative.shape[0] - 1)
        return _loss(respond(network, member, data.u[rows]), data.s[rows], data.valid[rows], data.known[rows])

    def step(carry: tuple[Any, ...], key: jax.Array) -> tuple[tuple[Any, ...], jax.Array]:
        params, state = carry
        keys = jax.random.split(key, config.members)
        losses, gradients = jax.vmap(jax.value_and_grad(loss_of))(params, cumulative, keys)
        updates, state = optimiser.update(gradients, state, params)
        return (optax.apply_updates(params, updates), state), jnp.mean(losses)

    (params, _), losses = jax.lax.scan(
        step, (params, optimiser.init(params)), jax.random.split(steps_key, config.steps)
    )
    return params, losses


def _loss(predicted: Prediction, s: jax.Array, valid: jax.Array, known: jax.Array) -> jax.Array:
    """Huber loss of defined features plus cross-entropy of definedness. Undefined features never enter the first, what
    was not simulated neither."""
    value = jnp.sum(valid * optax.huber_loss(predicted.value, s)) / jnp.maximum(jnp.sum(valid), 1.0)
    doubt = known * optax.sigmoid_binary_cross_entropy(predicted.logit, valid)
    return value + 0.3 * jnp.sum(doubt) / jnp.maximum(jnp.sum(known), 1.0)


@partial(jax.jit, static_argnames=("network", "config"))
def refine(params: Params, data: Data, network: Response, config: FitConfig) -> Params:
    """Move every member's value head to what it gets wrong about a few hundred rows, in closed form.

    Weighted ridge regression of the residuals on what the head is linear in: exact, cheap and the same every time,
    where a few hundred steps of descent would forget what thousands of rows have taught the trunk.

    Args:
        params: leaves [M, ...].
        data: the rows that matter, padded; `weight` says how much each does.
        network, config: static.
    """

    def head(member: Params) -> Params:
        phi = basis(network, member, data.u)  # [P, K]
        phi = jnp.concatenate([phi, jnp.ones_like(phi[:, :1])], axis=1)
        missed = data.s - respond(network, member, data.u).value  # [P, F]

        def solve(missed: jax.Array, weight: jax.Array) -> jax.Array:  # [P], [P] -> [K]
            heavy = phi * weight[:, None]
            normal = heavy.T @ phi + config.ridge * jnp.eye(phi.shape[1])
            return jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(normal), heavy.T @ missed)

        change = jax.vmap(solve, in_axes=(1, 1), out_axes=1)(missed, data.valid * data.weight[:, None])  # [K, F]
        value = member["params"]["value"]
        value = {"kernel": value["kernel"] + change[:-1], "bias": value["bias"] + change[-1]}
        return {**member, "params": {**member["params"], "value": value}}

    return jax.lax.map(head, params)
