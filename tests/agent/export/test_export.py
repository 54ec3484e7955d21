"""Exports: the same numbers from NEURON and eFEL alone, and clear refusals. A fixture simulates, once."""

import ast
import importlib.metadata
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gbar.agent.export import export_solution, export_table
from gbar.agent.export.carry import carry, import_lines
from gbar.agent.export.chosen import hoc_string, literal, one_line
from gbar.agent.export.script import MEASURE
from gbar.agent.result import read_result, write_result
from gbar.sim import GbarError, Integrator, Measurement, Problem, load_problem, simulate
from tests import every_kind
from tests.problems import HH, ROOT, free, model_of, step_of, toml_of
from tests.runs import a_run, measured

LIMIT_S = 300.0  # two busy cores, and a compiler
NOT_NEEDED = ["sim", "agent", "surrogate", "jax", "jaxlib", "flax", "optax", "pydantic", "sklearn", "jinja2", "psutil"]
FREE = ["neuron", "efel"]
KINDS = ["hh", "motoneuron", "tree", "flat", "python", "rules", "swc", "module", "kinds"]

TREE = """
begintemplate Tree
public soma, dend, tuft
create soma, dend[3]
objref tuft
proc init() { local i
    for i = 0, 2 { connect dend[i](0), soma(1) }
    soma { L = 20  diam = 20  insert hh }
    for i = 0, 2 dend[i] { L = 100  diam = 2  nseg = 3 }
    for i = 1, 2 dend[i] { insert pas  g_pas = 1e-4 }
    tuft = new SectionList()
    for i = 0, 2 { dend[i] tuft.append() }
}
endtemplate Tree
"""
TREE_TOML = """
[model]
load = "parts/tree.hoc"
template = "Tree"
celsius = 6.3
v_init = -65

[[parameter]]
name = "leak of the tuft"
set = ["tuft.g_pas"]
bounds = [1e-5, 1e-3]
[[parameter]]
name = "Ra"
set = ["all.Ra"]
bounds = [50, 200]
[[parameter]]
name = "cm"
set = ["dend[1].cm", "soma.cm"]
bounds = [0.5, 2]
[[parameter]]
name = "diam"
set = ["dend.diam"]
bounds = [1, 4]
[[parameter]]
name = "L"
set = ["tuft[2].L"]
bounds = [50, 200]
[[parameter]]
name = "table"
set = ["global.usetable_hh"]
bounds = [-1, 1]
[[parameter]]
name = "gnabar"
set = ["all.gnabar_hh"]
bounds = [0.06, 0.3]

[protocol.step]
kind = "step"
amplitude = 0.5
delay = 30
duration = 40
total = 80
efel = { interp_step = 0.05 }
[simulation]
engine = "fixed"
"""
FLAT = """
create soma, dend[2]
for i = 0, 1 { connect dend[i](0), soma(1) }
soma { L = 20  diam = 20  insert hh }
for i = 0, 1 dend[i] { L = 100  diam = 2  insert pas }
"""
STEP = step_of(amplitude=0.3, delay=30, duration=40, total=80)
FLAT_TOML = toml_of(
    model_of(), free("g_pas", "dend[1].g_pas", 1e-5, 1e-3), free("gnabar", "soma.gnabar_hh", 0.06, 0.3), STEP
)
RULES = """
begintemplate Rules
public soma, dend, syn, gna, set_props
create soma, dend[2]
objref syn, stim
proc init() { local i
    soma { L = $1  diam = $1  insert hh  gkbar_hh = 0.036 * 3 ^ ((celsius - 6.3) / 10) }
    for i = 0, 1 dend[i] { L = 100  diam = 2  nseg = 4  insert pas  g_pas = 1e-4 }
    connect dend[0](0), soma(1)
    connect dend[1](0), dend[0](1)
    syn = new Exp2Syn()
    dend[0] syn.loc(0.5)
    stim = new IClamp()
    soma stim.loc(0.5)
    stim.amp = 5
    stim.del = 10
    stim.dur = 1e9
    gna = 0.12
}
proc set_props() { soma.gnabar_hh = gna  dend[0].nseg = 2 * int(30 * gna) + 1 }
endtemplate Rules
"""
RULES_TOML = """
[model]
load = "rules.hoc"
template = "Rules"
arguments = [20]
celsius = 16.3
v_init = -65
[model.insert]
"dend[1]" = ["hh"]
[model.values]
"dend[1].gnabar_hh" = 0.01
"dend.cm" = "1 + 0.001 * distance"

[[parameter]]
name = "gna"
set = ["cell.gna"]
apply = "cell.set_props()"
bounds = [0.06, 0.3]
[[parameter]]
name = "leak"
set = ["dend.g_pas"]
formula = "leak * exp(distance / reach)"
bounds = [1e-5, 1e-3]
scale = "log"
[[parameter]]
name = "reach"
bounds = [50, 200]
[[parameter]]
name = "share"
set = ["dend[1].gnabar_hh"]
mode = "scale"
bounds = [0.5, 2]
tied = { "dend[1].gkbar_hh" = "0.3 * share * gna" }
[[parameter]]
name = "far"
set = ["dend[150:].cm"]
bounds = [0.5, 2]
[[parameter]]
name = "decay"
set = ["dend.Exp2Syn.tau2"]
bounds = [1, 20]

"""
SWC = """1 1 0 -10 0 10 -1
2 1 0 10 0 10 1
3 3 0 11 0 1 2
4 3 0 120 0 0.8 3
5 2 0 -11 0 0.5 1
6 2 0 -90 0 0.4 5
7 4 10 0 0 1.5 2
8 4 150 0 0 1 7
9 4 200 40 0 0.7 8
10 4 200 -40 0 0.7 8
"""
INSERTED = """
[model.insert]
all = ["pas"]
somatic = ["hh"]
axonal = ["hh"]
[model.values]
"all.Ra" = 120
"apical.cm" = 2
"apical.g_pas" = "1e-4 * exp(distance / 300)"
"""
SWC_TOML = toml_of(
    model_of("cell.swc", axon="stub", d_lambda=0.2) + INSERTED,
    free("gnabar", ["somatic.gnabar_hh", "axonal.gnabar_hh"], 0.06, 0.3),
    free("leak", "apical.g_pas", 0.5, 2, mode="scale"),
    STEP,
)
MODULE_TOML = toml_of(
    model_of("cell.py:Cell", arguments=["b", 20]),
    free("gnabar", "soma.gnabar_hh", 0.06, 0.3),
    free("leak", "module.LEAK.soma", 1e-4, 1e-3, apply="module.spread(leak)"),
    STEP,
)
MODULE = """
from neuron import h
LEAK = {"soma": 3e-4}

class Cell:
    def __init__(self, name, length):
        self.soma = h.Section(name="soma", cell=self)
        self.soma.L = self.soma.diam = length
        self.soma.insert("hh")

def spread(leak):
    for section in h.allsec():
        section.gl_hh = (LEAK["soma"] + leak) / 2
"""
CELL_PY = """
import json
from dataclasses import dataclass
from neuron import h
from helper import sized

@dataclass
class Cell:
    soma: object

def build():
    return Cell(sized(h.Section(name="soma"), **json.load(open("size.json"))))
"""
HELPER = """
def sized(section, L, diam):
    section.L, section.diam = L, diam
    section.insert('hh')
    return section
"""
IMPORTABLE = """
import importlib, json, sys
found = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        found.append(name)
    except ImportError:
        pass
print(json.dumps(found))
"""


