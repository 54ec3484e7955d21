"""Reading a problem folder: problem.toml and a table of measurements, checked against one another."""

import re
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gbar.sim import features
from gbar.sim.errors import GbarError, nearest
from gbar.sim.files import as_name, read_toml
from gbar.sim.problem import plausible, synonyms
from gbar.sim.problem.crosscheck import check_fidelities, check_protocols, with_waveforms
from gbar.sim.problem.explain import explained
from gbar.sim.problem.formats import bluepyopt
from gbar.sim.problem.kinds import KINDS, MAIN, Stimulus
from gbar.sim.problem.parameter import Parameter, Prior, check_parameters
from gbar.sim.problem.problem import OURS, Measurement, Model, Problem, Simulation
from gbar.sim.problem.tables import rows_of

Kind = TypeVar("Kind", bound=BaseModel)
LARGEST_SETTING = 1e9
INTERP_STEP_MS = (1e-3, 10.0)
LOADED = {".hoc", ".py", ".swc", ".asc"}  # what model.load may name
NEURONS_MECHANISMS = {"pas", "hh", "extracellular", "fastpas", "na_ion", "k_ion", "ca_ion"}  # built into NEURON
NEURONS_OWN = {"nrngui.hoc", "stdlib.hoc", "stdrun.hoc", "import3d.hoc", "subiter.hoc"}  # hoc files of NEURON itself


def load_problem(path: str | Path, measurements: str | Path | None = None, *, measured: bool = True) -> Problem:
    """Read a problem folder (or its problem.toml) and its table of measurements.

    Args:
        path: the folder, or the toml file in it.
        measurements: a CSV to use instead of the one problem.toml names.
        measured: whether a table is needed (`sample` needs none, and uses the problem's own where there is one).

    Raises:
        GbarError: whatever is wrong, in one line that names the nearest valid word.
    """
    file, content = _content(Path(path))
    default = content.pop("measurements", None)
    if default is not None and not isinstance(default, str):
        raise GbarError(f"{file}: measurements: expected a file name in quotes, got {reprlib.repr(default)}")
    for key in OURS & set(content):
        raise GbarError(f"{file}: unknown key '{key}'{nearest(key, _owner(Problem, ()))}")
    content.setdefault("name", as_name(file.resolve().parent.name))
    problem = _validated(Problem, {**content, "folder": file.resolve().parent, "file": file.resolve()}, str(file))
    _check_problem(problem, str(file))
    problem = with_waveforms(problem, str(file))
    table = Path(measurements) if measurements else (problem.folder / default if default else None)
    if table is None or not (measured or measurements or table.is_file()):
        if measured:
            raise GbarError(
                f'{file}: no measurements: give --measurements CSV, or write measurements = "FILE.csv" at the top'
            )
        return problem
    measured_values = read_measurements(table, problem, may_be_empty=not (measured or measurements))
    return problem.model_copy(update={"measurements": measured_values, "measurements_file": table.resolve()})


def _content(path: Path) -> tuple[Path, dict[str, Any]]:
    """The file that defines a problem, and what it says in problem.toml's words."""
    file = path / "problem.toml" if path.is_dir() else path
    folder = path if path.is_dir() else path.parent
    foreign = not file.is_file() if path.is_dir() else path.name == bluepyopt.MAIN
    if foreign and bluepyopt.is_folder(folder):
        return folder / bluepyopt.MAIN, bluepyopt.content(folder)
    if not file.is_file():
        raise GbarError(f"no problem at {path}: expected a folder with a problem.toml, or that file")
    return file, read_toml(file)


def read_measurements(table: Path, problem: Problem, may_be_empty: bool = False) -> tuple[Measurement, ...]:
    """Read a table of protocol, feature, mean, sd, unit and check every row against the problem's protocols.

    Raises:
        GbarError: with the file and the row.
    """
    measurements: list[Measurement] = []
    for where, row in rows_of(table, may_be_empty):
        measurement = measurement_of(row, problem, where)
        if any(measurement.key == other.key for other in measurements):
            raise GbarError(f"{where}: {measurement.key} is measured twice: keep one row")
        measurements.append(measurement)
    return tuple(measurements)


def measurement_of(row: Mapping[str, Any], problem: Problem, where: str) -> Measurement:
    """One row of a table, in gbar's words and units, checked against the problem's protocols.

    Args:
        row: a measurement's fields, mean and sd as numbers.

    Raises:
        GbarError: beginning with `where`.
    """
    for name in ("mean", "sd"):
        if isinstance(row.get(name), bool | str):  # which pydantic would take for numbers
            raise GbarError(f"{where}: {name}: expected a number, got {reprlib.repr(row[name])}")
    measurement = _in_our_words(_validated(Measurement, row, where), problem, where)
    if why := plausible.impossible(measurement):
        raise GbarError(f"{where}: {measurement.key}: {why}")
    return measurement


