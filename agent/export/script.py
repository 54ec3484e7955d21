"""run.py: a script that measures one solution again with nothing but NEURON and eFEL.

All that is done stands once beside the model, in gbar_measure.py; run.py holds a solution's parameters and calls it.
"""

import os
import sys
from pathlib import Path
from typing import Any

from gbar.agent.export.carry import Carried, carry, import_lines
from gbar.agent.export.chosen import Chosen
from gbar.agent.export.model import copy_model
from gbar.sim import Integrator
from gbar.sim.features import OWN, OWN_OF_SIGNAL, SETTINGS
from gbar.sim.files import write_whole
from gbar.sim.problem import CurrentStimulus, FiCurve, Model, Parameter, ResponseKey, Stimulus, Waveform

MEASURE = "gbar_measure.py"  # a name that no model file has
NEEDED = {  # what the script itself calls
    "gbar.sim.errors": ("GbarError",),
    "gbar.sim.cell.cell": ("assemble", "ParameterBinding"),
    "gbar.sim.cell.protocols": ("initialise", "run"),
    "gbar.sim.features.traces": ("Trace", "measure_by_efel"),
}
IMPORTS: set[tuple[str, str | None]] = {
    *((module, None) for module in ("argparse", "json", "math", "os", "sys")),
    ("pathlib", "Path"),
    ("types", "SimpleNamespace"),
    ("neuron", "h"),
}
TO_BUILD: set[tuple[str, str | None]] = {
    *((module, None) for module in ("platform", "shutil", "subprocess", "tempfile"))
}
DECIDES = {
    "template",
    "arguments",
    "requires",
    "setup",
    "stimuli",
    "insert",
    "values",
    "axon",
    "d_lambda",
    "segment_length",
}
DECIDES |= {"mode", "formula", "tied", "apply"}
TITLES = {
    "gbar.sim.errors": "what goes wrong, in one line",
    "gbar.sim.problem.formula": "arithmetic in the model's parameters",
    "gbar.sim.cell.loaders": "loading the model",
    "gbar.sim.cell.morphology": "a cell from a morphology",
    "gbar.sim.cell.leftovers": "stimuli that the model brings along",
    "gbar.sim.cell.anatomy": "the cell's sections",
    "gbar.sim.cell.placement": "where parameters live",
    "gbar.sim.cell.cell": "the model in NEURON",
    "gbar.sim.problem.waveform": "currents from files",
    "gbar.sim.cell.inject": "what each kind of protocol puts on a cell",
    "gbar.sim.cell.interpolation": "traces at even intervals",
    "gbar.sim.cell.protocols": "stimuli and recordings",
    "gbar.sim.cell.search": "the search for a rheobase",
    "gbar.sim.features.definitions": "features that eFEL does not have",
    "gbar.sim.features.traces": "voltages to features",
}


def write(chosen: Chosen, folder: Path) -> list[Path]:
    """Write run.py with the parameters, and what all solutions share: the model and the script that measures it.

    Raises:
        GbarError: the model cannot be copied.
    """
    mechanisms = copy_model(chosen.problem, chosen.model)
    shared, file = chosen.model.with_name(MEASURE), folder / "run.py"
    write_whole(shared, _measuring(chosen, mechanisms))
    up = Path(os.path.relpath(shared.parent, folder)).as_posix()
    write_whole(file, chosen.render("run.py.j2", up="" if up == "." else up, measure=(Path(up) / MEASURE).as_posix()))
    return [file, chosen.model]


def _measuring(chosen: Chosen, mechanisms: list[str]) -> str:
    """The script that measures any solution of the run."""
    carried = _carried(chosen)
    needed = carried.imports | IMPORTS | (TO_BUILD if mechanisms else set())
    lines = import_lines(needed)
    own = [line for line in lines if _module(line) in sys.stdlib_module_names]
    neurons = [line for line in lines if _module(line) == "neuron"]
    return chosen.render(
        f"{MEASURE}.j2",
        imports=[own, [line for line in lines if line not in own + neurons], neurons],
        sections=[(TITLES[module], module, source) for module, source in carried.sections.items()],
        model=chosen.model.name,
        mechanisms=mechanisms,
        integrator=vars(Integrator.of(chosen.problem).tight()) | _advance(chosen.problem.model),
        settings={**SETTINGS, **chosen.problem.efel},
        protocols=_protocols(chosen),
        definitions=_definitions(chosen),
        load=_loader(chosen),
        keys={"load": chosen.problem.model.load, **_said(chosen.problem.model)},
        keys_left_out=_left_out(chosen.problem.model),
        places={p.name: {"set": list(p.set), **_said(p)} for p in chosen.problem.parameter},
        kinds=_kinds(chosen),
        has_rheobase=("gbar.sim.cell.protocols", "find_rheobase") in _roots(chosen),
        has_relative=any("percent" in protocol for protocol in _protocols(chosen).values()),
        has_waveform="waveform" in _kinds(chosen),
        has_clamp="clamp" in _kinds(chosen),
        has_fi=("gbar.sim.features.definitions", "f_I_gain") in _roots(chosen),
    )