def simulated(run: Path, problem: Problem, x: Iterable[float], measurements: list[Measurement]) -> Path:
    """A run folder whose solution's features are NEURON's at the confirming accuracy."""
    problem = problem.model_copy(update={"measurements": tuple(measurements)})
    done = simulate(problem, [np.array(list(x))], integrator=Integrator.of(problem).tight(), traces=True)[0]
    assert done.status == "ok", done.reason
    run.mkdir(parents=True, exist_ok=True)
    traces = {
        f"{name}_{axis}": values for name, pair in done.traces.items() for axis, values in zip("tv", pair, strict=True)
    }
    np.savez(run / "kept.npz", **traces)  # type: ignore[arg-type]
    return a_run(run, problem, x, done.features, measurements)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small models of every way to load and to place, beside copies of the bundled ones."""
    base = tmp_path_factory.mktemp("models")
    for name in ("hh", "motoneuron"):
        shutil.copytree(ROOT / "models" / name, base / name)
    files = {
        "tree/problem.toml": TREE_TOML,
        "tree/parts/tree.hoc": TREE,
        "flat/problem.toml": FLAT_TOML,
        "flat/cell.hoc": FLAT,
        "python/problem.toml": FLAT_TOML.replace("cell.hoc", "cell.py:build").replace("dend[1].g_pas", "soma.cm"),
        "python/cell.py": CELL_PY,
        "python/helper.py": HELPER,
        "python/size.json": '{"L": 20, "diam": 20}',
        "rules/problem.toml": RULES_TOML + STEP,
        "rules/rules.hoc": RULES,
        "swc/problem.toml": SWC_TOML,
        "swc/cell.swc": SWC,
        "module/problem.toml": MODULE_TOML,
        "module/cell.py": MODULE,
    }
    for name, text in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)
    every_kind.write(base / "kinds")
    return base


@pytest.fixture(scope="module")
def runs(models: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each model, exported as python and, where it can be, as hoc, then moved to another place."""
    base = tmp_path_factory.mktemp("runs")
    step = ["step.Spikecount", "step.voltage_base", "step.AP_height", "step.AHP_depth_abs"]
    wanted = {
        "hh": (["hyperpolarise.AP_height", "fire.mean_frequency", "fire.AP_duration_half_width", "fire.AHP_duration"]),
        "motoneuron": [
            "hyperpolarise.voltage_base",
            "hyperpolarise.membrane_capacitance",
            "brief.AHP_half_decay_time",
            "brief.AHP_depth",
            "threshold.rheobase",
            "threshold.AP_begin_voltage",
            "fi.f_I_gain",
        ],
        "tree": step,
        "flat": step,
        "python": step,
        "rules": step,
        "swc": step,
        "module": step,
        "kinds": every_kind.MEASURED,
    }
    for name, keys in wanted.items():
        problem = load_problem(models / name, measured=False)
        x = problem.physical(np.full(len(problem.names), 0.55))
        if name == "tree":
            x[problem.names.index("table")] = 0.0
        run = simulated(base / name, problem, x, measured(problem, *keys))
        export_solution(run, 1, "python")
        export_solution(run, 1, "json")
        export_solution(run, 1, "hoc")
    away = tmp_path_factory.mktemp("sent away") / "to somebody"  # with a space
    shutil.move(base, away)
    for name in wanted:
        (away / name / "archive.sqlite").unlink()
    return {name: away / name for name in wanted}


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python with NEURON, eFEL and what they themselves require; nothing else is there to import."""
    folder = tmp_path_factory.mktemp("somebody")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    waiting, seen = list(FREE), set()
    while waiting:
        name = waiting.pop()
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform or Python
        if distribution.metadata["Name"] in seen:
            continue
        seen.add(distribution.metadata["Name"])
        required = [line for line in distribution.requires or [] if "extra ==" not in line]
        waiting += [re.split(r"[^\w.-]", line)[0] for line in required]
        here = Path(str(distribution.locate_file("")))
        for top in {Path(str(file)).parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(here / top)
    python = folder / "bin" / "python"
    tool = (Path(sys.executable).parent / "nrnivmodl").read_text().splitlines(keepends=True)
    (folder / "bin" / "nrnivmodl").write_text("".join([f"#!{python}\n", *tool[1:]]))
    (folder / "bin" / "nrnivmodl").chmod(0o755)
    return python


def elsewhere(command: list[object], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run in an unrelated folder, with nothing of this process' environment but where the compiler is."""
    tools = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != Path(sys.executable).parent)
    env = {"PATH": tools, "HOME": str(cwd), "NEURON_MODULE_OPTIONS": "-nogui", **environment}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT_S)


