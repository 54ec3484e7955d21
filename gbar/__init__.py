"""gbar tunes NEURON models to measurements: parameter sets that NEURON itself confirms.

    import gbar

    result = gbar.tune("models/hh", solutions=3)
    result.to_dataframe()

JAX and NEURON are loaded when something needs them, not by `import gbar`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gbar.agent import Result, read_result, tune, verify
    from gbar.agent.tuning import TuneConfig
    from gbar.sim import GbarError, Problem, load_problem, measure

__all__ = ["GbarError", "Problem", "Result", "TuneConfig", "load_problem", "measure", "read_result", "tune", "verify"]

HOMES = {
    "gbar.sim": {"GbarError", "Problem", "load_problem", "measure"},
    "gbar.agent": {"Result", "TuneConfig", "read_result", "tune", "verify"},
}


def __getattr__(name: str) -> Any:
    """Load what is asked for. `import gbar` alone is for those who ask only for the version."""
    for home, names in HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("gbar")
    raise AttributeError(f"module 'gbar' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
