"""The gymnasium adapter: gymnasium's own checks, and one session for each way to end."""

import importlib
import sys
import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from gbar.agent.learning import environment as env
from gbar.agent.learning.actor_critic import Experience
from gbar.agent.learning.environment import Dynamics, EnvConfig
from gbar.agent.learning.gym_env import TuningEnv
from gbar.sim import GbarError
from tests.synthetic import MEAN, SD, aims, fit_synthetic, response

# gymnasium's advice, not a complaint: features have no bounds, and the adapter is not in its registry
ADVICE = ["infinity", "minimum value", "maximum value", "`env.spec`", "spec is None"]
HIDDEN = np.array([0.7, 0.3, 0.5])


@pytest.fixture(scope="module")
def tuning() -> TuningEnv:
    fitted = fit_synthetic(np.random.default_rng(0).random((200, 3)))
    dynamics = Dynamics(fitted.params, fitted.scaling, jnp.asarray(2.0))
    complete = np.isfinite(fitted.features).all(axis=1)
    experience = Experience(jnp.asarray(fitted.u, jnp.float32), aims(fitted.features[complete]))
    return TuningEnv(dynamics, fitted.network, experience)


def play(tuning: TuningEnv, seed: int, actions: np.random.Generator) -> list[tuple]:
    seen, info = tuning.reset(seed=seed)
    kept: list[tuple] = [(seen, info["u"], info["member"])]
    ended = False
    while not ended:
        seen, reward, terminated, truncated, info = tuning.step(actions.uniform(-1, 1, 3).astype(np.float32))
        kept.append((seen, info["u"], reward, terminated, truncated))
        ended = terminated or truncated
    return kept


def test_without_gymnasium_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    monkeypatch.delitem(sys.modules, "gbar.agent.learning.gym_env")
    with pytest.raises(GbarError, match=r"needs gymnasium: install it with pip install 'gbar\[gym\]'$"):
        importlib.import_module("gbar.agent.learning.gym_env")


def test_gymnasium_accepts_it(tuning: TuningEnv) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        check_env(tuning, skip_render_check=True)
    complaints = [str(w.message) for w in said if not any(advice in str(w.message) for advice in ADVICE)]
    assert complaints == []


def test_spaces(tuning: TuningEnv) -> None:
    assert isinstance(tuning.observation_space, gymnasium.spaces.Box)
    assert (tuning.observation_space.dtype, tuning.action_space.dtype) == (np.float32, np.float32)
    assert tuning.action_space.shape == (3,)
    assert tuning.observation_space.shape == (env.observation_size(3, 4),)


def test_random_actions(tuning: TuningEnv) -> None:
    """Sessions end, one way or the other, and everything in them is finite and inside the cube."""
    draw, ends = np.random.default_rng(0), []
    for seed in range(20):
        steps = play(tuning, seed, draw)[1:]
        assert 1 <= len(steps) <= tuning.config.episode
        assert all(seen in tuning.observation_space for seen, *_ in steps)
        assert all(((u >= 0) & (u <= 1)).all() and np.isfinite(reward) for _, u, reward, *_ in steps)
        assert all(not terminated and not truncated for *_, terminated, truncated in steps[:-1])
        *_, terminated, truncated = steps[-1]
        assert terminated != truncated
        assert terminated or len(steps) == tuning.config.episode
        ends.append(terminated)
    assert any(ends)
    assert not all(ends)


def test_a_seed_decides(tuning: TuningEnv) -> None:
    one, same, other = (play(tuning, seed, np.random.default_rng(1)) for seed in (3, 3, 4))
    assert len(one) == len(same)
    assert all(np.array_equal(a, b) for x, y in zip(one, same, strict=True) for a, b in zip(x, y, strict=True))
    assert not np.array_equal(one[0][1], other[0][1])


def test_options(tuning: TuningEnv) -> None:
    goal = response(HIDDEN[None])[0]
    _, info = tuning.reset(seed=0, options={"member": 2, "start": HIDDEN, "goal": goal})
    assert info["member"] == 2
    assert info["u"] == pytest.approx(HIDDEN)
    assert info["solved"]
    _, info = tuning.reset(seed=0, options={"start": HIDDEN, "goal": goal + 100 * SD})
    assert not info["solved"]


@pytest.mark.parametrize(
    "options", [{"memebr": 1}, {"member": 4}, {"member": -1}, {"start": [0.5]}, {"goal": [1.0, 2.0]}]
)
def test_options_that_cannot_be(tuning: TuningEnv, options: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        tuning.reset(options=options)


def test_it_ends_when_solved(tuning: TuningEnv) -> None:
    tuning.reset(seed=0, options={"start": np.clip(HIDDEN + 0.1, 0, 1), "goal": response(HIDDEN[None])[0]})
    done = [tuning.step(np.zeros(3, np.float32)) for _ in range(4)]
    assert any(terminated for _, _, terminated, _, _ in done)


def test_it_ends_when_queries_run_out(tuning: TuningEnv) -> None:
    tuning.reset(seed=0, options={"goal": MEAN + 1000 * SD})
    ends = [tuning.step(np.zeros(3, np.float32))[2:4] for _ in range(tuning.config.episode)]
    assert ends == [(False, False)] * (tuning.config.episode - 1) + [(False, True)]


def test_the_session_is_the_environments_own(tuning: TuningEnv) -> None:
    """Reward and observation are the environment's own on the same member, whatever the other members think."""
    options = {"member": 1, "start": HIDDEN, "goal": MEAN}
    tuning.reset(seed=0, options=options)
    seen, reward, *_ = tuning.step(np.full(3, 0.5, np.float32))
    shape = (4, 1)
    state = env.State(
        jnp.broadcast_to(jnp.asarray(HIDDEN, jnp.float32), (*shape, 3)),
        aims(np.broadcast_to(MEAN, (*shape, 4))),
        jnp.full(shape, tuning.config.episode),
    )
    config = EnvConfig()
    evaluate = jax.jit(env.evaluate, static_argnums=(0, 3))
    before = evaluate(tuning.network, tuning.dynamics, state, config)
    state = env.step(state, before, jnp.full((*shape, 3), 0.5), config)
    after = evaluate(tuning.network, tuning.dynamics, state, config)
    expected = np.asarray(env.observe(after, state, config))[1, 0]
    assert seen[:8] == pytest.approx(expected[:8], abs=1e-3)  # r / 2 and p are the member's; the spread is everyone's
    assert seen[12:15] == pytest.approx(expected[12:15], abs=1e-5)
    assert reward == pytest.approx(float(env.reward(before, after, tuning.dynamics, config)[1, 0]), abs=0.2)
