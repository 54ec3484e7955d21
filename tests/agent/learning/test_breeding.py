"""What is bred from the best cells."""

import numpy as np
import pytest

from gbar.agent.learning.breeding import PARENTS, breed, specialists

BEST = np.concatenate([np.full((3, 3), 0.2), np.full((PARENTS - 3, 3), 0.4), np.full((30, 3), 0.9)])


def test_it_takes_its_values_from_the_best() -> None:
    born = breed(np.random.default_rng(0), BEST, 200, 0.1)
    assert born.shape == (200, 3) and born.max() < 0.4 + 5 * 0.1
    assert born.mean() == pytest.approx(0.3, abs=0.02)
    assert np.corrcoef(born.T)[0, 1] == pytest.approx(0.25, abs=0.2), "parameters are inherited one by one"


def test_each_is_changed_by_as_much_as_is_asked() -> None:
    sizes = np.linspace(0.0, 0.05, 100)[:, None]
    born = breed(np.random.default_rng(0), np.full((1, 40), 0.5), 100, sizes)
    assert born.std(axis=1) == pytest.approx(sizes[:, 0], rel=0.5)
    assert (breed(np.random.default_rng(0), np.ones((2, 40)), 9, 0.5) <= 1.0).all()


def test_specialists_are_best_at_something() -> None:
    """Of cells that are near in one measurement each, and one that is middling in all, it is none."""
    z = np.full((5, 4), 50.0)
    np.fill_diagonal(z, 0.1)
    z[4] = 8.0
    chosen = specialists(np.random.default_rng(0), z, 400)
    assert set(chosen) == {0, 1, 2, 3}
    assert np.bincount(chosen).min() > 60  # each measurement comes first as often as any other


def test_what_is_not_defined_is_further_than_anything_that_is() -> None:
    z = np.array([[0.1, np.nan], [0.1, 1e300], [np.nan, np.nan]])
    assert set(specialists(np.random.default_rng(0), z, 50)) == {1}


def test_mates_give_half_of_the_values() -> None:
    best, mates = np.zeros((6, 20)), np.ones((300, 20))
    born = breed(np.random.default_rng(0), best, 300, 0.0, mates)
    assert set(np.unique(born)) == {0.0, 1.0} and born.mean() == pytest.approx(0.5, abs=0.02)
