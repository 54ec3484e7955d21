"""Engines in isolated processes, on this machine or on a Dask cluster; and single questions asked of NEURON there."""

from gbar.sim.pool import elsewhere
from gbar.sim.pool.isolated import START_LIMIT_S, ask, importable
from gbar.sim.pool.pool import Pool, open_pool, simulate
from gbar.sim.pool.workers import KILLED, Workers

__all__ = [
    "KILLED",
    "Pool",
    "START_LIMIT_S",
    "Workers",
    "ask",
    "elsewhere",
    "importable",
    "open_pool",
    "simulate",
]
