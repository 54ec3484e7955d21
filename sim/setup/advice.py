"""What `gbar check` remarks on: nothing that is wrong, but what a modeller would want to know before a long run."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gbar.sim.engine import ModelInfo
from gbar.sim.problem import Problem, doubtful_sign, of_measurements
from gbar.sim.setup.effects import Effects

TOLD = 3  # features of a protocol that are named
UNLIKELY = 3.0  # SDs of a prior that a start lies from its middle
FEW = 5  # compartments: below that gbar still works, but it is not what it is for


def outside(problem: Problem, model: ModelInfo) -> list[str]:
    """The parameters whose value in the model lies outside their bounds."""
    return [name for name in problem.outside(model.own) if model.parameters[name].known]


def remarks(problem: Problem, found: Effects | None) -> dict[str, Any]:
    """For a program: how many measurements, the parameters outside their bounds, `notes`, and all that was found."""
    beyond = outside(problem, found.model) if found else []
    said = {"measurements": len(problem.measurements), "outside": beyond, "notes": list(notes(problem, found))}
    said |= {
        "starts": {p.name: p.start for p in problem.parameter if p.start is not None},
        "priors": {p.name: p.prior.model_dump() for p in problem.parameter if p.prior},
    }
    return said | (found.as_json() if found else {})


def notes(problem: Problem, found: Effects | None) -> Iterator[str]:
    """One line a remark.

    Args:
        problem: as loaded.
        found: what was found in the model; None if it was not loaded.
    """
    if not problem.measurements:
        yield "no measurements yet: gbar tune needs a table of them"
    yield from of_measurements(problem)
    yield from _guesses(problem)
    if not found:
        return
    model = found.model
    yield from _files(problem, model)
    for m in problem.measurements:
        if doubt := doubtful_sign(m.feature, m.mean, m.sd, found.values.get(m.key)):
            yield f"{m.key}: {doubt}"
    yield from _settling(problem, found)
    for name in outside(problem, model):
        yield f"{name} has a value outside its bounds in the model as it is"
    if model.compartments < FEW:
        yield f"{model.compartments} compartments: gbar is made for cells of at least {FEW}, but goes on"
    for stimulus in model.stimuli:
        yield f'the model brings along {stimulus}: it is switched off (stimuli = "keep" in [model] leaves it on)'
    own = own_procedure(problem.folder, problem.model.load, "init")
    if own and problem.model.init is None:
        yield (
            f"{own} has a proc init() of its own, which gbar does not call: "
            'if it does more than finitialize(v_init), give init = "init()" in [model]'
        )
    own = own_procedure(problem.folder, problem.model.load, "advance")
    if own and problem.model.advance is None:
        yield (
            f"{own} has a proc advance() of its own, which gbar bypasses: "
            'if it does more than fadvance(), give advance = "advance()" in [model] '
            "(what it does must not depend on how many steps there are)"
        )
    for name, value in model.stated.items():
        yield f"the model sets {name} to {value:g} while it loads: {getattr(problem.model, name):g} of [model] counts"
    for parameter in problem.parameter:
        here = model.parameters[parameter.name]
        if here.varies:
            yield (
                f"{parameter.name} differs between its {here.places} places in the model, and gets one value: "
                'mode = "scale" keeps the shape'
            )
    for name in found.inert:
        yield f"{name} changes nothing: {reason(problem, name)}"
    if found.untried:
        yield f"not found out in the time there is whether they change anything: {', '.join(found.untried)}"


def _settling(problem: Problem, found: Effects) -> Iterator[str]:
    """What twice the delay changes, a line for each protocol: there the cell had not settled, or fires by itself."""
    if found.unsettled is None:
        yield "not found out in the time there is whether the cell has settled when stimuli begin"
        return
    moved: dict[str, list[tuple[float, str]]] = {}
    for m in problem.measurements:
        if m.key in found.unsettled:
            by = found.unsettled[m.key]
            said = "defined only once" if by is None else f"moves by {by:+.2g} SD"
            size = math.inf if by is None else abs(by)
            moved.setdefault(m.under, []).append((size, f"{m.key} {said}"))
    for name, each in moved.items():
        told = [said for _, said in sorted(each, reverse=True)]
        more = [f"{len(told) - TOLD} more"] * (len(told) > TOLD)
        stimulus = problem.stimuli.get(name)
        delay = f" (delay = {stimulus.delay:g} ms now)" if stimulus else ""
        yield (
            f"{name}: the cell has not settled when the stimulus begins, or fires by itself: with twice the delay "
            f"{', '.join([*told[:TOLD], *more])}: lengthen it{delay}"
        )


def _guesses(problem: Problem) -> Iterator[str]:
    """Starts that their own prior does not believe in."""
    start, (median, sd) = problem.unit(problem.started(np.full(len(problem.names), np.nan))), problem.believed()
    for p, away in zip(problem.parameter, np.abs(start - median) / sd, strict=True):
        if away > UNLIKELY:
            yield f"{p.name}: start = {p.start:g} is {away:.2g} SD from its prior, {p.prior}: is one of them a slip?"


def _files(problem: Problem, model: ModelInfo) -> Iterator[str]:
    """What the model reads beside its folder, and what nobody can see of that."""
    files = problem.model_files()
    for name in dict.fromkeys([*files.outside, *model.reads_outside]):
        yield f"the model reads {name}, outside its folder: a change of it is noticed, an export does not hold it"
    if files.unseen:
        yield (
            f"{files.unseen[0]} opens files by names made up while it runs: those in the model's folder are watched, "
            "changes of others go unnoticed"
        )


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


def own_procedure(folder: Path, load: str, name: str) -> str | None:
    """The file, of those that a model loads, with a hoc procedure of its own in place of NEURON's; not in a template.

    Args:
        folder: the problem's.
        load: what [model] loads; a Python file may give procedures to hoc as text.
        name: such as "init" or "advance".
    """
    waiting, seen = [load.partition(":")[0]], set()
    while waiting:
        here = waiting.pop(0)
        file = folder / here
        if here in seen or file.suffix not in {".hoc", ".py", ".ses"} or not file.is_file():
            continue
        seen.add(here)
        text = file.read_text(errors="replace")
        if file.suffix == ".py":
            text = re.sub(r"^\s*#[^\n]*", "", text, flags=re.M)
            modules = re.findall(r"^\s*(?:from|import)\s+\.?([\w.]+)", text, re.M)
            waiting += [f"{module.replace('.', '/')}.py" for module in modules]
        else:
            text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
        if re.search(rf"\b(proc|func)\s+{name}\s*\(", re.sub(r"begintemplate.*?endtemplate", "", text, flags=re.S)):
            return here
        waiting += re.findall(r"""(?:load_file|xopen)\s*\(\s*(?:\d\s*,\s*)?["']([^"']+)["']""", text)
    return None
