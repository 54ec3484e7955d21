"""The tuning environment on responses whose answers are known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gbar.agent.learning import environment as env
from gbar.agent.learning.environment import Dynamics, EnvConfig, State
from gbar.surrogate import Response, respond, unsquash
from tests.synthetic import MEAN, SD, Fitted, aims, linear_dynamics, linear_network, response

CONFIG = EnvConfig()
SLOPES = np.array([[1.5, 0.2, 0.0], [-0.3, 1.0, 0.4]])  # [D, F]
CLOSE = 1e-5
evaluate = jax.jit(env.evaluate, static_argnums=(0, 3))


@pytest.fixture(scope="module")
def dynamics(fitted: Fitted) -> Dynamics:
    return Dynamics(fitted.params, fitted.scaling, jnp.asarray(2.0))


def states(dynamics: Dynamics, sessions: int, dimension: int, goal: np.ndarray, seed: int = 0) -> State:
    """K sessions on each member, from random places."""
    members = jax.tree.leaves(dynamics.params)[0].shape[0]
    u = jax.random.uniform(jax.random.key(seed), (members, sessions, dimension))
    goals = aims(np.broadcast_to(goal, (members, sessions, len(goal))), SD if len(goal) == len(SD) else np.ones(1))
    return State(u, goals, jnp.full((members, sessions), CONFIG.episode))


@partial(jax.jit, static_argnums=0)
def stepped(
    network: Response, dynamics: Dynamics, state: State, action: jax.Array
) -> tuple[State, jax.Array, jax.Array]:
    before = env.evaluate(network, dynamics, state, CONFIG)
    after = env.step(state, before, action, CONFIG)
    seen = env.evaluate(network, dynamics, after, CONFIG)
    return after, env.observe(seen, after, CONFIG), env.reward(before, seen, dynamics, CONFIG)


def step(fitted: Fitted, dynamics: Dynamics, state: State, action: jax.Array) -> tuple[State, jax.Array, jax.Array]:
    return stepped(fitted.network, dynamics, state, action)


def test_sessions_do_not_depend_on_their_neighbours(fitted: Fitted, dynamics: Dynamics) -> None:
    """Each of a batch does what it does alone, and whatever happens to the others."""
    state = states(dynamics, 5, 3, MEAN)
    action = jax.random.uniform(jax.random.key(1), state.u.shape, minval=-1, maxval=1)
    whole = step(fitted, dynamics, state, action)
    for k in range(5):
        alone = step(fitted, dynamics, jax.tree.map(lambda part, k=k: part[:, k : k + 1], state), action[:, k : k + 1])
        for together, single in zip(jax.tree.leaves(whole), jax.tree.leaves(alone), strict=True):
            assert np.asarray(together[:, k]) == pytest.approx(np.asarray(single[:, 0]), abs=2e-3)
    disturbed = state._replace(
        u=state.u.at[:, 0].set(0.5), target=state.target._replace(mean=state.target.mean.at[:, 0].set(0.0))
    )
    for together, other in zip(
        jax.tree.leaves(whole), jax.tree.leaves(step(fitted, dynamics, disturbed, action)), strict=True
    ):
        assert np.array_equal(together[:, 1:], other[:, 1:])
    assert not np.array_equal(whole[2][:, 0], step(fitted, dynamics, disturbed, action)[2][:, 0])


def test_a_session_on_member_m_sees_member_m(fitted: Fitted, dynamics: Dynamics) -> None:
    state = states(dynamics, 3, 3, MEAN)
    info = evaluate(fitted.network, dynamics, state, CONFIG)
    for m in range(4):
        member = jax.tree.map(lambda leaf, m=m: leaf[m], dynamics.params)
        predicted = respond(fitted.network, member, state.u[m])
        features = np.asarray(unsquash(dynamics.scaling, predicted.value))
        assert np.asarray(info.r[m]) == pytest.approx(np.arcsinh((features - MEAN) / SD), abs=1e-3)
        assert np.asarray(info.p[m]) == pytest.approx(np.asarray(jax.nn.sigmoid(predicted.logit)), abs=CLOSE)


def test_the_members_tell_different_stories() -> None:
    """Two members that differ in a known way: each session's residual is its own member's, the spread is both's."""
    dynamics = linear_dynamics([SLOPES, SLOPES], [np.zeros(3), np.array([1.0, 0.0, -2.0])])
    state = states(dynamics, 2, 2, np.zeros(3))
    state = state._replace(u=jnp.broadcast_to(state.u[:1], state.u.shape))
    info = evaluate(linear_network(3), dynamics, state, CONFIG)
    expected = np.broadcast_to([1.0, 0.0, -2.0], (2, 3))
    assert np.asarray(info.r[1] - info.r[0]) == pytest.approx(expected, abs=CLOSE)
    assert np.asarray(info.spread) == pytest.approx(np.broadcast_to([0.5, 0.0, 1.0], (2, 2, 3)), abs=CLOSE)