# ------------------------------------------------------------------------------------------------------------ python


@pytest.mark.neuron
def test_the_interpreter_has_neuron_and_efel_alone(interpreter: Path, tmp_path: Path) -> None:
    done = elsewhere([interpreter, "-I", "-c", IMPORTABLE, *FREE, *NOT_NEEDED], tmp_path)
    assert json.loads(done.stdout.splitlines()[-1]) == FREE, done.stderr


@pytest.mark.neuron
@pytest.mark.parametrize("name", KINDS)
def test_the_script_prints_the_same_numbers(
    runs: dict[str, Path], interpreter: Path, tmp_path: Path, name: str
) -> None:
    run = runs[name]
    done = elsewhere([interpreter, "-I", run / "solutions/01/run.py", "--json", "values.json"], tmp_path)
    assert done.returncode == 0, done.stderr
    result = read_result(run)
    solution = result.solutions[0]
    table = json.loads((tmp_path / "values.json").read_text())
    assert table["parameters"] == solution.parameters
    assert [f"{row['protocol']}.{row['feature']}" for row in table["features"]] == list(solution.z)
    printed = [line.split() for line in done.stdout.splitlines()[-len(result.measurements) :]]
    for row, words, m in zip(table["features"], printed, result.measurements, strict=True):
        value, z = solution.features[m.key], solution.z[m.key]
        assert (row["mean"], row["sd"], row["unit"]) == (m.mean, m.sd, m.unit)
        assert words[:6] == [m.protocol, m.feature, m.unit, f"{m.mean:g}", "±", f"{m.sd:g}"]
        if value is None or z is None:
            assert row["value"] is None and row["z"] is None and words[6:] == ["-", "-"]
        else:
            assert row["value"] == pytest.approx(value, rel=1e-6)
            assert row["z"] == pytest.approx(z, rel=1e-6)
            assert words[6:] == [f"{value:.5g}", f"{z:+.2f}"]


@pytest.mark.neuron
def test_the_runs_hold_defined_and_undefined_features(runs: dict[str, Path]) -> None:
    assert read_result(runs["hh"]).solutions[0].features["hyperpolarise.AP_height"] is None
    assert read_result(runs["tree"]).solutions[0].features["step.Spikecount"] == 4
    for name in ("motoneuron", "flat", "python", "rules", "swc", "module"):
        features = read_result(runs[name]).solutions[0]
        assert features.undefined == 0 and all(value != 0 for value in features.z.values())


@pytest.mark.neuron
@pytest.mark.slow
def test_a_built_script_does_not_build_again_and_says_when_it_should(
    runs: dict[str, Path], interpreter: Path, tmp_path: Path
) -> None:
    sent = shutil.copytree(runs["motoneuron"] / "solutions", tmp_path / "solutions")
    script, source = sent / "01/run.py", sent / "model/mod/naf.mod"
    shutil.rmtree(next(sent.glob("*/libnrnmech.*"), sent / "none").parent, ignore_errors=True)
    bare = elsewhere([interpreter, "-I", script], tmp_path, PATH=str(interpreter.parent))
    assert bare.returncode == 1
    assert len(bare.stderr.splitlines()) == 1 and "C++ compiler" in bare.stderr
    assert elsewhere([interpreter, "-I", script, "--help"], tmp_path, PATH="").returncode == 0
    whole = source.read_text()
    source.write_text(whole.replace("BREAKPOINT", "BREAKPOIN"))
    broken = elsewhere([interpreter, "-I", script], tmp_path)
    assert broken.returncode == 1
    assert "nrnivmodl cannot build" in broken.stderr.splitlines()[-1] and "Traceback" not in broken.stderr
    source.write_text(whole)
    first = elsewhere([interpreter, "-I", script], tmp_path)
    again = elsewhere([interpreter, "-I", script], tmp_path, PATH=str(interpreter.parent))  # no compiler
    assert "Building" in first.stderr and first.stdout
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")
    os.utime(source, (2e9, 2e9))
    stale = elsewhere([interpreter, "-I", script], tmp_path)
    assert stale.returncode == 1 and "newer" in stale.stderr and len(stale.stderr.splitlines()) == 1


