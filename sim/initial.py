"""`gbar init`: look at a folder, and write a problem.toml and a table of measurements to start from."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sim import features, mechanisms
from sim.candidates import Candidate, find_candidates, find_mechanisms
from sim.errors import GbarError
from sim.formats import bluepyopt
from sim.formats.toml import written
from sim.isolated import ask
from sim.loading import load_problem
from sim.problem import Measurement
from sim.proposal import MOST, propose_parameters, propose_protocols, quoted
from sim.tables import COLUMNS
from sim.workers import START_LIMIT_S, Workers


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


def begin(folder: Path, load: str | None = None, template: str | None = None) -> Begun:
    """Write problem.toml, and measurements.csv where the folder has no table.

    Args:
        folder: with a model in it.
        load, template: which model, where it is not to be chosen.

    Raises:
        GbarError: there is a problem.toml already, or no model that loads; nothing is written then.
    """
    if not folder.is_dir():
        raise GbarError(f"no folder at {folder}: expected the folder that holds the model")
    toml = folder / "problem.toml"
    if toml.exists():
        raise GbarError(f"{toml} is there already: gbar init never overwrites one; move it away to begin again")
    if load is None and bluepyopt.is_folder(folder):
        return _converted(folder, toml)
    sources = find_mechanisms(folder)
    library = mechanisms.build(folder / name for name in sources)
    candidates = _wanted(folder, load, template)
    chosen, found, refused = _first_that_loads(folder, candidates, sources, library)
    table = _table_in(folder)
    text, protocols, free = _written(folder, chosen, candidates, sources, found, table, refused)
    made = [toml, *([] if table else [folder / "measurements.csv"])]
    try:
        toml.write_text(text, encoding="utf-8")
        problem = load_problem(toml, measured=False)
        if not table:
            made[1].write_text(_template(problem, protocols), encoding="utf-8")
            load_problem(toml, measured=False)
    except BaseException:
        for file in made:
            file.unlink(missing_ok=True)
        raise
    return Begun(
        toml,
        table or made[1],
        str(chosen),
        [str(other) for other in candidates if other != chosen],
        free,
        list(problem.protocol),
        sum(section["nseg"] for section in found["sections"]),
        [*found["stimuli"]],
    )


def _converted(folder: Path, toml: Path) -> Begun:
    """Write what a BluePyOpt folder says in problem.toml's words, for the user to change."""
    content = bluepyopt.content(folder)
    if "measurements" not in content:
        raise GbarError(f"no features.json in {folder}: a BluePyOpt folder has one beside its parameters.json")
    problem = load_problem(folder)
    with Workers(problem, 1) as pool:
        compartments = pool.found["compartments"]
    toml.write_text(f"# From the BluePyOpt files of this folder.\n{written(content)}", encoding="utf-8")
    try:
        load_problem(toml)
    except BaseException:
        toml.unlink()
        raise
    table = folder / str(content["measurements"])
    return Begun(toml, table, problem.model.load, [], len(problem.parameter), list(problem.protocol), compartments, [])


def _wanted(folder: Path, load: str | None, template: str | None) -> list[Candidate]:
    found = find_candidates(folder)
    if load is not None:
        file = load.partition(":")[0]
        if not (folder / file).is_file():
            raise GbarError(f"no file '{file}' in {folder}")
        of_file = [c for c in found if c.load == load and template in (None, c.template)]
        return of_file or [Candidate(load, template)]
    if not found:
        raise GbarError(
            f"{folder}: nothing that could be a model: expected a hoc file, a Python file that imports neuron, "
            "or a morphology (.swc, .asc)"
        )
    return found


def _first_that_loads(
    folder: Path, candidates: Sequence[Candidate], sources: list[str], library: Path | None
) -> tuple[Candidate, dict[str, Any], dict[str, str]]:
    """The first candidate with a section in it, what a look at it found, and why those before it would not do."""
    refused: dict[str, str] = {}
    for candidate in candidates:
        model: dict[str, Any] = {
            "load": candidate.load,
            "template": candidate.template,
            "arguments": list(candidate.arguments),
            "requires": list(candidate.requires),
            "celsius": 6.3,
            "v_init": -65.0,
        }
        if candidate.load.lower().endswith((".swc", ".asc")):
            model |= {"insert": {"all": ["pas"]}, "values": {"all.g_pas": 1e-4, "all.e_pas": -70.0}}
        content = {
            "folder": str(folder.resolve()),
            "model": {key: value for key, value in model.items() if value not in (None, [])},
            "library": str(library) if library else None,
        }
        try:
            found = ask("sim.survey:look", content, START_LIMIT_S)
        except GbarError as error:
            refused[str(candidate)] = str(error)
            continue
        if propose_parameters(found):
            return candidate, found, refused
        refused[str(candidate)] = "its sections hold no mechanism with a conductance, so there is nothing to tune"
    reasons = "; ".join(f"{name}: {why}" for name, why in refused.items())
    raise GbarError(f"{folder}: no model in it loads: {reasons}")


def _table_in(folder: Path) -> Path | None:
    """A CSV that has the columns of a table of measurements."""
    for file in sorted([*folder.glob("*.csv"), *folder.glob("measurements/*.csv")]):
        lines = [line for line in file.read_text(errors="replace").splitlines() if line and not line.startswith("#")]
        header = {word.strip() for word in lines[0].lstrip("\ufeff").split(",")} if lines else set()
        if set(COLUMNS) <= header <= set(Measurement.model_fields) and len(lines) > 1:
            return file
    return None


def _measured(table: Path | None) -> dict[str, set[str]]:
    """Protocol -> features, in a table."""
    found: dict[str, set[str]] = {}
    if table:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader((line for line in stream if not line.startswith("#")), skipinitialspace=True)
            for row in reader:
                found.setdefault(row["protocol"] or "", set()).add(row["feature"] or "")
    return found


