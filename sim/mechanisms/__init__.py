"""MOD files: found, built once, kept by content, loaded; a private build in which a GLOBAL is RANGE."""

from gbar.sim.mechanisms.library import (
    SOURCES,
    Setup,
    build,
    declared,
    load,
    neutral_folder,
    prepare,
    processor,
)
from gbar.sim.mechanisms.ranged import Ranged

__all__ = [
    "Ranged",
    "SOURCES",
    "Setup",
    "build",
    "declared",
    "load",
    "neutral_folder",
    "prepare",
    "processor",
]
