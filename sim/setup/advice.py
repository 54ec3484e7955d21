"""What `gbar check` remarks on: nothing that is wrong, but what a modeller would want to know before a long run."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gbar.sim.problem import Problem, of_measurements

FEW = 5  # compartments: below that gbar still works, but it is not what it is for


def outside(problem: Problem, found: Mapping[str, Any]) -> list[str]:
    """The parameters whose value in the model lies outside their bounds."""
    own = {name: here["value"] for name, here in found.get("parameters", {}).items() if here["known"]}
    return [p.name for p in problem.parameter if p.name in own and not p.bounds[0] <= own[p.name] <= p.bounds[1]]


def remarks(problem: Problem, found: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a program: how many measurements, the parameters outside their bounds, every line of `notes`."""
    said = list(notes(problem, found))
    return {"measurements": len(problem.measurements), "outside": outside(problem, found), "notes": said}


def notes(problem: Problem, found: Mapping[str, Any]) -> Iterator[str]:
    """One line a remark.

    Args:
        problem: as loaded.
        found: what a worker found in the model, with the `inert` and `untried` parameters; empty if it was not loaded.
    """
    if not problem.measurements:
        yield "no measurements yet: gbar tune needs a table of them"
    yield from of_measurements(problem)
    if not found:
        return
    for name in outside(problem, found):
        yield f"{name} has a value outside its bounds in the model as it is"
    if found["compartments"] < FEW:
        yield f"{found['compartments']} compartments: gbar is made for cells of at least {FEW}, but goes on"
    for stimulus in found["stimuli"]:
        yield f'the model brings along {stimulus}: it is switched off (stimuli = "keep" in [model] leaves it on)'
    own = own_init(problem.folder, problem.model.load)
    if own and problem.model.init is None:
        yield (
            f"{own} has a proc init() of its own, which gbar does not call: "
            'if it does more than finitialize(v_init), give init = "init()" in [model]'
        )
    for parameter in problem.parameter:
        here = found["parameters"][parameter.name]
        if here["varies"]:
            yield (
                f"{parameter.name} differs between its {here['places']} places in the model, and gets one value: "
                'mode = "scale" keeps the shape'
            )
    for name in found["inert"]:
        yield f"{name} changes nothing: {reason(problem, name)}"
    if found["untried"]:
        yield f"not found out in the time there is whether they change anything: {', '.join(found['untried'])}"


def reason(problem: Problem, name: str) -> str:
    """The usual reason for a parameter without effect."""
    parameter = next(p for p in problem.parameter if p.name == name)
    others = [p.name for p in problem.parameter if p.name != name and set(p.set) & {*parameter.set, *parameter.tied}]
    if others:
        return f"{', '.join(others)} has the same place, and what is set later stays"
    if parameter.apply:
        return "what apply calls does not read it, or overwrites it"
    return (
        "most often the model's own set-up function has to run again after a change, such as "
        'apply = "cell.set_props()"; or nothing that is there uses it'
    )


def own_init(folder: Path, load: str) -> str | None:
    """The hoc file, of those that a model loads, whose own `proc init()`, outside of templates, replaces NEURON's."""
    waiting, seen = [load], set()
    while waiting:
        name = waiting.pop(0)
        file = folder / name
        if name in seen or file.suffix != ".hoc" or not file.is_file():
            continue
        seen.add(name)
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", file.read_text(errors="replace"), flags=re.S)
        if re.search(
            r"^\s*(proc|func)\s+init\s*\(", re.sub(r"begintemplate.*?endtemplate", "", text, flags=re.S), re.M
        ):
            return name
        waiting += re.findall(r'(?:load_file|xopen)\s*\(\s*(?:\d\s*,\s*)?"([^"]+)"', text)
    return None
