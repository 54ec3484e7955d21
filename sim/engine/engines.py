"""Which engine a process simulates with. NEURON is loaded with the engine, not before: the parent never loads it."""

import sys
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
    import efel  # noqa: F401 - here, where no evaluation has to wait for it

    from gbar.sim.engine import batch, single

    sys.dont_write_bytecode = True  # nothing of ours in the user's folder: what is imported from here on is the model's
    if setup.batched:
        return batch.Batch(problem, setup.library, setup.core, setup.ranged, setup.segments)
    return single.Single(problem, setup.library, setup.segments)
