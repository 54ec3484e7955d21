"""A BluePyOpt folder as a problem: parameters, mechanisms, protocols and features in JSON, a morphology, MOD files.

What comes out has the words of problem.toml, so that it is checked as one. Where BluePyOpt's own examples decide
something in Python that no file of the folder says, what they all do is done here: 40 µm a segment, an axon stub where
there are axonal mechanisms, eFEL's own interpolation, a spike threshold of -20 mV at the soma and -55 mV elsewhere.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gbar.sim.errors import GbarError, nearest
from gbar.sim.features import unit_of
from gbar.sim.files import read_json

FILES = ("parameters", "mechanisms", "protocols", "features")
MAIN = "parameters.json"  # stands for the folder where a problem.toml would
SEGMENT_UM = 40.0
AT_SOMA = "soma[0](0.5)"
SPIKE_MV, DENDRITIC_SPIKE_MV = -20.0, -55.0
INTERP_STEP_MS = 0.1  # eFEL's own, which published features were measured with
PULSE_MS = 10.0  # a shorter step is a pulse: what follows it is measured
TIME_LIMIT_S = 300.0  # an evaluation of such a model takes ten seconds where all goes well
DECADE = 10.0  # bounds further apart are searched on a log scale

Json = dict[str, Any]


def is_folder(path: Path) -> bool:
    """Whether a folder holds a BluePyOpt problem, in it or in its config folder."""
    return (_base(path) / MAIN).is_file() and (_base(path) / "protocols.json").is_file()


def content(folder: Path) -> Json:
    """A folder's problem as `tomllib` would return it from a problem.toml.

    Raises:
        GbarError: a file is missing or says what no problem.toml can; the message names file and entry.
    """
    base = _base(folder)
    parameters, mechanisms, protocols = (_json(base / f"{name}.json") for name in FILES[:3])
    model = _model(folder, base, mechanisms)
    free: list[Json] = []
    for number, entry in enumerate(_listed(parameters, str(base / MAIN)), start=1):
        where = f"{base / 'parameters.json'}, parameter {number}"
        _add_parameter(_mapped(entry, where), where, model, free)
    for key in ("celsius", "v_init"):
        if key not in model:
            raise GbarError(f"{base / 'parameters.json'}: no global parameter '{key}': expected one with a value")
    where = str(base / "protocols.json")
    found: Json = {
        "model": model,
        "parameter": free,
        "protocol": {
            _name(name): _protocol(_mapped(entry, f"{where}, {name}"), f"{where}, {name}")
            for name, entry in _mapped(protocols, where).items()
        },
        "efel": {"interp_step": INTERP_STEP_MS, "Threshold": SPIKE_MV},
        "simulation": {"time_limit": TIME_LIMIT_S},
    }
    if (base / "features.json").is_file():
        found["measurements"] = str((base / "features.json").relative_to(folder))
    return found


def feature_rows(table: Path) -> list[tuple[str, Json]]:
    """The rows of a features.json, each with where it stands. Units are eFEL's own.

    Raises:
        GbarError: it is no such file.
    """
    rows = []
    for protocol, locations in _mapped(_json(table), str(table)).items():
        for location, measured in _mapped(locations, f"{table}, {protocol}").items():
            where = f"{table}, {protocol}.{location}"
            place = location.removesuffix(".v")
            name = _name(protocol) if place == "soma" else f"{_name(protocol)}:{_name(place)}"
            for feature, pair, weight in _pairs(measured, where):
                if not isinstance(pair, list) or len(pair) != 2 or not all(_is_number(part) for part in pair):
                    raise GbarError(f"{where}.{feature}: expected [mean, sd], got {json.dumps(pair)}")
                if not _is_number(weight) or weight <= 0:
                    raise GbarError(f"{where}.{feature}: weight: expected a number above 0, got {json.dumps(weight)}")
                row = {"protocol": name, "feature": feature, "mean": pair[0], "sd": pair[1], "unit": unit_of(feature)}
                row |= {"weight": float(weight)} if weight != 1 else {}
                rows.append((f"{where}.{feature}", row))
    if not rows:
        raise GbarError(f"{table}: no features in it: expected {{protocol: {{location: {{feature: [mean, sd]}}}}}}")
    return rows


def _pairs(measured: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Features of one location, [mean, sd] and weight: an object, or in newer files a list of objects."""
    if isinstance(measured, Mapping):
        yield from ((feature, pair, 1) for feature, pair in measured.items())
        return
    for entry in _listed(measured, where):
        feature, pair = (_need(entry, key, where) for key in ("feature", "val"))
        yield str(feature), pair, entry.get("weight", 1)


