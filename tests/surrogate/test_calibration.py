"""Honest intervals."""

import numpy as np
import pytest

from gbar.surrogate import Z90, Calibration

DRAW = np.random.default_rng(0)


def taken_in(
    calibration: Calibration,
    errors: np.ndarray,
    expected: np.ndarray | None = None,
    places: np.ndarray | None = None,
    doubt: np.ndarray | None = None,
) -> None:
    """Errors [B, F] of a batch, where an SD of 1 was predicted and no local model knew anything, unless said."""
    expected = np.ones(errors.shape) if expected is None else expected
    places = np.zeros((len(errors), calibration.places.shape[1])) if places is None else places
    doubt = np.full(errors.shape, np.nan) if doubt is None else doubt
    calibration.add(places, errors, expected, doubt, np.full(errors.shape[1], 0.5))


def covered(calibration: Calibration, errors: np.ndarray, expected: float) -> float:
    return float((np.abs(errors) <= Z90 * expected * calibration.widening()).mean())


@pytest.mark.parametrize("off", [0.2, 1.0, 5.0])
def test_intervals_hold_90_percent_whatever_was_believed(off: float) -> None:
    """After eight batches of eight, errors `off` times the predicted SD are covered as often as they should be."""
    calibration = Calibration(22, 2)
    for _ in range(8):
        taken_in(calibration, DRAW.normal(0, off, (8, 22)))
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
    taken_in(calibration, errors)
    assert calibration.widening()[0] > 0.5


def test_a_feature_of_its_own_kind_is_told_apart_in_time() -> None:
    calibration = Calibration(10, 2)
    for _ in range(8):
        taken_in(calibration, DRAW.normal(0, 1, (8, 10)) * [8.0, *[1.0] * 9])
    factors = calibration.widening()
    assert factors[0] > 3 * np.median(factors[1:])


def test_old_surprises_are_forgotten() -> None:
    calibration = Calibration(4, 2)
    taken_in(calibration, np.full((8, 4), 30.0))
    surprised = calibration.widening()
    for _ in range(12):
        taken_in(calibration, DRAW.normal(0, 1, (8, 4)))
    assert (calibration.widening() < surprised / 5).all()


def test_undefined_features_say_nothing() -> None:
    calibration = Calibration(4, 2)
    taken_in(calibration, np.full((8, 4), np.nan))
    assert calibration.widening().tolist() == [1, 1, 1, 1]
    assert calibration.noise(np.full(4, 0.5)) == pytest.approx(np.full(4, 0.5))


FIRST = np.full(2, 0.5)
HERE, THERE = np.full((1, 3), 0.2), np.full((1, 3), 0.8)


def told(*errors: float) -> Calibration:
    """Of errors made HERE one by one, of the first of two features."""
    calibration = Calibration(2, 3)
    for error in errors:
        taken_in(calibration, np.array([[error, 0.0]]), places=HERE)
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
    taken_in(calibration, errors, places=places)
    assert calibration.noise_at(HERE, FIRST)[0, 0] == pytest.approx(told(3.0).noise_at(HERE, FIRST)[0, 0], rel=0.1)


def of_a_model(errors: np.ndarray, doubt: np.ndarray) -> Calibration:
    """Of errors [n, F] made one by one all over the cube, where a local model expected `doubt` [n, F]."""
    calibration, draw = Calibration(errors.shape[1], 3), np.random.default_rng(1)
    for error, expected in zip(errors, doubt, strict=True):
        taken_in(calibration, error[None], places=draw.random((1, 3)), doubt=expected[None])
    return calibration


def test_a_local_model_that_knows_where_errors_are_large_is_believed() -> None:
    """It says ten times less in one place than in another, and errors are so; errors beside know nothing of it."""
    draw = np.random.default_rng(0)
    doubt = np.exp(draw.uniform(np.log(0.03), np.log(0.9), (40, 2)))
    calibration = of_a_model(doubt * draw.standard_normal((40, 2)), doubt)
    small, large = (calibration.spread_at(HERE, FIRST, np.full((1, 2), sd))[0, 0] for sd in (0.05, 0.5))
    assert small == pytest.approx(0.05, rel=0.5) and large == pytest.approx(0.5, rel=0.5)
    unknown = calibration.spread_at(HERE, FIRST, np.full((1, 2), np.nan))
    assert unknown == pytest.approx(calibration.noise_at(HERE, FIRST))


def test_a_local_model_that_is_wrong_is_not_believed_for_long() -> None:
    """It is sure of what is not so, or unsure of what is: feature by feature."""
    draw = np.random.default_rng(0)
    errors, doubt = draw.standard_normal((40, 2)) * [1.0, 0.05], np.tile([0.01, 3.0], (40, 1))
    (found,) = of_a_model(errors, doubt).spread_at(HERE, FIRST, doubt[:1])
    assert 0.5 < found[0] < 2.0 and found[1] < 0.5
