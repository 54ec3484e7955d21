"""Where features are defined, as the nearest cells say."""

import numpy as np
import pytest

from gbar.agent.learning.validity import EACH, learn_validity

DRAW = np.random.default_rng(0)
CELLS, ELSEWHERE = DRAW.random((60, 6)), DRAW.random((400, 6))


def silent(u: np.ndarray) -> np.ndarray:  # [N, D] -> [N]
    """Where a cell does not fire: two of the parameters decide."""
    return u[:, 1] + 0.5 * u[:, 4] > 0.9


def observed(u: np.ndarray) -> np.ndarray:  # [N, D] -> [N, 3]
    """A feature that every cell has, and two that are defined where it fires."""
    features = np.tile(u[:, :1], (1, 3))
    features[silent(u), 1:] = np.nan
    return features


def test_tells_where_a_cell_is_silent() -> None:
    chance = learn_validity(CELLS, observed(CELLS)).chance(ELSEWHERE)
    assert np.isnan(chance[:, 0]).all()
    assert (chance[:, 1] == chance[:, 2]).all()
    assert np.mean((chance[:, 1] < 0.5) == silent(ELSEWHERE)) > 0.9
    assert chance[:, 1].min() > 0 and chance[:, 1].max() < 1


def test_goes_on_from_what_fewer_cells_said() -> None:
    before = learn_validity(CELLS[:30], observed(CELLS[:30]))
    more = np.concatenate([CELLS, DRAW.random((20, 6))])
    features = observed(more)
    features[more[:, 0] > 0.7, 0] = np.nan  # a feature that all had until now
    after = learn_validity(more, features, before)
    chance = after.chance(ELSEWHERE)
    assert np.mean((chance[:, 1] < 0.5) == silent(ELSEWHERE)) > 0.9
    assert np.mean((chance[:, 0] < 0.5) == (ELSEWHERE[:, 0] > 0.7)) > 0.9


def test_what_was_not_simulated_says_nothing() -> None:
    features = observed(CELLS)
    features[30:, 1] = np.inf
    chance = learn_validity(CELLS, features).chance(ELSEWHERE)
    assert chance[:, 1] == pytest.approx(learn_validity(CELLS[:30], features[:30]).chance(ELSEWHERE)[:, 1], abs=1e-6)


def test_says_nothing_where_cells_hardly_differ() -> None:
    features = observed(CELLS)
    features[:, 1:] = 1.0
    features[: EACH - 1, 1] = np.nan
    assert np.isnan(learn_validity(CELLS, features).chance(ELSEWHERE)).all()
