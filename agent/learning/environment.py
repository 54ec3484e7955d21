"""The tuning environment: a modeller's session on a surrogate, as pure functions on whole batches.

One ensemble member is the hidden truth of each environment; the others are what may be believed. A step moves the
parameters by a Gauss-Newton step plus the agent's action and reports what the hidden member then shows. Arrays are
member-major, [M, K, ...]: K environments on each of M members.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gbar.agent.learning.target import Target, residual
from gbar.surrogate import Params, Response, Scaling, respond


class EnvConfig(NamedTuple):
    """The rules of a session."""

    episode: int = 6  # simulated batches before it ends
    reach: float = 0.1  # the largest action, as a share of each parameter's range
    longest: float = 0.35  # the longest Gauss-Newton step, norm in the unit cube
    damping: float = 0.1
    query_cost: float = 0.02
    pessimism: float = 0.1  # price of going where members disagree


class Dynamics(NamedTuple):
    """The dynamics."""

    params: Params  # leaves [M, ...]
    scaling: Scaling
    tolerance: jax.Array  # []


class State(NamedTuple):
    """Where each session stands."""

    u: jax.Array  # [M, K, D] current parameters, unit cube
    target: Target[jax.Array]  # [M, K, F] what to reach
    left: jax.Array  # [M, K] queries left


class StepInfo(NamedTuple):
    """What the hidden member shows at the current parameters."""

    r: jax.Array  # [M, K, F] asinh(z)
    p: jax.Array  # [M, K, F] probability of being defined
    newton: jax.Array  # [M, K, D] Gauss-Newton step
    spread: jax.Array  # [M, K, F] SD of r over members


def evaluate(network: Response, dynamics: Dynamics, state: State, config: EnvConfig) -> StepInfo:
    """Evaluate the hidden members, the step they suggest, and how far the ensemble disagrees."""

    def member_info(member: Params, u: jax.Array, target: Target[jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        def residuals(u: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            predicted = respond(network, member, u)
            r, p = residual(dynamics.scaling, predicted.value, target), jax.nn.sigmoid(predicted.logit)
            return jnp.concatenate([r * p, jax.nn.softplus(-predicted.logit)]), (r, p)

        jacobian, _ = jax.jacfwd(residuals, has_aux=True)(jax.lax.stop_gradient(u))
        combined, (r, p) = residuals(u)
        newton = _gauss_newton(jax.lax.stop_gradient(combined), jacobian, config)
        return r, p, newton

    r, p, newton = jax.vmap(jax.vmap(member_info, in_axes=(None, 0, 0)))(dynamics.params, state.u, state.target)
    return StepInfo(r, p, jax.lax.stop_gradient(newton), _spread(network, dynamics, state))


def _gauss_newton(r: jax.Array, jacobian: jax.Array, config: EnvConfig) -> jax.Array:  # [R], [R, D] -> [D]
    """Damped Gauss-Newton step (Levenberg 1944, eq. 5), no longer than allowed."""
    normal = jacobian.T @ jacobian + config.damping * jnp.eye(jacobian.shape[1])
    step = -jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(normal), jacobian.T @ r)
    return step * jnp.minimum(1.0, config.longest / (jnp.linalg.norm(step) + 1e-6))


def _spread(network: Response, dynamics: Dynamics, state: State) -> jax.Array:  # [M, K, F]
    every = jax.vmap(lambda member: respond(network, member, state.u).value)(dynamics.params)  # [M, M, K, F]
    r = residual(dynamics.scaling, every, state.target)
    return jnp.sqrt(jnp.var(r, axis=0) + 1e-12)  # the gradient of a plain SD is NaN where members agree


def observe(info: StepInfo, state: State, config: EnvConfig) -> jax.Array:  # [M, K, O]
    """What the agent sees: residuals, masks, disagreement, place, suggested step, budget left."""
    left = (state.left / config.episode)[..., None]
    parts = [info.r / 2, info.p, info.spread, 2 * state.u - 1, info.newton / config.reach, left]
    return jnp.concatenate(parts, axis=-1)


def observation_size(dimension: int, features: int) -> int:
    """O of `observe`."""
    return 3 * features + 2 * dimension + 1


def cost(
    r: jax.Array, p: jax.Array, tolerance: jax.Array, weight: jax.Array | None = None
) -> jax.Array:  # [..., F] -> [...]
    """How far from a solution: excess over 70 % of the tolerance, plus what may not be defined at all."""
    excess = jnp.maximum(jnp.abs(r) - jnp.arcsinh(0.7 * tolerance), 0.0)
    short = p * excess**2 + 4.0 * (1.0 - p)
    return jnp.mean(short if weight is None else weight * short, axis=-1)


def solved(info: StepInfo, dynamics: Dynamics) -> jax.Array:  # [M, K] bool
    """Whether every feature is within tolerance and more likely defined than not."""
    return jnp.all((jnp.abs(info.r) <= jnp.arcsinh(dynamics.tolerance)) & (info.p > 0.5), axis=-1)


def step(state: State, info: StepInfo, action: jax.Array, config: EnvConfig) -> State:  # action [M, K, D] in [-1, 1]
    """The agent's action on top of the Gauss-Newton step."""
    u = jnp.clip(state.u + info.newton + config.reach * action, 0.0, 1.0)
    return State(u, state.target, state.left - 1)


def reward(
    before: StepInfo, after: StepInfo, dynamics: Dynamics, config: EnvConfig, weight: jax.Array | None = None
) -> jax.Array:  # [M, K]
    """Decrease of the log cost, a bonus for arriving, less the cost of a query and of wandering off the data."""
    was, now = (cost(info.r, info.p, dynamics.tolerance, weight) for info in (before, after))
    progress = jnp.log(0.01 + was) - jnp.log(0.01 + now)
    return progress + jnp.exp(-now / 0.02) - config.query_cost - config.pessimism * jnp.mean(after.spread, axis=-1)