def _written(
    folder: Path,
    chosen: Candidate,
    candidates: Sequence[Candidate],
    sources: list[str],
    found: dict[str, Any],
    table: Path | None,
    refused: dict[str, str],
) -> tuple[str, dict[str, list[str]], int]:
    """The text of problem.toml, what can be measured under each protocol, and the number of free parameters."""
    free = propose_parameters(found)
    protocols = propose_protocols(found, _measured(table))
    name = table.relative_to(folder).as_posix() if table else "measurements.csv"
    lines = [
        "# Made by gbar init from what the model holds. Every line is yours to change; docs/problem.md has the keys.",
        f"# {len(found['sections'])} sections, {sum(s['nseg'] for s in found['sections'])} compartments:",
        *_sections(found),
        "#",
        "# Next: gbar check, then gbar measure, then gbar tune.",
        f'measurements = "{name}"',
        "",
        *_model(chosen, sources, found),
    ]
    for other in candidates:
        if other != chosen:
            why = f" (does not load: {refused[str(other)]})" if str(other) in refused else ""
            lines.insert(-1, f"# also here: {other}{why}")
    lines += ["# Free parameters: a decade around what the model has, on a log scale. Take out what is known.", ""]
    for i, parameter in enumerate(free):
        lines += parameter.lines(commented=i >= MOST)
    lines += _also_there(found)
    lines += [
        "# Protocols: what was injected on the rig goes here, amplitudes and times included.",
        "",
        *protocols.lines,
    ]
    return "\n".join(lines).rstrip() + "\n", protocols.measured, min(len(free), MOST)


def _sections(found: dict[str, Any]) -> list[str]:
    bases: dict[str, list[dict[str, Any]]] = {}
    for section in found["sections"]:
        bases.setdefault(section["name"].partition("[")[0], []).append(section)
    lines = []
    for base, members in bases.items():
        count = f"[{len(members)}]" if len(members) > 1 else ""
        mechanisms_ = sorted({name for section in members for name in section["has"]})
        lines.append(f"#   {base}{count}: {', '.join(mechanisms_) or 'no mechanism'}")
    named = [name for name in found["lists"] if name not in bases and name != "all"]
    return lines + ([f"# lists of sections: {', '.join(named)}"] if named else [])


def _model(chosen: Candidate, sources: list[str], found: dict[str, Any]) -> list[str]:
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
    default = "NEURON's default, the model sets none: " if found["celsius"] == 6.3 else ""
    lines.append(f"celsius = {found['celsius']:g}".ljust(34) + f"# degC: {default}at which were the measurements made?")
    lines.append(f"v_init = {found['response']['rest']:.1f}".ljust(34) + "# mV: where the model rests after 100 ms")
    lines += [
        f'# the model brings along {what}: switched off (stimuli = "keep" leaves it on)' for what in found["stimuli"]
    ]
    if chosen.load.lower().endswith((".swc", ".asc")):
        lines += [
            "",
            "[model.insert]",
            'all = ["pas"]                     # add the mechanisms of each list of sections',
        ]
        lines += ["", "[model.values]", '"all.g_pas" = 1e-4', '"all.e_pas" = -70.0']
    if not found["variable_step"]:
        lines += [
            "",
            "[simulation]",
            'confirm = "fixed"'.ljust(34) + "# a mechanism of the model cannot be used with CVODE",
        ]
    return [*lines, ""]


def _also_there(found: dict[str, Any]) -> list[str]:
    """What else can be free, as comments: the other variables of the mechanisms, RANGE and GLOBAL."""
    taken = {place.rpartition(".")[2] for parameter in propose_parameters(found) for place in parameter.set}
    lines = []
    for variable in (v for v in found["variables"] if v["name"] not in taken):
        section, (low, high) = next(iter(variable["where"].items()))
        value = f"{low:g}" if low == high else f"{low:g} … {high:g}"
        section = section if len(variable["where"]) == 1 else "all"
        lines.append(f'#   set = ["{section}.{variable["name"]}"]'.ljust(44) + f"# {value} {variable['unit']}".rstrip())
    for g in found["globals"]:
        lines.append(f'#   set = ["global.{g["name"]}"]'.ljust(44) + f"# {g['value']:g} {g['unit']}".rstrip())
    return ["# Also there to be freed, with the present values:", *lines, ""] if lines else []


def _template(problem: Any, measured: dict[str, list[str]]) -> str:
    """A table with a commented row for what can be measured, the model's own value in place of the mean."""
    own = _own_values(problem)
    lines = [
        "# One row a measurement: take the # away and put in what you measured. SD, not SEM.",
        "# The means below are the model's own as it is now, for orientation.",
        ",".join(COLUMNS),
    ]
    for protocol, names in measured.items():
        for name in (name for name in names if f"{protocol}.{name}" in own):
            unit = (features.unit_of(name) or "").replace("MΩ", "MOhm")
            value = own[f"{protocol}.{name}"]
            lines.append(f"#{protocol},{name},{value:.4g},{_rounded_sd(value):g},{unit}")
    return "\n".join(lines) + "\n"


def _rounded_sd(value: float) -> float:
    return float(f"{max(abs(value) / 10, 0.01):.1g}")


def _own_values(problem: Any) -> dict[str, float]:
    """The features of the model as it is, those that are defined; none if it cannot be simulated."""
    with Workers(problem, 1) as pool:
        x = np.array([pool.found["parameters"][name]["value"] for name in problem.names])
        ((_, done),) = pool.run([x])
    return {key: value for key, value in done.features.items() if np.isfinite(value)}
