"""`gbar init`: from folders as modellers have them to a problem that passes `gbar check` as it was written."""

import math
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gbar.scripts.main import app
from gbar.sim import GbarError, Parameter, load_problem
from gbar.sim.setup import effects, initial
from gbar.sim.setup.advice import notes
from gbar.sim.setup.candidates import find_candidates
from gbar.sim.setup.effects import looked_at
from gbar.sim.setup.initial import begin
from gbar.sim.setup.proposal import propose_parameters
from gbar.sim.setup.survey import Response, Section, Survey, Variable
from tests.problems import MOTONEURON

pytestmark = pytest.mark.neuron

Write = Callable[..., Path]

TEMPLATE = """
begintemplate Neuron
public soma, dend, tuft
create soma, dend[3]
objref tuft, file
strdef shape
proc init() { local i
    shape = $s1
    file = new File()
    if (!file.ropen(shape)) { execerror("no morphology", shape) }
    for i = 0, 2 { connect dend[i](0), soma(1) }
    soma { L = 20  diam = 20  insert hh }
    for i = 0, 2 dend[i] { L = 100  diam = 2  insert pas  g_pas = 1e-4 * (i + 1) }
    tuft = new SectionList()
    for i = 1, 2 { dend[i] tuft.append() }
}
endtemplate Neuron
"""
FLAT = """
load_file("nrngui.hoc")
load_file("parts/cell.hoc")
xpanel("Figures")
xbutton("Figure 1", "run()")
xpanel()
"""
PARTS = """
create soma, axon
access soma
soma { L = 20  diam = 20  insert hh }
axon { L = 300  diam = 1  nseg = 5  insert hh  gnabar_hh = 0.2  for (x, 0) gkbar_hh(x) = 0.03 + 0.01*x }
connect axon(0), soma(1)
objref stim
soma stim = new IClamp(0.5)
stim.amp = 1
stim.dur = 5
celsius = 20
"""
CLASS = """
from neuron import h

class Point:
    def __init__(self, x):
        self.x = x

class PyramidalCell:
    def __init__(self, gid=0):
        self.soma = h.Section(name="soma", cell=self)
        self.soma.L = self.soma.diam = 20
        self.soma.insert("hh")
        self.dend = h.Section(name="dend", cell=self)
        self.dend.L, self.dend.diam, self.dend.nseg = 200, 2, 5
        self.dend.insert("pas")
        self.dend.connect(self.soma)
"""
OUTER = """
begintemplate Traced
public all, somatic, axonal, basal, apical, soma, dend
create soma[1], dend[1]
objref all, somatic, axonal, basal, apical, this
proc init() { localobj reader, made, filling
    all = new SectionList()
    somatic = new SectionList()
    axonal = new SectionList()
    basal = new SectionList()
    apical = new SectionList()
    reader = new Import3d_SWC_read()
    reader.quiet = 1
    reader.input($s1)
    made = new Import3d_GUI(reader, 0)
    made.instantiate(this)
    filling = new Biophysics()
    filling.fill(this)
}
endtemplate Traced
"""
STEPPER = """
NEURON { SUFFIX stepper  NONSPECIFIC_CURRENT i  RANGE gbar }
PARAMETER { gbar = 1e-6 (S/cm2)  e = -65 (mV)  dt (ms) }
ASSIGNED { v (mV)  i (mA/cm2) }
STATE { n }
INITIAL { n = 1 }
BREAKPOINT { SOLVE states  i = gbar * n * (v - e) }
PROCEDURE states() { n = n + (1 - exp(-dt)) * (1 - n) }
"""
INNER = """
begintemplate Biophysics
public fill
proc fill() { forsec $o1.all { insert pas  g_pas = 2e-4 } }
endtemplate Biophysics
"""
SWC = "1 1 0 -10 0 10 -1\n2 1 0 10 0 10 1\n3 3 0 11 0 1 2\n4 3 0 300 0 0.8 3\n"
KINDS: dict[str, dict[str, str]] = {
    "template": {"cell.hoc": TEMPLATE, "shape.swc": SWC},
    "flat": {"mosinit.hoc": FLAT, "parts/cell.hoc": PARTS},
    "class": {"model.py": CLASS, "analysis.py": "import os\ndef cell():\n    pass\n"},
    "morphology": {"m/cell.swc": SWC},
}
MODEL = {
    "template": {"load": "cell.hoc", "template": "Neuron", "arguments": ["shape.swc"], "celsius": 6.3},
    "flat": {"load": "mosinit.hoc", "celsius": 20},
    "class": {"load": "model.py:PyramidalCell", "celsius": 6.3},
    "morphology": {
        "load": "m/cell.swc",
        "celsius": 6.3,
        "insert": {"all": ["pas"]},
        "values": {"all.g_pas": 1e-4, "all.e_pas": -70.0},
    },
}
PARAMETERS: dict[str, dict[str, Any]] = {  # name -> set, model's value or None for a scale
    "template": {
        "gkbar_hh_soma": ["soma.gkbar_hh"],
        "gl_hh_soma": ["soma.gl_hh"],
        "gnabar_hh_soma": ["soma.gnabar_hh"],
        "g_pas_dend": ["dend.g_pas"],
    },
    "flat": {
        "gkbar_hh_axon": ["axon.gkbar_hh"],
        "gkbar_hh_soma": ["soma.gkbar_hh"],
        "gl_hh": ["all.gl_hh"],
        "gnabar_hh_axon": ["axon.gnabar_hh"],
        "gnabar_hh_soma": ["soma.gnabar_hh"],
    },
    "class": {
        "gkbar_hh_soma": ["soma.gkbar_hh"],
        "gl_hh_soma": ["soma.gl_hh"],
        "gnabar_hh_soma": ["soma.gnabar_hh"],
        "g_pas_dend": ["dend.g_pas"],
    },
    "morphology": {"g_pas": ["all.g_pas"]},
}
SCALED = {"template": ["g_pas_dend"], "flat": ["gkbar_hh_axon"], "class": [], "morphology": []}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_check(write: Write, kind: str) -> None:
    """Each kind of model: what it is, what could be free, protocols sized by its response; then check, unedited."""
    folder = write(kind, **KINDS[kind])
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    begun = begin(folder)
    written = tomllib.loads((folder / "problem.toml").read_text())
    model = {key: value for key, value in written["model"].items() if key != "v_init"}
    assert model == MODEL[kind]
    assert {p["name"]: p["set"] for p in written["parameter"]} == PARAMETERS[kind]
    assert [p["name"] for p in written["parameter"] if p.get("mode") == "scale"] == SCALED[kind]
    fires = kind != "morphology"
    assert set(begun.protocols) == ({"hyperpolarise", "threshold", "fire", "brief"} if fires else {"hyperpolarise"})
    problem = load_problem(folder, measured=False)
    said = list(notes(problem, looked_at(problem)))
    assert "no measurements yet: gbar tune needs a table of them" in said
    assert not [note for note in said if "changes nothing" in note or "outside its bounds" in note]
    if kind == "template":  # the command itself, which also settles the engine
        ran = CliRunner().invoke(app, ["check", str(folder)])
        assert (ran.exit_code, ran.stderr) == (0, ""), ran.stderr
    assert {file: file.read_bytes() for file in before} == before
    assert {file.name for file in folder.rglob("*") if file.is_file() and file not in before} == {
        *("problem.toml", "measurements.csv")
    }
    with pytest.raises(GbarError, match=r"no measurements in it: expected one row"):
        load_problem(folder)
    with pytest.raises(GbarError, match=r"is there already: gbar init never overwrites one"):
        begin(folder)


