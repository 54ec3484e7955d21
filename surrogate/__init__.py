"""The learned feature response: a Flax ensemble over NumPy arrays. Never imports NEURON or sim."""

from surrogate.accuracy import FeatureAccuracy, feature_accuracy, validity_auroc, verdict
from surrogate.fit import Data, FitConfig, fit, pad
from surrogate.network import Params, Prediction, Response, respond
from surrogate.scaling import Scaling, choose_scaling, unsquash

__all__ = [
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
    "respond",
    "unsquash",
    "validity_auroc",
    "verdict",
]
