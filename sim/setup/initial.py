"""`gbar init`: look at a folder, and write a problem.toml and a table of measurements to start from."""

import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gbar.sim import features, mechanisms
from gbar.sim.errors import GbarError
from gbar.sim.files import Made
from gbar.sim.pool import START_LIMIT_S, Workers, ask
from gbar.sim.problem import (
    CONFIRM_DT,
    KINDS,
    SUFFIXES,
    Problem,
    feature_of,
    is_folder,
    load_problem,
    rows_of,
    written,
)
from gbar.sim.problem import content as bluepyopt_content
from gbar.sim.setup.candidates import ModelCandidate, find_candidates, find_celsius, find_mechanisms, loaded_by
from gbar.sim.setup.drafts import LEAK, Warmth, problem_text, stopped, table_text
from gbar.sim.setup.proposal import propose_parameters
from gbar.sim.setup.survey import DEFAULT_CELSIUS, DT_MS, MOST_S, Survey, look

SPARE = 3.0  # times what an evaluation is thought to take, as its limit: other points, and busy machines, take longer
TABLE = "measurements.csv"
OWN_S = 180.0  # for the model as it is


class Begun(NamedTuple):
    """What was made of a folder."""

    toml: Path
    table: Path
    loaded: str  # which of the candidates
    others: list[str]
    parameters: int
    protocols: list[str]
    compartments: int
    stimuli: list[str]  # that the model brings along, switched off
    remarks: list[str]  # what could not be found out, and what to do about it


def begin(folder: Path, load: str | None = None, template: str | None = None, celsius: float | None = None) -> Begun:
    """Write problem.toml, and measurements.csv where the folder has no table.

    Args:
        folder: with a model in it.
        load, template: which model, where it is not to be chosen.
        celsius: degC at which it was measured, where the model does not say.

    Raises:
        GbarError: there is a problem.toml already, or no model that loads; nothing is written then.
    """
    if not folder.is_dir():
        raise GbarError(f"no folder at {folder}: expected the folder that holds the model")
    toml = folder / "problem.toml"
    if toml.exists():
        raise GbarError(f"{toml} is there already: gbar init never overwrites one; move it away to begin again")
    if load is None and is_folder(folder):
        return _converted(folder, toml)
    sources = find_mechanisms(folder)
    library = mechanisms.build(folder / name for name in sources)
    candidates = _wanted(folder, load, template)
    warmth = Warmth(celsius, find_celsius(folder))
    chosen, found, refused = _first_that_loads(folder, candidates, sources, library, warmth)
    table, unused = _table_in(folder)
    new_table = _free(folder)
    named = table or new_table
    text, protocols, free = problem_text(
        folder, chosen, candidates, sources, found, named, _measured(table), refused, warmth
    )
    made = Made()
    remarks = [*_others(folder, chosen, candidates), *warmth.remarks(found.celsius), *stopped(found), *unused]
    try:
        _claim(made, toml)
        toml.write_text(text, encoding="utf-8")
        limits = _simulation(problem := load_problem(toml, measured=False), found)
        slow = _seconds(problem, found) > OWN_S
        toml.write_text("\n".join([text, *limits]), encoding="utf-8")
        problem = load_problem(toml, measured=False)
        if not table:
            own, why = _own_values(_without_searches(problem) if slow else problem)
            why = why or ("the search for a rheobase takes this model too long" if slow else "")
            _claim(made, new_table)
            new_table.write_text(table_text(protocols, own, why), encoding="utf-8")
            load_problem(toml, measured=False)
            remarks += [f"{'some' if own else 'none'} of the model's own values are in the table: {why}"] if why else []
    except BaseException:
        made.take_back()
        raise
    return Begun(
        toml,
        table or new_table,
        str(chosen),
        [str(other) for other in candidates if other != chosen],
        free,
        list(problem.protocol),
        found.compartments,
        [*found.stimuli],
        remarks,
    )