def _check_problem(problem: Problem, where: str) -> None:
    """Cross-checks that no single field can make. Raises GbarError."""
    check_parameters(problem.parameter, where)
    check_protocols(problem, where)
    check_fidelities(problem, where)
    for name, protocol in problem.stimuli.items():
        _check_settings(protocol.efel, f"{where}: protocol.{name}.efel")
        for recording, settings in protocol.recordings_efel.items():
            _check_settings(settings, f"{where}: protocol.{name}.recordings_efel.{recording}")
    _check_settings(problem.efel, f"{where}: efel")
    _check_model(problem, where)


def _check_model(problem: Problem, where: str) -> None:
    load, _, function = problem.model.load.partition(":")
    if not (problem.folder / load).is_file():
        files = [file.name for file in problem.folder.iterdir() if file.suffix.lower() in LOADED]
        raise GbarError(f"{where}: model.load: no file '{load}' in {problem.folder.name}/{nearest(load, files)}")
    if load.endswith(".py") and not function:
        raise GbarError(f"{where}: model.load: '{load}' names no function: expected \"{load}:FUNCTION\"")
    if Path(load).suffix.lower() not in LOADED:
        raise GbarError(f"{where}: model.load: '{load}' is neither .hoc nor .py nor a morphology (.swc, .asc)")
    if function and not load.endswith(".py"):
        raise GbarError(f"{where}: model.load: '{problem.model.load}': only a Python file has functions: \"{load}\"")
    _check_kind(problem.model, f"{where}: model")
    _check_inserted(problem)
    for file in problem.model.requires:
        if file not in NEURONS_OWN and not (problem.folder / file).is_file():
            raise GbarError(f"{where}: model.requires: no file '{file}' in {problem.folder.name}/")
    for folder in problem.model.mechanisms:
        if not (problem.folder / folder).is_dir():
            folders = [entry.name for entry in problem.folder.iterdir() if entry.is_dir()]
            raise GbarError(f"{where}: model.mechanisms: no folder '{folder}'{nearest(folder, folders)}")
        if not any((problem.folder / folder).glob("*.mod")):
            raise GbarError(f"{where}: model.mechanisms: no MOD files in '{folder}': name the folder that holds them")


def _check_inserted(problem: Problem) -> None:
    """What is inserted into a morphology comes with NEURON or from the MOD files. Raises GbarError.

    Other models may bring mechanisms along in ways of their own, which only loading them shows.
    """
    model, folder = problem.model, problem.folder
    if Path(model.load).suffix.lower() not in {".swc", ".asc"}:
        return
    known = {name for path in model.mechanisms for name in _suffixes(folder / path)}
    wanted = dict.fromkeys(name for names in model.insert.values() for name in names)
    missing = [name for name in wanted if name not in known | NEURONS_MECHANISMS]
    if not missing:
        return
    source = "mechanisms.json" if problem.file.name == bluepyopt.MAIN else "model.insert"
    shown = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if missing[4:] else "")
    if known:
        raise GbarError(f"{folder}: {source} names {shown}: no .mod file has that SUFFIX{nearest(missing[0], known)}")
    way = "put them into mechanisms/" if source == "mechanisms.json" else "name their folder in model.mechanisms"
    raise GbarError(f"{folder}: {source} names {shown}; no .mod file found: {way}")


def _suffixes(folder: Path) -> Iterator[str]:
    """What the MOD files of a folder are called in NEURON."""
    for file in folder.glob("*.mod"):
        text = re.sub(r"COMMENT.*?ENDCOMMENT|:[^\n]*", "", file.read_text(errors="replace"), flags=re.S)
        yield from re.findall(r"\bSUFFIX\s+(\w+)", text)


def _check_kind(model: Model, where: str) -> None:
    """Keys that this kind of model has no use for are a misunderstanding. Raises GbarError."""
    suffix = Path(model.load.partition(":")[0]).suffix.lower()
    of_morphology = {"axon", "d_lambda", "segment_length"} & model.model_fields_set
    if model.template and suffix != ".hoc":
        raise GbarError(f"{where}.template: only a hoc file has templates, '{model.load}' is none: leave template out")
    if model.setup and (model.template or suffix != ".hoc"):
        raise GbarError(f"{where}.setup: for a hoc file without a template: a template or function sets itself up")
    if model.requires and suffix != ".hoc":
        raise GbarError(f"{where}.requires: for a hoc file, which loads no others by itself: leave requires out")
    if model.arguments and not (model.template or suffix == ".py"):
        raise GbarError(f"{where}.arguments: for a hoc template or a Python function: name one")
    if of_morphology and suffix not in {".swc", ".asc"}:
        raise GbarError(
            f"{where}.{min(of_morphology)}: for a morphology (.swc, .asc): '{model.load}' cuts its own sections"
        )
    if {"d_lambda", "segment_length"} <= of_morphology:
        raise GbarError(f"{where}: d_lambda and segment_length are two rules for one thing: keep one")


