"""The Gaussian process beside the ensemble."""

import jax
import numpy as np
import pytest

from gbar.agent.learning.agent import Agent
from gbar.agent.learning.kriging import CENTRES, FEWEST, Rivals, _posterior, krige
from gbar.agent.learning.target import Target
from tests.synthetic import AGENT, MEAN, ROWS, SD, response

CELLS = 0.5 + 0.3 * np.random.default_rng(0).uniform(-1, 1, (24, 2))


def bowl(u: np.ndarray) -> np.ndarray:  # [N, 2] -> [N, 2]
    """A bowl, and a plane."""
    return np.stack([4 * np.sum((u - [0.45, 0.6]) ** 2, axis=-1) - 0.1, u[:, 0] - u[:, 1]], axis=-1)


def test_finds_the_minimum_of_a_bowl() -> None:
    axis = np.linspace(0.3, 0.7, 41)
    u = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    found = krige(CELLS, bowl(CELLS)).expect(u)
    assert u[found[:, 0].argmin()] == pytest.approx([0.45, 0.6], abs=0.05)
    assert found == pytest.approx(bowl(u), abs=0.1)


def test_a_plane_goes_on_where_nothing_was_simulated() -> None:
    far = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert krige(CELLS, bowl(CELLS)).expect(far)[:, 1] == pytest.approx([1.0, -1.0], abs=0.25)


def test_a_feature_is_learned_from_the_cells_that_have_it() -> None:
    observed = bowl(CELLS)
    observed[::3, 0] = np.nan
    found = krige(CELLS, observed).expect(CELLS)
    assert found == pytest.approx(bowl(CELLS), abs=0.15)


def test_says_nothing_of_a_feature_that_hardly_any_cell_has() -> None:
    observed = bowl(CELLS)
    observed[FEWEST - 1 :, 0] = np.nan
    assert np.isnan(krige(CELLS, observed).expect(CELLS)).all(axis=0).tolist() == [True, False]
    observed[:] = np.nan
    assert np.isnan(krige(CELLS, observed).expect(CELLS)).all()


def test_parameters_that_do_nothing_are_left_out() -> None:
    """In ten dimensions, of which one decides: 24 cells would say little of a place if all ten counted."""
    draw = np.random.default_rng(0)
    cells, u = draw.random((24, 10)), draw.random((200, 10))
    found = krige(cells, np.sin(4 * cells[:, [3]]))
    assert np.sqrt(np.mean((found.expect(u) - np.sin(4 * u[:, [3]])) ** 2)) < 0.1
    assert found.kernels[0, :10].argmin() == 3


def test_what_is_left_open_is_less_beside_a_cell() -> None:
    found = krige(CELLS, bowl(CELLS))
    beside, elsewhere = found.doubt(CELLS)[:, 0], found.doubt(1.0 - CELLS)[:, 0]
    assert (beside < 0.05).all()
    assert (beside < elsewhere).all()


def test_slopes_are_those_of_what_is_expected() -> None:
    found, u, step = krige(CELLS, bowl(CELLS)), np.random.default_rng(2).random((5, 2)), 1e-5
    for d in range(2):
        rise = found.expect(u + step * np.eye(2)[d]) - found.expect(u - step * np.eye(2)[d])
        assert found.slopes(u)[:, :, d] == pytest.approx(rise / (2 * step), abs=1e-5)


def test_a_climb_follows_the_slope_of_the_posterior() -> None:
    draw = np.random.default_rng(1)
    kernels = np.array([[*np.zeros(2), *CENTRES]] * 2) + 0.3 * draw.standard_normal((2, 6))
    values, step = bowl(CELLS).T, 1e-5
    slope = _posterior(kernels, CELLS, values).slope
    for i in range(6):
        ahead, behind = (_posterior(kernels + side * step * np.eye(6)[i], CELLS, values) for side in (1, -1))
        assert (ahead.surprise - behind.surprise) / (2 * step) == pytest.approx(slope[:, i], rel=1e-4, abs=1e-4)


def test_a_climb_goes_on_from_the_last_one() -> None:
    first = krige(CELLS[:20], bowl(CELLS[:20]))
    kernels = [krige(CELLS, bowl(CELLS), before).kernels for before in (first, None)]
    assert _posterior(kernels[0], CELLS, bowl(CELLS).T).surprise == pytest.approx(
        _posterior(kernels[1], CELLS, bowl(CELLS).T).surprise, abs=3.0
    )


def judged(kriging: bool) -> tuple[Agent, np.ndarray]:
    """An agent that has learned a response where its first feature is defined, and the cells."""
    u = np.random.default_rng(0).random((24, 3))
    u[:, 0] = 0.4 + 0.6 * u[:, 0]
    config = AGENT._replace(planner="gradient", plan=AGENT.plan._replace(kriging=kriging))
    agent = Agent(jax.random.key(0), 3, Target(MEAN, SD), 2.0, ROWS, config)
    agent.update_surrogate(u, response(u))
    return agent, u


def test_plans_are_judged_by_it_half_and_half_at_first() -> None:
    plans = [agent.plan(u, response(u)) for agent, u in (judged(False), judged(True))]
    assert np.array_equal(plans[0].u, plans[1].u)
    assert np.ptp(plans[0].r, axis=0).max() > 0.01
    assert np.ptp(plans[1].r, axis=0) == pytest.approx(np.ptp(plans[0].r, axis=0) / 2)


def test_candidates_are_judged_by_where_cells_were_silent_too() -> None:
    draw = np.random.default_rng(0)
    u, elsewhere, missed = draw.random((24, 3)), draw.random((300, 3)).astype(np.float32), []
    for kriging in (False, True):
        agent, _ = judged(kriging)
        agent.update_surrogate(u, response(u))
        agent.plan(u, response(u))
        chance = agent._assessed(elsewhere)[1].mean(axis=0)
        missed.append(np.mean((chance - np.isfinite(response(elsewhere))) ** 2))
    assert missed[1] < missed[0]


@pytest.mark.parametrize("right", ["the ensemble", "the process"])
def test_who_was_right_about_a_batch_is_believed_more(right: str) -> None:
    agent, u = judged(True)
    plan, apart = agent.plan(u, response(u)), judged(False)[0].plan(u, response(u)).r
    few = slice(0, 8)
    ensemble = apart[:, few].mean(axis=0)
    process = 2 * plan.r[:, few].mean(axis=0) - ensemble
    came_out = agent.to_features(ensemble if right == "the ensemble" else process)
    agent.record_errors(plan.u[few], agent.forecast(plan.only(np.arange(8))), came_out)
    spread = np.ptp(agent.plan(u, response(u)).r, axis=0).mean() / np.ptp(apart, axis=0).mean()
    assert spread > 0.6 if right == "the ensemble" else spread < 0.4


def test_rivals_share_by_their_errors() -> None:
    rivals, draw = Rivals(3), np.random.default_rng(0)
    assert rivals.share() == pytest.approx([0.5] * 3)
    small, large = 0.1 * draw.standard_normal((40, 3)), 0.3 * draw.standard_normal((40, 3))
    large[:, 2] = np.nan
    rivals.add(large, small)
    assert rivals.share()[:2] == pytest.approx([0.9] * 2, abs=0.05)
    assert rivals.share()[2] == pytest.approx(0.9, abs=0.05), "by all features, where it was not defined"
    rivals.add(np.full((1, 3), 1e9), np.zeros((1, 3)))
    for _ in range(80):
        rivals.add(small[:1], large[:1])
    assert (rivals.share()[:2] < 0.5).all(), "what is long ago counts for little"
