"""What comes out of simulating one parameter vector: light enough for the parent, which never loads NEURON."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Evaluation:
    """What one parameter vector did."""

    features: dict[str, float] = field(default_factory=dict)  # "protocol.feature" -> value, NaN = undefined
    status: str = "ok"  # ok | failed
    reason: str = ""  # why it failed
    seconds: float = 0.0  # that it took a worker
    cpu: float = 0.0  # s of the worker's processor time
    measuring: float = 0.0  # s of that for features
    traces: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # protocol -> t ms, v mV

    def row(self, keys: Iterable[str]) -> np.ndarray:
        """The features of these keys, [F]; NaN where one is not defined."""
        return np.array([self.features.get(key, np.nan) for key in keys], float)