# --- the model


def _model(folder: Path, base: Path, mechanisms: Any) -> Json:
    where = str(base / "mechanisms.json")
    insert = {name: _listed(listed, f"{where}, {name}") for name, listed in _mapped(mechanisms, where).items()}
    model: Json = {"load": _morphology(folder), "insert": insert, "values": {}, "segment_length": SEGMENT_UM}
    if "axonal" in insert:
        model["axon"] = "stub"
    mods = [path for path in (folder / "mechanisms", base / "mechanisms", folder) if any(path.glob("*.mod"))]
    if mods:
        model["mechanisms"] = [str(mods[0].relative_to(folder))]
    return model


def _morphology(folder: Path) -> str:
    places = [folder, folder / "morphology", folder / "morphologies"]
    found = [file for place in places if place.is_dir() for file in sorted(place.iterdir())]
    found = [file for file in found if file.suffix.lower() in {".swc", ".asc"}]
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise GbarError(f"{folder}: expected one morphology (.swc or .asc) here or in morphology/, found {names}")
    return str(found[0].relative_to(folder))


def _add_parameter(entry: Json, where: str, model: Json, free: list[Json]) -> None:
    """Put one entry of parameters.json where it belongs: a global, a fixed value, or a free parameter."""
    name = str(_need(entry, "param_name", where))
    where = f"{where} ({name})"
    if ("value" in entry) == ("bounds" in entry):
        raise GbarError(f"{where}: expected either a value or bounds")
    kind = _need(entry, "type", where)
    if kind not in ["global", "section", "range"]:
        raise GbarError(f"{where}: type '{kind}'{nearest(str(kind), ['global', 'section', 'range'])}")
    if kind == "global" and name in {"celsius", "v_init"}:
        if "value" not in entry:
            raise GbarError(f"{where}: is set at the start of every run, so it cannot be free: give it a value")
        model[name] = entry["value"]
        return
    lists = ["global"] if kind == "global" else _section_lists(entry, where)
    variable = f"{entry['mech_param']}_{entry['mech']}" if {"mech", "mech_param"} <= set(entry) else name
    rule = _rule(entry, where)
    if "value" in entry:
        given = entry["value"] if rule is None else re.sub(r"\bvalue\b", f"({entry['value']!r})", rule)
        for place in (f"{listed}.{variable}" for listed in lists):
            model["values"].pop(place, None)  # the order counts: the last of two entries is the one that holds
            model["values"][place] = given
        return
    parameter = {
        "name": f"{variable}.{'_'.join(lists)}",
        "set": [f"{listed}.{variable}" for listed in lists],
        "bounds": entry["bounds"],
        "scale": _scale(entry["bounds"]),
    }
    free.append(parameter if rule is None else {**parameter, "formula": rule})


def _section_lists(entry: Json, where: str) -> list[str]:
    given = _need(entry, "sectionlist", where)
    return [str(listed) for listed in (given if isinstance(given, list) else [given])]


def _rule(entry: Json, where: str) -> str | None:
    """The formula of a distribution over distance; None for one value everywhere."""
    if entry.get("dist_type", "uniform") == "uniform":
        return None
    return re.sub(r"\{(distance|value)\}", r"\1", str(_need(entry, "dist", where)))