# --------------------------------------------------------------------------------------------------------------- hoc


def in_neuron(folder: Path, hoc: str, tmp_path: Path) -> list[list[float]]:
    """Load solution.hoc in a NEURON without Python code of ours, then more hoc; returns the numbers it prints."""
    (tmp_path / "more.hoc").write_text(hoc + "\nquit()\n")
    nrniv = Path(sys.executable).parent / "nrniv"
    done = elsewhere([nrniv, "-nogui", "-nobanner", "solution.hoc", tmp_path / "more.hoc"], folder)
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("out ")]
    assert lines, done.stdout + done.stderr
    return [[float(word) for word in line] for line in lines]


PLACES: dict[
    str, dict[str, list[str]]
] = {  # as hoc names them, by hand: each parameter's every place, and what the parameters leave alone
    "motoneuron": {
        "gbar_naf_soma": ["cell.soma.gbar_naf"],
        "gbar_kdr_soma": ["cell.soma.gbar_kdr"],
        "gbar_can_soma": ["cell.soma.gbar_can"],
        "gbar_kca_soma": ["cell.soma.gbar_kca"],
        "gbar_naf_hillock": ["cell.hillock.gbar_naf"],
        "gbar_kdr_hillock": ["cell.hillock.gbar_kdr"],
        "gbar_nap_hillock": ["cell.hillock.gbar_nap"],
        "gbar_cal_dend2": ["cell.dend2.gbar_cal"],
        "gbar_h_dendrites": ["cell.dend1.gbar_h", "cell.dend2.gbar_h", "cell.dend3.gbar_h"],
        "g_pas_soma": ["cell.soma.g_pas", "cell.hillock.g_pas"],
        "g_pas_dendrites": ["cell.dend1.g_pas", "cell.dend2.g_pas", "cell.dend3.g_pas"],
        "rate_ca_removal": ["cell.soma.rate_capool"],
    },
    "hh": {
        "gnabar": [f"cell.axon.gnabar_hh({x})" for x in (0.1, 0.3, 0.5, 0.7, 0.9)],
        "gkbar": ["cell.axon.gkbar_hh(0.1)", "cell.axon.gkbar_hh(0.9)"],
        "gl": ["cell.axon.gl_hh(0.1)", "cell.axon.gl_hh(0.9)"],
    },
    "tree": {
        "leak of the tuft": [f"cell.dend[{i}].g_pas({x})" for i in (1, 2) for x in (0.17, 0.5, 0.83)],
        "Ra": ["cell.soma.Ra", "cell.dend[0].Ra", "cell.dend[1].Ra", "cell.dend[2].Ra"],
        "cm": ["cell.soma.cm", "cell.dend[1].cm(0.17)", "cell.dend[1].cm(0.83)"],
        "diam": [f"cell.dend[{i}].diam({x})" for i in (0, 1, 2) for x in (0.17, 0.83)],
        "L": ["cell.dend[2].L"],
        "table": ["usetable_hh"],
        "gnabar": ["cell.soma.gnabar_hh"],
    },
    "flat": {"g_pas": ["dend[1].g_pas"], "gnabar": ["soma.gnabar_hh"]},
}
UNTOUCHED: dict[str, dict[str, float]] = {
    "motoneuron": {"cell.soma.gbar_cal": 0, "cell.soma.gbar_h": 0.001 / 7, "cell.hillock.vam_naf": -52},
    "hh": {"cell.axon.el_hh": -54.3},
    "tree": {"cell.dend[0].cm": 1, "cell.dend[2].cm": 1, "cell.dend[1].L": 100, "cell.soma.diam": 20},
    "flat": {"dend[0].g_pas": 0.001, "soma.gkbar_hh": 0.036},
}


def built(runs: dict[str, Path], name: str) -> Path:
    """The folder of solution.hoc, its mechanisms built as its first lines say."""
    folder = runs[name] / "solutions/01"
    said = re.search(r"nrnivmodl (\S+)", (folder / "solution.hoc").read_text())
    if said and not next(folder.glob("*/libnrnmech.*"), None):
        straight = folder.parents[3] / "straight"  # nrnivmodl itself fails where a path has spaces
        straight = Path(str(straight).replace(" ", "_")) / name
        shutil.copytree(folder.parent, straight, dirs_exist_ok=True)
        nrnivmodl = Path(sys.executable).parent / "nrnivmodl"
        done = elsewhere([nrnivmodl, said[1]], straight / "01", PATH=os.environ["PATH"])
        assert done.returncode == 0, done.stderr
        return straight / "01"
    return folder


