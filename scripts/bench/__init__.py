"""The published comparisons. JAX, and each peer's package, are loaded by the process of a run that needs them."""

from gbar.scripts.bench.app import bench

__all__ = ["bench"]
