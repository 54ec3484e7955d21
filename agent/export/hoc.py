"""solution.hoc: the user's unchanged model with one solution's parameters, for `nrngui solution.hoc`."""

import os
from pathlib import Path

from agent.export.chosen import Chosen, hoc_string
from agent.export.model import copy_model, mechanism_name
from agent.export.places import ADDED, Place, find_places, is_explicit
from agent.result import write_whole
from sim import Accuracy, GbarError, Parameter, Problem
from sim.formula import Formula
from sim.response import stimulated


def check(chosen: Chosen) -> None:
    """Refuse a model or a parameter that is not hoc's. Raises GbarError."""
    load = chosen.problem.model.load
    if not load.endswith(".hoc"):
        what = "a morphology" if load.lower().endswith((".swc", ".asc")) else "loaded by Python"
        raise GbarError(f"the model is {what} ({load}), which hoc cannot do: export to python instead")
    for p in chosen.problem.parameter:
        if any(text.startswith("module.") for text in (*p.set, *p.tied, *p.apply)):
            raise GbarError(f"parameter '{p.name}' is Python's, which hoc cannot set: export to python instead")


def write(chosen: Chosen, folder: Path) -> list[Path]:
    """Write solution.hoc and the model it loads. Raises GbarError."""
    found = find_places(chosen.problem, chosen.candidate.parameters)
    mechanisms = copy_model(chosen.problem, chosen.model)
    values, owner = chosen.candidate.parameters, "cell." if chosen.problem.model.template else ""
    model = Path(os.path.relpath(chosen.model, folder)).as_posix()
    parameters = [
        (p.name, chosen.units[p.name], [statement(place, values[p.name], owner) for place in found[p.name]])
        for p in _in_order(chosen.problem)
    ]
    calls = dict.fromkeys(text for p in chosen.problem.parameter for text in p.apply)
    text = chosen.render(
        "solution.hoc.j2",
        model=model,
        mechanisms=[f"{model}/{name}" for name in mechanisms],
        known=mechanism_name(chosen.problem),
        parameters=parameters,
        added=[statement(place, 0.0, owner) for place in found[ADDED]],
        arguments=[hoc_string(a) if isinstance(a, str) else repr(a) for a in chosen.problem.model.arguments],
        calls=[spelled(text, values, owner) for text in calls],
        accuracy=Accuracy.of(chosen.problem).tight(),
        stimuli=list(stimulated(chosen.problem)),
    )
    file = folder / "solution.hoc"
    write_whole(file, text)
    return [file, chosen.model]


def statement(place: Place, value: float, owner: str) -> str:
    """The hoc that sets one value in one place; `owner` goes before what is the cell's."""
    value = value if place.value is None else place.value
    if place.kind == "object":
        path = ".".join(filter(None, [(owner if place.of_cell else "").rstrip("."), place.name, place.variable]))
        return f"{path} = {value!r}"
    if place.kind == "global":
        return f"{place.variable} = {value!r}"
    if place.kind == "insert":
        return f"{owner if place.of_cell else ''}{place.name} {{ insert {place.variable} }}"
    if place.kind == "section":
        return f"{owner if place.of_cell else ''}{place.name} {{ {place.variable} = {value!r} }}"
    loop = "forall" if place.kind == "all" else f"forsec {owner}{place.name}"
    guard = f"if (ismembrane({hoc_string(place.guard)})) " if place.guard else ""
    return f"{loop} {{ {guard}{place.variable} = {value!r} }}"


def spelled(call: str, values: dict[str, float], owner: str) -> str:
    """A call of `apply` in hoc, its arguments as numbers."""
    if not call.startswith("cell."):
        return call
    name, _, inside = call.removeprefix("cell.").rstrip(") ").partition("(")
    return f"{owner}{name}({', '.join(repr(Formula(part)(values)) for part in inside.split(',') if part.strip())})"


def _in_order(problem: Problem) -> list[Parameter]:
    """Plain values first, as gbar sets them: what is written out afterwards is what the places hold in the end."""
    return sorted(problem.parameter, key=is_explicit)
