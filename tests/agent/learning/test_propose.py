"""Chances of success against SciPy, and what makes a batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gbar.agent.learning import environment as env
from gbar.agent.learning.actor_critic import LearnConfig, init_learner
from gbar.agent.learning.environment import Dynamics, EnvConfig
from gbar.agent.learning.planner import (
    AIMS,
    DISTINCT,
    PlanConfig,
    Proposals,
    assess,
    descend,
    log_feasibility,
    project_to_trust_region,
    refine,
    roll_out,
    select_batch,
    shortfalls,
)
from gbar.agent.learning.target import UNDEFINED, Target, as_float32
from gbar.surrogate import FitConfig
from tests.synthetic import MEAN, SD, Fitted, aims, linear_dynamics, linear_network

TOLERANCE = 2.0
EDGE = np.arcsinh(TOLERANCE)
PLAN = PlanConfig(starts=6, rollout=3, descent=20)
NONE = np.empty((0, 2))


def proposals_of(
    r: np.ndarray, p: np.ndarray | None = None, u: np.ndarray | None = None, noise: float | np.ndarray = 0.5
) -> Proposals:
    """Candidates [Q] from r [M, Q, F]; on a line unless u says otherwise."""
    count = r.shape[1]
    places = np.linspace(0, 1, count)[:, None] * np.ones(2) if u is None else u
    wrong = np.broadcast_to(noise, r.shape[1:]).astype(float)
    return Proposals(places, np.zeros(count, int), r, np.ones_like(r) if p is None else p, wrong)


def chance_of(r: float, noise: float) -> float:
    return float(log_feasibility(proposals_of(np.full((1, 1, 1), r), noise=noise), TOLERANCE)[0, 0])


@settings(deadline=None)
@given(r=st.floats(-8, 8), noise=st.floats(0.2, 5))
def test_log_chance_is_that_of_a_normal(r: float, noise: float) -> None:
    """Against SciPy's own CDFs, from whichever tail keeps digits."""
    law = stats.norm(r, noise)
    inside = law.cdf(EDGE) - law.cdf(-EDGE) if r > 0 else law.sf(-EDGE) - law.sf(EDGE)
    assert chance_of(r, noise) == pytest.approx(np.log(inside), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("sigmas", [10, 40, 200, 1e4, 1e6])
def test_log_chance_in_the_far_tails(sigmas: float, sign: int) -> None:
    """Where the nearer edge is so far off that the other adds nothing."""
    noise = 0.3
    r = sign * (EDGE + sigmas * noise)
    assert chance_of(r, noise) == pytest.approx(stats.norm.logcdf(-sigmas), rel=1e-6)
    assert chance_of(r, noise) == pytest.approx(chance_of(-r, noise))
    assert chance_of(r, noise) < chance_of(0.9 * r, noise)  # still says which way is better


@pytest.mark.parametrize("noise", [1e-6, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("r", [0.0, 1e-9, 1.0, 20.0])
def test_log_chance_is_a_log_of_a_probability(r: float, noise: float) -> None:
    found = chance_of(r, noise)
    assert np.isfinite(found)
    assert found <= 0


def test_log_chance_of_several_features() -> None:
    """A product over features, each with its chance of being defined; impossible stays finite."""
    r, p = np.array([[[0.0, 1.0]]]), np.array([[[0.5, 0.25]]])
    noise = np.array([0.5, 0.7])
    alone = [chance_of(value, sd) for value, sd in zip(r[0, 0], noise, strict=True)]
    found = log_feasibility(proposals_of(r, p, noise=noise), TOLERANCE)[0, 0]
    assert found == pytest.approx(sum(alone) + np.log(0.5) + np.log(0.25))
    assert np.isfinite(log_feasibility(proposals_of(r, np.zeros_like(p), noise=noise), TOLERANCE)).all()


def chosen(
    proposals: Proposals, count: int, taken: np.ndarray = NONE, tried: np.ndarray = NONE, seed: int = 0
) -> np.ndarray:
    return select_batch(np.random.default_rng(seed), proposals, count, TOLERANCE, taken, tried, PLAN.apart)


def nearest(proposals: Proposals, aim: int, count: int = 1) -> np.ndarray:
    return select_batch(np.random.default_rng(0), proposals, count, TOLERANCE, NONE, NONE, PLAN.apart, aim)


def test_shortfalls_by_hand() -> None:
    """RMS asinh(z), mean |z| up to 20, the largest |asinh(z)|; what is not defined is as far as anything."""
    r, p = np.arcsinh([[[3.0, -4.0], [1e6, 0.0], [0.0, 0.0]]]), np.array([[[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]])
    found = shortfalls(proposals_of(r, p, noise=0))[:, 0]
    assert found[0] == pytest.approx(np.sqrt([(r[0, 0] ** 2).mean(), r[0, 1, 0] ** 2 / 2, UNDEFINED**2 / 2]))
    assert found[1] == pytest.approx([3.5, 10.0, 10.0])
    assert found[2] == pytest.approx([np.arcsinh(4.0), np.arcsinh(1e6), UNDEFINED])


def test_far_from_a_solution_a_batch_goes_by_what_is_minimised() -> None:
    """Four measurements cannot be met together: a small sum and a small largest |z| are two candidates."""
    z = np.array([[0.0, 0.0, 0.0, 18.0], [6.0, 6.0, 6.0, 6.0], [9.0, 9.0, 9.0, 9.0]])
    proposals = proposals_of(np.repeat(np.arcsinh(z)[None], 4, axis=0))
    assert [nearest(proposals, aim)[0] for aim in range(AIMS)] == [0, 0, 1]
    assert set(nearest(proposals, 1, 3)) == {0, 1, 2}, "what comes after two is by the next"


def test_far_from_a_solution_weights_and_what_must_hold_decide() -> None:
    """Of two that miss one measurement each, the one is chosen that misses what counts less, or need not hold."""
    r = np.repeat(np.arcsinh([[[6.0, 0.0], [0.0, 7.0]]]), 4, axis=0)
    plain, ones = shortfalls(proposals_of(r)).mean(axis=1), np.ones(2)
    weighted = shortfalls(proposals_of(r), Target(ones, ones, np.array([1.5, 0.5])), TOLERANCE).mean(axis=1)
    holding = shortfalls(proposals_of(r), Target(ones, ones, None, np.array([True, False])), TOLERANCE).mean(axis=1)
    assert (np.argmin(plain, axis=1) == 0).all()
    assert (np.argmin(weighted, axis=1) == [1, 1, 0]).all(), "the largest |z| is what it is"
    assert (np.argmin(holding, axis=1) == 1).all() and np.array_equal(holding[:, 1], plain[:, 1])


def test_descents_meet_what_must_hold() -> None:
    """Two measurements that one parameter cannot meet together."""
    dynamics = linear_dynamics([np.array([[3.0, 3.0]])], [np.array([2.0, -2.0])])
    starts, zeros, ones = jnp.full((1, 6, 1), 0.5), np.zeros(2), np.ones(2)

    def reached(*must_hold: bool) -> np.ndarray:  # [2], |z| of both at the end
        target = as_float32(Target(zeros, ones, None, np.array(must_hold)))
        end = descend(dynamics, starts, target, linear_network(2), PLAN._replace(descent=60))[-1:]
        return np.abs(np.sinh(assess(dynamics, end, target, linear_network(2))[0][0, 0]))

    assert (reached(True, True) > TOLERANCE).all()
    assert (reached(True, False) <= TOLERANCE).tolist() == [True, False]
    assert (reached(False, True) <= TOLERANCE).tolist() == [False, True]


def random_proposals(count: int = 300, seed: int = 0) -> Proposals:
    draw = np.random.default_rng(seed)
    u = draw.random((count, 2))
    return proposals_of(4 * (u - 0.5)[None] + draw.normal(0, 0.3, (4, count, 2)), u=u)


def test_the_best_comes_first() -> None:
    proposals = proposals_of(np.array([[[3.0], [0.0], [-3.0]]] * 4))
    assert chosen(proposals, 1)[0] == 1


def test_excludes_what_is_not_distinct_from_a_solution() -> None:
    proposals = random_proposals()
    best = proposals.u[chosen(proposals, 1)]
    batch = proposals.u[chosen(proposals, 16, taken=best)]
    assert (np.abs(batch - best).max(axis=1) >= DISTINCT).all()
    assert (np.abs(proposals.u[chosen(proposals, 16)] - best).max(axis=1) < DISTINCT).any()


def test_a_batch_is_diverse() -> None:
    """Members agree, and the best candidates lie together: a batch still does not."""
    u = np.concatenate(
        [0.5 + 0.001 * np.random.default_rng(0).random((50, 2)), np.random.default_rng(1).random((50, 2))]
    )
    proposals = proposals_of(np.repeat((u - 0.5)[None], 4, axis=0), u=u)
    batch = u[chosen(proposals, 8)]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(batch) for b in batch[:i]]
    assert min(apart) > 0.05


@pytest.mark.parametrize("far", [0.0, 30.0])
def test_never_the_same_twice(far: float) -> None:
    """Many starts end in one corner of the cube, and it is by far the best: it is simulated once."""
    u = np.concatenate([np.ones((40, 2)), np.random.default_rng(0).random((60, 2))])
    r = np.concatenate([np.zeros((40, 1)), np.full((60, 1), far)])
    batch = u[chosen(proposals_of(np.repeat(r[None], 4, axis=0), u=u), 16)]
    assert len(np.unique(batch, axis=0)) == 16
    again = u[chosen(proposals_of(np.repeat(r[None], 4, axis=0), u=u), 16, tried=np.ones((1, 2)))]
    assert not (again == 1).all(axis=1).any()


def test_more_asked_for_than_there_is() -> None:
    """Nothing left worth choosing: a batch all the same."""
    proposals = proposals_of(np.zeros((4, 3, 1)), u=np.full((3, 2), 0.5))
    for taken, tried in ((np.full((1, 2), 0.5), NONE), (NONE, np.full((1, 2), 0.5))):
        assert len(chosen(proposals, 5, taken, tried)) == 5


def test_broken_predictions_come_last() -> None:
    r = np.zeros((4, 3, 1))
    r[:, 0] = np.nan
    assert chosen(proposals_of(r), 1)[0] != 0


def test_refining_finds_what_candidates_missed() -> None:
    """Down a bowl whose middle lies between all candidates: as near as children can be told apart."""
    middle = np.array([0.43, 0.61])

    def assessed(u: np.ndarray, proposer: np.ndarray) -> Proposals:
        return Proposals(u, proposer, 10 * (u - middle)[None], np.ones((1, *u.shape)), np.zeros_like(u))

    def merit(of: Proposals) -> np.ndarray:
        value: np.ndarray = -shortfalls(of)[0, 0]
        return value

    first = assessed(np.random.default_rng(1).random((40, 2)), np.arange(40) % 3)
    found = refine(np.random.default_rng(0), first, merit, assessed, PLAN)
    assert np.array_equal(found.u[:40], first.u) and np.array_equal(found.proposer[:40], first.proposer)
    assert merit(first).max() < -0.3
    assert merit(found).max() > -0.03


def test_a_seed_decides() -> None:
    proposals = random_proposals()
    assert chosen(proposals, 16, seed=1).tolist() == chosen(proposals, 16, seed=1).tolist()
    assert chosen(proposals, 16, seed=1).tolist() != chosen(proposals, 16, seed=2).tolist()


def test_as_many_are_bred_as_are_asked() -> None:
    proposals = random_proposals()
    proposals.proposer[:40] = 2
    asked = (proposals, 6, 2.0, np.empty((0, 3)), np.empty((0, 3)), 0.15, 0, None)
    for bred in (0, 2, 6):
        chosen = select_batch(np.random.default_rng(0), *asked, bred)
        assert (chosen[6 - bred :] < 40).all() and len(set(chosen)) == 6
    assert len(select_batch(np.random.default_rng(0), random_proposals(), *asked[1:], 6)) == 6, "none are there"


def test_single_members_have_their_say() -> None:
    """Every other slot is one member's own favourite (Thompson): those who disagree are not outvoted for ever."""
    u = np.array([[0.1, 0.1], [0.9, 0.9], *np.random.default_rng(0).uniform(0.4, 0.6, (20, 2))])
    r = np.full((4, 22, 1), 6.0)
    r[:3, 0], r[3, 1] = 0.0, 0.0  # three members believe in the first candidate, one in the second
    batches = [chosen(proposals_of(r, u=u), 2, seed=seed) for seed in range(20)]
    assert all(batch[0] == 0 for batch in batches)
    assert any(batch[1] == 1 for batch in batches)


@pytest.fixture(scope="module")
def dynamics(fitted: Fitted) -> Dynamics:
    return Dynamics(fitted.params, fitted.scaling, jnp.asarray(TOLERANCE))


@pytest.fixture(scope="module")
def starts() -> jax.Array:
    """Corners of the cube included."""
    return jax.random.uniform(jax.random.key(0), (4, 6, 3)).at[:, 0].set(0.0).at[:, 1].set(1.0)


def test_plans_stay_in_the_cube(fitted: Fitted, dynamics: Dynamics, starts: jax.Array) -> None:
    """Also from its corners, towards a target that lies far outside what the cell can do."""
    target = aims(MEAN + 1000 * SD)
    learner = init_learner(jax.random.key(0), env.observation_size(3, 4), 3, LearnConfig())
    wild = EnvConfig(reach=1.0)
    noise = jax.random.normal(jax.random.key(1), (PLAN.rollout, *starts.shape))
    visited = roll_out(noise, learner.policy, dynamics, starts, target, fitted.network, wild)
    reached = descend(dynamics, starts, target, fitted.network, PLAN)
    assert visited.shape == (4 * 6 * PLAN.rollout, 3)
    assert reached.shape == (2 * 4 * 6, 3)
    for places in (visited, reached):
        assert ((places >= 0) & (places <= 1)).all()  # which NaN is not


def test_descent_goes_down(fitted: Fitted, dynamics: Dynamics, starts: jax.Array) -> None:
    target = aims(MEAN)

    def cost(u: jax.Array) -> np.ndarray:  # [Q, 3] -> [M, Q]
        r, p = assess(dynamics, u, target, fitted.network)
        return np.asarray(env.cost(r, p, dynamics.tolerance))

    half, end = descend(dynamics, starts, target, fitted.network, PLAN).reshape(2, 4, 6, 3)
    before, then, after = (
        np.mean([cost(u.reshape(-1, 3)).reshape(4, 4, 6)[m, m] for m in range(4)]) for u in (starts, half, end)
    )
    assert after < then < before


def test_every_member_descends_its_own(fitted: Fitted, dynamics: Dynamics, starts: jax.Array) -> None:
    target = aims(MEAN)
    swapped = dynamics._replace(params=jax.tree.map(lambda leaf: leaf[::-1], dynamics.params))
    one = descend(dynamics, starts, target, fitted.network, PLAN).reshape(2, 4, 6, 3)
    other = descend(swapped, starts[::-1], target, fitted.network, PLAN).reshape(2, 4, 6, 3)
    assert np.asarray(other[:, ::-1]) == pytest.approx(np.asarray(one), abs=1e-4)


def test_defaults_are_usable() -> None:
    assert PlanConfig().descent >= 2
    assert PlanConfig().starts * FitConfig().members >= 64


def test_candidates_beyond_the_trust_region_are_pulled_to_its_edge() -> None:
    anchors = np.array([[0.2, 0.2], [0.8, 0.8]])
    inside, outside = [0.25, 0.2], [0.8, 0.2 + 1e-3]  # the second is nearer to the second anchor
    kept, moved = project_to_trust_region(np.array([inside, outside]), anchors, 0.1)
    assert kept == pytest.approx(inside)
    assert moved == pytest.approx([0.8, 0.7])
    assert project_to_trust_region(anchors, anchors, 0.1) == pytest.approx(anchors)
