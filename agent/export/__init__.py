"""Solutions as files that work without gbar: hoc, a stand-alone Python script, JSON, tables. Never imports JAX."""

from gbar.agent.export.methods import methods
from gbar.agent.export.solution import export_methods, export_solution, export_table

__all__ = ["export_methods", "export_solution", "export_table", "methods"]
