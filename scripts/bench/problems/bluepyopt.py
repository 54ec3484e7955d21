"""BluePyOpt's own examples: the layer 5 pyramidal cell, and the thalamocortical cell."""

import ast
import csv
import json
from pathlib import Path
from typing import Any

from gbar.scripts.bench.problems.published import Row, Translated, needed
from gbar.sim import GbarError, load_problem
from gbar.sim.problem import content

SOURCE = "github.com/BlueBrain/BluePyOpt, commit 146bb019a866007d76eafcaca89d8b45e20be0f6"
PYRAMIDAL, THALAMIC = "examples/l5pc", "examples/thalamocortical-cell"
KIND, SHOWN = "cAD_ltb", 62  # which thalamocortical cells, and which of their published fits the example shows
LISTS = {"alldend": ["basal"], "somadend": ["somatic", "basal"]}  # the names of its section lists, others are NEURON's
CHEAP_ATOL, ONE_SEGMENT_UM = 1e-2, 1e6


def pyramidal(source: Path) -> Translated:
    """The layer 5 pyramidal cell as BluePyOpt simulates it."""
    folder = source / PYRAMIDAL
    (analysis,) = needed(folder, "l5pc_analysis.py")
    problem = load_problem(folder)
    found = {key: value for key, value in content(folder).items() if key != "measurements"}
    rows = [Row(one.protocol, one.feature, one.mean, one.sd) for one in problem.measurements]
    files = {found["model"]["load"]: folder / found["model"]["load"]}
    files |= {str(mod.relative_to(folder)): mod for mod in sorted((folder / "mechanisms").glob("*.mod"))}
    return Translated(found, rows, files, _released(analysis))


def cheap(found: Translated) -> Translated:
    """A problem with one segment a section and a tolerance of 1e-2: a fifth of the cost, ranks cells nearly as well."""
    changed = {
        **found.content,
        "model": {**found.content["model"], "segment_length": ONE_SEGMENT_UM},
        "simulation": {**found.content["simulation"], "engine": "cvode", "atol": CHEAP_ATOL},
    }
    return found._replace(content=changed)


def _released(analysis: Path) -> dict[str, float]:
    """The published parameters: `release_params` of l5pc_analysis.py."""
    for statement in ast.parse(analysis.read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="release_params")], value=value):
                return {str(name): float(number) for name, number in ast.literal_eval(value).items()}
    raise GbarError(f"{analysis}: no release_params")


def thalamocortical(source: Path) -> Translated:
    """A thalamocortical cell that fires tonically and in bursts (Iavarone et al. 2019)."""
    folder = source / THALAMIC
    recipe = json.loads(needed(folder, "config/recipes.json")[0].read_text(encoding="utf-8"))[KIND]
    morphology, free, fits = needed(
        folder, recipe["morph_path"] + recipe["morphology"], recipe["params"], f"results/{KIND}_params.csv"
    )
    stimuli, measured = (
        json.loads(file.read_text(encoding="utf-8")) for file in needed(folder, recipe["protocol"], recipe["features"])
    )
    definition = json.loads(free.read_text(encoding="utf-8"))
    model, parameters = _cell(definition, morphology.name)
    problem = {
        "model": model,
        "parameter": parameters,
        "protocol": {_named(name): _protocol(entry["stimuli"]) for name, entry in stimuli.items()},
        "efel": {"Threshold": -30.0, "interp_step": 0.1, "strict_stiminterval": True},  # as its evaluator.py
        "simulation": {"time_limit": 300.0},
    }
    rows = [
        Row(_named(name), one["feature"], *one["val"])
        for name, places in measured.items()
        for entries in places.values()
        for one in entries
    ]
    files = {morphology.name: morphology}
    files |= {f"mechanisms/{mod.name}": mod for mod in sorted((folder / "mechanisms").glob("*.mod"))}
    with fits.open(encoding="utf-8") as lines:
        shown = [float(number) for number in list(csv.reader(lines))[SHOWN]]
    return Translated(problem, rows, files, dict(zip([str(one["name"]) for one in parameters], shown, strict=True)))


def _cell(definition: dict[str, Any], morphology: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """[model] and the free parameters of the example's own format, in its order."""
    insert: dict[str, list[str]] = {}
    for name, channels in definition["mechanisms"].items():
        for where in LISTS.get(name, [name]):
            insert[where] = insert.get(where, []) + channels["mech"]
    model: dict[str, Any] = {"load": morphology, "mechanisms": ["mechanisms"], "axon": "stub", "segment_length": 40.0}
    values: dict[str, float] = {}
    free: list[dict[str, Any]] = []
    for name, entries in definition["parameters"].items():
        for entry in entries if isinstance(entries, list) else []:
            places = [f"{where}.{entry['name']}" for where in LISTS.get(name, [name])]
            if name == "global":
                model[entry["name"]] = float(entry["val"])
            elif isinstance(entry["val"], list):
                free.append(
                    {"name": f"{entry['name']}.{name}", "set": places, "bounds": list(map(float, entry["val"]))}
                )
            else:
                values |= dict.fromkeys(places, float(entry["val"]))
    return {**model, "insert": insert, "values": values}, free


def _named(name: str) -> str:
    return name.replace("-", "minus_")


def _protocol(stimuli: dict[str, Any]) -> dict[str, Any]:
    step = stimuli["step"]
    times = {"delay": float(step["delay"]), "duration": float(step["duration"]), "total": float(step["totduration"])}
    holding = {"holding": float(stimuli["holding"]["amp"])} if "holding" in stimuli else {}
    return {"kind": "step", "amplitude": float(step["amp"]), **holding, **times}
