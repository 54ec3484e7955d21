"""The user's model inside NEURON: build it unchanged, find where a parameter lives, set it.

The functions take plain arguments, because an exported script carries their source.
"""

import contextlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from neuron import h, nrn

from sim.errors import GbarError, nearest
from sim.parameter import Parameter

SET_BY_GBAR = {"celsius", "dt", "secondorder", "steps_per_ms", "t", "v_init"}  # globals that every run sets itself


@contextlib.contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    """Models read files relative to their own folder."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def build(folder: Path, load: str, template: str | None) -> Any:
    """Load the model's file and make one cell.

    Returns:
        The hoc object of a template, what the Python function returned, or `h` for a flat hoc.

    Raises:
        GbarError: the file, template or function cannot be used, with NEURON's or Python's own reason.
    """
    file, _, function = load.partition(":")
    h.load_file("stdrun.hoc")
    with working_folder(folder):
        if not function:
            if not h.load_file(str(folder / file)):
                raise GbarError(f"{file}: NEURON cannot load it: its own message is in the log")
            if template is None:
                return h
            if not hasattr(h, template):
                known = re.findall(r"begintemplate\s+(\w+)", (folder / file).read_text(errors="replace"))
                raise GbarError(
                    f"{file} defines no template '{template}': expected the name after begintemplate"
                    f"{nearest(template, known)}"
                )
            return getattr(h, template)()
        sys.path.insert(0, str(folder))
        spec = importlib.util.spec_from_file_location(Path(file).stem, folder / file)
        if spec is None or spec.loader is None:
            raise GbarError(f"{file}: Python cannot load it")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # as an import would; dataclasses in it need it
        spec.loader.exec_module(module)
        if not hasattr(module, function):
            names = [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]
            raise GbarError(f"{file} defines no function '{function}'{nearest(function, names)}")
        return getattr(module, function)()


def sections(cell: Any, name: str) -> list[Any]:
    """The sections that `name` stands for in a cell: a section, an array, one of its elements or a SectionList.

    Raises:
        GbarError: the cell has nothing of that name; the message names the nearest.
    """
    parts = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name)
    base, index = parts.groups() if parts else (name, None)
    found: Any = cell.get(base) if isinstance(cell, dict) else getattr(cell, base, None)
    if found is None and base == "all":
        found = list(h.allsec())
    try:
        listed = [found] if isinstance(found, nrn.Section) else list(found)
    except TypeError:
        listed = []
    if index is not None:
        listed = listed[int(index) : int(index) + 1]
    if not listed or not all(isinstance(section, nrn.Section) for section in listed):
        known = {section.name().rpartition(".")[2] for section in h.allsec()} | {"all"}
        known |= {key for key in (cell if isinstance(cell, dict) else dir(cell)) if _has_sections(cell, key)}
        raise GbarError(f"the model has no section or section list '{name}'{nearest(name, known)}")
    return listed


def _has_sections(cell: Any, key: str) -> bool:
    if key.startswith("_") or key in {"hname", "same"}:
        return False
    try:
        found = cell[key] if isinstance(cell, dict) else getattr(cell, key)
        return isinstance(found, nrn.Section) or isinstance(next(iter(found)), nrn.Section)
    except Exception:  # whatever a model keeps under a name that is no list of sections
        return False


def segment(cell: Any, place: str) -> Any:
    """The segment at a place such as "soma(0.5)", or "apical@300": 300 µm from the soma along one of its sections."""
    name, along, distance = place.partition("@")
    if along:
        return at_distance(sections(cell, name), float(distance), place)
    name, _, x = place.rstrip(") ").rpartition("(")
    if not 0 <= float(x) <= 1:
        raise GbarError(f"'{place}': a position along a section lies between 0 and 1")
    listed = sections(cell, name)
    if len(listed) > 1:
        known = [section.name().rpartition(".")[2] for section in listed]
        raise GbarError(f"'{place}': '{name}' is {len(listed)} sections, not one{nearest(name, known)}")
    return listed[0](float(x))


def at_distance(listed: list[Any], distance: float, place: str) -> Any:
    """The segment at a path distance (µm) from the middle of the soma, on the first of the sections that reaches it."""
    soma, reached = h.SectionRef(sec=listed[0]).root, []
    for section in listed:
        near, far = (h.distance(soma(0.5), section(x)) for x in (0, 1))
        reached += [near, far]
        if near != far and 0 <= (x := (distance - near) / (far - near)) <= 1:
            return section(x)
    raise GbarError(
        f"'{place}': no section there is {distance:g} µm from the soma: expected {min(reached):.4g} to "
        f"{max(reached):.4g} µm"
    )


def places(cell: Any, target: str) -> list[tuple[Any, str]]:
    """Where "SECTIONS.VARIABLE" lives: pairs of an object and the attribute to set on it ("global.NAME" is NEURON's).

    Raises:
        GbarError: no such section, or none of the sections has the variable; the message names the nearest.
    """
    name, _, variable = target.rpartition(".")
    if name == "global":
        if not hasattr(h, variable):
            raise GbarError(f"'{target}': NEURON has no global variable '{variable}'")
        if variable in SET_BY_GBAR:
            raise GbarError(f"'{target}': '{variable}' is set at the start of every run, so it cannot be free")
        return [(h, variable)]
    listed = sections(cell, name)
    if variable in {"Ra", "L"}:
        return [(section, variable) for section in listed]
    found = [(seg, variable) for section in listed for seg in section if _has_range(seg, variable)]
    if not found:
        known = {
            f"{key}_{mech}" for sec in listed for mech, keys in sec.psection()["density_mechs"].items() for key in keys
        }
        known |= {"cm", "Ra", "diam"}
        raise GbarError(f"'{target}': no section of '{name}' has '{variable}'{nearest(variable, known)}")
    return found


def _has_range(seg: Any, variable: str) -> bool:
    try:
        getattr(seg, variable)
    except (AttributeError, NameError, LookupError):
        return False
    return True


def assign(found: list[tuple[Any, str]], value: float) -> None:
    """Set one parameter everywhere it lives."""
    for owner, variable in found:
        setattr(owner, variable, value)


class Bound:
    """The free parameters of one cell, ready to be set again and again. Several cells may be bound in one process.

    Raises:
        GbarError: a parameter names something that is not in the cell.
    """

    def __init__(self, cell: Any, parameters: Sequence[Parameter]):
        self.places = [[at for target in parameter.set for at in places(cell, target)] for parameter in parameters]

    def assign(self, x: Iterable[float]) -> None:
        """Set every parameter: x [D] in NEURON's units, in the parameters' order."""
        for found, value in zip(self.places, x, strict=True):
            assign(found, float(value))