def _check_settings(settings: Mapping[str, Any], where: str) -> None:
    known = features.known_settings()
    for key, value in settings.items():
        if key not in known:
            raise GbarError(f"{where}: eFEL has no setting '{key}'{nearest(key, known)}")
        default = known[key]
        fits = isinstance(value, int | float) if isinstance(default, float) else isinstance(value, type(default))
        if not fits or isinstance(value, bool) != isinstance(default, bool):
            raise GbarError(f"{where}.{key}: expected a value such as {default!r}, got {value!r}")
        if key != "interp_step" and isinstance(value, int | float) and not abs(value) <= LARGEST_SETTING:
            raise GbarError(f"{where}.{key}: expected at most {LARGEST_SETTING:g}, got {value!r}")
    if not float(settings.get("interp_step", 1.0)) > 0:
        raise GbarError(f"{where}.interp_step: expected more than 0 ms, got {settings['interp_step']!r}")
    low, high = INTERP_STEP_MS
    if not low <= float(settings.get("interp_step", high)) <= high:
        raise GbarError(
            f"{where}.interp_step: expected {low:g} to {high:g} ms, a spike lasts 1 ms: got {settings['interp_step']!r}"
        )


def _in_our_words(measurement: Measurement, problem: Problem, where: str) -> Measurement:
    """The measurement with the feature's own name and unit. Raises GbarError where it belongs to nothing."""
    name, _, recording = measurement.protocol.partition(":")
    protocol = problem.protocol.get(name)
    if protocol is None:
        raise GbarError(f"{where}: no protocol '{name}'{nearest(name, problem.protocol)}")
    variables = problem.variables(name)
    if recording == MAIN or (":" in measurement.protocol and recording not in variables):
        others = [key for key in variables if key != MAIN]
        raise GbarError(
            f"{where}: protocol '{name}' has no recording '{recording}'"
            f"{nearest(recording, others) if others else f': expected {name} alone, or recordings in the protocol'}"
        )
    variable = variables[recording or MAIN]
    feature = _feature(measurement.feature, protocol.kind, variable, where)
    by_tau = feature in {"time_constant", "membrane_capacitance"}
    if by_tau and isinstance(protocol, Stimulus) and protocol.duration < features.TAU_STEP_MS:
        raise GbarError(
            f"{where}: {measurement.protocol}.{feature} is not defined for a step of {protocol.duration:g} ms: "
            f"eFEL asks for {features.TAU_STEP_MS:g} ms or more"
        )
    said = [f"read as {feature}, given as '{measurement.feature}'"] if feature != measurement.feature else []
    measurement = measurement.model_copy(update={"feature": feature})
    expected = features.unit_of(feature, variable)
    if expected is None or features.plain_unit(measurement.unit) == features.plain_unit(expected):
        return measurement.model_copy(update={"said": _joined(measurement.said, said)})
    try:
        counts = bool(plausible.COUNT.fullmatch(feature))
        mean, sd, done = synonyms.converted(measurement.mean, measurement.sd, measurement.unit, expected, counts)
    except GbarError as error:
        raise GbarError(f"{where}: {measurement.key} is in {error}") from None
    said += [done] if done else []
    own = {"mean": mean, "sd": sd, "unit": features.plain_unit(expected)}
    return measurement.model_copy(update={**own, "said": _joined(measurement.said, said)})


def _joined(before: str, more: list[str]) -> str:
    return "; ".join(part for part in (before, *more) if part)


def _feature(given: str, kind: str, variable: str, where: str) -> str:
    """The feature that is meant. Raises GbarError where it cannot be measured there, with the one that may be meant."""
    known = features.known_features(kind, variable)
    feature = synonyms.feature_of(given, known)
    if feature is not None:
        return feature
    homes = [other for other in KINDS if synonyms.feature_of(given, features.known_features(other))]
    if variable != "v":
        hint = f" of {variable}{nearest(given, known)}"
    elif homes:
        hint = f" (it belongs under: {', '.join(homes)})"
    else:
        hint = synonyms.meant(given) or nearest(given, known)
    raise GbarError(f"{where}: no feature '{given}' under a {kind} protocol{hint}")


def _validated(kind: type[Kind], content: Mapping[str, Any], where: str) -> Kind:
    """Build a model, or raise a GbarError of one line for the first thing wrong."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        # a misspelt key is unknown and makes the right one missing: the first of these says what to do
        problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise GbarError(
            f"{where}: {explained(problems[0], content, lambda path: _owner(kind, path), KINDS)}{more}"
        ) from None


def _owner(kind: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys known where `path` leads from `kind`."""
    inner: dict[str, type[BaseModel]] = {"model": Model, "parameter": Parameter, "simulation": Simulation}
    owner = kind
    if path and path[0] == "protocol" and len(path) > 2:
        owner = KINDS[str(path[2])]
    elif path[:1] == ("parameter",) and path[-1] == "prior":
        owner = Prior
    elif path and str(path[0]) in inner:
        owner = inner[str(path[0])]
    return [key for key in owner.model_fields if key not in OURS]
