"""What is bred from the best cells."""

import numpy as np
import pytest

from gbar.agent.learning.breeding import PARENTS, breed

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