@pytest.mark.neuron
@pytest.mark.parametrize("name", PLACES)
def test_hoc_sets_every_place_and_no_other(models: Path, runs: dict[str, Path], tmp_path: Path, name: str) -> None:
    expected = read_result(runs[name]).solutions[0].parameters
    assert set(PLACES[name]) == set(expected)
    pairs = [(place, expected[key]) for key, listed in PLACES[name].items() for place in listed]
    pairs += list(UNTOUCHED[name].items())
    hoc = "\n".join(f'printf("out %.17g\\n", {place})' for place, _ in pairs)
    hoc += "\nif (cvode.active()) { x = cvode.atol() } else { x = dt }"
    hoc += '\nprintf("out %g %g %g %g\\n", celsius, v_init, cvode.active(), x)'
    *found, settings = in_neuron(built(runs, name), hoc, tmp_path)
    for (place, value), (said,) in zip(pairs, found, strict=True):
        assert said == pytest.approx(value, rel=1e-12), place
    model = tomllib.loads((models / name / "problem.toml").read_text())["model"]
    integrator = [0, 0.0025] if name == "tree" else [1, 1e-7]  # tree asks for fixed steps
    assert settings == [model["celsius"], model["v_init"], *integrator]


STIMULI = {  # a protocol, where its current goes in, where -20 mV is a spike
    "motoneuron": ("brief", "cell.hillock", "cell.soma"),
    "hh": ("fire", "cell.axon", "cell.axon"),
    "tree": ("step", "cell.soma", "cell.soma"),
    "flat": ("step", "soma", "soma"),
    "rules": ("step", "cell.soma", "cell.soma"),
    "python": ("step", "soma", "soma"),
    "swc": ("step", "soma[0]", "soma[0]"),
    "module": ("step", "soma", "soma"),
}


@pytest.mark.neuron
@pytest.mark.parametrize("name", STIMULI)
def test_hoc_rests_and_spikes_as_gbar_said(models: Path, runs: dict[str, Path], tmp_path: Path, name: str) -> None:
    protocol, at, record = STIMULI[name]
    stimulus = tomllib.loads((models / name / "problem.toml").read_text())["protocol"][protocol]
    amplitude, delay, duration, total = (stimulus[key] for key in ("amplitude", "delay", "duration", "total"))
    hoc = f"""
objref stim, counter
{at} stim = new IClamp(0.5)
stim.amp = {amplitude}
stim.del = {delay}
stim.dur = {duration}
{record} counter = new APCount(0.5)
counter.thresh = -20
tstop = {delay} - 0.5
run()
rest = {record}.v(0.5)
tstop = {total}
run()
printf("out %.12g %.12g\\n", rest, counter.time)
"""
    [[rest, spike]] = in_neuron(built(runs, name), hoc, tmp_path)
    kept = np.load(runs[name] / "kept.npz")
    t, v = kept[f"{protocol}_t"], kept[f"{protocol}_v"]
    rises = np.flatnonzero((v[:-1] < -20) & (v[1:] >= -20))
    assert len(rises) >= 1
    i = rises[-1]  # counter.time is the last spike's
    assert spike == pytest.approx(np.interp(-20, v[i : i + 2], t[i : i + 2]), abs=0.01)
    assert rest == pytest.approx(np.interp(delay - 0.5, t, v), abs=1e-3)


@pytest.mark.neuron
def test_hoc_writes_out_what_it_has_no_words_for(runs: dict[str, Path], tmp_path: Path) -> None:
    """Formulas, scales, ties, regions and calls as numbers, segment by segment."""
    x = read_result(runs["rules"]).solutions[0].parameters
    reach = [60.0, 160.0]  # µm from the middle of the soma to the middles of dend[0] and dend[1]
    nseg = 2 * int(30 * x["gna"]) + 1  # of dend[0], as set_props leaves it
    middle = 100 * ((int(0.375 * nseg) + 0.5) / nseg - 0.5)  # µm, of the segment that holds 0.375, from dend[0]'s own
    pairs = {
        "cell.gna": x["gna"],
        "cell.soma.gnabar_hh": x["gna"],
        "cell.dend[0].g_pas(0.375)": x["leak"] * math.exp((reach[0] + middle) / x["reach"]),
        "cell.dend[1].g_pas(0.875)": x["leak"] * math.exp((reach[1] + 37.5) / x["reach"]),
        "cell.dend[1].gnabar_hh(0.5)": 0.01 * x["share"],
        "cell.dend[1].gkbar_hh(0.5)": 0.3 * x["share"] * x["gna"],
        "cell.dend[1].cm(0.875)": x["far"],
        "cell.dend[1].cm(0.125)": 1 + 0.001 * (reach[1] - 37.5),
        "Exp2Syn[0].tau2": x["decay"],
        "IClamp[0].dur": 0.0,
    }
    hoc = "\n".join(f'printf("out %.17g\\n", {place})' for place in pairs)
    found = in_neuron(built(runs, "rules"), hoc, tmp_path)
    for (place, value), (said,) in zip(pairs.items(), found, strict=True):
        assert said == pytest.approx(value, rel=1e-12), place


def test_a_factor_is_written_as_one(runs: dict[str, Path]) -> None:
    share = read_result(runs["rules"]).solutions[0].parameters["share"]
    written = {name: (runs["rules"] / "solutions" / "01" / name).read_text() for name in ("run.py", "solution.hoc")}
    assert f"// share, {share:.6g} × model\n" in written["solution.hoc"]
    assert re.search(r'"share": [\d.]+,  # × model\n', written["run.py"])
    assert "# S/cm2" not in written["run.py"]
    (described,) = (runs["rules"] / "solutions" / "01").glob("*.json")
    assert json.loads(described.read_text())["parameters"]["share"]["unit"] == "× model"