def _converted(folder: Path, toml: Path) -> Begun:
    """Write what a BluePyOpt folder says in problem.toml's words, for the user to change."""
    content = bluepyopt_content(folder)
    if "measurements" not in content:
        raise GbarError(f"no features.json in {folder}: a BluePyOpt folder has one beside its parameters.json")
    problem = load_problem(folder)
    with Workers(problem, 1) as pool:
        compartments = pool.found.compartments
    made = Made()
    try:
        _claim(made, toml)
        toml.write_text(f"# From the BluePyOpt files of this folder.\n{written(content)}", encoding="utf-8")
        load_problem(toml)
    except BaseException:
        made.take_back()
        raise
    table, free = folder / str(content["measurements"]), len(problem.parameter)
    return Begun(toml, table, problem.model.load, [], free, list(problem.protocol), compartments, [], [])


def _claim(made: Made, file: Path) -> None:
    """Make a file that was not there when this began. Raises GbarError."""
    try:
        new = made.file(file)
    except OSError as error:
        raise GbarError(f"{file}: cannot be made: {error.strerror}") from None
    if not new:
        raise GbarError(f"{file} is there by now, and is not overwritten: move it away to begin again")


def _wanted(folder: Path, load: str | None, template: str | None) -> list[ModelCandidate]:
    found = find_candidates(folder)
    if load is not None:
        file = load.partition(":")[0]
        if not (folder / file).is_file():
            raise GbarError(f"no file '{file}' in {folder}")
        of_file = [c for c in found if c.load == load and template in (None, c.template)]
        return of_file or [ModelCandidate(load, template)]
    if not found:
        raise GbarError(
            f"{folder}: nothing that could be a model: expected a hoc file, a Python file that imports neuron, "
            "or a morphology (.swc, .asc)"
        )
    return found


def _others(folder: Path, chosen: ModelCandidate, candidates: Sequence[ModelCandidate]) -> list[str]:
    """Which of the others the chosen file loads: they are parts of it."""
    loads = loaded_by(folder, chosen.load) - {chosen.load}
    parts = [other.load for other in candidates if other.load in loads]
    return [f"{chosen.load} was taken: it loads {', '.join(dict.fromkeys(parts))}"] if parts else []


PASSIVE = {"pas", "fastpas", "extracellular", "capacitance", "morphology"}


def _is_passive(found: Survey) -> bool:
    """Whether nothing in a model could fire: a part of one, most often, where another file loads it."""
    return {name for section in found.sections for name in section.has} <= PASSIVE


def _first_that_loads(
    folder: Path, candidates: Sequence[ModelCandidate], sources: list[str], library: Path | None, warmth: Warmth
) -> tuple[ModelCandidate, Survey, dict[str, str]]:
    """The first candidate with a section in it, what a look at it found, and why those before it would not do.

    One that has no more than a leak is taken only where no other has channels.
    """
    refused: dict[str, str] = {}
    passive: list[tuple[ModelCandidate, Survey]] = []
    for candidate in candidates:
        model: dict[str, Any] = {
            "load": candidate.load,
            "template": candidate.template,
            "arguments": list(candidate.arguments),
            "requires": list(candidate.requires),
            "celsius": warmth.given or (warmth.said[0] if warmth.said else DEFAULT_CELSIUS),
            "v_init": -65.0,
        }
        if candidate.load.lower().endswith((".swc", ".asc")):
            model |= {"insert": {"all": ["pas"]}, "values": {"all.g_pas": 1e-4, "all.e_pas": -70.0}}
        content = {
            "folder": str(folder.resolve()),
            "model": {key: value for key, value in model.items() if value not in (None, [])},
            "library": str(library) if library else None,
            "celsius": warmth.given,
        }
        try:
            found = Survey.model_validate(ask(look, content, START_LIMIT_S + MOST_S))
        except GbarError as error:
            refused[str(candidate)] = str(error)
            continue
        if propose_parameters(found) and not _is_passive(found):
            refused |= {str(other): LEAK for other, _ in passive}
            return candidate, found, refused
        if propose_parameters(found):
            passive.append((candidate, found))
            continue
        refused[str(candidate)] = "its sections hold no mechanism with a conductance, so there is nothing to tune"
    if passive:
        return *passive[0], refused
    reasons = "; ".join(f"{name}: {why}" for name, why in refused.items())
    raise GbarError(f"{folder}: no model in it loads: {reasons}")


