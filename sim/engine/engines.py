"""Which engine a process simulates with. NEURON is loaded with the engine, not before: the parent never loads it."""

from typing import TYPE_CHECKING

from gbar.sim.mechanisms import Setup
from gbar.sim.problem import Problem

if TYPE_CHECKING:
    from gbar.sim.engine.batch import Batch
    from gbar.sim.engine.single import Single


def load_engine(problem: Problem, setup: Setup) -> "Single | Batch":
    """The engine that a setup asks for, with the model loaded in this process.

    Raises:
        GbarError: the model cannot be loaded, or names something that is not in it.
    """
    if setup.batched:
        from gbar.sim.engine.batch import Batch

        return Batch(problem, setup.library, setup.core, setup.ranged, setup.segments)
    from gbar.sim.engine.single import Single

    return Single(problem, setup.library, setup.segments)
