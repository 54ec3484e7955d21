"""How hoc says where a parameter lives: asked of the loaded model, in a process of its own."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim import GbarError, Problem, mechanisms

START_LIMIT_S = 120.0
MARK = "places: "


@dataclass(frozen=True)
class Place:
    """One statement's worth: a variable in some sections."""

    kind: str  # global | section | list | all
    name: str  # of the section or SectionList; empty for global and all
    of_cell: bool  # whether the name belongs to the cell object
    variable: str
    guard: str = ""  # only where this mechanism is inserted


def find_places(problem: Problem) -> dict[str, list[Place]]:
    """Load the model and find every target of every parameter. Raises GbarError."""
    library = mechanisms.build(problem.folder / folder for folder in problem.model.mechanisms)
    model = problem.model
    content = {
        "folder": str(problem.folder),
        "load": model.load,
        "template": model.template,
        "library": str(library) if library else None,
        "targets": [target for parameter in problem.parameter for target in parameter.set],
    }
    return _asked(json.dumps(content), problem.identity(), max(START_LIMIT_S, problem.simulation.time_limit))


@functools.cache
def _asked(content: str, identity: str, limit_s: float) -> dict[str, list[Place]]:
    """The answer of a process of its own, once for a model as it is (its identity) and not for every solution."""
    folder = json.loads(content)["folder"]
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from agent.export.places import answer; answer()"],
            input=content,
            capture_output=True,
            text=True,
            timeout=limit_s,
            cwd=mechanisms.neutral_folder(),
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise GbarError(f"{folder}: the model was not loaded within {limit_s:g} s") from None
    listed = next((line for line in done.stdout.splitlines() if line.startswith(MARK)), None)
    if listed is None:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise GbarError(f"{folder}: the model cannot be loaded: {said[-1]}")
    found = json.loads(listed.removeprefix(MARK))
    return {target: [Place(**place) for place in places] for target, places in found.items()}


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "NEURON_MODULE_OPTIONS": "-nogui", "PYTHONPATH": paths}


def spoken(cell: Any, target: str) -> list[Place]:
    """A target in hoc's terms. Raises GbarError where gbar finds nothing either."""
    from neuron import h

    from sim.cell import places, sections

    found = places(cell, target)
    name, _, variable = target.rpartition(".")
    if name == "global":
        return [Place("global", "", False, variable)]
    having = list(dict.fromkeys(owner.sec if hasattr(owner, "sec") else owner for owner, _ in found))
    listed = sections(cell, name)
    kept = getattr(cell, name, None) if name.isidentifier() else None
    is_list = kept is not None and str(getattr(kept, "hname", str)()).startswith("SectionList")
    everywhere = name == "all" and kept is None
    if is_list or everywhere:
        guard = "" if len(having) == len(listed) else _guard(listed, having, variable, h.ismembrane)
        if guard is not None:
            return [Place("list" if is_list else "all", name if is_list else "", is_list, variable, guard)]
    return [_section(cell, section, variable) for section in having]


def _section(cell: Any, section: Any, variable: str) -> Place:
    """A section by the name that hoc has for it: cell.dend[1], else its full name."""
    from sim.cell import sections

    short = section.name().rpartition(".")[2]
    try:
        of_cell = sections(cell, short) == [section]
    except GbarError:
        of_cell = False
    return Place("section", short if of_cell else section.name(), of_cell, variable)


def _guard(listed: list[Any], having: list[Any], variable: str, inserted: Callable[..., float]) -> str | None:
    """The mechanism that tells the sections with a variable from those without."""
    known = {name for section in having for name in section.psection()["density_mechs"]}
    known |= {f"{ion}_ion" for section in having for ion in section.psection()["ions"]}
    fits = [name for name in sorted(known) if [s for s in listed if inserted(name, sec=s)] == having]
    return max(fits, key=lambda name: (variable.endswith(f"_{name}"), len(name)), default=None)


def answer() -> None:
    """The other process: read what to load as JSON, write the places of each target."""
    from sim import cell

    content = json.load(sys.stdin)
    if content["library"]:
        mechanisms.load(Path(content["library"]))
    try:
        built = cell.build(Path(content["folder"]), content["load"], content["template"])
        found = {target: [vars(place) for place in spoken(built, target)] for target in content["targets"]}
    except GbarError as error:
        sys.exit(str(error))
    print(f"\n{MARK}{json.dumps(found)}", flush=True)