def _table_in(folder: Path) -> tuple[Path | None, list[str]]:
    """The first table of measurements in a folder, and a line for each other that might be one: why it is not used."""
    table, remarks = None, []
    files = [file for place in (folder, folder / "measurements") for file in sorted(place.glob("*")) if file.is_file()]
    for file in files:
        if file.suffix.lower() not in SUFFIXES or file.name.startswith((".", "~$")):  # ~$: of an open workbook
            continue
        try:
            rows = rows_of(file)
        except GbarError as error:
            remarks.append(f"not taken for measurements: {error}")
            continue
        if table and rows:
            remarks.append(f"{file} is a table as well: {table.name} is used; --measurements names another")
        table = table or file
    return table, remarks


def _free(folder: Path) -> Path:
    """Where a new table can be written."""
    names = itertools.chain([TABLE], (f"measurements-{number}.csv" for number in itertools.count(2)))
    return next(folder / name for name in names if not os.path.lexists(folder / name))


def _measured(table: Path | None) -> dict[str, set[str]]:
    """Protocol -> features, in a table, in eFEL's spelling where they have one."""
    known = {name for kind in KINDS for name in features.known_features(kind)}
    found: dict[str, set[str]] = {}
    for _, row in rows_of(table) if table else []:
        name = feature_of(row["feature"], known) or row["feature"]
        found.setdefault(row["protocol"], set()).add(name)
    return found


def _simulation(problem: Problem, found: Survey) -> list[str]:
    """The [simulation] that a model needs: nothing but fixed steps, more time than usual."""
    fixed, lines = not found.variable_step, []
    if fixed:
        lines.append('confirm = "fixed"'.ljust(34) + "# a mechanism of the model cannot be used with CVODE")
    dt = CONFIRM_DT if fixed else DT_MS  # CVODE, which confirms others, usually takes less
    seconds = _seconds(problem, found) * DT_MS / dt
    if SPARE * seconds > problem.simulation.time_limit:
        limit = 60.0 * math.ceil(SPARE * seconds / 60.0)
        lines.append(
            f"time_limit = {limit:.1f}".ljust(34) + f"# s: all protocols in steps of {dt:g} ms take {seconds:.0f} s"
        )
    return ["[simulation]", *lines, ""] if lines else []


def _seconds(problem: Problem, found: Survey) -> float:
    """That an evaluation would take in fixed steps of the survey's size."""
    runs = [(p.total, 3 + math.log2((p.bounds[1] - p.bounds[0]) / p.precision)) for p in problem.rheobases.values()]
    runs += [(p.total, 1.0) for p in problem.stimuli.values()]
    return float(sum(total * times for total, times in runs) * found.response.pace)


def _without_searches(problem: Problem) -> Problem:
    """The problem without the protocols that take it longest."""
    kept = {name: protocol for name, protocol in problem.protocol.items() if name not in problem.rheobases}
    return problem.model_copy(update={"protocol": kept})


def _own_values(problem: Problem) -> tuple[dict[str, float], str]:
    """The features of the model as it is, those that are defined; none, and why, if it cannot be simulated."""
    with Workers(problem, 1) as pool:
        done = dict(pool.run([pool.found.own], within=OWN_S)).get(0)
    if done is None:
        return {}, f"it was simulated for {OWN_S:g} s and was not done; gbar measure waits for time_limit"
    if done.status != "ok":
        raised = ", time_limit under [simulation] can be raised" if done.reason.startswith("timed out") else ""
        return {}, f"its simulation {done.reason}{raised}"
    return {key: value for key, value in done.features.items() if np.isfinite(value)}, ""
