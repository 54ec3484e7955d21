"""A search that is stuck looks elsewhere."""

import jax
import numpy as np

from gbar.agent.learning.agent import Agent
from gbar.agent.learning.planner import Proposals
from gbar.agent.learning.regions import AWAY, Regions
from gbar.agent.learning.target import Target, distance, z_scores
from tests.synthetic import AGENT, MEAN, ROWS, SD, response

APART = AWAY * np.sqrt(3)


def stuck(regions: Regions, u: np.ndarray, far: np.ndarray) -> None:
    """Four batches of 3 that are no better: as much as it bears."""
    for _ in range(4):
        assert not regions.elsewhere
        regions.learn(u, far, 3)


def test_a_basin_is_left_after_long_and_what_is_better_ends_it() -> None:
    regions, u = Regions(3, 4.0), np.concatenate([np.full((6, 3), 0.2), np.full((6, 3), 0.8)])
    far = np.array([1.0, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3])
    stuck(regions, u, far)
    assert regions.elsewhere
    assert regions.allowed(u).tolist() == 6 * [False] + 6 * [True]
    regions.learn(u, far, 3)
    assert not regions.elsewhere, "the first region has every other batch"
    assert regions.allowed(u).all()
    regions.learn(u, far, 3)
    assert regions.elsewhere
    regions.learn(u, np.append(far[:-1], 0.5), 3)
    assert not len(regions.stuck)


def test_a_second_basin_is_left_too() -> None:
    regions, u, far = Regions(3, 4.0), np.concatenate([np.full((6, 3), 0.2), np.full((6, 3), 0.8)]), np.full(12, 3.0)
    far[0] = 1.0
    stuck(regions, u, far)
    for _ in range(9):
        regions.learn(u, far, 3)
    assert regions.stuck.tolist() == [[0.2] * 3, [0.8] * 3]


def test_without_end_of_patience_nothing_is_left() -> None:
    regions = Regions(3, np.inf)
    regions.learn(np.full((900, 3), 0.5), np.ones(900), 800)
    assert not regions.elsewhere


def test_plans_elsewhere_stay_out_of_a_basin() -> None:
    patient = AGENT._replace(planner="gradient", plan=AGENT.plan._replace(patience=4.0))
    agent = Agent(jax.random.key(0), 3, Target(MEAN, SD), 2.0, ROWS, patient)
    u = np.random.default_rng(0).random((24, 3))
    features = response(u)
    far = distance(z_scores(features, agent.target))
    agent.update_surrogate(u, features)

    def nearest(plan: Proposals) -> float:
        return float(np.linalg.norm(plan.u - u[far.argmin()], axis=1).min())

    assert nearest(agent.plan(u, features)) < APART
    agent.look_back(np.roll(u, 24 - 1 - int(far.argmax()), axis=0), np.sort(far), 12)
    agent.regions.stuck = u[far.argmin()][None]
    assert agent.regions.elsewhere
    assert nearest(agent.plan(u, features)) > APART
