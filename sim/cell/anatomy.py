"""A cell and its sections: what the user calls them, where they lie.

The functions take plain arguments, because an exported script carries their source.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuron import h, nrn

from gbar.sim.errors import GbarError, nearest


class Cell:
    """One cell of the user's model: what its names are looked up in, and the sections that are its own."""

    def __init__(self, folder: Path, thing: Any, module: Any, own: list[Any]):
        self.folder = folder
        self.object = thing  # a template's object, what a Python function returned, or h for a flat hoc
        self.module = module  # the Python module, where there is one
        self.sections = own
        self.stimuli: dict[str, Any] = {}  # what the model brought along, in words -> the clamp, switched off
        self.ranged: dict[str, list[tuple[Any, str]]] = {}  # GLOBALs that have a value in each place of this cell
        self.tolerances: dict[str, float] = {}  # by how much CVODE's is multiplied for each state, by its mechanism
        self.stated: dict[str, float] = {}  # celsius and v_init where the model's own code sets others while it loads


@contextlib.contextmanager
def own_code(cell: Cell) -> Iterator[None]:
    """While code of the model runs: the sections that it makes are the cell's, those that it deletes no longer are.

    A section of Python's ends with the last reference to it. Where the model lets go of one that gbar refers to, gbar
    deletes it.
    """
    before, held = set(h.allsec()), _held(cell)
    yield
    tighten(cell)
    for section in held - _held(cell):
        if section in set(h.allsec()):
            h.delete_section(sec=section)
    now = list(h.allsec())
    if set(now) != before:
        own = set(cell.sections)
        cell.sections = [section for section in now if section in own or section not in before]


def tighten(cell: Cell) -> None:
    """Put back CVODE's tolerances where the model's own code has made them looser than its mechanisms ask for.

    In one thread with one step for all, as a worker simulates: NEURON crashes where tolerances change under others.
    """
    cvode, threads = h.CVode(), h.ParallelContext()
    if threads.nthread() != 1:
        threads.nthread(1)
    if cvode.use_local_dt():
        cvode.use_local_dt(0)
    for state, scale in cell.tolerances.items():
        if cvode.atolscale(state) > scale:
            cvode.atolscale(state, scale)


def _held(cell: Cell) -> set[Any]:
    """The sections that a Python model's cell has in its attributes or keys."""
    if cell.module is None:
        return set()
    keys = (
        cell.object if isinstance(cell.object, dict) else vars(cell.object) if hasattr(cell.object, "__dict__") else ()
    )
    return {
        section for key in keys if has_sections(cell.object, key) for section in as_list(attribute(cell.object, key))
    }


def shape(cell: Cell, kinds: set[str]) -> list[tuple[Any, ...]]:
    """What decides where things lie in a cell.

    For each section: itself and its point processes, then, in words, its name, parent, length, segments, mechanisms.

    Args:
        cell: the cell.
        kinds: of point processes that count; others, such as a protocol's electrode, come and go.
    """
    found: list[tuple[Any, ...]] = []
    for section in cell.sections:
        mechanisms = tuple(mechanism.name() for mechanism in section(0.5))
        points = tuple(p.hname() for kind in sorted(kinds) for p in point_processes_of([section], kind))
        length = f"{section.L:.9g}"  # of a traced section it is never quite what was set
        words = section.name(), str(section.parentseg()), length, section.nseg, mechanisms, len(points)
        found.append((section, points, *words))
    return found


def point_processes_of(listed: list[Any], kind: str) -> list[Any]:
    """The point processes of one kind in sections, in the order of their making."""
    spots = [spot for section in listed for spot in (section(0), *section, section(1))]
    found = {point.hname(): point for spot in spots for point in spot.point_processes()}
    return [point for name, point in found.items() if name.partition("[")[0] == kind]