@pytest.mark.neuron
def test_hoc_is_refused_where_sections_are_not_all(models: Path, tmp_path: Path) -> None:
    """A synapse made in Python is not written out: nothing is written at all."""
    folder = shutil.copytree(models / "module", tmp_path / "module")
    with (folder / "cell.py").open("a") as file:
        file.write("\nclass Cell(Cell):\n    def __init__(self, *given):\n        super().__init__(*given)\n")
        file.write("        self.syn = h.Exp2Syn(self.soma(0.5))\n")
    problem = load_problem(folder, measured=False)
    run = a_run(tmp_path / "run", problem, [0.1, 3e-4], {"step.AP_height": 3.0}, measured(problem, "step.AP_height"))
    with pytest.raises(GbarError, match=r"point processes \(Exp2Syn\[0\]\): export to python"):
        export_solution(run, 1, "hoc")
    assert not (run / "solutions").exists()


# -------------------------------------------------------------------------------------------------- json, model, text


@pytest.fixture
def hh(tmp_path: Path) -> tuple[Path, Path]:
    """A copy of models/hh and a run on it whose numbers nobody simulated."""
    folder = shutil.copytree(HH, tmp_path / "hh")
    problem = load_problem(folder, measured=False)
    features = {"fire.AP_height": 1.5, "fire.mean_frequency": math.nan, "fire.ISI_CV": 7.0}
    table = measured(problem, "fire.AP_height", "fire.mean_frequency")
    return folder, a_run(tmp_path / "run", problem, [0.1, 0.03, 3e-4], features, table)


def changed(run: Path, **changes: Any) -> None:
    write_result(run, read_result(run).model_copy(update=changes))


def test_json_round_trip(hh: tuple[Path, Path]) -> None:
    folder, run = hh
    assert export_solution(run, 1, "json") == [run / "solutions/01/parameters.json"]
    content = json.loads((run / "solutions/01/parameters.json").read_text(), parse_constant=pytest.fail)
    assert content["parameters"]["gkbar"] == {
        "value": 0.03,
        "unit": "S/cm2",
        "set": ["all.gkbar_hh"],
        "bounds": [0.018, 0.072],
    }
    assert list(content["parameters"]) == ["gnabar", "gkbar", "gl"]
    height, frequency = content["features"]
    assert height == {
        "protocol": "fire",
        "feature": "AP_height",
        "unit": "u",
        "mean": 1.25,
        "sd": 0.5,
        "value": 1.5,
        "z": 0.5,
    }
    assert frequency["value"] is None and frequency["z"] is None
    origin = content["provenance"]
    assert origin["model"]["identity"] == load_problem(folder, measured=False).identity()
    assert (origin["confirmed_by"], origin["seed"], origin["versions"]["neuron"]) == ("cvode atol 1e-07", 4, "9.0.2")
    assert (content["problem"], content["solution"], content["meets_all_measurements"]) == ("hh", 1, False)


