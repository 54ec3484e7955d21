"""A few sets that are as near as it gets, each giving up something else."""

import numpy as np

from gbar.agent.learning import CAP, Target
from gbar.agent.tuning.compromises import COUNT, MANY, choose_compromises, order, shortfall

ONES = np.ones(3)
PLAIN = Target(0 * ONES, ONES)
NAMES = ["a", "b", "c"]


def target_of(count: int) -> Target[np.ndarray]:
    return Target(np.zeros(count), np.ones(count))


def test_a_shortfall_is_what_exceeds_the_tolerance_times_its_weight() -> None:
    z = np.array([[1.0, -5.0, np.nan], [2.0, 0.0, 1e9]])
    assert shortfall(z, PLAIN, 2.0).tolist() == [[0, 3, CAP - 2], [0, 0, CAP - 2]]
    assert shortfall(z, PLAIN._replace(weight=np.array([1.0, 1.5, 0.5])), 2.0)[0].tolist() == [0, 4.5, 9]


def test_the_nearest_then_what_gives_up_something_else() -> None:
    """Neither the near copies of the first, nor what another beats, nor what is far off."""
    z = np.array([[0, 0, 4.0], [0.1, 0, 4.1], [5, 0, 0], [5.5, 1, 0], [0, 4.5, 3.0], [0, 30, 0]])
    assert choose_compromises(z, PLAIN, 2.0, NAMES) == [0, 2, 4]
    assert choose_compromises(z, PLAIN, 2.0, NAMES, 2) == [0, 2]
    assert choose_compromises(z[:0], PLAIN, 2.0, NAMES) == []


def test_what_must_hold_and_what_counts_less() -> None:
    """What breaks the one comes last, however near; what gives up the other comes first."""
    z = np.array([[2.5, 0, 0], [0, 6.0, 0], [0, 0, 5.0]])
    assert choose_compromises(z, PLAIN, 2.0, NAMES)[0] == 0
    holding = PLAIN._replace(must_hold=np.array([True, False, False]))
    assert choose_compromises(z, holding, 2.0, NAMES) == [2, 1, 0]
    weighted = holding._replace(weight=np.array([1.3, 0.4, 1.3]))
    assert choose_compromises(z, weighted, 2.0, NAMES)[:2] == [1, 2]
    assert order(z, weighted, 2.0).tolist() == [1, 2, 0]


def test_of_sets_that_miss_nothing_there_is_one() -> None:
    """Such as looked like solutions until they were confirmed."""
    z = np.array([[1.9, 0.1, 0.2], [1.8, 0.1, 0.2]])
    assert choose_compromises(z, PLAIN, 2.0, NAMES) == [1]


def test_many_measurements_are_given_up_by_protocol() -> None:
    """Two sets that miss other features of one protocol give up the same."""
    count, z = MANY + 1, np.zeros((3, MANY + 1))
    protocols = [f"step{f // 7}" for f in range(count)]
    z[0, 0], z[1, 1], z[2, 8] = 5.0, 5.1, 5.2
    assert choose_compromises(z, target_of(count), 2.0, protocols) == [0, 2]
    assert choose_compromises(z[:, :9], target_of(9), 2.0, protocols[:9]) == [0, 1, 2]


def test_a_small_set_of_thousands_quickly() -> None:
    z = np.random.default_rng(0).normal(0, 6, (5000, 30))
    chosen = choose_compromises(z, target_of(30), 2.0, [f"p{f % 5}" for f in range(30)])
    missed = np.maximum(np.minimum(np.abs(z), CAP) - 2, 0).sum(axis=1)
    assert 1 <= len(chosen) <= COUNT and chosen[0] == np.argmin(missed)
