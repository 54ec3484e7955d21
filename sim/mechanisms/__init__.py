"""MOD files: found, built once, kept by content, loaded; a private build in which a GLOBAL is RANGE."""

from gbar.sim.mechanisms.globaltorange import GlobalToRange
from gbar.sim.mechanisms.library import (
    SOURCES,
    Setup,
    build,
    declared,
    load,
    neutral_folder,
    prepare,
    processor,
    unused,
)

__all__ = [
    "GlobalToRange",
    "SOURCES",
    "Setup",
    "build",
    "declared",
    "load",
    "neutral_folder",
    "prepare",
    "processor",
    "unused",
]
