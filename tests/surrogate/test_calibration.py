"""Honest intervals."""

import numpy as np
import pytest

from gbar.surrogate import Z90, Calibration

DRAW = np.random.default_rng(0)


def covered(calibration: Calibration, errors: np.ndarray, expected: float) -> float:
    return float((np.abs(errors) <= Z90 * expected * calibration.widening()).mean())


@pytest.mark.parametrize("off", [0.2, 1.0, 5.0])
def test_intervals_hold_90_percent_whatever_was_believed(off: float) -> None:
    """After eight batches of eight, errors `off` times the predicted SD are covered as often as they should be."""
    calibration = Calibration(22, 2)
    for _ in range(8):
        calibration.add(np.zeros((8, 2)), DRAW.normal(0, off, (8, 22)), np.ones((8, 22)))
    assert 0.85 <= covered(calibration, DRAW.normal(0, off, (2000, 22)), 1.0) <= 0.95


def test_before_anything_is_known() -> None:
    assert Calibration(3, 2).widening().tolist() == [1, 1, 1]
    assert Calibration(3, 2, first=0.4).widening().tolist() == [0.4, 0.4, 0.4]


def test_few_predictions_of_a_feature_are_pooled_with_the_others() -> None:
    """Two are no reason to think that one feature is predicted ten times better than all others."""
    calibration = Calibration(10, 2)
    errors = DRAW.normal(0, 1, (8, 10))
    errors[:, 0] = np.nan
    errors[:2, 0] = 0.01
    calibration.add(np.zeros((8, 2)), errors, np.ones((8, 10)))
    assert calibration.widening()[0] > 0.5


def test_a_feature_of_its_own_kind_is_told_apart_in_time() -> None:
    calibration = Calibration(10, 2)
    for _ in range(8):
        calibration.add(np.zeros((8, 2)), DRAW.normal(0, 1, (8, 10)) * [8.0, *[1.0] * 9], np.ones((8, 10)))
    factors = calibration.widening()
    assert factors[0] > 3 * np.median(factors[1:])


def test_old_surprises_are_forgotten() -> None:
    calibration = Calibration(4, 2)
    calibration.add(np.zeros((8, 2)), np.full((8, 4), 30.0), np.ones((8, 4)))
    surprised = calibration.widening()
    for _ in range(12):
        calibration.add(np.zeros((8, 2)), DRAW.normal(0, 1, (8, 4)), np.ones((8, 4)))
    assert (calibration.widening() < surprised / 5).all()


def test_undefined_features_say_nothing() -> None:
    calibration = Calibration(4, 2)
    calibration.add(np.zeros((8, 2)), np.full((8, 4), np.nan), np.ones((8, 4)))
    assert calibration.widening().tolist() == [1, 1, 1, 1]
    assert calibration.noise(np.full(4, 0.5)) == pytest.approx(np.full(4, 0.5))


FIRST = np.full(2, 0.5)
HERE, THERE = np.full((1, 3), 0.2), np.full((1, 3), 0.8)


def told(*errors: float) -> Calibration:
    """Of errors made HERE one by one, of the first of two features."""
    calibration = Calibration(2, 3)
    for error in errors:
        calibration.add(HERE, np.array([[error, 0.0]]), np.ones((1, 2)))
    return calibration


def test_errors_are_remembered_where_they_were_made() -> None:
    """Of their feature, and not elsewhere; nothing is known before anything was predicted."""
    assert Calibration(2, 3).noise_at(HERE, FIRST).tolist() == [[0.5, 0.5]]
    calibration = told(3.0)
    (here,), (there,) = (calibration.noise_at(places, FIRST) for places in (HERE, THERE))
    assert here[0] > 2.4 and here[1] < 0.5
    assert there == pytest.approx(calibration.noise(FIRST), rel=1e-3)
    beside = calibration.noise_at(HERE + 0.1, FIRST)[0, 0]
    assert there[0] < beside < here[0]


def test_what_was_learned_of_a_place_since_counts_more() -> None:
    before, lately = (told(*errors).noise_at(HERE, FIRST)[0, 0] for errors in ([3.0] + [0.1] * 16, [0.1] * 16 + [3.0]))
    assert lately == pytest.approx(np.sqrt(2) * before, rel=0.1), "16 later, half as much"


def test_one_error_counts_so_much_at_most() -> None:
    assert told(4.0).noise_at(HERE, FIRST) == pytest.approx(told(1e6).noise_at(HERE, FIRST))
    assert told(np.nan).noise_at(HERE, FIRST)[0, 0] == pytest.approx(0.5)


def test_a_batch_is_of_one_age() -> None:
    """The first of a large batch is as new as the last."""
    errors, places = np.zeros((128, 2)), np.full((128, 3), 0.8)
    errors[0, 0], places[0] = 3.0, 0.2
    calibration = Calibration(2, 3)
    calibration.add(places, errors, np.ones((128, 2)))
    assert calibration.noise_at(HERE, FIRST)[0, 0] == pytest.approx(told(3.0).noise_at(HERE, FIRST)[0, 0], rel=0.1)
