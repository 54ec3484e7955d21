"""How trust in the surrogate is measured, on cases worked out by hand."""

import math

import numpy as np
import pytest

from gbar.surrogate import feature_accuracy, validity_auroc, verdict
from gbar.surrogate.accuracy import COVERED, GOOD, HALF_COVERED, USABLE, Z90


def test_rmse_in_sds_of_the_measurement() -> None:
    """Predictions are asinh(z); the error counts in z."""
    found = feature_accuracy(np.array([0.0, 3.0]), np.arcsinh([1.0, 1.0]), np.ones(2))
    assert found.rmse_over_sd == pytest.approx(math.sqrt((1**2 + 2**2) / 2))
    assert found.n == 2


def test_perfect() -> None:
    z = np.array([-2.0, 0.0, 1.0])
    found = feature_accuracy(z, np.arcsinh(z), np.full(3, 0.1))
    assert found.rmse_over_sd == pytest.approx(0.0, abs=1e-12)
    assert found.coverage_90 == 1.0


def test_coverage_counts_intervals() -> None:
    """Three of four simulated values within 1.645 SD, in asinh(z), on either side."""
    r = np.array([0.0, 1.0, -1.0, 1.0])
    error = np.array([0.0, 1.6, -1.6, 1.7]) * 0.2
    found = feature_accuracy(np.sinh(r + error), r, np.full(4, 0.2))
    assert found.coverage_90 == 0.75


def test_coverage_of_a_calibrated_forecast() -> None:
    draw = np.random.default_rng(0)
    r, sd = draw.normal(size=4000), draw.uniform(0.1, 0.5, 4000)
    simulated = np.sinh(r + sd * draw.normal(size=4000))
    calibrated, confident = (feature_accuracy(simulated, r, scale * sd).coverage_90 for scale in (1.0, 0.5))
    assert calibrated == pytest.approx(0.9, abs=0.02)
    assert confident == pytest.approx(0.59, abs=0.03)  # P(|N| < 1.645 / 2)


def test_undefined_values_are_left_out() -> None:
    z = np.array([np.nan, 1.0, np.nan, 2.0])
    known = np.isfinite(z)
    predicted = np.array([50.0, 0.5, -50.0, 1.0])
    found = feature_accuracy(z, predicted, np.ones(4))
    assert found == feature_accuracy(z[known], predicted[known], np.ones(2))
    assert found.n == 2


@pytest.mark.parametrize("z", [[], [1.0], [np.nan, np.nan], [np.nan, 1.0]])
def test_too_few(z: list[float]) -> None:
    found = feature_accuracy(np.array(z), np.zeros(len(z)), np.ones(len(z)))
    assert found == (None, None, int(np.isfinite(z).sum()))


def test_an_absurd_prediction_stays_finite() -> None:
    found = feature_accuracy(np.zeros(2), np.array([900.0, -900.0]), np.ones(2))
    assert found.rmse_over_sd is not None
    assert math.isfinite(found.rmse_over_sd)
    assert found.coverage_90 == 0.0


def test_auroc() -> None:
    defined = np.array([False, False, True, True])
    assert validity_auroc(defined, np.array([0.1, 0.2, 0.3, 0.4])) == 1.0
    assert validity_auroc(defined, np.array([0.4, 0.3, 0.2, 0.1])) == 0.0
    assert validity_auroc(defined, np.array([0.1, 0.3, 0.2, 0.4])) == 0.75
    assert validity_auroc(defined, np.full(4, 0.5)) == 0.5


@pytest.mark.parametrize("defined", [True, False])
def test_no_auroc_without_both_kinds(defined: bool) -> None:
    assert validity_auroc(np.full(4, defined), np.linspace(0, 1, 4)) is None


@pytest.mark.parametrize(
    ("rmse", "coverage", "word"),
    [
        (0.0, 1.0, "good"),
        (GOOD, COVERED, "good"),
        (GOOD + 0.01, COVERED, "usable"),
        (GOOD, COVERED - 0.01, "usable"),
        (USABLE, HALF_COVERED, "usable"),
        (USABLE + 0.01, 1.0, "do not trust"),
        (0.0, HALF_COVERED - 0.01, "do not trust"),
        (None, 1.0, "not tested"),
        (0.1, None, "not tested"),
    ],
)
def test_verdict(rmse: float | None, coverage: float | None, word: str) -> None:
    assert verdict(rmse, coverage) == word


def test_the_interval_is_of_90_percent() -> None:
    assert math.erf(Z90 / math.sqrt(2)) == pytest.approx(0.9, abs=1e-4)