def test_the_table_of_a_rig_decides_the_protocols(tmp_path: Path) -> None:
    """Protocols get the names that the table has, each of the kind that its features were measured with."""
    folder = tmp_path / "cell"
    shutil.copytree(MOTONEURON / "mod", folder / "mod")
    shutil.copy(MOTONEURON / "motoneuron.hoc", folder)
    rows = [
        *("Rin test,ohmic_input_resistance,1.7,0.5,MOhm", "recruitment,rheobase,8,4.7,nA"),
        *("AHP,AHP_depth,-1.5,0.9,mV", "AHP,AP_amplitude_from_voltagebase,77,12,mV"),
        *("gain,f_I_gain,2.5,1,Hz/nA", "sustained,mean_frequency,20,5,Hz"),
    ]
    (folder / "rig.csv").write_text("protocol,feature,mean,sd,unit\n" + "\n".join(rows) + "\n")
    begun = begin(folder)
    problem = load_problem(folder)
    assert [m.key for m in problem.measurements] == [".".join(row.split(",")[:2]) for row in rows]
    kinds = {name: protocol.kind for name, protocol in problem.protocol.items()}
    assert kinds["Rin test"] == "step" and problem.protocol["Rin test"].amplitude < 0  # type: ignore[union-attr]
    assert (kinds["recruitment"], kinds["AHP"], kinds["gain"], kinds["sustained"]) == (
        "rheobase",
        "pulse",
        "fi",
        "step",
    )
    assert begun.table == folder / "rig.csv" and not (folder / "measurements.csv").exists()
    text = (folder / "problem.toml").read_text()
    assert 'set = ["soma.rate_capool"]' in text and "# 8 mA/cm2/mM" in text  # there to be freed
    assert begun.parameters == 12


