"""What other tools call a problem, read as ours: a file per format."""

from sim.formats import bluepyopt

__all__ = ["bluepyopt"]
