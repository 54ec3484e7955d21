"""Parameter vectors to evaluations, one cell at a time or many copies together. NEURON is loaded with an engine."""

from gbar.sim.engine.engines import load_engine
from gbar.sim.engine.evaluation import UNKNOWN, Evaluation
from gbar.sim.engine.modelinfo import ModelInfo, ParameterInfo
from gbar.sim.engine.response import amplitude

__all__ = [
    "Evaluation",
    "ModelInfo",
    "ParameterInfo",
    "UNKNOWN",
    "amplitude",
    "load_engine",
]
