"""Descents of a model's errors."""

import numpy as np
import pytest

from gbar.agent.learning.leastsquares import approach

DRAW = np.random.default_rng(0)
SLOPES = np.concatenate([3 * np.eye(4), DRAW.standard_normal((2, 4))])
ANSWER = np.array([0.3, 0.6, 0.5, 0.4])
STARTS = DRAW.random((9, 4))
EVEN = np.ones(6)


def plane(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Six measurements, met at ANSWER."""
    return (u - ANSWER) @ SLOPES.T, np.broadcast_to(SLOPES, (len(u), *SLOPES.shape))


def anywhere(u: np.ndarray) -> np.ndarray:
    """No place is forbidden."""
    return u


def off(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same, each a little off: nothing meets all."""
    r, slopes = plane(u)
    return r + [0.5, -0.4, 0.3, 0.2, -0.6, 0.4], slopes


def test_reaches_what_meets_every_measurement() -> None:
    reached = approach(plane, STARTS, EVEN, 12, anywhere)
    assert reached[0::3] == pytest.approx(np.tile(ANSWER, (3, 1)), abs=0.01)
    assert reached[1::3] == pytest.approx(np.tile(ANSWER, (3, 1)), abs=0.01)
    before, after = (np.abs(plane(u[2::3])[0]).max(axis=1) for u in (STARTS, reached))
    assert (after < 0.3 * before).all()


def test_each_start_has_its_own_goal() -> None:
    misses = np.abs(off(approach(off, STARTS, EVEN, 30, anywhere))[0])
    squares, sums, largest = (misses[goal::3] for goal in range(3))
    assert np.sum(squares**2, axis=1).max() < min(np.sum(sums**2, axis=1).min(), np.sum(largest**2, axis=1).min())
    assert largest.max() < squares.max(axis=1).min()
    assert np.sinh(sums).sum(axis=1).max() < np.sinh(squares).sum(axis=1).min()


def test_stays_within_the_bounds() -> None:
    def beyond(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r, slopes = plane(u)
        return r - SLOPES @ [1.0, 0.0, 0.0, 0.0], slopes  # met where the first parameter is 1.3

    reached = approach(beyond, STARTS, EVEN, 20, anywhere)
    assert reached[::3, 0] == pytest.approx(np.ones(3))
    assert (reached >= 0).all() and (reached <= 1).all()
    best = reached[0]
    for d in range(1, 4):  # no place beside it in the bounds is better
        for side in (-0.01, 0.01):
            beside = best + side * np.eye(4)[d]
            assert np.sum(beyond(beside[None])[0] ** 2) > np.sum(beyond(best[None])[0] ** 2)


def test_follows_a_valley_as_far_as_it_may() -> None:
    """The nearest allowed place to where the valley ends is beside it."""

    def valley(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along, across = u.T
        slopes = [[np.ones_like(along), 0 * along], [-40 * along, 20 + 0 * along]]
        return np.stack([along - 0.9, 20 * (across - along**2)], axis=1), np.moveaxis(slopes, 2, 0)

    def held(u: np.ndarray) -> np.ndarray:
        away = u - start
        return start + away * np.minimum(1.0, 0.4 / np.maximum(np.linalg.norm(away, axis=1), 1e-9))[:, None]

    start, even = np.tile([0.1, 0.01], (3, 1)), np.ones(2)
    inside, cut = approach(valley, start, even, 40, held), held(approach(valley, start, even, 40, anywhere))
    assert np.linalg.norm(inside - start, axis=1).max() < 0.4 + 1e-9
    assert np.abs(valley(inside)[0][0]).max() < 0.6 < 2 < np.abs(valley(cut)[0][0]).max()


def test_what_the_model_does_not_know_counts_nothing() -> None:
    def partly(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        r, slopes = (part.copy() for part in off(u))
        r[:, 4:], slopes[:, 4:] = np.nan, np.nan
        return r, slopes

    assert np.abs(partly(approach(partly, STARTS, EVEN, 20, anywhere))[0][::3, :4]).max() < 0.01


def test_what_weighs_more_is_missed_less() -> None:
    misses = [
        np.abs(off(approach(off, STARTS, np.array([w, 1, 1, 1, 1, 1.0]), 20, anywhere))[0][0, 0]) for w in (1, 10)
    ]
    assert misses[1] < 0.5 * misses[0]


def test_stays_where_everything_is_met() -> None:
    met = np.tile(ANSWER, (3, 1))
    assert approach(plane, met, EVEN, 12, anywhere) == pytest.approx(met)
