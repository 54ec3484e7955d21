"""What the agent makes of its own errors."""

import jax
import numpy as np
import pytest

from gbar.agent.learning.agent import BELIEVED, Agent, Forecast, Planner
from gbar.agent.learning.planner import PROPOSERS, Proposals, is_distinct, merits
from gbar.agent.learning.target import Target, distance, z_scores
from tests.synthetic import AGENT, MEAN, ROWS, SD, response

TARGET = Target(MEAN, SD)


def agent_of(planner: Planner = "gradient", seed: int = 0) -> Agent:
    return Agent(jax.random.key(seed), 3, TARGET, 2.0, ROWS, AGENT._replace(planner=planner))


def expecting(r: np.ndarray, p: float = 1.0) -> Proposals:
    """Candidates at one place of which members expect r [M, B, F]."""
    count, features = r.shape[1:]
    nowhere = np.zeros(count, int)
    return Proposals(np.zeros((count, 3)), nowhere, r, np.full(r.shape, p), np.ones((count, features)))


def told(agent: Agent, errors: np.ndarray) -> None:
    """Let an agent predict 0 and be off by errors [n, F] in asinh(z)."""
    forecast = agent.forecast(expecting(np.zeros((4, len(errors), 4))))
    agent.record_errors(np.zeros((len(errors), 3)), forecast, agent.to_features(errors))


def interval(agent: Agent) -> np.ndarray:  # [F] SD of a forecast on which members agree
    return agent.forecast(expecting(np.zeros((4, 1, 4)))).sd[0]


def test_intervals_widen_after_errors() -> None:
    """More so for the feature that was wrong, and back again when predictions are good."""
    agent = agent_of()
    before = interval(agent)
    told(agent, np.random.default_rng(0).normal(0, 1, (32, 4)) * [2.0, 0.01, 0.01, 0.01])
    wrong = interval(agent)
    assert wrong[0] > 3 * before[0]
    assert wrong[0] > 3 * wrong[1]
    for _ in range(3):
        told(agent, np.full((32, 4), 0.001))
    assert (interval(agent) < wrong)[0]


def test_widened_intervals_cover() -> None:
    """Once it is known how large errors are, 90 % intervals hold 90 % of the next."""
    draw = np.random.default_rng(0)
    agent = agent_of()
    for _ in range(3):
        told(agent, draw.normal(0, 1.2, (64, 4)))
    inside = np.abs(draw.normal(0, 1.2, (2000, 4))) <= 1.645 * interval(agent)
    assert inside.mean() == pytest.approx(0.9, abs=0.06)


def test_undefined_features_teach_nothing_of_errors() -> None:
    agent, other = agent_of(), agent_of()
    told(agent, np.full((32, 4), np.nan))
    assert np.array_equal(interval(agent), interval(other))


def test_intervals_grow_with_errors_and_are_never_nothing() -> None:
    good, bad = agent_of(), agent_of()
    told(good, np.full((64, 4), 0.01))
    told(bad, np.full((64, 4), 1.5))
    assert (interval(bad) > 1.0).all()
    assert (interval(good) < interval(agent_of())).all()
    assert (interval(good) > 0).all()


def test_a_forecast_is_the_members_mean_and_spread() -> None:
    r = np.zeros((4, 1, 4))
    r[:, 0, 0] = [-3.0, -1.0, 1.0, 7.0]
    forecast = agent_of().forecast(expecting(r, 0.25))
    assert forecast.r[0].tolist() == [1.0, 0, 0, 0]
    assert forecast.sd[0, 0] > np.std(r[:, 0, 0]) > forecast.sd[0, 1] > 0
    assert forecast.p[0].tolist() == [0.25] * 4


