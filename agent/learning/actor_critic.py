"""Training the policy: short-horizon actor-critic with gradients through the surrogate, one jitted scan.

After Xu et al. 2022 (SHAC, eqs. 5-7): the actor climbs the return of a short window, differentiated through the
dynamics, with the critic's value of where the window ends; the critic regresses on the same window's returns.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gbar.agent.learning import environment as env
from gbar.agent.learning.environment import Dynamics, EnvConfig, State
from gbar.agent.learning.policy import Policy, act, init_policy, value
from gbar.agent.learning.target import Target
from gbar.surrogate import Params, Response


class LearnConfig(NamedTuple):
    """How the policy is trained."""

    environments: int = 1024  # rounded down to a multiple of the members
    window: int = 3
    updates: int = 12  # in one round; its length is fixed, so that learning compiles once
    first_rounds: int = 5  # for a policy that knows nothing; one round after every refit
    actor_rate: float = 2e-3
    critic_rate: float = 4e-3
    discount: float = 0.95


class Experience(NamedTuple):
    """What sessions start from and aim at. Rows are drawn uniformly."""

    starts: jax.Array  # [S, D] unit-cube points already simulated
    goals: Target[jax.Array]  # [G, F] features of archived cells (hindsight) and the user's own


class LearnInfo(NamedTuple):
    """Per update."""

    reward: jax.Array  # [U] mean over environments and steps
    solved: jax.Array  # [U] share of final states with every predicted |z| in tolerance


class Learner(NamedTuple):
    """A policy and the state of its optimisers."""

    policy: Policy
    actor_state: Any
    critic_state: Any


def _optimisers(config: LearnConfig) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
    actor, critic = (
        optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
        for rate in (config.actor_rate, config.critic_rate)
    )
    return actor, critic


def init_learner(key: jax.Array, observation: int, dimension: int, config: LearnConfig) -> Learner:
    """A policy that knows nothing yet."""
    policy = init_policy(key, observation, dimension)
    actor_optimiser, critic_optimiser = _optimisers(config)
    return Learner(policy, actor_optimiser.init(policy.actor), critic_optimiser.init(policy.critic))


@partial(jax.jit, static_argnames=("network", "config"))
def learn(
    key: jax.Array,
    learner: Learner,
    dynamics: Dynamics,
    experience: Experience,
    network: Response,
    env_config: EnvConfig,
    config: LearnConfig,
) -> tuple[Learner, LearnInfo]:
    """Train for one round of `config.updates`.

    Args:
        key: consumed.
        learner: where to start.
        dynamics, experience: the surrogate and the sessions played on it.
        network, config: static.
        env_config: the rules, not static: other rules share what is compiled.
    """
    actor_optimiser, critic_optimiser = _optimisers(config)

    def update(carry: tuple[Learner, State], key: jax.Array) -> tuple[tuple[Learner, State], LearnInfo]:
        (policy, actor_state, critic_state), state = carry
        reset_key, play_key = jax.random.split(key)
        state = _renew(reset_key, state, experience, env_config)

        def actor_loss(actor: Params) -> tuple[jax.Array, tuple[Any, ...]]:
            return _play(play_key, policy._replace(actor=actor), dynamics, state, network, env_config, config)

        gradient, (after, seen, returns, info) = jax.grad(actor_loss, has_aux=True)(policy.actor)
        step, actor_state = actor_optimiser.update(gradient, actor_state)
        actor = optax.apply_updates(policy.actor, step)

        def critic_loss(critic: Params) -> jax.Array:
            return jnp.mean(optax.huber_loss(value(critic, seen), returns))

        step, critic_state = critic_optimiser.update(jax.grad(critic_loss)(policy.critic), critic_state)
        critic = optax.apply_updates(policy.critic, step)
        return (Learner(Policy(actor, critic), actor_state, critic_state), after), info

    start_key, scan_key = jax.random.split(key)
    members = jax.tree.leaves(dynamics.params)[0].shape[0]
    states = _fresh(start_key, (members, config.environments // members), experience, env_config)
    (learner, _), info = jax.lax.scan(update, (learner, states), jax.random.split(scan_key, config.updates))
    return learner, info


def _fresh(key: jax.Array, shape: tuple[int, int], experience: Experience, config: EnvConfig) -> State:
    """New sessions: from archived points with a jitter, towards archived or the user's goals."""
    start_key, goal_key, jitter_key, left_key = jax.random.split(key, 4)
    start = jax.random.randint(start_key, shape, 0, experience.starts.shape[0])
    goal = jax.random.randint(goal_key, shape, 0, experience.goals.mean.shape[0])
    u = experience.starts[start]
    u = jnp.clip(u + 0.05 * jax.random.normal(jitter_key, u.shape), 0.0, 1.0)
    left = jax.random.randint(left_key, shape, 1, config.episode + 1)  # staggered, so that windows see every phase
    return State(u, jax.tree.map(lambda part: part[goal], experience.goals), left)


def _renew(key: jax.Array, state: State, experience: Experience, config: EnvConfig) -> State:
    """Replace the sessions that have no queries left."""
    fresh = _fresh(key, (state.left.shape[0], state.left.shape[1]), experience, config)
    over = state.left <= 0
    renewed: State = jax.tree.map(
        lambda new, old: jnp.where(over.reshape(over.shape + (1,) * (old.ndim - 2)), new, old), fresh, state
    )
    return renewed


def _play(
    key: jax.Array,
    policy: Policy,
    dynamics: Dynamics,
    state: State,
    network: Response,
    env_config: EnvConfig,
    config: LearnConfig,
) -> tuple[jax.Array, tuple[Any, ...]]:
    """One window of every session: the actor's loss, and (where it ended, observations, returns, info)."""

    def step(
        carry: tuple[State, env.StepInfo], key: jax.Array
    ) -> tuple[tuple[State, env.StepInfo], tuple[jax.Array, ...]]:
        state, now = carry
        seen = env.observe(now, state, env_config)
        action = act(jax.random.normal(key, state.u.shape), policy.actor, seen)
        after = env.step(state, now, action, env_config)
        seen_after = env.evaluate(network, dynamics, after, env_config)
        alive = (state.left > 0).astype(jnp.float32)
        reward = env.reward(now, seen_after, dynamics, env_config, state.target.weight)
        return (after, seen_after), (seen, alive * reward, alive)

    now = env.evaluate(network, dynamics, state, env_config)
    (after, last), (seen, rewards, alive) = jax.lax.scan(step, (state, now), jax.random.split(key, config.window))
    end = value(policy.critic, env.observe(last, after, env_config))
    end = jnp.where(after.left > 0, end, 0.0)

    def backwards(later: jax.Array, reward: jax.Array) -> tuple[jax.Array, jax.Array]:
        total = reward + config.discount * later
        return total, total

    _, returns = jax.lax.scan(backwards, end, rewards, reverse=True)  # [H, M, K]
    solved = jnp.mean(env.solved(last, dynamics))
    info = LearnInfo(jnp.sum(rewards) / jnp.maximum(jnp.sum(alive), 1.0), solved)
    stopped = jax.lax.stop_gradient((after, seen, returns, info))
    return -jnp.mean(returns[0]), stopped
