"""A solution as files that work without gbar: hoc, a stand-alone Python script, JSON. Never imports JAX."""

from agent.export.solution import export_solution

__all__ = ["export_solution"]
