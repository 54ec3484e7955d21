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