def _loader(chosen: Chosen) -> str:
    """The name of the function in sim.cell.loaders or sim.cell.morphology that loads this kind of model."""
    model = chosen.problem.model
    if Path(model.load).suffix.lower() in {".swc", ".asc"}:
        return "load_morphology"
    if ":" in model.load:
        return "load_python"
    return "load_template" if model.template else "load_flat"


def _advance(model: Model) -> dict[str, str]:
    return {"advance": model.advance} if model.advance else {}


def _said(content: Model | Parameter) -> dict[str, Any]:
    """What problem.toml says beyond the defaults, of what decides how a model is built or a parameter set."""
    return {key: value for key, value in content.model_dump(exclude_defaults=True).items() if key in DECIDES}


def _left_out(model: Model) -> dict[str, Any]:
    said = {"load", *_said(model)}
    return {key: value for key, value in model.model_dump().items() if key in DECIDES - {"set", *said}}


def _module(line: str) -> str:
    return line.split()[1].partition(".")[0]


def _protocols(chosen: Chosen) -> dict[str, dict[str, Any]]:
    """The protocols that measurements need, in the problem's order; steps before the curves made of them."""
    problem = chosen.problem
    needed = {ResponseKey.parse(m.protocol).protocol for m in chosen.result.measurements}
    needed |= {step for name, curve in problem.curves.items() if name in needed for step in curve.steps}
    sized = {name: p for name, p in problem.stimuli.items() if name in needed and isinstance(p, CurrentStimulus)}
    needed |= {protocol.relative_to for protocol in sized.values() if protocol.relative_to}
    listed: dict[str, Stimulus | FiCurve] = {**problem.stimuli, **problem.curves}
    return {name: _plain(protocol) for name, protocol in listed.items() if name in needed}


def _plain(protocol: Stimulus | FiCurve) -> dict[str, Any]:
    """A protocol as data: no key that says nothing, nothing that was read from a file."""
    first = ["kind", "at", "record", "recordings", "amplitude"]
    content = protocol.model_dump(exclude={"times", "currents"})
    if isinstance(protocol, Waveform):
        content["amplitude"] = protocol.current  # what eFEL takes for the size of the current
    silent = {key for key, value in content.items() if value in (None, {}) and key not in {"recordings", "tail"}}
    last = [key for key in content if key not in first]
    return {key: content[key] for key in [*first, *last] if key in content and key not in silent}


def _definitions(chosen: Chosen) -> list[str]:
    return sorted({m.feature for m in chosen.result.measurements} & {*OWN, *OWN_OF_SIGNAL})


def _kinds(chosen: Chosen) -> list[str]:
    """The functions of sim.cell.inject that the protocols need."""
    protocols = _protocols(chosen).values()
    held = any(protocol["kind"] != "clamp" and protocol.get("holding") for protocol in protocols)
    return sorted({protocol["kind"] for protocol in protocols} - {"fi"}) + ["holding"] * held


def _roots(chosen: Chosen) -> list[tuple[str, str]]:
    kinds = {protocol["kind"] for protocol in _protocols(chosen).values()}
    roots = [(module, name) for module, names in NEEDED.items() for name in names]
    roots += [("gbar.sim.cell.inject", name) for name in _kinds(chosen)]
    if "rheobase" in kinds:
        roots += [("gbar.sim.cell.protocols", "find_rheobase")]
    if "waveform" in kinds:
        roots += [("gbar.sim.problem.waveform", "read_waveform")]
    load = _loader(chosen)
    roots += [("gbar.sim.cell.morphology" if load == "load_morphology" else "gbar.sim.cell.loaders", load)]
    roots += [("gbar.sim.features.definitions", name) for name in _definitions(chosen)]
    if "fi" in kinds:
        roots += [("gbar.sim.features.definitions", "f_I_gain")]
    return roots


def _carried(chosen: Chosen) -> Carried:
    carried = carry(_roots(chosen))
    order = {module: i for i, module in enumerate(TITLES)}
    return Carried(dict(sorted(carried.sections.items(), key=lambda part: order[part[0]])), carried.imports)
