"""How far the surrogate can be trusted: errors, coverage of intervals, and whether it knows what is defined."""

from typing import NamedTuple

import numpy as np

from gbar.surrogate.calibration import Z90

TELLS_DEFINED = 0.8  # AUROC from which validity is predicted well
GOOD, USABLE = 0.5, 1.0  # RMSE in SDs of the measurement up to which predictions decide, or at least guide
COVERED, HALF_COVERED = 0.8, 0.6  # shares of 90 % intervals that must hold for the same


class FeatureAccuracy(NamedTuple):
    """One feature's predictions against what NEURON then said."""

    rmse_over_sd: float | None  # RMSE in SDs of the measurement; null with fewer than two
    coverage_90: float | None  # share of simulated values inside the predicted 90 % interval
    n: int


def feature_accuracy(z: np.ndarray, predicted: np.ndarray, sd: np.ndarray) -> FeatureAccuracy:
    """Compare predictions of one feature with simulations.

    Args:
        z: [n] simulated, in SDs from the measurement; NaN where not defined (left out).
        predicted: [n] predicted mean of asinh(z).
        sd: [n] predicted SD of asinh(z).
    """
    known = np.isfinite(z)
    if known.sum() < 2:
        return FeatureAccuracy(None, None, int(known.sum()))
    z, predicted, sd = z[known], predicted[known], sd[known]
    error = np.sinh(np.clip(predicted, -15, 15)) - z
    inside = np.abs(np.arcsinh(z) - predicted) <= Z90 * sd
    return FeatureAccuracy(float(np.sqrt(np.mean(error**2))), float(np.mean(inside)), len(z))


def validity_auroc(defined: np.ndarray, probability: np.ndarray) -> float | None:
    """Area under the ROC of predicted definedness, [n] each; None where all or none were defined."""
    if defined.all() or not defined.any():
        return None
    from sklearn.metrics import roc_auc_score  # takes a second to load, and only `verify` needs it

    return float(roc_auc_score(defined, probability))


def verdict(rmse_over_sd: float | None, coverage_90: float | None) -> str:
    """In a modeller's words: good (predictions decide), usable (they guide), or do not trust."""
    if rmse_over_sd is None or coverage_90 is None:
        return "not tested"
    if rmse_over_sd <= GOOD and coverage_90 >= COVERED:
        return "good"
    if rmse_over_sd <= USABLE and coverage_90 >= HALF_COVERED:
        return "usable"
    return "do not trust"


def why(rmse_over_sd: float | None, coverage_90: float | None, auroc: float | None = None) -> str:
    """The reason of a verdict, in plain words.

    Args:
        rmse_over_sd, coverage_90: as for `verdict`.
        auroc: of definedness, where anything was undefined.
    """
    if rmse_over_sd is None or coverage_90 is None:
        return "fewer than two predictions have been simulated"
    if rmse_over_sd <= GOOD:
        said = f"off by {rmse_over_sd:.2f} SD, well within what was measured"
    elif rmse_over_sd <= USABLE:
        said = f"off by {rmse_over_sd:.2f} SD, about as much as the measurement itself"
    else:
        said = f"off by {rmse_over_sd:.1f} SD, more than the measurement itself"
    if coverage_90 < COVERED:
        said += f"; surer than it should be ({coverage_90:.0%} of its 90 % intervals held)"
    if auroc is not None and auroc < TELLS_DEFINED:
        said += "; often wrong about whether it is defined at all"
    return said
