"""A cell written out in hoc, section by section: for a model that hoc itself cannot load."""

import functools
import json
import re
from typing import Any

from gbar.sim.errors import GbarError
from gbar.sim.pool import START_LIMIT_S, ask, elsewhere
from gbar.sim.problem import Problem


def write_out(problem: Problem, x: dict[str, float]) -> list[str]:
    """The statements that make a problem's cell with its parameters set.

    Args:
        problem: of any kind of model.
        x: the solution.

    Raises:
        GbarError: the model cannot be loaded, or has what sections do not say (point processes).
    """
    content = elsewhere.packed(problem, x=[x[name] for name in problem.names])
    return _asked(json.dumps(content), max(START_LIMIT_S, problem.simulation.time_limit))


@functools.lru_cache(maxsize=4)
def _asked(content: str, limit_s: float) -> list[str]:
    folder = json.loads(content)["folder"]
    try:
        return list(ask(answer, json.loads(content), limit_s))
    except GbarError as error:
        raise GbarError(f"{folder}: the cell cannot be written out in hoc: {error}") from None


def answer(content: dict[str, Any]) -> list[str]:
    """The other process: build the cell, set the parameters, say everything in hoc."""
    from gbar.sim import cell

    built = elsewhere.built(content)
    cell.ParameterBinding(built, elsewhere.parameters(content)).assign(content["x"])
    names = _names(built)
    lines = _made(names)
    for section in built.sections:
        lines += [f"{names[section]} {{", *(f"    {line}" for line in _described(section)), "}"]
    for section in built.sections:
        parent = section.parentseg()
        if parent is not None:
            end = section.orientation()
            lines.append(f"connect {names[section]}({end:g}), {names[parent.sec]}({parent.x!r})")
    return lines + _globals(built)


def _names(built: Any) -> dict[Any, str]:
    """A name for every section that hoc can create: its own where it is one, and no other has it."""
    from gbar.sim.cell import short_name

    short = [short_name(section) for section in built.sections]
    fits = len(set(short)) == len(short) and all(re.fullmatch(r"[A-Za-z]\w*(\[\d+\])?", name) for name in short)
    bases = [name.partition("[")[0] for name in short]
    mixed = any(name in bases and f"{name}[0]" in short for name in short)
    if fits and not mixed:
        return dict(zip(built.sections, short, strict=True))
    return {section: f"section[{i}]" for i, section in enumerate(built.sections)}


def _made(names: dict[Any, str]) -> list[str]:
    """`create`, with arrays as long as their greatest index asks for."""
    sizes: dict[str, int] = {}
    for name in names.values():
        base, _, index = name.partition("[")
        sizes[base] = max(sizes.get(base, 0), int(index.rstrip("]")) + 1 if index else 0)
    return [f"create {base}[{size}]" if size else f"create {base}" for base, size in sizes.items()]


def _described(section: Any) -> list[str]:
    """What stands between a section's braces."""
    from neuron import h

    points = [(section.x3d(i), section.y3d(i), section.z3d(i), section.diam3d(i)) for i in range(section.n3d())]
    lines = [f"pt3dadd({x!r}, {y!r}, {z!r}, {d!r})" for x, y, z, d in points] or [f"L = {section.L!r}"]
    lines.append(f"nseg = {section.nseg}")
    lines.append(f"Ra = {section.Ra!r}")
    inserted = section.psection()
    held = list(inserted["density_mechs"])
    lines += [f"insert {name}" for name in held]
    variables = ["cm", *([] if points else ["diam"]), *(f"e{ion}" for ion in inserted["ions"])]
    for name in held:
        standard, key = h.MechanismStandard(name, 1), h.ref("")
        for i in range(int(standard.count())):
            size = standard.name(key, i)
            variables += [key[0]] if size == 1 else [f"{key[0]}[{k}]" for k in range(int(size))]
    return lines + [line for variable in variables for line in _values(section, variable)]


def _values(section: Any, variable: str) -> list[str]:
    from gbar.sim.cell import get_value

    try:
        values = [float(get_value(segment, variable)) for segment in section]
    except (AttributeError, NameError, LookupError):  # an ion without a potential of its own here
        return []
    if len(set(values)) == 1:
        return [f"{variable} = {values[0]!r}"]
    return [f"{variable}({s.x!r}) = {value!r}" for s, value in zip(section, values, strict=True)]


def _globals(built: Any) -> list[str]:
    """The GLOBALs of the mechanisms in the cell, as they are now."""
    from neuron import h

    from gbar.sim.cell import globals_of

    points = {p.hname() for s in built.sections for x in (s(0), *s, s(1)) for p in x.point_processes()}
    kept = sorted(points - {process.hname() for process in built.stimuli.values()})
    if kept:
        raise GbarError(f"the model has point processes ({', '.join(kept)}): export to python instead")
    used = sorted({name for section in built.sections for name in section.psection()["density_mechs"]})
    names = [name for mechanism in used for name in globals_of(mechanism)]
    return [f"{name} = {getattr(h, name)!r}" for name in names if isinstance(getattr(h, name), float)]
