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
    COLUMNS,
    CONFIRM_DT,
    KINDS,
    SUFFIXES,
    Problem,
    ResponseKey,
    feature_of,
    is_folder,
    load_problem,
    rows_of,
    written,
)
from gbar.sim.problem import content as bluepyopt_content
from gbar.sim.setup.candidates import ModelCandidate, find_candidates, find_celsius, find_mechanisms, loaded_by
from gbar.sim.setup.proposal import MOST, propose_parameters, propose_protocols, quoted
from gbar.sim.setup.survey import DEFAULT_CELSIUS, DT_MS, MOST_S, Section, Survey, look

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
    text, protocols, free = _written(folder, chosen, candidates, sources, found, named, table, refused, warmth)
    made = Made()
    remarks = [*_others(folder, chosen, candidates), *warmth.remarks(found.celsius), *_stopped(found), *unused]
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
            new_table.write_text(_template(protocols, own, why), encoding="utf-8")
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


class Warmth(NamedTuple):
    """What is known of the temperature before a model is loaded."""

    given: float | None  # degC, by the user
    said: tuple[float, str] | None  # by a file of the folder, and which

    def comment(self, celsius: float) -> str:
        """Where a temperature comes from, as a question to the user."""
        if self.given is not None:
            return "as given"
        if self.said and celsius == self.said[0]:
            return f"as {self.said[1]} sets it: at which were the measurements made?"
        default = "NEURON's default, the model sets none: " if celsius == DEFAULT_CELSIUS else ""
        return f"{default}at which were the measurements made?"

    def remarks(self, celsius: float) -> list[str]:
        """What to say on the terminal of a temperature that nobody has chosen."""
        if self.given is not None or celsius != DEFAULT_CELSIUS or self.said:
            return []
        return ["celsius is 6.3, NEURON's default, as no file sets one: for a warmer cell begin again with --celsius"]


LEAK = "it has no more than a leak"
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


def _written(
    folder: Path,
    chosen: ModelCandidate,
    candidates: Sequence[ModelCandidate],
    sources: list[str],
    found: Survey,
    named: Path,
    table: Path | None,
    refused: dict[str, str],
    warmth: Warmth,
) -> tuple[str, dict[str, list[str]], int]:
    """The text of problem.toml, what can be measured under each protocol, and the number of free parameters."""
    free = propose_parameters(found)
    protocols = propose_protocols(found, _measured(table))
    name = named.relative_to(folder).as_posix()
    lines = [
        "# Made by gbar init from what the model holds. Every line is yours to change; docs/problem.md has the keys.",
        f"# {len(found.sections)} sections, {found.compartments} compartments:",
        *_sections(found),
        "#",
        "# Next: gbar check, then gbar measure, then gbar tune.",
        f'measurements = "{name}"',
        "",
        *_model(chosen, sources, found, warmth),
    ]
    for other in candidates:
        if other != chosen:
            why = refused.get(str(other), "")
            why = f" ({why})" if why == LEAK else f" (does not load: {why})" if why else ""
            lines.insert(-1, f"# also here: {other}{why}")
    lines += ["# Free parameters: a decade around what the model has, on a log scale. Take out what is known.", ""]
    for i, parameter in enumerate(free):
        lines += parameter.lines(commented=i >= MOST)
    lines += _also_there(found)
    lines += [
        "# Protocols: what was injected on the rig goes here, amplitudes and times included.",
        "",
        *(f"# {remark}" for remark in _stopped(found)),
        *protocols.lines,
    ]
    return "\n".join(lines).rstrip() + "\n", protocols.measured, min(len(free), MOST)


def _sections(found: Survey) -> list[str]:
    bases: dict[str, list[Section]] = {}
    for section in found.sections:
        bases.setdefault(section.name.partition("[")[0], []).append(section)
    lines = []
    for base, members in bases.items():
        count = f"[{len(members)}]" if len(members) > 1 else ""
        mechanisms_ = sorted({name for section in members for name in section.has})
        lines.append(f"#   {base}{count}: {', '.join(mechanisms_) or 'no mechanism'}")
    named = [name for name in found.lists if name not in bases and name != "all"]
    return lines + ([f"# lists of sections: {', '.join(named)}"] if named else [])


