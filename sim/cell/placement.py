"""Where in a cell a parameter lives.

The functions take plain arguments, because an exported script carries their source.
"""

import re
from typing import Any

from neuron import h

from gbar.sim.cell.anatomy import Cell, distance, point_processes_of, sections
from gbar.sim.errors import GbarError, nearest

SET_BY_GBAR = {"celsius", "dt", "secondorder", "steps_per_ms", "t", "v_init"}  # globals that every run sets itself
OF_A_SECTION = {"Ra", "L", "rallbranch"}  # variables that a whole section has one of
PLACE = re.compile(r"(\w+(?:\[\d+\])?)(?:\[([\d.]*):([\d.]*)\])?(?:\.(\w+))?\.(\w+(?:\[\d+\])?)")


def places(cell: Cell, target: str) -> list[tuple[Any, Any]]:
    """Where a target lives: pairs of an object and the attribute to set on it.

    A target is "SECTIONS.VARIABLE", "SECTIONS[100:300].VARIABLE" (path distance from the soma in µm, the end left out),
    "SECTIONS.POINTPROCESS.VARIABLE", "global.NAME" (of a mechanism or of hoc), "cell.NAME" (of the cell's object) or
    "module.NAME" (of the Python file).

    Raises:
        GbarError: no such section, or none of the sections has the variable; the message names the nearest.
    """
    first, _, rest = target.partition(".")
    if first == "global":
        if rest in SET_BY_GBAR:
            raise GbarError(f"'{target}': '{rest}' is set at the start of every run, so it cannot be free")
        if rest in cell.ranged:
            return cell.ranged[rest]
        if not hasattr(h, rest.partition("[")[0]):
            raise GbarError(f"'{target}': NEURON has no global variable '{rest}'")
        return [(h, rest)]
    if first in {"cell", "module"}:
        return [attribute_of(cell, target)]
    parts = PLACE.fullmatch(target)
    if not parts:
        raise GbarError(f"'{target}' is no place in a model: expected SECTIONS.VARIABLE or SECTIONS[FROM:TO].VARIABLE")
    name, low, high, process, variable = parts.groups()
    listed = sections(cell, name)
    if variable in OF_A_SECTION:
        found: list[tuple[Any, Any]] = [(section, variable) for section in listed]
    elif process:
        found = [(point, variable) for point in point_processes_of(listed, process)]
    else:
        found = [(seg, variable) for section in listed for seg in section if _has(seg, variable)]
    if not found or not _has(found[0][0], variable):
        raise GbarError(_nothing(target, name, listed, process, variable))
    if low is None:
        return found
    start, end = float(low or 0), float(high or "inf")
    inside = [at for at in found if start <= distance(cell, at[0]) < end]
    if not inside:
        reach = max(distance(cell, owner) for owner, _ in found)
        raise GbarError(
            f"'{target}': nothing lies there: '{name}' with '{variable}' reaches {reach:.0f} µm from the soma"
        )
    return inside


def attribute_of(cell: Cell, target: str) -> tuple[Any, Any]:
    """The object and the attribute, or the dict and the key, of a dotted path from the cell's object or the module."""
    first, *path = target.split(".")
    owner = cell.object if first == "cell" else cell.module
    if owner is None:
        raise GbarError(f"'{target}': the model has no Python module: expected cell.NAME or global.NAME")
    for i, part in enumerate(path):
        if not _has(owner, part):
            keys = owner if isinstance(owner, dict) else dir(owner)
            known = [str(key) for key in keys if not str(key).startswith("_")]
            here = ".".join([first, *path[:i]])
            raise GbarError(f"'{target}': {here} has nothing called '{part}'{nearest(part, known)}")
        if i < len(path) - 1:
            owner = get_value(owner, part)
    return owner, path[-1]


def _nothing(target: str, name: str, listed: list[Any], process: str | None, variable: str) -> str:
    """What to say when sections have no such variable."""
    if process:
        kinds = {p.hname().partition("[")[0] for s in listed for x in s for p in x.point_processes()}
        if process not in kinds:
            return f"'{target}': no point process '{process}' in '{name}'{nearest(process, kinds)}"
        return f"'{target}': '{process}' has no '{variable}'"
    mechanisms = {mech: keys for sec in listed for mech, keys in sec.psection()["density_mechs"].items()}
    known = {f"{key}_{mech}" for mech, keys in mechanisms.items() for key in keys} | {"cm", "Ra", "diam"}
    said = f"'{target}': no section of '{name}' has '{variable}'"
    own = sorted(
        key for key in known if key.startswith("e") and key.partition("_")[0] in {"e", variable, "erev", "ek", "ena"}
    )
    if re.fullmatch(r"e(na|k|ca|cl)", variable) and own:
        return f"{said}: no mechanism there uses that ion, their own reversals are {', '.join(own)}"
    return f"{said}{nearest(variable, known)}"


def _has(owner: Any, variable: str) -> bool:
    try:
        get_value(owner, variable)
    except (AttributeError, NameError, LookupError, TypeError, RuntimeError):
        return False
    return True


def get_value(owner: Any, variable: str) -> Any:
    """The value of an attribute, a dict's key, or an element of one that is an array."""
    base, _, index = variable.partition("[")
    found = owner[base] if isinstance(owner, dict) else getattr(owner, base)
    return found[int(index.rstrip("]"))] if index else found


def set_value(owner: Any, variable: str, value: float) -> None:
    """Set what `get_value` reads."""
    base, _, index = variable.partition("[")
    if index:
        (owner[base] if isinstance(owner, dict) else getattr(owner, base))[int(index.rstrip("]"))] = value
    elif isinstance(owner, dict):
        owner[base] = value
    else:
        setattr(owner, base, value)


def mechanism_of(variable: str) -> tuple[str, str]:
    """The mechanism that a GLOBAL belongs to, and its name there; ("", name) for a variable of hoc itself."""
    for kind in (0, 1):
        kinds, name = h.MechanismType(kind), h.ref("")
        for i in range(int(kinds.count())):
            kinds.select(i)
            kinds.selected(name)
            if variable.endswith(f"_{name[0]}") and variable in globals_of(name[0]):
                return name[0], variable.removesuffix(f"_{name[0]}")
    return "", variable


def globals_of(mechanism: str) -> list[str]:
    listed, name = h.MechanismStandard(mechanism, -1), h.ref("")
    found = []
    for i in range(int(listed.count())):
        listed.name(name, i)
        found.append(name[0])
    return found
