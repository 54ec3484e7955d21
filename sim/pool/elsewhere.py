"""What another process needs to build a problem's cell, as JSON, and that process's side of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gbar.sim import mechanisms
from gbar.sim.problem import Model, Parameter, Problem

if TYPE_CHECKING:
    from gbar.sim.cell import Cell


def packed(problem: Problem, /, **more: Any) -> dict[str, Any]:
    """The model, its parameters and its built mechanisms, with whatever else is asked. Raises GbarError."""
    library = mechanisms.build(problem.mechanism_folders)
    return {
        "folder": str(problem.folder),
        "model": problem.model.model_dump(mode="json", exclude_unset=True),
        "library": str(library) if library else None,
        "parameters": [parameter.model_dump(mode="json") for parameter in problem.parameter],
        **more,
    }


def built(content: dict[str, Any]) -> "Cell":
    """Load the mechanisms and the model into this process. Raises GbarError."""
    from gbar.sim import cell

    if content["library"]:
        mechanisms.load(Path(content["library"]))
    return cell.build(Path(content["folder"]), Model.model_validate(content["model"]))


def parameters(content: dict[str, Any]) -> list[Parameter]:
    """The free parameters."""
    return [Parameter.model_validate(given) for given in content["parameters"]]


def mechanisms_of(content: dict[str, Any]) -> list[str]:
    """That process's side: the names of all mechanisms that the model has, in its sections or as points."""
    cell = built(content)
    found = {name for section in cell.sections for name in section.psection()["density_mechs"]}

    from neuron import h

    found |= {name for section in h.allsec() for name in section.psection()["density_mechs"]}
    points = h.MechanismType(1)
    for number in range(int(points.count())):
        name = h.ref("")
        points.select(number)
        points.selected(name)
        if h.List(name[0]).count():
            found.add(name[0])
    return sorted(found)