def test_no_table_is_ignored_or_written_over(write: Write) -> None:
    """A table as a spreadsheet saves it is used; one that cannot be read stays as it is, and why is said."""
    german = "Protokoll;feature;mean;sd;unit\nRin test;ohmic_input_resistance;80,5;5,5;MOhm\n"
    folder = write("cell", **{"model.py": CLASS, "measurements.csv": german, "current.csv": "t_ms,i_nA\n0,0\n1,1\n"})
    begun = begin(folder)
    assert (folder / "measurements.csv").read_text() == german
    assert begun.table == folder / "measurements-2.csv" and "ohmic_input_resistance" in begun.table.read_text()
    said = [remark for remark in begun.remarks if "not taken for measurements" in remark]
    assert len(said) == 2 and "current.csv: unknown column 't_ms'" in said[0]
    assert "measurements.csv: unknown column 'Protokoll' (nearest: 'protocol')" in said[1]
    (folder / "problem.toml").unlink()
    begun.table.unlink()
    (folder / "rig.csv").write_text(german.replace("Protokoll", "Protocol"), encoding="utf-16")
    begun = begin(folder)
    assert begun.table == folder / "rig.csv" and not (folder / "measurements-2.csv").exists()
    (measured,) = load_problem(folder).measurements
    assert (measured.key, measured.mean, measured.sd) == ("Rin test.ohmic_input_resistance", 80.5, 5.5)


def test_candidates_in_the_order_in_which_to_try_them(write: Write) -> None:
    folder = write("many", **{**KINDS["flat"], **KINDS["class"], **KINDS["template"]})
    assert [str(c) for c in find_candidates(folder)] == [
        "cell.hoc, template Neuron",
        "model.py:PyramidalCell",
        "mosinit.hoc",
        "parts/cell.hoc",
        "shape.swc",
    ]


def test_a_candidate_that_does_not_load_is_passed_over(write: Write) -> None:
    """What does not load is written down with the reason, and the next one taken; --load names another."""
    folder = write("two", **{"a.hoc": TEMPLATE, "model.py": CLASS})  # the template's morphology is missing
    assert begin(folder).loaded == "model.py:PyramidalCell"
    assert "# also here: a.hoc, template Neuron (does not load: " in (folder / "problem.toml").read_text()
    (folder / "problem.toml").unlink()
    with pytest.raises(GbarError, match=r"no model in it loads: a.hoc, template Neuron: .*no morphology"):
        begin(folder, "a.hoc")
    assert not (folder / "problem.toml").exists()