def test_errors_are_of_predictions_made_before() -> None:
    """What a batch brings changes what is said of the next, never what was said of itself."""
    agent = agent_of()
    draw = np.random.default_rng(0)
    u = draw.random((64, 3))
    agent.update_surrogate(u, response(u))
    proposals = agent.plan(u, response(u))
    forecast = agent.forecast(proposals.only(np.arange(8)))
    before = Forecast(*(part.copy() for part in forecast))
    features = response(proposals.u[:8])
    agent.record_errors(proposals.u[:8], forecast, features)
    agent.update_surrogate(np.concatenate([u, proposals.u[:8]]), np.concatenate([response(u), features]))
    assert all(np.array_equal(a, b) for a, b in zip(forecast, before, strict=True))
    errors = np.arcsinh(z_scores(features, TARGET)) - before.r
    assert np.array_equal(agent._calibration.errors, errors, equal_nan=True)


@pytest.mark.parametrize(
    ("planner", "proposers"), [("policy", {0}), ("gradient", {1}), ("both", {0, 1, 2, 3}), ("auto", {1, 2, 3})]
)
def test_planners(planner: Planner, proposers: set[int]) -> None:
    """Whoever plans, candidates are in the cube, labelled, and better than chance."""
    u = np.random.default_rng(0).random((64, 3))
    agent = agent_of(planner)
    agent.update_surrogate(u, response(u))
    agent.train_policy(u, response(u))
    proposals = agent.plan(u, response(u))
    assert set(proposals.proposer) == proposers
    assert PROPOSERS == ("policy", "gradient", "bred", "local")
    assert ((proposals.u >= 0) & (proposals.u <= 1)).all()
    assert proposals.r.shape == proposals.p.shape == (4, len(proposals.u), 4)
    again = agent_of(planner)
    again.update_surrogate(u, response(u))
    again.train_policy(u, response(u))
    assert np.array_equal(again.plan(u, response(u)).u, proposals.u)


def test_thinks_even_when_nothing_has_worked() -> None:
    """Every cell so far silent or failed: candidates all the same, none of them NaN."""
    u = np.random.default_rng(0).random((16, 3))
    agent = agent_of("both")
    agent.update_surrogate(u, np.full((16, 4), np.nan))
    agent.train_policy(u, np.full((16, 4), np.nan))
    proposals = agent.plan(u, np.full((16, 4), np.nan))
    assert ((proposals.u >= 0) & (proposals.u <= 1)).all()
    assert np.isfinite(proposals.r).all()


def test_uncertainty_left() -> None:
    """The features fix what they depend on; nothing is more open than it was."""
    u = np.random.default_rng(0).random((128, 3))
    agent = agent_of()
    agent.update_surrogate(u, response(u))
    left = np.sqrt(12 * np.diag(agent.posterior(np.array([0.7, 0.3, 0.5]))))
    assert ((left > 0) & (left <= 1)).all()
    assert (left < 0.5).all()


def came_out(count: int, by: float) -> tuple[Forecast, np.ndarray]:
    """A batch, and its features: expected wrongly by so much in asinh(z)."""
    r = np.full((count, len(MEAN)), 1.0)
    return Forecast(r, np.ones_like(r), np.ones_like(r)), MEAN + SD * np.sinh(r + by)