def sections(cell: Cell, name: str) -> list[Any]:
    """The sections that `name` stands for in a cell: a section, an array, one of its elements or a SectionList.

    What the cell's object calls so comes first, then what NEURON's own name of a section ends with.

    Raises:
        GbarError: the cell has nothing of that name; the message names the nearest.
    """
    parts = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name)
    base, index = parts.groups() if parts else (name, None)
    listed = as_list(attribute(cell.object, base))
    if not listed and base == "all":
        listed = cell.sections
    if index is not None:
        listed = listed[int(index) : int(index) + 1]
    if not listed:  # a template may keep its sections to itself, and two sections may share a name
        named = [section for section in cell.sections if short_name(section) == name]
        array = [section for section in cell.sections if short_name(section).partition("[")[0] == name]
        listed = named or array
    if not listed and index is not None:
        listed = [section for section in cell.sections if short_name(section) == base][int(index) : int(index) + 1]
    if not listed:
        known = {short_name(section) for section in cell.sections} | {"all"}
        keys = cell.object if isinstance(cell.object, dict) else dir(cell.object)
        known |= {str(key) for key in keys if has_sections(cell.object, key)}
        raise GbarError(f"the model has no section or section list '{name}'{nearest(name, known)}")
    return listed


def short_name(section: Any) -> str:
    """A section's name without the object it belongs to, whose own may be an address that differs in every run."""
    return str(section.name().rpartition(".")[2])


def attribute(thing: Any, key: str) -> Any:
    return thing.get(key) if isinstance(thing, dict) else getattr(thing, key, None)


def as_list(found: Any) -> list[Any]:
    """A section or anything that holds sections, as a list; empty for whatever else a model keeps under a name."""
    try:
        listed = [found] if isinstance(found, nrn.Section) else list(found)
    except Exception:
        return []
    return listed if all(isinstance(section, nrn.Section) for section in listed) else []


def has_sections(thing: Any, key: Any) -> bool:
    if str(key).startswith("_") or key in {"hname", "same"}:
        return False
    try:
        return bool(as_list(attribute(thing, key)))
    except Exception:  # whatever a model keeps under a name that is no list of sections
        return False


def segment(cell: Cell, place: str) -> Any:
    """The segment at a place such as "soma(0.5)", or "apical@300": 300 µm from the soma along one of its sections."""
    name, along, reach = place.partition("@")
    if along:
        return segment_at_distance(cell, name, float(reach))
    name, _, x = place.rstrip(") ").rpartition("(")
    if not 0 <= float(x) <= 1:
        raise GbarError(f"'{place}': a position along a section lies between 0 and 1")
    listed = sections(cell, name)
    if len(listed) > 1:
        known = [f"{name}[{i}]" for i in range(len(listed))]
        raise GbarError(f"'{place}': '{name}' is {len(listed)} sections, not one{nearest(name, known)}")
    return listed[0](float(x))


def soma(cell: Cell) -> Any:
    """The section from whose middle path distances are measured: the soma, else the root of the tree."""
    for name in ("soma", "somatic"):
        try:
            return sections(cell, name)[0]
        except GbarError:
            continue
    return h.SectionRef(sec=cell.sections[0]).root


def distance(cell: Cell, owner: Any) -> float:
    """Path distance (µm) from the middle of the soma to a segment, a point process or the middle of a section."""
    at = owner(0.5) if isinstance(owner, nrn.Section) else owner
    at = at.get_segment() if hasattr(at, "get_segment") else at
    return float(h.distance(soma(cell)(0.5), at)) if isinstance(at, nrn.Segment) else 0.0


def segment_at_distance(cell: Cell, name: str, reach: float) -> Any:
    """The segment at a path distance (µm) from the middle of the soma, on the last of the sections that reaches it.

    The last, because that is the one BluePyOpt's recordings at a distance are on.

    Raises:
        GbarError: none of the sections does.
    """
    ends = []
    for section in reversed(sections(cell, name)):
        near, far = distance(cell, section(0)), distance(cell, section(1))
        ends += [near, far]
        if near != far and 0 <= (reach - near) / (far - near) <= 1:
            return section((reach - near) / (far - near))
    raise GbarError(
        f"'{name}@{reach:g}': nothing of '{name}' is {reach:g} µm from the soma: expected {min(ends):.4g} to "
        f"{max(ends):.4g}"
    )
