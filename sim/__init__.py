"""The NEURON side of gbar: problems, mechanisms, simulation, features, the archive. Never imports JAX."""

from gbar.sim.archive import Archive, Rows, design, sample
from gbar.sim.engine import Evaluation
from gbar.sim.errors import GbarError, nearest
from gbar.sim.files import cache_folder
from gbar.sim.mechanisms import processor
from gbar.sim.pool import Pool, Workers, open_pool, simulate
from gbar.sim.problem import Integrator, Measurement, Parameter, Problem, load_problem
from gbar.sim.setup import Choice, choose_engine, measure, with_engine, with_process

__all__ = [
    "Archive", "Choice", "Evaluation", "GbarError", "Integrator", "Measurement", "Parameter", "Pool", "Problem",
    "Rows", "Workers", "cache_folder", "choose_engine", "design", "load_problem", "measure", "nearest", "open_pool",
    "processor", "sample", "simulate", "with_engine", "with_process",
]  # fmt: skip
