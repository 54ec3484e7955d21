"""The policy: nothing but Gauss-Newton before it has learned, better than that afterwards."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gbar.agent.learning import environment as env
from gbar.agent.learning.actor_critic import Experience, LearnConfig, Learner, init_learner, learn
from gbar.agent.learning.environment import Dynamics, EnvConfig, State
from gbar.agent.learning.planner import roll_out
from gbar.agent.learning.policy import act
from gbar.surrogate import Response
from tests.synthetic import Fitted, aims, linear_dynamics, linear_network

# Gauss-Newton alone gets nowhere in six of its steps here: what there is to gain is the policy's
SHORT_STEPS = EnvConfig(longest=0.04, reach=0.1)
SMALL = LearnConfig(environments=96, updates=20)
ROUNDS = 3
MARGIN = 0.1  # reward a step
SESSIONS = 64


@pytest.fixture(scope="module")
def dynamics(fitted: Fitted) -> Dynamics:
    return Dynamics(fitted.params, fitted.scaling, jnp.asarray(2.0))


@pytest.fixture(scope="module")
def experience(fitted: Fitted) -> Experience:
    complete = np.isfinite(fitted.features).all(axis=1)
    return Experience(jnp.asarray(fitted.u, jnp.float32), aims(fitted.features[complete][:64]))


@partial(jax.jit, static_argnums=0)
def stepped(
    network: Response, learner: Learner, dynamics: Dynamics, key: jax.Array, state: State
) -> tuple[State, jax.Array]:
    before = env.evaluate(network, dynamics, state, SHORT_STEPS)
    noise = jax.random.normal(key, state.u.shape)
    action = act(noise, learner.policy.actor, env.observe(before, state, SHORT_STEPS))
    after = env.step(state, before, action, SHORT_STEPS)
    return after, env.reward(before, env.evaluate(network, dynamics, after, SHORT_STEPS), dynamics, SHORT_STEPS)


def mean_reward(learner: Learner, fitted: Fitted, dynamics: Dynamics, experience: Experience) -> float:
    """Of a step, over whole sessions that training has not seen."""
    rows = jnp.arange(4 * SESSIONS) % len(experience.goals.mean)
    goals = jax.tree.map(lambda part: part[rows].reshape(4, SESSIONS, -1), experience.goals)
    u = jax.random.uniform(jax.random.key(99), (4, SESSIONS, 3))
    state = State(u, goals, jnp.full((4, SESSIONS), SHORT_STEPS.episode))

    rewards = []
    for key in jax.random.split(jax.random.key(98), SHORT_STEPS.episode):
        state, reward = stepped(fitted.network, learner, dynamics, key, state)
        rewards.append(float(jnp.mean(reward)))
    return float(np.mean(rewards))


def trained(seed: int, fitted: Fitted, dynamics: Dynamics, experience: Experience) -> tuple[Learner, Learner]:
    """The same policy before and after."""
    start_key, *keys = jax.random.split(jax.random.key(seed), ROUNDS + 1)
    learner = before = init_learner(start_key, env.observation_size(3, 4), 3, SMALL)
    for key in keys:
        learner, _ = learn(key, learner, dynamics, experience, fitted.network, SHORT_STEPS, SMALL)
    return before, learner


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learning_pays(fitted: Fitted, dynamics: Dynamics, experience: Experience, seed: int) -> None:
    before, after = trained(seed, fitted, dynamics, experience)
    gain = mean_reward(after, fitted, dynamics, experience) - mean_reward(before, fitted, dynamics, experience)
    assert gain > MARGIN


def test_a_key_decides(fitted: Fitted, dynamics: Dynamics, experience: Experience) -> None:
    one, same, other = (trained(seed, fitted, dynamics, experience)[1].policy for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(same), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(one))


def test_untrained_it_is_gauss_newton(fitted: Fitted) -> None:
    """On a linear response the untrained policy ends where Gauss-Newton does, but for its exploring."""
    slopes, config = np.array([[1.5, 0.2, 0.0], [-0.3, 1.0, 0.4]]), EnvConfig(damping=1e-6, longest=10.0)
    hidden = np.array([0.3, 0.8])
    dynamics = linear_dynamics([slopes], [-(2 * hidden - 1) @ slopes])
    learner = init_learner(jax.random.key(0), env.observation_size(2, 3), 2, SMALL)
    starts = jax.random.uniform(jax.random.key(1), (1, 40, 2))
    target = aims(np.zeros(3), np.ones(3))
    noise = jax.random.normal(jax.random.key(2), (1, *starts.shape))
    places = np.asarray(roll_out(noise, learner.policy, dynamics, starts, target, linear_network(3), config))
    away = places - hidden
    assert np.abs(away).max() < config.reach  # the most an action can do
    assert np.abs(away.mean(axis=0)).max() < 0.2 * config.reach
    assert 0 < away.std() < 0.4 * config.reach


def test_info_says_how_it_went(fitted: Fitted, dynamics: Dynamics, experience: Experience) -> None:
    learner = init_learner(jax.random.key(0), env.observation_size(3, 4), 3, SMALL)
    _, info = learn(jax.random.key(1), learner, dynamics, experience, fitted.network, SHORT_STEPS, SMALL)
    assert info.reward.shape == info.solved.shape == (SMALL.updates,)
    assert np.isfinite(info.reward).all()
    assert ((info.solved >= 0) & (info.solved <= 1)).all()
