"""How hoc sets a solution: asked of the loaded model, in a process of its own.

A plain value goes to whole sections and lists. What hoc has no words for (formulas, scaled and tied values, a region by
path distance) is written out segment by segment, with the numbers that gbar has set.
"""

import contextlib
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gbar.sim.errors import GbarError
from gbar.sim.pool import START_LIMIT_S, ask, elsewhere
from gbar.sim.problem import Model, Parameter, Problem, Rheobase, Step

ADDED = ""  # no parameter is called so: what the model's own table adds
SITE = "at "  # nor so: before a place of a stimulus or a recording


@dataclass(frozen=True)
class Place:
    """One statement's worth: a variable in some sections."""

    kind: str  # global | section | list | all | object | insert
    name: str  # of the section, SectionList or object; empty for global and all
    of_cell: bool  # whether the name belongs to the cell object
    variable: str
    guard: str = ""  # only where this mechanism is inserted
    value: float | None = None  # where it is not the parameter's own


def find_places(problem: Problem, x: dict[str, float]) -> dict[str, list[Place]]:
    """Load the model and find every place of every parameter; under `SITE` and its name, every place of an electrode.

    Args:
        problem: says where they are.
        x: the solution, for what is set by a formula.

    Raises:
        GbarError: the model cannot be loaded, or hoc cannot reach a place.
    """
    explicit = any(is_explicit(parameter) for parameter in problem.parameter)
    squares = [p for p in problem.stimuli.values() if isinstance(p, Step | Rheobase) and p.record.endswith(".v")]
    sites = {site for p in squares for site in (p.at, p.record.removesuffix(".v"))}
    content = elsewhere.packed(
        problem, sites=sorted(sites), x=[x[name] for name in problem.names] if explicit else None
    )
    return _asked(json.dumps(content), problem.identity(), max(START_LIMIT_S, problem.simulation.time_limit))


def is_explicit(parameter: Parameter) -> bool:
    """Whether its places are written out one by one."""
    regions = any("[" in place and ":" in place for place in parameter.set)
    return bool(parameter.mode == "scale" or parameter.formula or parameter.tied or regions)


@functools.cache
def _asked(content: str, identity: str, limit_s: float) -> dict[str, list[Place]]:
    """The answer of a process of its own, once for a model as it is (its identity) and not for every solution."""
    folder = json.loads(content)["folder"]
    try:
        found = ask(answer, json.loads(content), limit_s)
    except GbarError as error:
        raise GbarError(f"{folder}: the model cannot be loaded: {error}") from None
    return {target: [Place(**place) for place in places] for target, places in found.items()}


def spoken(cell: Any, target: str) -> list[Place]:
    """A target in hoc's terms. Raises GbarError where gbar finds nothing either."""
    from neuron import h

    from gbar.sim.cell import places, sections

    found = places(cell, target)
    name, _, variable = target.rpartition(".")
    if name == "global":
        return [Place("global", "", False, variable)]
    if target.startswith("cell."):
        return [_attribute(target)]
    if any(hasattr(owner, "get_segment") for owner, _ in found):
        return [Place("object", owner.hname(), False, key) for owner, key in found]
    having = list(dict.fromkeys(owner.sec if hasattr(owner, "sec") else owner for owner, _ in found))
    listed = sections(cell, name)
    kept = getattr(cell.object, name, None) if name.isidentifier() else None
    is_list = kept is not None and str(getattr(kept, "hname", str)()).startswith("SectionList")
    everywhere = name == "all" and kept is None and list(h.allsec()) == cell.sections
    if is_list or everywhere:
        guard = "" if len(having) == len(listed) else _guard(listed, having, variable, h.ismembrane)
        if guard is not None:
            return [Place("list" if is_list else "all", name if is_list else "", is_list, variable, guard)]
    return [_section(cell, section, variable) for section in having]


def written_out(cell: Any, target: str) -> list[Place]:
    """Every place of a target with the value that it holds now."""
    from gbar.sim.cell import get_value, places

    found = []
    for owner, variable in places(cell, target):
        value = float(get_value(owner, variable))
        if target.startswith(("global.", "cell.")):
            at = Place("global", "", False, variable) if target.startswith("global.") else _attribute(target)
        elif hasattr(owner, "get_segment"):
            at = Place("object", owner.hname(), False, variable)
        elif hasattr(owner, "sec"):
            at = _section(cell, owner.sec, f"{variable}({owner.x!r})")
        else:
            at = _section(cell, owner, variable)
        found.append(Place(**{**vars(at), "value": value}))
    return found


def added(cell: Any, model: Model) -> list[Place]:
    """What problem.toml adds to the model: mechanisms, fixed values, clamps switched off."""
    from gbar.sim.cell import sections, switched_off

    found = [
        Place(**{**vars(_section(cell, section, mechanism)), "kind": "insert"})
        for name, mechanisms in model.insert.items()
        for section in sections(cell, name)
        for mechanism in mechanisms
    ]
    found += [place for target in model.values for place in written_out(cell, target)]
    off = [
        (process.hname(), key, value)
        for process in cell.stimuli.values()
        for key, value in switched_off(process).items()
    ]
    return found + [Place("object", name, False, key, value=value) for name, key, value in off]


def _attribute(target: str) -> Place:
    name, _, variable = target.removeprefix("cell.").rpartition(".")
    return Place("object", name, True, variable)


def _section(cell: Any, section: Any, variable: str) -> Place:
    """A section by the name that hoc has for it: cell.dend[1], else its full name."""
    from gbar.sim.cell import short_name

    short = short_name(section)
    base, _, index = short.partition("[")
    try:  # through the cell's object, as hoc will
        kept = getattr(cell.object, base)
        of_cell = (kept[int(index.rstrip("]"))] if index else kept) == section
    except (AttributeError, LookupError, TypeError, ValueError):
        of_cell = False
    return Place("section", short if of_cell else section.name(), of_cell, variable)


def _guard(listed: list[Any], having: list[Any], variable: str, inserted: Callable[..., float]) -> str | None:
    """The mechanism that tells the sections with a variable from those without."""
    known = {name for section in having for name in section.psection()["density_mechs"]}
    known |= {f"{ion}_ion" for section in having for ion in section.psection()["ions"]}
    fits = [name for name in sorted(known) if [s for s in listed if inserted(name, sec=s)] == having]
    return max(fits, key=lambda name: (variable.endswith(f"_{name}"), len(name)), default=None)


def answer(content: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The other process: the places of each parameter of a model."""
    from gbar.sim import cell

    parameters, built = elsewhere.parameters(content), elsewhere.built(content)
    found: dict[str, Any] = {ADDED: [vars(place) for place in added(built, Model.model_validate(content["model"]))]}
    if content["x"]:
        cell.ParameterBinding(built, parameters).assign(content["x"])
    for p in parameters:
        by = written_out if is_explicit(p) else spoken
        found[p.name] = [vars(place) for target in (*p.set, *p.tied) for place in by(built, target)]
    for site in content["sites"]:
        with contextlib.suppress(GbarError):  # where there is no such place, its protocol is left out
            at = cell.segment(built, site)
            found[f"{SITE}{site}"] = [vars(_section(built, at.sec, repr(at.x)))]
    return found
