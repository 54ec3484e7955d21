"""solution.hoc: the user's unchanged model with one solution's parameters, for `nrngui solution.hoc`."""

import os
from pathlib import Path

from agent.export.chosen import Chosen, hoc_string
from agent.export.model import copy_model, mechanism_name
from agent.export.places import Place, find_places
from agent.result import write_whole
from sim import Accuracy, GbarError
from sim.kinds import Rheobase, Step


def check(chosen: Chosen) -> None:
    """Refuse a model that is not hoc. Raises GbarError."""
    load = chosen.problem.model.load
    if not load.endswith(".hoc"):
        raise GbarError(f"the model is loaded by Python ({load}), which hoc cannot do: export to python instead")


def write(chosen: Chosen, folder: Path) -> list[Path]:
    """Write solution.hoc and the model it loads. Raises GbarError."""
    found = find_places(chosen.problem)
    mechanisms = copy_model(chosen.problem, chosen.model)
    values, owner = chosen.candidate.parameters, "cell." if chosen.problem.model.template else ""
    model = Path(os.path.relpath(chosen.model, folder)).as_posix()
    parameters = [
        (p.name, chosen.units[p.name], [statement(place, values[p.name], owner) for place in places])
        for p in chosen.problem.parameter
        for places in [[place for target in p.set for place in found[target]]]
    ]
    text = chosen.render(
        "solution.hoc.j2",
        model=model,
        mechanisms=[f"{model}/{name}" for name in mechanisms],
        known=mechanism_name(chosen.problem),
        parameters=parameters,
        accuracy=Accuracy.of(chosen.problem).tight(),
        stimuli=[(name, p) for name, p in chosen.problem.protocol.items() if isinstance(p, Step | Rheobase)],
    )
    file = folder / "solution.hoc"
    write_whole(file, text)
    return [file, chosen.model]


def statement(place: Place, value: float, owner: str) -> str:
    """The hoc that sets one value in one place; `owner` goes before what is the cell's."""
    if place.kind == "global":
        return f"{place.variable} = {value!r}"
    if place.kind == "section":
        return f"{owner if place.of_cell else ''}{place.name} {{ {place.variable} = {value!r} }}"
    loop = "forall" if place.kind == "all" else f"forsec {owner}{place.name}"
    guard = f"if (ismembrane({hoc_string(place.guard)})) " if place.guard else ""
    return f"{loop} {{ {guard}{place.variable} = {value!r} }}"
