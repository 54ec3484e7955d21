"""What a model can do, and what it cannot."""

from typing import NamedTuple

import numpy as np


class Evidence(NamedTuple):
    """Everything simulated inside the bounds."""

    u: np.ndarray  # [N, D]
    features: np.ndarray  # [N, F], NaN where not defined
    size: np.ndarray  # [N, F] |z|, infinite where not defined


class Reachability(NamedTuple):
    """What the model can do, after asking NEURON."""

    evidence: Evidence
    unmet: list[tuple[int, int]]  # measurements (f, f) and pairs (f, g) that nothing meets, the furthest off first
    probed: int  # evaluations made to find out
