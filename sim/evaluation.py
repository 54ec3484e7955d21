"""How an evaluation is made and what comes out of it: light enough for the parent, which never loads NEURON."""

from dataclasses import dataclass, field

import numpy as np

from sim.problem import Problem

CONFIRM_ATOL = 1e-7  # what is called a solution holds at this accuracy
CONFIRM_DT = 0.0025  # ms, the same for models that CVODE cannot run


@dataclass(frozen=True)
class Accuracy:
    """Which integrator, and how accurate. Written beside every row of the archive, so that engines never mix."""

    engine: str = "cvode"  # cvode | fixed
    atol: float = 1e-4
    dt: float = 0.025  # ms

    @classmethod
    def of(cls, problem: Problem) -> "Accuracy":
        """The accuracy a problem asks for while searching."""
        wanted = problem.simulation
        return cls(wanted.engine, wanted.atol, wanted.dt)

    def tight(self) -> "Accuracy":
        """The accuracy at which solutions are confirmed."""
        return Accuracy(self.engine, min(self.atol, CONFIRM_ATOL), min(self.dt, CONFIRM_DT))

    def __str__(self) -> str:
        return f"cvode atol {self.atol:g}" if self.engine == "cvode" else f"fixed dt {self.dt:g}"


@dataclass
class Evaluation:
    """What one parameter vector did."""

    features: dict[str, float] = field(default_factory=dict)  # "protocol.feature" -> value, NaN = undefined
    status: str = "ok"  # ok | failed
    reason: str = ""  # why it failed
    seconds: float = 0.0
    traces: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # protocol -> t ms, v mV