NOTHING: dict[str, tuple[dict[str, str], str]] = {
    "nothing at all": ({"notes.txt": "x"}, "nothing that could be a model"),
    "a Python file about something else": ({"plot.py": "import os\ndef cell():\n    pass\n"}, "nothing that could be"),
    "a MOD that does not compile": (
        {"mod/x.mod": "NEURON { SUFFIX x }\nPARAMETER { g = }\n", "cell.hoc": "create soma\n"},
        "x.mod, line 2: does not compile",
    ),
    "a loader that stops": (
        {"cell.hoc": 'create soma\nexecerror("on purpose", "")\n'},
        "no model in it loads: cell.hoc",
    ),
    "a loader that ends the process": ({"cell.hoc": "create soma\nquit()\n"}, "no model in it loads: cell.hoc"),
}


def test_a_template_that_makes_another_ones_object(write: Write) -> None:
    """The file of the other template is loaded first, as is NEURON's own importer; neither is loaded by the model."""
    folder = write("two files", **{"cell.hoc": OUTER, "parts/biophysics.hoc": INNER, "shape.swc": SWC})
    assert begin(folder).loaded == "cell.hoc, template Traced"
    model = tomllib.loads((folder / "problem.toml").read_text())["model"]
    assert model["requires"] == ["import3d.hoc", "parts/biophysics.hoc"]
    found = looked_at(load_problem(folder, measured=False))
    assert found.model.parameters["g_pas"].value == pytest.approx(2e-4)


def test_a_mechanism_that_cvode_refuses(write: Write) -> None:
    """One that integrates by itself is simulated with fixed steps from the first table on."""
    own = PARTS.replace("insert hh  gnabar", "insert hh  insert stepper  gnabar")
    begin(folder := write("stepper", **{"cell.hoc": own, "stepper.mod": STEPPER}))
    problem = load_problem(folder, measured=False)
    assert problem.simulation.confirm == "fixed"
    assert "#hyperpolarise,voltage_base," in (folder / "measurements.csv").read_text()


def test_limits_fit_the_pace_of_a_model(write: Write) -> None:
    """time_limit is written where the usual one would end what confirms a solution, and has room to spare."""
    begin(folder := write("flat", **KINDS["flat"]))
    problem = load_problem(folder, measured=False)
    assert problem.simulation.time_limit == 60
    searched, others = problem.protocol["threshold"], [p.total for p in problem.protocol.values()]  # type: ignore[union-attr]
    runs = 3 + math.log2((searched.bounds[1] - searched.bounds[0]) / searched.precision)  # type: ignore[union-attr]
    once = sum(others) + runs * searched.total  # type: ignore[union-attr]  # ms

    def limit(variable_step: bool, pace: float) -> tuple[str | None, float]:
        response = Response(rest=-65.0, resistance=100.0, pace=pace)
        found = Survey.model_construct(variable_step=variable_step, response=response)
        written = tomllib.loads("\n".join(initial._simulation(problem, found))).get("simulation", {})
        return written.get("confirm"), written.get("time_limit", 60.0)

    assert limit(True, 1 / once) == (None, 60)  # one second
    assert limit(False, 1 / once) == ("fixed", 60)  # ten
    assert limit(True, 100 / once) == (None, 300)
    assert limit(False, 100 / once) == ("fixed", 3000)


