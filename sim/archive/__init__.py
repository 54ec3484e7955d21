"""Every simulation, kept; and the space-filling design that fills an archive."""

from gbar.sim.archive.archive import Archive, Rows
from gbar.sim.archive.identity import said_of, why_another
from gbar.sim.archive.reading import reading
from gbar.sim.archive.sampling import design, near, sample

__all__ = [
    "Archive",
    "Rows",
    "design",
    "near",
    "reading",
    "said_of",
    "sample",
    "why_another",
]