def _scale(bounds: Any) -> str:
    numbers = isinstance(bounds, list) and len(bounds) == 2 and all(_is_number(b) for b in bounds)
    return "log" if numbers and 0 < bounds[0] * DECADE <= bounds[1] else "linear"


# --- protocols


def _protocol(entry: Json, where: str) -> Json:
    """A step or pulse, on the current that flows all the time."""
    stimuli = _need(entry, "stimuli", where)
    listed = list(stimuli.values()) if isinstance(stimuli, Mapping) else _listed(stimuli, where)
    holding, steps = 0.0, []
    for number, stimulus in enumerate(listed, start=1):
        there = f"{where}, stimulus {number}"
        amplitude, delay, duration, total = (
            _number(stimulus, key, there) for key in ("amp", "delay", "duration", "totduration")
        )
        if delay == 0 and duration >= total:
            holding += amplitude
        else:
            steps.append({"amplitude": amplitude, "delay": delay, "duration": duration, "total": total})
    if len(steps) != 1:
        raise GbarError(f"{where}: {len(steps)} steps: expected one, and currents that flow from the start to the end")
    protocol: Json = {"kind": "pulse" if steps[0]["duration"] < PULSE_MS else "step", "at": AT_SOMA, **steps[0]}
    protocol["record"] = f"{AT_SOMA}.v"
    if holding:
        protocol["holding"] = holding
    recordings = {}
    for number, recording in enumerate(_listed(entry.get("extra_recordings", []), where), start=1):
        there = f"{where}, recording {number}"
        recordings[_name(str(_need(recording, "name", there)))] = _recording(recording, there)
    if recordings:
        protocol["recordings"] = recordings
        protocol["recordings_efel"] = {name: {"Threshold": DENDRITIC_SPIKE_MV} for name in recordings}
    return protocol


def _recording(entry: Json, where: str) -> str:
    kind, variable = _need(entry, "type", where), _need(entry, "var", where)
    if kind in ["somadistance", "somadistanceapic"]:
        return f"{entry.get('seclist_name', 'apical')}@{_number(entry, 'somadistance', where):g}.{variable}"
    if kind == "nrnseclistcomp":
        section = f"{_need(entry, 'seclist_name', where)}[{_number(entry, 'sec_index', where):.0f}]"
        return f"{section}({_number(entry, 'comp_x', where):g}).{variable}"
    raise GbarError(f"{where}: type '{kind}': expected somadistance or nrnseclistcomp")


# --- reading


def _base(folder: Path) -> Path:
    """Where the JSON files are: in the folder, or as in BluePyOpt's examples in its config folder."""
    inner = folder / "config"
    return inner if (inner / "parameters.json").is_file() and not (folder / "parameters.json").is_file() else folder


def _name(name: str) -> str:
    """A name without what problem.toml's names cannot have."""
    return re.sub(r"\W", "_", name)


def _json(file: Path) -> Any:
    if not file.is_file():
        raise GbarError(f"no {file.name} in {file.parent}: a BluePyOpt folder has {', '.join(FILES)} as .json")
    return read_json(file, finite=False)


def _mapped(entry: Any, where: str) -> Json:
    if not isinstance(entry, Mapping):
        raise GbarError(f"{where}: expected an object in braces, got {json.dumps(entry)[:60]}")
    return dict(entry)


def _listed(entry: Any, where: str) -> Sequence[Any]:
    if not isinstance(entry, list):
        raise GbarError(f"{where}: expected a list in square brackets, got {json.dumps(entry)[:60]}")
    return entry


def _need(entry: Any, key: str, where: str) -> Any:
    found = _mapped(entry, where)
    if key not in found:
        raise GbarError(f"{where}: no '{key}'{nearest(key, found)}")
    return found[key]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(_float(value))


def _float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of 400 digits
        return math.inf


def _number(entry: Any, key: str, where: str) -> float:
    value = _need(entry, key, where)
    if not _is_number(value):
        raise GbarError(f"{where}: '{key}' is {json.dumps(value)}: expected a number")
    return float(value)