def test_the_model_is_copied_without_what_is_not_model(models: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(models / "motoneuron", tmp_path / "cell")
    problem = load_problem(folder, measured=False)
    for name in ("mod/tables.h", "x86_64/libnrnmech.so", "runs/old/old.hoc", "measurements/more.dat", "sub/morph.swc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("//")
    table = measured(problem, "brief.AP_height")
    run = a_run(folder / "mine", problem, np.ones(12), {"brief.AP_height": 1.0}, table)  # among the model's files
    script, model = export_solution(run, 1, "python")
    assert (script, model) == (run / "solutions/01/run.py", run / "solutions/model")
    sources = {f"mod/{file.name}" for file in (folder / "mod").glob("*.mod")}
    copied = {file.relative_to(model).as_posix() for file in model.rglob("*") if file.is_file()}
    assert copied == {"motoneuron.hoc", "sub/morph.swc", "mod/tables.h"} | sources
    assert all((model / name).read_bytes() == (folder / name).read_bytes() for name in copied)
    export_solution(run, 1, "python")  # the export has not changed the model


def test_mechanisms_beside_the_problem_are_brought_in(models: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(models / "motoneuron", tmp_path / "cell")
    shutil.move(folder / "mod", tmp_path / "mod")
    toml = (folder / "problem.toml").read_text().replace('["mod"]', '["../mod"]')
    (folder / "problem.toml").write_text(toml)
    problem = load_problem(folder, measured=False)
    run = a_run(tmp_path / "run", problem, np.ones(12), {"brief.AP_height": 1.0}, measured(problem, "brief.AP_height"))
    script, model = export_solution(run, 1, "python", tmp_path / "out")
    assert (script, model) == (tmp_path / "out/run.py", tmp_path / "out/model")
    assert (model / "mechanisms_1/naf.mod").is_file()
    assert 'MECHANISMS = ["mechanisms_1"]' in shared(script) and 'HERE / "model"' in shared(script)


@pytest.mark.neuron
def test_no_file_names_this_machine(runs: dict[str, Path], models: Path) -> None:
    ours = [str(ROOT), str(models), sys.prefix, str(Path.home()) + "/", str(runs["hh"].parent)]
    texts = [
        file
        for run in runs.values()
        for kind in ("*.py", "*.hoc", "*.json")
        for file in run.glob(f"solutions/**/{kind}")
    ]
    assert len(texts) >= 14
    for file in texts:
        assert not [path for path in ours if path in file.read_text()], file


@pytest.mark.neuron
@pytest.mark.parametrize("name", KINDS)
def test_every_name_in_the_script_is_defined_and_used(runs: dict[str, Path], name: str) -> None:
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E4,E7,E9,I"]
    scripts = [runs[name] / "solutions/01/run.py", runs[name] / "solutions/gbar_measure.py"]
    done = subprocess.run([*command, *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def shared(script: Path) -> str:
    """The text of what run.py calls, which stands beside the model."""
    places = (script.parent, script.parent.parent)
    return next(folder / MEASURE for folder in places if (folder / MEASURE).is_file()).read_text()


def test_solutions_share_the_script_that_measures_them(runs: dict[str, Path]) -> None:
    solutions = runs["hh"] / "solutions"
    assert len((solutions / "01/run.py").read_text().splitlines()) < 40
    assert [file.parent for file in solutions.rglob(MEASURE)] == [solutions]


def test_only_what_the_problem_needs_is_carried(hh: tuple[Path, Path]) -> None:
    text = shared(export_solution(hh[1], 1, "python")[0])
    assert "def step(" in text
    for name in ("rheobase(", "f_I_gain", "after_hyperpolarisation", "load_mechanisms", "pydantic"):
        assert name not in text


def test_hostile_words_stay_words(hh: tuple[Path, Path]) -> None:
    _, run = hh
    bad = '"""\nimport os\n*/ \\ {{ 1 }} {% x %}'
    table = [m.model_copy(update={"unit": bad}) for m in read_result(run).measurements]
    changed(run, problem=bad, measurements=table, versions={"gbar": bad})
    script = export_solution(run, 1, "python")[0]
    text = shared(script)
    names: dict[str, Any] = {}
    start = text.index("MEASUREMENTS = [")
    exec(text[start : text.index("\n]\n", start) + 3], names)
    assert [row[4] for row in names["MEASUREMENTS"]] == [bad, bad]
    for source in (text, script.read_text()):
        assert not re.search(r"^import os\n\*", source, re.M)
        compile(source, "run.py", "exec")
    assert json.loads(export_solution(run, 1, "json")[0].read_text())["problem"] == bad


@pytest.mark.parametrize("word", ['"', "\\", "a\nb", "'", "µ\u2028", "\x00", '"""', "\\N{x}"])
def test_words_as_source(word: str) -> None:
    assert eval(literal({word: [word, 1e-7, None]})) == {word: [word, 1e-7, None]}
    assert len(one_line(word).splitlines() or [""]) == 1
    assert '"' not in one_line(word) and "\\" not in one_line(word)
    assert re.fullmatch(r'"(\\.|[^"\\])*"', hoc_string(word), re.S)


def test_carried_source_runs_by_itself() -> None:
    carried = carry([("gbar.sim.errors", "nearest")])
    assert carried.imports == {("difflib", None), ("collections.abc", "Iterable")}
    names: dict[str, Any] = {}
    exec("\n".join([*import_lines(carried.imports), *carried.sections.values()]), names)
    assert names["nearest"]("gbr", ["gbar", "other"]) == " (nearest: 'gbar')"
    assert "GbarError" not in names


def test_exporting_loads_neither_jax_nor_neuron(hh: tuple[Path, Path]) -> None:
    script = (
        "import sys; from gbar.agent.export import export_solution; export_solution(sys.argv[1], 1, 'python'); "
        "print(*({'jax', 'neuron', 'gbar.agent.export'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script, hh[1]], capture_output=True, text=True, env=env)
    assert done.stdout.split() == ["gbar.agent.export"], done.stderr


# ------------------------------------------------------------------------------------------------------- which, errors


FORMS = {
    "hoc": "solution.hoc",
    "python": "run.py",
    "json": "parameters.json",
    "bluepyopt": "bluepyopt.json",
    "csv": "solutions.csv",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_no_export_wrote_is_not_written_over(hh: tuple[Path, Path], tmp_path: Path, form: Any) -> None:
    """An export's own file is."""

    def export(out: Path) -> list[Path]:
        return export_table(run, form, out) if form == "csv" else export_solution(run, 1, form, out)

    (_, run), out = hh, tmp_path / "mine"
    out.mkdir()
    for content in ("print('my own')\n", "", "{}", '{"a": 1}', "solution,x\n"):
        (out / FORMS[form]).write_text(content)
        with pytest.raises(GbarError, match=f"{FORMS[form]}: is there already, and no export wrote it: name another"):
            export(out)
        assert [file.name for file in out.iterdir()] == [FORMS[form]]
        assert (out / FORMS[form]).read_text() == content
    (out / FORMS[form]).unlink()
    written = export(out)
    before = written[0].read_bytes()
    assert export(out) == written and written[0].read_bytes() == before


@pytest.mark.parametrize(("name", "form"), [(MEASURE, "python"), ("model/hh.hoc", "python"), ("model", "hoc")])
def test_nor_what_lies_where_the_model_goes(hh: tuple[Path, Path], tmp_path: Path, name: str, form: Any) -> None:
    (_, run), mine = hh, tmp_path / "mine" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("my own")
    with pytest.raises(GbarError, match="is there already, and no export"):
        export_solution(run, 1, form, tmp_path / "mine")
    assert mine.read_text() == "my own" and [file for file in (tmp_path / "mine").rglob("*") if file.is_file()] == [
        mine
    ]


def test_zero_is_the_nearest(hh: tuple[Path, Path]) -> None:
    _, run = hh
    nearest = (
        read_result(run).solutions[0].model_copy(update={"parameters": {"gnabar": 0.2, "gkbar": 0.04, "gl": 2e-4}})
    )
    changed(run, solutions=[], nearest=nearest, status="out of budget")
    script = export_solution(run, 0, "python")[0]
    assert script == run / "solutions/00/run.py"
    assert '"gnabar": 0.2,  # S/cm2' in script.read_text()
    assert script.read_text().splitlines()[1].startswith('"""The nearest parameter set for hh: 1 feature not defined')
    with pytest.raises(GbarError, match="no solutions: 0 stands for the nearest"):
        export_solution(run, 1, "python")
    changed(run, nearest=None)
    with pytest.raises(GbarError, match="no nearest parameter set"):
        export_solution(run, 0, "python")


@pytest.mark.parametrize("number", [2, -1])
def test_a_number_out_of_range_names_how_many_there_are(hh: tuple[Path, Path], number: int) -> None:
    with pytest.raises(GbarError, match=f"no solution {number}: there are 1, numbered from 1"):
        export_solution(hh[1], number, "json")


def remove_the_problem(folder: Path, run: Path) -> None:
    shutil.rmtree(folder)


def remove_the_toml(folder: Path, run: Path) -> None:
    (folder / "problem.toml").unlink()


def edited(name: str, old: str, new: str, *, archive: bool = True) -> Callable[[Path, Path], None]:
    def edit(folder: Path, run: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))
        if not archive:
            (run / "archive.sqlite").unlink()

    return edit


def rename_a_protocol(folder: Path, run: Path) -> None:
    edited("problem.toml", "protocol.fire", "protocol.burn", archive=False)(folder, run)
    edited("problem.toml", 'measurements = "', '# "')(folder, run)


def spoil_the_archive(folder: Path, run: Path) -> None:
    (run / "archive.sqlite").write_bytes(b"not a database at all" * 100)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (remove_the_problem, "is gone"),
        (remove_the_toml, "cannot be read any more: no problem at"),
        (edited("hh.hoc", "gkbar_hh = 0.036", "gkbar_hh = 0.04"), "a model file, .* has changed since"),
        (edited("problem.toml", "amplitude = 2.0", "amplitude = 2.5"), "a protocol has changed since"),
        (edited("problem.toml", '"gl"', '"leak"', archive=False), "the free parameters have changed since"),
        (rename_a_protocol, "'fire' is gone"),
        (edited("measurements/squid.csv", "fire,", "burn,"), "run: .* cannot be read any more: .* no protocol 'burn'"),
        (edited("problem.toml", "# gbar tune", "simulation = {atol = 1e-9}\n#"), r"\[simulation\] has changed since"),
        (spoil_the_archive, "cannot be read as the run's archive"),
    ],
)
def test_a_problem_that_is_gone_or_changed_is_refused(
    hh: tuple[Path, Path], change: Callable[[Path, Path], None], said: str
) -> None:
    folder, run = hh
    change(folder, run)
    with pytest.raises(GbarError, match=said) as caught:
        export_solution(run, 1, "json")
    assert "\n" not in str(caught.value)
    assert not (run / "solutions").exists()


def test_what_does_not_decide_a_simulation_may_change(hh: tuple[Path, Path]) -> None:
    folder, run = hh
    edited("problem.toml", "bounds = [0.06, 0.24]", "bounds = [0.05, 0.25]")(folder, run)
    assert export_solution(run, 1, "json")


@pytest.mark.parametrize("place", ["", "exported", "sub/folder"])
def test_an_export_never_becomes_part_of_the_model(hh: tuple[Path, Path], place: str) -> None:
    folder, run = hh
    before = load_problem(folder, measured=False).identity()
    with pytest.raises(GbarError, match="lies among the model's files"):
        export_solution(run, 1, "python", folder / place)
    export_solution(run, 1, "python", folder / "solutions" / "01")
    assert load_problem(folder, measured=False).identity() == before


def test_other_refusals(hh: tuple[Path, Path], tmp_path: Path) -> None:
    _, run = hh
    with pytest.raises(GbarError, match=r"no result\.json"):
        export_solution(tmp_path, 1, "json")
    with pytest.raises(GbarError, match="expected hoc, python, json, bluepyopt, csv, parquet or methods"):
        export_solution(run, 1, "matlab")  # type: ignore[arg-type]
    (tmp_path / "file").write_text("")
    with pytest.raises(GbarError, match="cannot be written"):
        export_solution(run, 1, "json", tmp_path / "file")


@pytest.mark.parametrize("text", ["a\nb", '"', "\\", "\r\n\t", "é🧠\n", "\x1b[31m", "\ud800", "'''\"\"\"", "{{ x }}"])
def test_text_of_any_letters_is_one_string_in_python_and_hoc(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text
    written = hoc_string(text)
    inner = written[1:-1].replace("\\\\", "").replace('\\"', "")
    assert written.isprintable() and '"' not in inner
    assert hoc_string("a\nb") == '"a\\nb"'
