"""The user's cell in NEURON: built unchanged, its places found and set, driven, recorded. Importing it loads NEURON."""

from gbar.sim.cell import inject
from gbar.sim.cell.anatomy import (
    Cell,
    as_list,
    attribute,
    has_sections,
    own_code,
    point_processes_of,
    sections,
    segment,
    short_name,
    soma,
)
from gbar.sim.cell.cell import ROUNDS, ParameterBinding, build
from gbar.sim.cell.inject import step
from gbar.sim.cell.interpolation import resampled
from gbar.sim.cell.leftovers import switched_off
from gbar.sim.cell.loaders import working_folder
from gbar.sim.cell.placement import get_value, globals_of, places
from gbar.sim.cell.protocols import (
    Placed,
    crossed,
    find_rheobase,
    initialise,
    integrate,
    order,
    place,
    recorder,
    run,
)
from gbar.sim.cell.reused import Reused
from gbar.sim.cell.search import RheobaseSearch

__all__ = [
    "ROUNDS",
    "ParameterBinding",
    "Cell",
    "Placed",
    "Reused",
    "RheobaseSearch",
    "as_list",
    "attribute",
    "build",
    "crossed",
    "find_rheobase",
    "globals_of",
    "has_sections",
    "initialise",
    "inject",
    "integrate",
    "order",
    "own_code",
    "place",
    "places",
    "point_processes_of",
    "recorder",
    "resampled",
    "run",
    "sections",
    "segment",
    "short_name",
    "soma",
    "step",
    "switched_off",
    "get_value",
    "working_folder",
]
