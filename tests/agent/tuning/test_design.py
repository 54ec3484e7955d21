"""What is simulated first: where the modeller is, small steps from there, and further out where nothing is defined."""

from typing import Any

import numpy as np
import pytest

from gbar.agent.learning import EngineBias
from gbar.agent.tuning.definition import Definition, TuneConfig
from gbar.agent.tuning.design import (
    DEFINED,
    ENOUGH,
    LEAST_STEP,
    NEARLY,
    STEP,
    designs,
    guesses,
    steps_around,
    two_level,
    wider_design,
)
from gbar.agent.tuning.findings import Findings, Observations
from gbar.sim import load_problem
from gbar.sim.problem import Prior
from tests.problems import HH

LEFT, OWN = 2000, np.array([0.12, 0.036, 0.0003])  # the model's own conductances


def known(
    u: np.ndarray, features: np.ndarray, seed: int = 0, config: TuneConfig | None = None, **guess: Any
) -> Findings:
    """A run on the squid axon that knows some cells: u [N, 3], features [N, F]; `guess` of its first parameter."""
    problem = load_problem(HH)
    first = problem.parameter[0].model_copy(update=guess)
    problem = problem.model_copy(update={"parameter": (first, *problem.parameter[1:])})
    definition = Definition.of(problem, config or TuneConfig(seed=seed))
    cells = Observations(definition.problem.physical(u), u, features, ("design",) * len(u), np.arange(len(u)) + 1)
    return Findings(definition, cells, EngineBias.unknown(definition.target, 3))


def nothing(**guess: Any) -> Findings:
    return known(np.empty((0, 3)), np.empty((0, 8)), **guess)


@pytest.mark.parametrize("dimension", [1, 3, 7, 8, 12, 25])
def test_steps_are_balanced_in_every_parameter_and_pair(dimension: int) -> None:
    rows = two_level(dimension, 5)
    assert dimension < len(rows) <= 2 * (dimension + 1) and set(np.unique(rows)) == {-1, 1}
    assert np.array_equal(rows.T @ rows, len(rows) * np.eye(dimension)) and not rows.sum(axis=0).any()


def test_another_seed_takes_other_steps() -> None:
    assert np.array_equal(two_level(12, 1), two_level(12, 1))
    assert not np.array_equal(two_level(12, 1), two_level(12, 2))


CENTRE = np.full((1, 3), 0.5)


def test_the_models_own_values_and_the_centre_come_first() -> None:
    points = guesses(nothing(), LEFT, OWN)
    assert np.allclose(nothing().definition.problem.physical(points[0]), OWN) and np.array_equal(points[1:], CENTRE)


def test_then_steps_from_the_centre() -> None:
    points = steps_around(known(CENTRE, np.ones((1, 8))), LEFT, OWN)
    assert np.allclose(np.abs(points - 0.5), STEP) and len(points) == 4


def test_no_steps_where_the_guesses_do_little_of_what_was_measured() -> None:
    features = np.ones((1, 8))
    features[0, : round(8 * (1 - NEARLY))] = np.nan
    assert len(steps_around(known(CENTRE, features), LEFT, OWN)) == 4
    features[0, : round(8 * (1 - NEARLY)) + 1] = np.nan
    assert len(steps_around(known(CENTRE, features), LEFT, OWN)) == 0


def test_own_values_out_of_bounds_are_left_out() -> None:
    assert np.array_equal(guesses(nothing(), LEFT, OWN * [100, 1, 1]), CENTRE)


def test_no_more_than_the_budget() -> None:
    assert len(guesses(nothing(), 1, OWN)) == 1
    assert len(steps_around(known(CENTRE, np.ones((1, 8))), 2, OWN)) == 2


def test_an_archive_with_as_many_cells_needs_none() -> None:
    u = np.random.default_rng(0).uniform(size=(16, 3))
    assert len(guesses(known(u, np.ones((16, 8))), LEFT, OWN)) == 0
    assert len(guesses(known(u - 1.0, np.ones((16, 8))), LEFT, OWN)) == 2  # outside the bounds they are no reason
    assert len(steps_around(known(u, np.ones((16, 8))), LEFT, OWN)) == 0