def test_gauss_newton_solves_a_linear_response_at_once() -> None:
    undamped = CONFIG._replace(damping=1e-7, longest=10.0)
    hidden = np.array([0.3, 0.8])
    dynamics = linear_dynamics([SLOPES], [-(2 * hidden - 1) @ SLOPES])
    state = states(dynamics, 4, 2, np.zeros(3))
    info = evaluate(linear_network(3), dynamics, state, undamped)
    after = env.step(state, info, jnp.zeros_like(state.u), undamped)
    assert np.asarray(after.u) == pytest.approx(np.broadcast_to(hidden, after.u.shape), abs=1e-4)
    assert np.abs(evaluate(linear_network(3), dynamics, after, undamped).r).max() < 1e-3
    assert np.abs(info.r).max() > 0.1


def test_gauss_newton_step_is_no_longer_than_allowed() -> None:
    dynamics = linear_dynamics([0.01 * SLOPES], [np.full(3, 5.0)])
    info = evaluate(linear_network(3), dynamics, states(dynamics, 8, 2, np.zeros(3)), CONFIG._replace(damping=1e-6))
    assert np.linalg.norm(info.newton, axis=-1) == pytest.approx(np.full((1, 8), CONFIG.longest), rel=1e-4)


def test_moves_stay_in_the_cube_and_use_up_queries(fitted: Fitted, dynamics: Dynamics) -> None:
    state = states(dynamics, 50, 3, MEAN)
    info = evaluate(fitted.network, dynamics, state, CONFIG)
    for push in (-1.0, 1.0):
        after = env.step(state, info, jnp.full(state.u.shape, push), CONFIG._replace(reach=2.0))
        assert np.asarray(after.u) == pytest.approx(np.full(state.u.shape, max(push, 0.0)))
        assert np.array_equal(after.left, state.left - 1)
        assert np.array_equal(after.target.mean, state.target.mean)


def test_shortfall() -> None:
    """Zero up to 70 % of the tolerance and nowhere else; undefined counts more than far."""
    tolerance = jnp.asarray(2.0)
    edge = 0.7 * 2.0
    z = np.array([[0.0, 0.0], [edge - 1e-4, -edge + 1e-4], [edge + 0.05, 0.0], [2.0, 0.0], [10.0, 0.0]])
    found = np.asarray(env.cost(jnp.arcsinh(z), jnp.ones(z.shape), tolerance))
    assert found[:2].tolist() == [0.0, 0.0]
    assert (np.diff(found[1:]) > 0).all()
    silent = env.cost(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]]), tolerance)
    assert float(silent[0]) == 2.0
    assert float(silent[0]) > found[3]


