"""What comes out of simulating one parameter vector: light enough for the parent, which never loads NEURON."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

UNKNOWN = np.inf  # a feature whose protocol was not simulated: no feature has this value


@dataclass
class Evaluation:
    """What one parameter vector did."""

    features: dict[str, float] = field(default_factory=dict)  # "protocol.feature" -> value, NaN = undefined; of
    # protocols that were not simulated there is nothing
    status: str = "ok"  # ok | failed
    reason: str = ""  # why it failed
    seconds: float = 0.0  # that it took a worker
    cpu: float = 0.0  # s of the worker's processor time
    measuring: float = 0.0  # s of that for features
    spent: dict[str, float] = field(default_factory=dict)  # protocol -> s of that, where one cell is simulated alone
    traces: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # protocol -> t ms, v mV

    def joined(self, other: "Evaluation") -> "Evaluation":
        """This and another part of the same evaluation: it failed where either has."""
        bad = next((part for part in (self, other) if part.status != "ok"), None)
        return Evaluation(
            {} if bad else self.features | other.features,
            bad.status if bad else "ok",
            bad.reason if bad else "",
            self.seconds + other.seconds,
            self.cpu + other.cpu,
            self.measuring + other.measuring,
            self.spent | other.spent,
            self.traces | other.traces,
        )

    def row(self, keys: Iterable[str]) -> np.ndarray:
        """The features of these keys, [F]; NaN where one is not defined, UNKNOWN where it was not simulated.

        What failed defines nothing.
        """
        absent = np.nan if self.status == "failed" else UNKNOWN
        return np.array([self.features.get(key, absent) for key in keys], float)