def test_the_trust_region_follows_success() -> None:
    """Narrower after a batch that is no better, down to its least; wider after one that is, up to the first."""
    agent = agent_of()
    rules, first = agent.config.plan, agent.radius
    agent.adapt_trust_region(1.0, 1.0, *came_out(rules.verdict, 1.0))
    assert agent.radius == pytest.approx(rules.shrink * first)
    agent.radius = first
    for _ in range(4):
        agent.adapt_trust_region(1.0, 1.0, *came_out(rules.verdict // 4, 1.0))
    assert agent.radius == pytest.approx(rules.shrink * first), "four small batches say what a whole one says"
    for _ in range(50):
        agent.adapt_trust_region(2.0, 1.0, *came_out(8, 1.0))
    assert agent.radius == rules.least_radius
    for _ in range(50):
        agent.adapt_trust_region(0.5, 1.0, *came_out(8, 1.0))
    assert agent.radius == first


def test_the_trust_region_widens_where_all_is_as_expected_and_no_better() -> None:
    """Or a search stays for ever in a basin whose best it knows."""
    agent = agent_of()
    rules = agent.config.plan
    agent.radius = rules.least_radius
    agent.adapt_trust_region(1.0, 0.8, *came_out(rules.verdict, 0.1))
    assert agent.radius == pytest.approx(rules.grow * rules.least_radius)
    agent.adapt_trust_region(1.0, 0.8, *came_out(1, 0.1))
    assert agent.radius == pytest.approx(rules.grow ** (1 + 1 / rules.verdict) * rules.least_radius)
    agent.adapt_trust_region(1.0, 0.2, *came_out(1, 0.1))
    assert agent.radius < rules.grow ** (1 + 1 / rules.verdict) * rules.least_radius, "nearer by, 0.1 is a lot"


def test_candidates_stay_in_the_trust_region() -> None:
    agent = agent_of()
    u = np.random.default_rng(0).random((64, 3))
    features = response(u)
    agent.update_surrogate(u, features)
    agent.radius = 0.05
    best = u[np.argsort(distance(z_scores(features, TARGET)), kind="stable")[: agent.config.plan.anchors]]
    away = np.linalg.norm(agent.plan(u, features).u[:, None] - best[None], axis=2).min(axis=1)
    assert away.max() == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize("aim", [None, 0, 1, 2])
def test_the_best_candidates_are_improved_on(aim: int | None) -> None:
    """For what they are chosen by, inside the trust region, away from solutions; what was planned stays among them."""
    agent = agent_of("auto")
    u = np.random.default_rng(0).random((64, 3))
    agent.update_surrogate(u, response(u))
    agent.radius = 0.2
    planned, taken = agent.plan(u, response(u)), u[:1]
    refined = agent.refine(planned, aim, taken)
    more = len(planned.u)
    assert len(refined.u) == more + agent.config.plan.refined
    assert np.array_equal(refined.u[:more], planned.u) and np.array_equal(refined.r[:, :more], planned.r)
    _, together = merits(refined, agent.tolerance, aim, TARGET)
    free = is_distinct(refined.u, taken)
    assert free[more:].all()
    assert together[0, more:].max() > together[0, :more][free[:more]].max() + 1e-3
    best = u[np.argsort(distance(z_scores(response(u), TARGET)), kind="stable")[: agent.config.plan.anchors]]
    away = np.linalg.norm(refined.u[more:, None] - best[None], axis=2).min(axis=1)
    assert (away <= 0.2 + 1e-6).all() and ((refined.u >= 0) & (refined.u <= 1)).all()


@pytest.mark.parametrize("planner", ["policy", "gradient"])
def test_a_planner_that_is_named_plans_alone(planner: Planner) -> None:
    agent = agent_of(planner)
    u = np.random.default_rng(0).random((16, 3))
    agent.update_surrogate(u, response(u))
    agent.train_policy(u, response(u))
    planned = agent.plan(u, response(u))
    assert agent.refine(planned, None, u[:0]) is planned


def test_a_few_plans_start_where_a_prior_believes_the_values_to_be() -> None:
    u = np.random.default_rng(0).uniform(0.0, 0.4, (16, 3))
    believed = np.array([0.9, np.nan, np.nan]), np.array([0.01, np.nan, np.nan])
    plain, guided = agent_of(), Agent(jax.random.key(0), 3, TARGET, 2.0, ROWS, AGENT, None, believed)
    before, after = (np.asarray(agent._starts(u, response(u))) for agent in (plain, guided))
    few = AGENT.plan.starts // BELIEVED
    assert np.array_equal(before[:, :-few], after[:, :-few]) and np.array_equal(before[..., 1:], after[..., 1:])
    assert np.abs(after[:, -few:, 0] - 0.9).max() < 0.05