def test_reward_signs() -> None:
    """Nearing pays, moving away costs, arriving pays most; a query costs; members that disagree cost."""
    dynamics = linear_dynamics([SLOPES], [np.zeros(3)])

    def info(z: float, spread: float = 0.0, p: float = 1.0) -> env.StepInfo:
        r = jnp.full((1, 1, 3), np.arcsinh(z))
        return env.StepInfo(r, jnp.full_like(r, p), jnp.zeros((1, 1, 2)), jnp.full_like(r, spread))

    def reward(before: env.StepInfo, after: env.StepInfo) -> float:
        return float(env.reward(before, after, dynamics, CONFIG)[0, 0])

    assert reward(info(20.0), info(5.0)) > 0 > reward(info(5.0), info(20.0))
    assert reward(info(20.0), info(20.0)) == pytest.approx(-CONFIG.query_cost)
    assert reward(info(5.0), info(1.0)) > reward(info(5.0), info(3.0)) > reward(info(5.0), info(4.0))
    assert reward(info(1.0), info(1.0)) == pytest.approx(1.0 - CONFIG.query_cost)
    assert reward(info(5.0), info(1.0, spread=1.0)) == pytest.approx(
        reward(info(5.0), info(1.0)) - CONFIG.pessimism, abs=CLOSE
    )
    assert reward(info(5.0, p=0.1), info(5.0, p=1.0)) > 0


def test_solved_needs_every_feature_in_tolerance_and_defined() -> None:
    dynamics = linear_dynamics([SLOPES], [np.zeros(3)])
    r = jnp.arcsinh(jnp.array([[[0.0, 1.99, -1.99], [0.0, 2.01, 0.0], [0.0, 0.0, 0.0]]]))
    p = jnp.array([[[0.6, 0.6, 0.6], [1.0, 1.0, 1.0], [1.0, 0.4, 1.0]]])
    found = env.solved(env.StepInfo(r, p, jnp.zeros((1, 3, 2)), jnp.zeros_like(r)), dynamics)
    assert found.tolist() == [[True, False, False]]


def test_observation(fitted: Fitted, dynamics: Dynamics) -> None:
    state = states(dynamics, 2, 3, MEAN)
    seen = env.observe(evaluate(fitted.network, dynamics, state, CONFIG), state, CONFIG)
    assert seen.shape == (4, 2, env.observation_size(3, 4))
    assert np.asarray(seen[..., -1]) == pytest.approx(1.0)
    assert np.isfinite(seen).all()


@pytest.mark.parametrize("members", [1, 4])
def test_gradients_are_finite(fitted: Fitted, dynamics: Dynamics, members: int) -> None:
    """Also where all members agree (an ensemble of one) and where a parameter is at its bound."""
    dynamics = dynamics._replace(params=jax.tree.map(lambda leaf: leaf[:members], dynamics.params))
    state = states(dynamics, 6, 3, MEAN)
    state = state._replace(u=state.u.at[:, 0].set(0.0).at[:, 1].set(1.0))

    def total(action: jax.Array) -> jax.Array:
        after, _, first = step(fitted, dynamics, state, action)
        return jnp.sum(first + step(fitted, dynamics, after, action)[2])

    gradient = np.asarray(jax.jit(jax.grad(total))(jnp.zeros(state.u.shape)))
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient[:, 2:]).max(axis=(0, 2)) > 0).all()


def test_a_session_finds_the_synthetic_cell(fitted: Fitted, dynamics: Dynamics) -> None:
    """Six Gauss-Newton steps, no agent: most sessions end where the true response is near the goal."""
    hidden = np.array([[0.7, 0.3, 0.5]])
    state = states(dynamics, 20, 3, response(hidden)[0])
    state = state._replace(u=jnp.clip(jnp.asarray(hidden, jnp.float32) + 0.3 * (state.u - 0.5), 0, 1))
    for _ in range(CONFIG.episode):
        info = evaluate(fitted.network, dynamics, state, CONFIG)
        state = env.step(state, info, jnp.zeros_like(state.u), CONFIG)
    z = (response(np.asarray(state.u).reshape(-1, 3)) - response(hidden)) / SD
    assert (np.abs(z).max(axis=1) < 2.0).mean() > 0.5
