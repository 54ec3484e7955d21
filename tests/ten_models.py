"""Ten models of different kinds, each with a script that a modeller would write by hand: NEURON and eFEL, no gbar.

What gbar stores for a parameter set has to be what the script finds, whatever the process has simulated before.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gbar.sim import Problem, load_problem, with_engine
from gbar.sim.mechanisms import build
from tests.problems import MODULE_PY

SAME = 1e-6
ENGINE = "fixed dt 0.025"  # whose samples need no interpolation
FEATURES = ("voltage_base", "steady_state_voltage_stimend", "minimum_voltage", "maximum_voltage", "Spikecount")
AMPLITUDES = {"hyp": -0.05, "fire": 0.3}  # nA, from 20 to 60 ms of 80

CABLE = """
    soma { L = 20  diam = 20  insert hh  insert pas }
    dend { L = 600  diam = 1.5  nseg = 5  Ra = 100  insert pas  g_pas = 1e-4  e_pas = -65 }
    connect dend(0), soma(1)
"""
CELL = f"""begintemplate Cell
public soma, dend, all, geom_nseg
create soma, dend
objref all
proc init() {{
{CABLE}
    all = new SectionList()
    soma all.append()
    dend all.append()
    MORE
}}
func lambda() {{ return 1e5 * sqrt(diam / (4 * PI * 100 * Ra * cm)) }}
proc geom_nseg() {{ forsec all {{ nseg = int((L / (0.1 * lambda()) + 0.999) / 2) * 2 + 1 }} }}
endtemplate Cell
"""
TREE = f"create soma, dend\n{CABLE}"
KDR = """NEURON {{ SUFFIX {name} NONSPECIFIC_CURRENT i RANGE g GLOBAL vh }}
PARAMETER {{ g = 1e-3 (S/cm2) vh = -60 (mV) e = -90 (mV) }}
ASSIGNED {{ v (mV) i (mA/cm2) ninf }}
STATE {{ n }}
BREAKPOINT {{ SOLVE s METHOD cnexp i = g * n * (v - e) }}
INITIAL {{ rates(v) n = ninf }}
DERIVATIVE s {{ rates(v) n' = (ninf - n) / 5 }}
PROCEDURE rates(v) {{ {table}
    ninf = 1 / (1 + exp(-(v - vh) / 8)) }}
"""
MODS = {
    "mod/slow.mod": KDR.format(name="slow", table=""),
    "mod/tabled.mod": KDR.format(name="tabled", table="TABLE ninf FROM -120 TO 80 WITH 2000"),
}
SWC = """1 1 0 0 0 10 -1
2 1 -10 0 0 10 1
3 1 10 0 0 10 1
4 3 0 -10 0 1.5 1
5 3 0 -160 0 1 4
6 4 0 10 0 2 1
7 4 0 210 0 1.5 6
8 4 0 410 0 1 7
"""
READ_SWC = """
h.load_file("import3d.hoc")
class Shape: pass
shape = Shape()
reader = h.Import3d_SWC_read()
reader.quiet = 1
reader.input(SWC_FILE)
h.Import3d_GUI(reader, 0).instantiate(shape)
soma, apical = shape.soma[0], shape.apic[0]
for section in h.allsec():
    section.insert("pas")
    section.Ra = 100
for section in (soma, apical):
    section.insert("hh")
"""
JSON_PARAMETERS: list[dict[str, Any]] = [
    {"param_name": "g_pas", "sectionlist": "all", "type": "range", "mech": "pas", "mech_param": "g", "value": 1e-4},
    {"param_name": "Ra", "sectionlist": "all", "type": "section", "value": 100},
    {"param_name": "gnabar_hh", "sectionlist": "somatic", "type": "range", "bounds": [0.05, 0.3]},
    {"param_name": "gkbar_hh", "sectionlist": "apical", "type": "range", "bounds": [0.001, 0.05]},
    {"param_name": "v_init", "type": "global", "value": -65},
    {"param_name": "celsius", "type": "global", "value": 20},
]
JSON_PARAMETERS[2] |= {"mech": "hh", "mech_param": "gnabar", "dist_type": "uniform"}
JSON_PARAMETERS[3] |= {
    "mech": "hh",
    "mech_param": "gkbar",
    "dist_type": "exp",
    "dist": "math.exp(-{distance}/100)*{value}",
}
BLUEPYOPT = {
    "parameters": JSON_PARAMETERS,
    "mechanisms": {"all": ["pas"], "somatic": ["hh"], "apical": ["hh"]},
    "protocols": {
        name: {"stimuli": [{"delay": 20, "amp": amp, "duration": 40, "totduration": 80}]}
        for name, amp in AMPLITUDES.items()
    },
    "features": {name: {"soma": {feature: [1, 1] for feature in FEATURES}} for name in AMPLITUDES},
}


@dataclass(frozen=True)
class Kind:
    """A model: its files, what problem.toml says, and how a modeller sets `p` and starts it by hand."""

    files: Mapping[str, str]
    model: str  # of [model]
    parameters: Mapping[str, tuple[str, tuple[float, float]]]  # name -> lines of its table, bounds
    by_hand: str  # makes `soma`; may define start() and step()
    celsius: float = 20.0
    needs: tuple[str, ...] = field(default=())  # "mod": the library of `MODS`


LOAD = 'h.load_file(1, "cell.hoc")\n'
SOMA = "soma = h.soma\n"
MAKE = f"{LOAD}cell = h.Cell()\nsoma = cell.soma\n"
GNA = ('set = ["soma.gnabar_hh"]', (0.06, 0.3))
LEAK = ('set = ["dend.g_pas"]', (2e-5, 1e-3))
SET_GNA, SET_LEAK = 'soma.gnabar_hh = p["gna"]\n', 'for x in cell.dend: x.g_pas = p["leak"]\n'

KINDS: dict[str, Kind] = {
    "a template that reads celsius": Kind(
        {"cell.hoc": CELL.replace("MORE", "soma { gkbar_hh = 0.036 * 3 ^ ((celsius - 6.3) / 10) }")},
        'load = "cell.hoc"\ntemplate = "Cell"',
        {"gna": GNA, "leak": LEAK},
        MAKE + SET_GNA + SET_LEAK,
    ),
    "a flat hoc with an init() that cuts sections": Kind(
        {
            "cell.hoc": TREE
            + "proc init() { dend.nseg = 2 * int(dend.g_pas * 1e4) + 3\n"
            + "finitialize(v_init)\nsoma.el_hh = -52\nfcurrent() }\n"
        },
        'load = "cell.hoc"\ninit = "init()"',
        {"gna": GNA, "leak": LEAK},
        LOAD + SOMA + SET_GNA + 'for x in h.dend: x.g_pas = p["leak"]\ndef start():\n    assert h("init()")\n',
    ),
    "apply that cuts sections of a tapering cell": Kind(
        {
            "cell.hoc": CELL.replace(
                "MORE", "dend { nseg = 9  insert hh  for (x, 0) { gnabar_hh(x) = 0.02 * (1 - x) } }"
            )
        },
        'load = "cell.hoc"\ntemplate = "Cell"',
        {
            "Ra": ('set = ["all.Ra"]\napply = "cell.geom_nseg()"', (50, 900)),
            "leak": LEAK,
            "taper": ('set = ["dend.gnabar_hh"]\nmode = "scale"', (0.5, 2.0)),
        },
        MAKE + SET_LEAK + 'for x in cell.dend: x.gnabar_hh *= p["taper"]\n'
        'for section in cell.all: section.Ra = p["Ra"]\ncell.geom_nseg()\n',
    ),
    "a Python class and a number of its file": Kind(
        {"cell.py": MODULE_PY},
        'load = "cell.py:Cell"',
        {
            "gna": ('set = ["module.GNA"]\napply = "cell.set_props()"', (0.06, 0.3)),
            "leak": LEAK,
        },
        "import sys\nsys.path.insert(0, '.')\nimport cell as module\nmodule.GNA = p['gna']\ncell = module.Cell()\n"
        "soma = cell.soma\nfor dend in cell.dend: dend.g_pas = p['leak']\n",
    ),
    "a morphology with a rule of distance": Kind(
        {"cell.swc": SWC},
        'load = "cell.swc"\n[model.insert]\nall = ["pas"]\nsomatic = ["hh"]\napical = ["hh"]\n'
        '[model.values]\n"all.Ra" = 100',
        {
            "gna": GNA,
            "slope": ('set = ["apical.gkbar_hh"]\nformula = "0.01 * exp(-value * distance)"', (1e-3, 1e-2)),
        },
        READ_SWC.replace("SWC_FILE", '"cell.swc"')
        + """
for section in h.allsec():
    section.nseg = 1 + 2 * int((section.L / (0.1 * h.lambda_f(100, sec=section)) + 0.9) / 2)
soma.gnabar_hh = p["gna"]
for x in apical:
    x.gkbar_hh = 0.01 * math.exp(-p["slope"] * h.distance(soma(0.5), x))
""",
    ),
    "a BluePyOpt folder": Kind(
        {"morphology/cell.swc": SWC, **{f"{name}.json": json.dumps(content) for name, content in BLUEPYOPT.items()}},
        "",
        {},
        READ_SWC.replace("SWC_FILE", '"morphology/cell.swc"')
        + """
for section in h.allsec():
    section.nseg = 1 + 2 * int(section.L / 40)
    section.g_pas = 1e-4
soma.gnabar_hh = p["gnabar_hh.somatic"]
for x in apical:
    x.gkbar_hh = math.exp(-h.distance(soma(0.5), x) / 100) * p["gkbar_hh.apical"]
""",
    ),
    "a GLOBAL": Kind(
        {"cell.hoc": TREE + "soma { insert slow  g_slow = 3e-4 }", **MODS},
        'load = "cell.hoc"\nmechanisms = ["mod"]',
        {"vh": ('set = ["global.vh_slow"]', (-80, -40)), "gna": GNA},
        LOAD + SOMA + SET_GNA + 'h.vh_slow = p["vh"]\n',
        needs=("mod",),
    ),
    "a GLOBAL in a TABLE that does not depend on it": Kind(
        {"cell.hoc": TREE + "soma { insert tabled  g_tabled = 3e-4 }", **MODS},
        'load = "cell.hoc"\nmechanisms = ["mod"]',
        {"vh": ('set = ["global.vh_tabled"]', (-80, -40)), "gna": GNA},
        LOAD + SOMA + SET_GNA + 'h.vh_tabled = p["vh"]\n',
        needs=("mod",),
    ),
    "a synapse": Kind(
        {
            "cell.hoc": TREE
            + """objref syn, stim, con
dend syn = new Exp2Syn(0.7)
stim = new NetStim()
stim.start = 30
stim.number = 3
stim.interval = 10
stim.noise = 0
con = new NetCon(stim, syn, 0, 1, 0.002)
w = 0.002
"""
        },
        'load = "cell.hoc"',
        {
            "tau2": ('set = ["dend.Exp2Syn.tau2"]', (1.0, 20.0)),
            "weight": ('set = ["global.w"]\napply = "con.weight = w"', (0, 0.01)),
        },
        LOAD + SOMA + 'h.syn.tau2 = p["tau2"]\nh.con.weight[0] = p["weight"]\n',
    ),
    "an advance() of its own": Kind(
        {
            "cell.hoc": TREE
            + "proc advance() { soma.gnabar_hh = soma.gnabar_hh * (1 - 0.001 * (soma.v(0.5) > -40))  fadvance() }"
        },
        'load = "cell.hoc"\nadvance = "advance()"',
        {"gna": GNA, "leak": LEAK},
        LOAD + SOMA + SET_GNA + 'for x in h.dend: x.g_pas = p["leak"]\ndef step():\n    assert h("advance()")\n',
    ),
}


def write(kind: Kind, folder: Path) -> Problem:
    """The model's files and its problem, to be simulated in fixed steps."""
    for name, text in kind.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    if kind.model:
        (folder / "problem.toml").write_text(_toml(kind))
        rows = [f"{name},{feature},1,1,{_unit(feature)}" for name in AMPLITUDES for feature in FEATURES]
        (folder / "measured.csv").write_text("\n".join(["protocol,feature,mean,sd,unit", *rows]) + "\n")
    return with_engine(load_problem(folder), ENGINE)


def _unit(feature: str) -> str:
    return "constant" if feature == "Spikecount" else "mV"


def _toml(kind: Kind) -> str:
    first, _, rest = kind.model.partition("\n[")
    text = f'measurements = "measured.csv"\n[model]\n{first}\ncelsius = {kind.celsius}\nv_init = -65\n'
    text += f"[{rest}\n" if rest else ""
    for name, (lines, bounds) in kind.parameters.items():
        text += f'[[parameter]]\nname = "{name}"\n{lines}\nbounds = [{bounds[0]}, {bounds[1]}]\n'
    for name, amplitude in AMPLITUDES.items():
        text += f'[protocol.{name}]\nkind = "step"\namplitude = {amplitude}\ndelay = 20\nduration = 40\ntotal = 80\n'
    return text


HEAD = """
import json, math, os, sys
import efel, numpy as np
from neuron import h

h.load_file("stdrun.hoc")


def by_hand(code, library, celsius, interval, p):
    if library:
        h.nrn_load_dll(library)
    h.celsius, h.v_init = celsius, -65
    names = {"h": h, "math": math, "p": p}
    exec(code, names)
    found = {}
    for protocol, amplitude in AMPLITUDES.items():
        clamp = h.IClamp(names["soma"](0.5))
        clamp.amp, clamp.delay, clamp.dur = amplitude, 20, 40
        t, v = h.Vector().record(h._ref_t), h.Vector().record(names["soma"](0.5)._ref_v)
        h.celsius, h.dt, h.secondorder = celsius, 0.025, 2
        names.get("start", lambda: h.finitialize(-65))()
        while h.t < 80 - 0.0125:
            names.get("step", h.fadvance)()
        trace = {"T": np.array(t), "V": np.array(v), "stim_start": [20.0], "stim_end": [60.0]}
        trace["stimulus_current"] = [amplitude]
        efel.reset()
        efel.set_setting("interp_step", interval)
        efel.set_setting("Threshold", -20.0)
        values = efel.get_feature_values([trace], FEATURES)[0]
        found |= {f"{protocol}.{key}": float(values[key][0]) for key in FEATURES if values[key] is not None}
        clamp = None
    return found


for folder, code, library, celsius, interval, p in json.load(sys.stdin):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.chdir(folder)
        os.dup2(2, 1)
        os.write(writing, json.dumps(by_hand(code, library, celsius, interval, p)).encode())
        os._exit(0)
    os.close(writing)
    print(os.fdopen(reading).read() or "null", flush=True)
    os.waitpid(child, 0)
"""


def by_hand(asked: Sequence[tuple[Problem, Kind, np.ndarray]]) -> list[dict[str, float]]:
    """What the scripts find, each in a process of its own: the features that are defined."""
    content = []
    for problem, kind, x in asked:
        library = build([problem.folder / name for name in kind.needs]) if kind.needs else None
        p = dict(zip(problem.names, map(float, x), strict=True))
        folder, interval = str(problem.folder), problem.efel_settings("hyp")["interp_step"]
        content.append([folder, kind.by_hand, library and str(library), problem.model.celsius, interval, p])
    done = subprocess.run(
        [sys.executable, "-c", f"AMPLITUDES, FEATURES = {AMPLITUDES!r}, {FEATURES!r}\n{HEAD}"],
        input=json.dumps(content),
        capture_output=True,
        text=True,
        env={**os.environ, "NEURON_MODULE_OPTIONS": "-nogui"},
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(content) and all(found), done.stderr[-2000:]
    return found


def unequal(stored: Mapping[str, float], found: Mapping[str, float]) -> list[str]:
    """The features on which gbar and a script do not agree."""
    return [
        f"{key}: {stored.get(key)} stored, {found.get(key)} by hand"
        for name in AMPLITUDES
        for key in (f"{name}.{feature}" for feature in FEATURES)
        if not math.isclose(stored.get(key, math.nan), found.get(key, math.nan), rel_tol=SAME)
        and not (math.isnan(stored.get(key, math.nan)) and key not in found)
    ]
