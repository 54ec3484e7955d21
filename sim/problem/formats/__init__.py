"""What other tools call a problem, read as ours: a file per format."""

from gbar.sim.problem.formats import bluepyopt

__all__ = ["bluepyopt"]
