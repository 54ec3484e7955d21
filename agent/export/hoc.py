"""solution.hoc: the user's unchanged model with one solution's parameters, for `nrngui solution.hoc`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gbar.agent.export.chosen import Chosen, hoc_string
from gbar.agent.export.model import copy_model, mechanism_name
from gbar.sim import Integrator
from gbar.sim.engine import amplitude
from gbar.sim.files import write_whole
from gbar.sim.problem import FACTOR, Formula, Rheobase, Step
from gbar.sim.setup import ADDED, SITE, Place, find_places, is_explicit, write_out


def check(chosen: Chosen) -> None:
    """Refuse, before anything is written, a cell that hoc can neither load nor hold. Raises GbarError."""
    _written_out(chosen)


def _written_out(chosen: Chosen) -> list[str] | None:
    """The cell section by section, where hoc cannot load the model."""
    if chosen.problem.model.load.endswith(".hoc"):
        return None
    return write_out(chosen.problem, chosen.candidate.parameters)


def write(chosen: Chosen, folder: Path) -> list[Path]:
    """Write solution.hoc and the model it loads. Raises GbarError."""
    problem = chosen.problem
    written = _written_out(chosen)
    mechanisms = copy_model(problem, chosen.model)
    model = Path(os.path.relpath(chosen.model, folder)).as_posix()
    loading: dict[str, Any] = {
        "cell": written,
        "parameters": [],
        "added": [],
        "arguments": [],
        "calls": [],
        "shown": [],
    }
    text = chosen.render(
        "solution.hoc.j2",
        model=model,
        mechanisms=[f"{model}/{name}" for name in mechanisms],
        known=mechanism_name(problem),
        integrator=Integrator.of(problem).tight(),
        stimuli=list(problem.stimuli.items()),
        **(loading if written else loading | _spoken(chosen)),
    )
    file = folder / "solution.hoc"
    write_whole(file, text)
    return [file, chosen.model]


def _spoken(chosen: Chosen) -> dict[str, Any]:
    """How the model that hoc has loaded is given the solution."""
    problem, values = chosen.problem, chosen.candidate.parameters
    found = find_places(problem, values)
    owner = "cell." if problem.model.template else ""
    calls = dict.fromkeys(text for p in problem.parameter for text in p.apply)
    return {
        "parameters": [
            (
                p.name,
                _said(chosen.units[p.name], values[p.name]),
                [statement(place, values[p.name], owner) for place in found[p.name]],
            )
            for p in sorted(problem.parameter, key=is_explicit)  # what is written out has the last word, as in gbar
        ],
        "added": [statement(place, 0.0, owner) for place in found[ADDED]],
        "arguments": [hoc_string(a) if isinstance(a, str) else repr(a) for a in problem.model.arguments],
        "calls": [spelled(text, values, owner) for text in calls],
        "shown": _shown(chosen, found, owner),
    }


@dataclass(frozen=True)
class Shown:
    """A stimulus that NEURON's own window offers."""

    words: str
    section: str  # as hoc has it
    x: str
    recorded: str  # an expression
    amplitude: float  # nA
    holding: float  # nA
    delay: float  # ms
    duration: float
    total: float


def _shown(chosen: Chosen, found: dict[str, list[Place]], owner: str) -> list[Shown]:
    """The square currents, each as this parameter set gets it, that go in and are recorded where hoc has words for."""
    problem, features = chosen.problem, chosen.candidate.features
    rheobases = {name: features.get(f"{name}.rheobase") for name in problem.rheobases}
    shown = []
    for name, protocol in problem.stimuli.items():
        place, _, variable = protocol.record.rpartition(".")
        at, recorded = (found.get(f"{SITE}{site}", []) for site in (protocol.at, place))
        if not isinstance(protocol, Step | Rheobase) or not at or not recorded or variable != "v":
            continue
        if (current := amplitude(problem, name, rheobases)) is None:
            continue
        owned = [f"{owner if one.of_cell else ''}{one.name}" for one in (at[0], recorded[0])]
        voltage = f"{owned[1]}.v({recorded[0].variable})"
        words = f"{name}: {current:.4g} nA for {protocol.duration:g} ms"
        times = protocol.delay, protocol.duration, protocol.total
        shown.append(Shown(words, owned[0], at[0].variable, voltage, current, protocol.holding, *times))
    return shown


def _said(unit: str, value: float) -> str:
    """What stands beside a parameter's name: the unit of what follows, or the factor that the numbers contain."""
    return f"{value:.6g} {unit}" if unit == FACTOR else unit


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
