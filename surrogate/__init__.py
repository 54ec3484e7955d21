"""The learned feature response: a Flax ensemble over NumPy arrays. Never imports NEURON or sim."""

from surrogate.accuracy import FeatureAccuracy, feature_accuracy, validity_auroc, verdict, why
from surrogate.calibration import Z90, Calibration
from surrogate.fit import Data, FitConfig, fit, pad, refine
from surrogate.network import Params, Prediction, Response, respond
from surrogate.scaling import Scaling, choose_scaling, squash, unsquash

__all__ = [
    "Z90",
    "Calibration",
    "Data",
    "FeatureAccuracy",
    "FitConfig",
    "Params",
    "Prediction",
    "Response",
    "Scaling",
    "choose_scaling",
    "feature_accuracy",
    "fit",
    "pad",
    "refine",
    "respond",
    "squash",
    "unsquash",
    "validity_auroc",
    "verdict",
    "why",
]
