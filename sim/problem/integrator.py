"""How a problem is integrated: which engine, and how accurately."""

import contextlib
from dataclasses import dataclass

from gbar.sim.errors import GbarError
from gbar.sim.problem.problem import Problem

CONFIRM_ATOL = 1e-7  # what is called a solution holds at this accuracy
CONFIRM_DT = 0.0025  # ms, the same for models that CVODE cannot run
ROUGH_ATOL, ROUGH_DT = 1e-3, 0.025  # mV; ms: what is looser than NEURON's own defaults is another form of the model
ENGINES = ("cvode", "fixed", "coreneuron", "neuron")
BATCHED = ("coreneuron", "neuron")  # engines that advance many copies of a cell together
LANES = 8  # doubles in the widest vector of a processor (AVX-512): copies come in whole vectors


@dataclass(frozen=True)
class Integrator:
    """How NEURON integrates, and how accurately. Written beside every row of the archive, so that engines never mix.

    With `segments` it is another fidelity: a copy of the cell whose sections have no more of them. It may teach and be
    searched on; what confirms solutions is the model itself.
    """

    engine: str = "cvode"  # cvode | fixed | coreneuron | neuron
    atol: float = 1e-4  # of cvode
    dt: float = 0.025  # ms, of the others
    confirm: str = "cvode"  # what confirms solutions: cvode | fixed
    segments: int | None = None  # the most that a section of a coarser copy has; None: the model as it is

    @classmethod
    def of(cls, problem: Problem) -> "Integrator":
        """What a problem asks for while searching. An engine still to be chosen stands for what confirms."""
        wanted = problem.simulation
        engine = wanted.confirm if wanted.engine == "auto" else wanted.engine
        confirm = "fixed" if engine == "fixed" else wanted.confirm
        return cls(engine, wanted.atol, wanted.dt, confirm, wanted.segments)

    @classmethod
    def parse(cls, text: str) -> "Integrator":
        """What `str` wrote.

        Raises:
            GbarError: it is none.
        """
        engine, *rest = text.split() or [""]
        accuracy, coarse = rest[:2], rest[2:]
        known = len(accuracy) == 2 and engine in ENGINES and accuracy[0] == ("atol" if engine == "cvode" else "dt")
        if known and (not coarse or (len(coarse) == 2 and coarse[0] == "segments")):
            with contextlib.suppress(ValueError):
                value, segments = float(accuracy[1]), int(coarse[1]) if coarse else None
                if 0 < value < float("inf") and (segments is None or segments > 0):
                    confirm = "fixed" if engine == "fixed" else "cvode"
                    return cls(engine, **{accuracy[0]: value}, confirm=confirm, segments=segments)
        raise GbarError(
            f"'{text}' is no engine: expected one such as 'coreneuron dt 0.025', 'cvode atol 0.0001' or "
            "'cvode atol 0.01 segments 1'"
        )

    @property
    def cheaper_form(self) -> bool:
        """Whether it is a coarser form of the model, which may order parameter sets otherwise than the model does."""
        return self.segments is not None or (self.atol > ROUGH_ATOL if self.engine == "cvode" else self.dt > ROUGH_DT)

    @property
    def batched(self) -> bool:
        """Whether many copies of the cell are simulated together."""
        return self.engine in BATCHED

    def tight(self) -> "Integrator":
        """The same, as accurate as solutions are confirmed."""
        engine = "fixed" if self.engine == "fixed" else self.confirm
        return Integrator(engine, min(self.atol, CONFIRM_ATOL), min(self.dt, CONFIRM_DT), engine)

    def __str__(self) -> str:
        accuracy = f"cvode atol {self.atol:g}" if self.engine == "cvode" else f"{self.engine} dt {self.dt:g}"
        return accuracy if self.segments is None else f"{accuracy} segments {self.segments}"