def _model(chosen: ModelCandidate, sources: list[str], found: Survey, warmth: Warmth) -> list[str]:
    lines = ["[model]", f'load = "{chosen.load}"']
    if chosen.template:
        lines.append(f'template = "{chosen.template}"')
    if chosen.arguments:
        said = ", ".join(f'"{a}"' if isinstance(a, str) else f"{a:g}" for a in chosen.arguments)
        lines.append(f"arguments = [{said}] ".ljust(34) + "# a guess: what its init wants")
    if chosen.requires:
        lines.append(f"requires = {quoted(chosen.requires)} ".ljust(34) + "# loaded first: templates that it makes")
    if sources:
        lines.append(f"mechanisms = {quoted(sources)}")
    lines.append(f"celsius = {found.celsius:g}".ljust(34) + f"# degC: {warmth.comment(found.celsius)}")
    lines.append(f"v_init = {found.response.rest:.1f}".ljust(34) + "# mV: where the model rests after 100 ms")
    lines += [
        f'# the model brings along {what}: switched off (stimuli = "keep" leaves it on)' for what in found.stimuli
    ]
    if chosen.load.lower().endswith((".swc", ".asc")):
        lines += [
            "",
            "[model.insert]",
            'all = ["pas"]                     # add the mechanisms of each list of sections',
        ]
        lines += ["", "[model.values]", '"all.g_pas" = 1e-4', '"all.e_pas" = -70.0']
    return [*lines, ""]


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


def _stopped(found: Survey) -> list[str]:
    """What the survey did not come to the end of."""
    seconds = found.response.stopped
    if seconds is None:
        return []
    what = "of 1 ms that fires" if found.response.rheobase else "that fires"
    return [f"no current {what} was found within {seconds:.0f} s: add a protocol with one that you know"]


def _also_there(found: Survey) -> list[str]:
    """What else can be free, as comments: the other variables of the mechanisms, RANGE and GLOBAL."""
    taken = {place.rpartition(".")[2] for parameter in propose_parameters(found) for place in parameter.set}
    lines = []
    for variable in (v for v in found.variables if v.name not in taken):
        section, (low, high) = next(iter(variable.where.items()))
        value = f"{low:g}" if low == high else f"{low:g} … {high:g}"
        section = section if len(variable.where) == 1 else "all"
        lines.append(f'#   set = ["{section}.{variable.name}"]'.ljust(44) + f"# {value} {variable.unit}".rstrip())
    for g in found.globals:
        lines.append(f'#   set = ["global.{g.name}"]'.ljust(44) + f"# {g.value:g} {g.unit}".rstrip())
    return ["# Also there to be freed, with the present values:", *lines, ""] if lines else []


def _template(measured: dict[str, list[str]], own: dict[str, float], why: str) -> str:
    """A table with a commented row for what can be measured, the model's own value in place of the mean.

    Where the model could not be simulated, rows say what to fill in, and a comment says why.
    """
    lines = ["# One row a measurement: take the # away and put in what you measured. SD, not SEM."]
    lines += ["# The means below are the model's own as it is now, for orientation."] if own else []
    lines += [f"# Where MEAN stands, the model's own value is not there: {why}."] if why else []
    lines.append(",".join(COLUMNS))
    simulated = {ResponseKey.parse(key).response for key in own}
    for protocol, names in measured.items():
        unknown = why and protocol not in simulated
        for name in (name for name in names if unknown or f"{protocol}.{name}" in own):
            unit = (features.unit_of(name) or "").replace("MΩ", "MOhm")
            value = own.get(f"{protocol}.{name}")
            filled = "MEAN,SD" if value is None else f"{value:.4g},{_rounded_sd(value, unit):g}"
            lines.append(f"#{protocol},{name},{filled},{unit}")
    return "\n".join(lines) + "\n"


def _rounded_sd(value: float, unit: str) -> float:
    return float(f"{max(abs(value) / 10, 1e-4 if unit == 'nA' else 0.01):.1g}")  # currents of a small cell are tiny


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
