"""The learned feature response: a Flax ensemble over NumPy arrays. Never imports NEURON or sim."""

from gbar.surrogate.accuracy import FeatureAccuracy, feature_accuracy, validity_auroc, verdict, why
from gbar.surrogate.calibration import Z90, Calibration
from gbar.surrogate.network import Params, Prediction, Response, init_params, respond
from gbar.surrogate.scaling import Scaling, choose_scaling, squash, unsquash
from gbar.surrogate.training import Data, FitConfig, fit, pad, refine, train

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
    "init_params",
    "pad",
    "refine",
    "respond",
    "squash",
    "train",
    "unsquash",
    "validity_auroc",
    "verdict",
    "why",
]