def test_a_table_without_values_says_why(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(initial, "OWN_S", 0.0)
    begun = begin(folder := write("flat", **KINDS["flat"]))
    assert begun.remarks[1:] == [
        "none of the model's own values are in the table: it was simulated for 0 s and was not done; "
        "gbar measure waits for time_limit"
    ]
    table = (folder / "measurements.csv").read_text()
    assert "# Where MEAN stands, the model's own value is not there: it was simulated for 0 s" in table
    assert "#hyperpolarise,voltage_base,MEAN,SD,mV" in table and "#threshold,rheobase,MEAN,SD,nA" in table


def test_a_slow_model_is_not_searched_for_its_rheobase(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen simulations more than the others together: its rows are there without a value, and say why."""
    monkeypatch.setattr(initial, "_seconds", lambda problem, found: 200.0)
    begun = begin(folder := write("flat", **KINDS["flat"]))
    table = (folder / "measurements.csv").read_text()
    assert "#threshold,rheobase,MEAN,SD,nA" in table and "MEAN" not in table.partition("#fire,")[2]
    why = "the search for a rheobase takes this model too long"
    assert begun.remarks[1:] == [f"some of the model's own values are in the table: {why}"] and why in table
    assert load_problem(folder, measured=False).simulation.time_limit == 600.0


def test_a_search_for_a_current_that_was_stopped(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said where the protocols are, and on the terminal."""
    seen = initial.ask

    def slow(function: str, content: Any, limit_s: float) -> Any:
        found = seen(function, content, limit_s)
        found["response"] |= {"rheobase": None, "brief": None, "stopped": 150.0}
        return found

    monkeypatch.setattr(initial, "ask", slow)
    folder = write("flat", **KINDS["flat"])
    ran = CliRunner().invoke(app, ["init", str(folder)])
    said = "no current that fires was found within 150 s: add a protocol with one that you know"
    assert f"Note:       {said}" in ran.stdout and f"# {said}" in (folder / "problem.toml").read_text()


def test_parameters_there_was_no_time_for_are_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither taken for ones that act nor for ones that do not."""
    begin(folder := write("flat", **KINDS["flat"]))
    problem = load_problem(folder, measured=False)
    monkeypatch.setattr(effects, "SHORT_S", 0.0)
    found = looked_at(problem)
    assert (found.inert, found.untried) == ([], list(problem.names))
    assert [note for note in notes(problem, found) if note.endswith(", ".join(problem.names))]
    monkeypatch.setattr(effects, "SHORT_S", 20.0)
    monkeypatch.setattr(effects, "PROTOCOLS_S", 0.0)
    nothing = {"name": "nothing", "set": [], "bounds": (0.0, 1.0)}
    more = problem.model_copy(update={"parameter": (*problem.parameter, Parameter.model_validate(nothing))})
    found = looked_at(more)
    assert (found.inert, found.untried) == ([], ["nothing"])


def test_a_current_from_a_file_keeps_nobody_from_trying_parameters(write: Write) -> None:
    """What is read from files stays out of what another process is told."""
    begin(folder := write("flat", **KINDS["flat"], **{"noise.csv": "t_ms,i_nA\n0,0\n100,0.1\n"}))
    with (folder / "problem.toml").open("a") as stream:
        stream.write(
            '[protocol.noise]\nkind = "waveform"\nfile = "noise.csv"\ndelay = 50\nduration = 50\ntotal = 100\n'
        )
    assert effects._moved(load_problem(folder, measured=False)) == ([], [])


def test_bare_sections_are_passed_over(write: Write) -> None:
    """A file that only has a shape leaves nothing to tune: said so, and the next one taken."""
    folder = write("bare", **{"a.hoc": "create soma\nsoma { L = 20  diam = 20 }\n", "b.hoc": PARTS})
    assert begin(folder).loaded == "b.hoc"
    assert "# also here: a.hoc (does not load: its sections hold no mechanism" in (folder / "problem.toml").read_text()
    (folder / "problem.toml").unlink()
    with pytest.raises(GbarError, match=r"no model in it loads: a.hoc: its sections hold no mechanism"):
        begin(folder, "a.hoc")


@pytest.mark.parametrize("case", NOTHING)
def test_nothing_to_begin_with(write: Write, case: str) -> None:
    files, wanted = NOTHING[case]
    folder = write("cell", **files)
    before = sorted(folder.rglob("*"))
    with pytest.raises(GbarError) as caught:
        begin(folder)
    assert wanted in str(caught.value) and "\n" not in str(caught.value)
    assert sorted(folder.rglob("*")) == before


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(GbarError, match="no folder at"):
        begin(tmp_path / "nowhere")


def test_a_table_that_cannot_be_read_is_not_written_over(write: Write) -> None:
    folder = write("m", **{"cell.hoc": PARTS, "measurements.csv": "Protokoll;Merkmal;Mittel\nstufe;Rin;120\n"})
    begun = begin(folder)
    assert (folder / "measurements.csv").read_text() == "Protokoll;Merkmal;Mittel\nstufe;Rin;120\n"
    assert begun.table == folder / "measurements-2.csv"
    assert 'measurements = "measurements-2.csv"' in begun.toml.read_text()
    assert any("not taken for measurements" in r and "measurements.csv" in r for r in begun.remarks)


def test_init_that_fails_leaves_what_was_there(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write("m", **{"cell.hoc": PARTS, "measurements.csv": "mine\n"})

    def fail(problem: object) -> None:
        (folder / "measurements-2.csv").write_text("of somebody else")  # meanwhile
        raise KeyboardInterrupt

    monkeypatch.setattr(initial, "_own_values", fail)
    with pytest.raises(KeyboardInterrupt):
        begin(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["cell.hoc", "measurements-2.csv", "measurements.csv"]


IN_PARTS = {  # the sub-file has the name that is tried first, and a leak; the whole is the file that loads it
    "model.hoc": "create soma, dend\nconnect dend(0), soma(1)\nsoma { L = 20 diam = 20 }\nforall { insert pas }\n",
    "channels.hoc": "soma { insert hh }\n",
    "full.hoc": 'xopen("model.hoc")\nxopen("channels.hoc")\n',
    "figure.hoc": "// not loaded by the model\ncelsius = 36\n",
}


def test_the_file_that_loads_the_others_is_the_model(write: Write) -> None:
    folder = write("parts", **IN_PARTS)
    begun = begin(folder)
    assert (begun.loaded, begun.others) == ("full.hoc", ["model.hoc"])
    assert "full.hoc was taken: it loads model.hoc" in begun.remarks
    text = (folder / "problem.toml").read_text()
    assert "# also here: model.hoc\n" in text
    assert re.search(r"celsius = 36 +# degC: as figure.hoc sets it", text)
    assert [p.name for p in load_problem(folder, measured=False).parameter if p.name.startswith("gnabar")]


def test_a_passive_template_is_no_model_where_a_file_makes_one_with_channels(write: Write) -> None:
    template = "begintemplate Cell\npublic soma\ncreate soma\nproc init() { soma { insert pas } }\nendtemplate Cell\n"
    main = 'load_file("template.hoc")\nobjref cell\ncell = new Cell()\nforall insert hh\n'
    folder = write("made", **{"template.hoc": template, "start.hoc": main})
    begun = begin(folder, celsius=33)
    assert (begun.loaded, begun.others) == ("start.hoc", ["template.hoc, template Cell"])
    text = (folder / "problem.toml").read_text()
    assert "# also here: template.hoc, template Cell (it has no more than a leak)" in text
    assert load_problem(folder, measured=False).model.celsius == 33


def test_a_temperature_that_nobody_set_is_said(write: Write) -> None:
    folder = write("cold", **{"model.py": CLASS})
    said = "celsius is 6.3, NEURON's default, as no file sets one: for a warmer cell begin again with --celsius"
    assert said in begin(folder).remarks
    (folder / "problem.toml").unlink()
    ran = CliRunner().invoke(app, ["init", str(folder), "--celsius", "36"])
    assert ran.exit_code == 0 and said not in ran.stdout
    assert load_problem(folder, measured=False).model.celsius == 36


def test_the_noise_of_a_conductance_is_no_conductance() -> None:
    free = ["gbar", "g_e0", "gnabar", "std_limit_g", "gmax", "gkvar"]
    noise = ["std_e", "std", "g_std", "sd", "sigma_i", "gnoise", "noise_g", "fluct"]
    found = Survey.model_construct(
        sections=[Section(name=name, nseg=1, L=20, diam=20, has=["Gfluct"]) for name in ("soma", "dend")],
        lists={},
        variables=[
            Variable(name=f"{name}_Gfluct", mechanism="Gfluct", unit="S/cm2", where={"soma": (1e-4, 1e-4)})
            for name in free + noise
        ],
    )
    kept = {name for name in free if any(p.name.startswith(f"{name}_Gfluct") for p in propose_parameters(found))}
    assert kept == set(free) - {"std_limit_g"}
    assert not [p.name for p in propose_parameters(found) if p.name.removesuffix("_Gfluct_soma") in noise]