def test_points_that_were_simulated_are_not_asked_for_again() -> None:
    points = guesses(known(CENTRE, np.ones((1, 8))), LEFT, OWN)
    assert len(points) == 1 and not (points == 0.5).all(axis=1).any()


def around(*undefined: int) -> tuple[np.ndarray, np.ndarray]:
    """Eight cells around the centre, and their features with those of one undefined in so many."""
    features = np.ones((8, 8))
    for f, count in enumerate(undefined):
        features[:count, f] = np.nan
    return CENTRE + np.linspace(-0.1, 0.1, 8)[:, None], features


def test_further_out_only_where_a_feature_is_hardly_ever_defined() -> None:
    assert len(wider_design(known(*around()), LEFT, 0)) == 0
    points = wider_design(known(*around(int(8 * (1 - DEFINED)) + 1)), LEFT, 0)
    assert len(points) == TuneConfig().design(3) and np.ptp(points, axis=0).min() > 0.8


def test_once_more_while_hardly_a_cell_does_what_was_measured() -> None:
    silent, some, many = (known(*around(*undefined)) for undefined in ((8, 8), (8, 7), (8, 8 - ENOUGH)))
    first, second = wider_design(silent, LEFT, 0), wider_design(silent, LEFT, 1)
    assert len(second) == len(first) and not {u.tobytes() for u in first} & {u.tobytes() for u in second}
    assert len(wider_design(some, LEFT, 1)) == len(first)
    assert len(wider_design(many, LEFT, 0)) == len(first) and len(wider_design(many, LEFT, 1)) == 0


def test_one_feature_that_no_cell_has_is_no_reason_to_go_on() -> None:
    assert len(wider_design(known(*around(8)), LEFT, 1)) == 0


@pytest.mark.parametrize("outside", [0.0, 1.0], ids=["inside", "outside"])
def test_nothing_further_out_without_a_budget(outside: float) -> None:
    u, features = around(8, 8)
    assert all(len(lay_out(known(u - outside, features), 0)) == 0 for lay_out in designs(OWN))


def test_a_named_start_comes_first_and_steps_are_made_from_it() -> None:
    findings = nothing(start=0.08)
    points, (u, *_) = guesses(findings, LEFT, OWN), findings.definition.problem.unit(OWN * [2 / 3, 1, 1])
    assert np.allclose(points[0], [u, 0.5, 0.5]) and np.allclose(points[1:3], 0.5)  # then own values, then the centre
    steps = steps_around(known(CENTRE, np.ones((1, 8)), start=0.08), LEFT, OWN)
    assert np.allclose(np.abs(steps - [u, 0.5, 0.5]), STEP)
    steps = steps_around(known(CENTRE, np.ones((1, 8)), start=0.06), LEFT, OWN)
    assert np.allclose(steps[:, 0], STEP, atol=STEP + 1e-9)  # inside the bounds
    assert len(guesses(nothing(start=0.12), LEFT, OWN)) == len(guesses(nothing(), LEFT, OWN))  # its own value


def test_a_start_is_simulated_whatever_an_archive_holds() -> None:
    u = np.random.default_rng(0).uniform(size=(16, 3))
    assert len(guesses(known(u, np.ones((16, 8)), start=0.08), LEFT, OWN)) == 1


def test_a_prior_moves_and_shortens_the_steps_and_draws_half_of_the_wider_points() -> None:
    prior = Prior(mean=0.2, sd=0.002)
    findings = known(CENTRE, np.ones((1, 8)), prior=prior)
    median = findings.definition.problem.believed()[0][0]
    steps = steps_around(findings, LEFT, OWN)
    assert np.allclose(np.abs(steps - [median, 0.5, 0.5]), [LEAST_STEP, STEP, STEP])
    wide = wider_design(known(*around(8), prior=prior), LEFT, 0)
    plain = wider_design(known(*around(8)), LEFT, 0)
    assert np.abs(wide[::2, 0] - median).max() < 0.05 and np.array_equal(wide[1::2], plain[1::2])
    assert np.array_equal(wide[:, 1:], plain[:, 1:])
