"""What goes wrong with real models, each shown on a model of our own: unchanged, it runs, or gbar says why not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gbar.sim import GbarError, Problem, Workers, load_problem, simulate
from gbar.sim.setup.advice import notes, own_procedure
from gbar.sim.setup.effects import looked_at
from tests.problems import MODULE_PY, free, model_of, step_of, toml_of

pytestmark = pytest.mark.neuron

CELL = """
create soma, dend[4]
soma { L = 20  diam = 20  insert hh  insert pas }
for i = 0, 3 dend[i] { L = 100  diam = 2  insert pas }
connect dend[0](0), soma(1)
for i = 1, 3 { connect dend[i](0), dend[i - 1](1) }
"""
CLAMP = """
objref stim
soma stim = new IClamp(0.5)
stim.amp = 0.02
stim.del = 0
stim.dur = 1e9
"""
TOML = toml_of(
    model_of("mosinit.hoc"),
    free("gnabar", "soma.gnabar_hh", 0.06, 0.3),
    step_of(amplitude=0.2, delay=20, duration=20, total=50),
)
LEAK = """
NEURON { SUFFIX NAME NONSPECIFIC_CURRENT i RANGE g, e }
PARAMETER { g = 1e-4 (S/cm2) e = -65 (mV) }
ASSIGNED { v (mV) i (mA/cm2) }
BREAKPOINT { i = g*(v - e) }
"""

Write = Callable[..., Path]


def problem(write: Write, hoc: str, *model: str, toml: str = TOML, **files: str) -> Problem:
    """A problem on a flat hoc, with more lines in [model]."""
    text = toml.replace("v_init = -65\n", "v_init = -65\n" + "".join(f"{line}\n" for line in model), 1)
    return load_problem(write("cell", **{"problem.toml": text, "mosinit.hoc": hoc, **files}), measured=False)


def response(made: Problem, x: float = 0.12) -> dict[str, float]:
    (done,) = simulate(made, [np.array([x] + [p.middle for p in made.parameter[1:]])])
    assert done.status == "ok", done.reason
    return {key: value for key, value in done.features.items() if np.isfinite(value)}


def remarks(made: Problem) -> tuple[str, list[str]]:
    """What `gbar check` would say, and the parameters that change nothing."""
    found = looked_at(made)
    return "\n".join(notes(made, found)), found.inert


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """What the cell does when nothing is wrong with its file."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "problem.toml").write_text(TOML)
    (folder / "mosinit.hoc").write_text(CELL)
    return response(load_problem(folder, measured=False))


def test_panels_at_load(write: Write, plain: dict[str, float]) -> None:
    """A loader that only opens a panel makes no cell; what the button does can be given."""
    panel = 'proc make_cell() { load_file("parts.hoc") }\nxpanel("Figures")\nxbutton("Make", "make_cell()")\nxpanel()\n'
    files = {"parts.hoc": CELL}
    with pytest.raises(GbarError, match=r"mosinit.hoc made no section: if it only opens a panel.*setup = "):
        Workers(problem(write, panel, **files), 1)
    assert response(problem(write, panel, 'setup = ["make_cell()"]', **files)) == plain
    with pytest.raises(GbarError, match=r"model.setup: NEURON cannot run 'make_cel\(\)'"):
        Workers(problem(write, panel, 'setup = ["make_cel()"]', **files), 1)


def test_an_init_of_its_own(write: Write, plain: dict[str, float]) -> None:
    """NEURON's init() is replaced: gbar says so, and calls it when asked to."""
    own = CELL + "proc init() { finitialize(v_init)  forall e_pas = -60  fcurrent() }\n"
    said, _ = remarks(problem(write, own))
    assert "mosinit.hoc has a proc init() of its own, which gbar does not call" in said
    assert response(problem(write, own)) == plain
    called = response(problem(write, own, 'init = "init()"'))
    assert called["step.voltage_base"] > plain["step.voltage_base"] + 0.5


def test_an_advance_of_its_own(write: Write, plain: dict[str, float]) -> None:
    """NEURON's advance() is replaced: gbar says so, also where Python gives it to hoc, and calls it when asked to."""
    steps = "proc advance() { soma.e_pas = soma.e_pas + 0.02  fadvance() }"
    own = CELL + steps + "\n"
    said, _ = remarks(problem(write, own))
    assert "mosinit.hoc has a proc advance() of its own, which gbar bypasses" in said
    assert 'give advance = "advance()" in [model]' in said
    assert response(problem(write, own)) == plain
    called = response(problem(write, own, 'advance = "advance()"'))
    assert called["step.voltage_base"] > plain["step.voltage_base"] + 0.5
    idle = response(problem(write, CELL + steps.replace("0.02", "0"), 'advance = "advance()"'))
    assert idle == pytest.approx(plain, rel=1e-3)
    python = f"from neuron import h\nh({steps!r})\n"
    (folder := write("python", **{"cell.py": "import other", "other.py": python}))
    assert own_procedure(folder, "cell.py:build", "advance") == "other.py"


def test_celsius_set_late(write: Write, plain: dict[str, float]) -> None:
    """Whatever a file sets, and when: [model] counts. Where init() insists, it is an error and not a mixture."""
    assert response(problem(write, CELL + "celsius = 37\nv_init = -50\n")) == plain
    late = CELL + "proc init() { celsius = 37  finitialize(v_init) }\n"
    (done,) = simulate(problem(write, late, 'init = "init()"'), [np.array([0.12])])
    assert done.status == "failed" and "sets celsius to 37: give celsius = 37" in done.reason


LEFT_BEHIND = """
objref cvode, pc
cvode = new CVode()
cvode_active(1)
{ cvode.minstep(1)  cvode.maxstep(20)  cvode.maxorder(1)  cvode.atol(1)  cvode.rtol(0.1)  cvode.condition_order(2) }
{ cvode.atolscale("v", 1000)  cvode.atolscale("m_hh", 1000)  cvode.use_local_dt(1) }
pc = new ParallelContext()
pc.nthread(3)
dt = 1
steps_per_ms = 1
secondorder = 1
tstop = 5
"""


def test_settings_left_behind(write: Write, plain: dict[str, float]) -> None:
    """Steps, tolerances and threads of a figure's: with each of the engines for one cell, as if they were not there."""
    assert response(problem(write, CELL + LEFT_BEHIND)) == plain
    again = CELL + "proc again() { soma.gkbar_hh = 0.036\n" + LEFT_BEHIND.replace("objref cvode, pc", "") + "}\n"
    toml = TOML.replace('["soma.gnabar_hh"]', '["soma.gnabar_hh"]\napply = "again()"')
    assert response(problem(write, "objref cvode, pc\n" + again, toml=toml)) == plain
    fixed = TOML + '[simulation]\nengine = "fixed"\n'
    assert response(problem(write, CELL + LEFT_BEHIND, toml=fixed)) == response(problem(write, CELL, toml=fixed))


READS = """
begintemplate Cell
public soma, dend
external v_init
create soma, dend[4]
proc init() { local i
    soma { L = 20  diam = 20  insert hh  gnabar_hh = 0.12  gkbar_hh = 0.036 * 3 ^ ((celsius - 16.3) / 10)  insert pas }
    for i = 0, 3 dend[i] { L = 100  diam = 2  insert pas  e_pas = v_init - 5 }
    connect dend[0](0), soma(1)
    for i = 1, 3 { connect dend[i](0), dend[i - 1](1) }
}
endtemplate Cell
"""
READS_BY_PYTHON = """
import sys
from neuron import h
assert len(sys.argv) == 1 and sys.argv[0].endswith("cell.py"), sys.argv
h.load_file(1, "cell.hoc")
h.celsius, h.v_init = 37, -50
def build():
    assert len(sys.argv) == 1
    return h.Cell()
"""


def test_temperature_and_voltage_are_there_while_a_model_is_built(write: Write) -> None:
    """In a template, in a flat hoc, in Python; and whatever the file itself sets before the cell is made."""
    toml = TOML.replace("celsius = 6.3", "celsius = 16.3").replace("v_init = -65", "v_init = -60")
    flat = CELL + "soma.gkbar_hh = 0.036 * 3 ^ ((celsius - 16.3) / 10)\nfor i = 0, 3 dend[i].e_pas = v_init - 5\n"
    right = response(problem(write, flat.replace("celsius", "16.3").replace("v_init", "-60"), toml=toml))
    assert response(problem(write, flat, toml=toml)) == right
    template = toml.replace("v_init = -60\n", 'v_init = -60\ntemplate = "Cell"\n')
    assert response(problem(write, READS + "celsius = 37\nv_init = -50\n", toml=template)) == right
    python = toml.replace("mosinit.hoc", "cell.py:build")
    files = {"cell.hoc": READS, "cell.py": READS_BY_PYTHON}
    made = problem(write, "", toml=python, **files)
    assert response(made) == right
    assert "the model sets celsius to 37 while it loads: 16.3 of [model] counts" in remarks(made)[0]


TWICE = """
import json, sys
from pathlib import Path
from gbar.sim import cell
from gbar.sim.errors import GbarError
from gbar.sim.problem.problem import Model
model = Model(load="cell.py:build", celsius=6.3, v_init=-65)
first = cell.build(Path(sys.argv[1]), model)
try:
    cell.build(Path(sys.argv[1]), model)
except GbarError as error:
    print(json.dumps(str(error)))
"""


def test_a_loader_that_deletes_every_section(write: Write, plain: dict[str, float], fresh: Any) -> None:
    """One copy a process is all that such a model allows, and each worker has a process."""
    assert response(problem(write, "create old\nforall delete_section()\n" + CELL)) == plain
    loader = (
        "from neuron import h\ndef build():\n    h('forall delete_section()')\n    return [h.Section(name='soma')]\n"
    )
    folder = write("twice", **{"cell.py": loader})
    assert "deletes every section there is" in fresh(TWICE, folder)


def test_leftover_stimuli(write: Write, plain: dict[str, float]) -> None:
    """A figure's clamp would flow in every protocol: it is switched off and named, or kept on request."""
    off = problem(write, CELL + CLAMP)
    assert response(off) == plain
    assert "the model brings along IClamp[0] of 0.02 nA in soma(0.5): it is switched off" in remarks(off)[0]
    kept = response(problem(write, CELL + CLAMP, 'stimuli = "keep"'))
    assert kept["step.voltage_base"] > plain["step.voltage_base"] + 0.5


def test_paths_relative_to_the_models_folder(write: Write, plain: dict[str, float]) -> None:
    """At load, and when a set-up procedure runs again during a search."""
    reads = "objref file\nfile = new File()\n"
    load = reads + 'file.ropen("data/size.dat")\nsize = file.scanvar()\n' + CELL.replace("L = 20", "L = size")
    again = (
        load
        + 'proc again() {\nfile.ropen("data/size.dat")\nsoma.gnabar_hh = file.scanvar() / 20 * given\n}\ngiven = 1\n'
    )
    toml = TOML.replace('["soma.gnabar_hh"]', '["global.given"]\napply = "again()"')
    assert response(problem(write, load, **{"data/size.dat": "20\n"})) == plain
    assert response(problem(write, again, toml=toml, **{"data/size.dat": "20\n"})) == plain


def test_several_folders_of_mechanisms_with_reversals_of_their_own(write: Write) -> None:
    """Two folders, one library; a nonspecific current has no ion whose potential could be set."""
    files = {"a/one.mod": LEAK.replace("NAME", "one"), "b/c/two.mod": LEAK.replace("NAME", "two")}
    hoc = CELL.replace("insert hh", "insert one  insert two")
    toml = TOML.replace("soma.gnabar_hh", "soma.e_two").replace("0.06, 0.3", "-90, -50")
    folders = 'mechanisms = ["a", "b/c"]'
    assert response(problem(write, hoc, folders, toml=toml, **files), -80.0)["step.voltage_base"] < -65.5
    wrong = problem(write, hoc, folders, toml=toml.replace("soma.e_two", "soma.ena"), **files)
    with pytest.raises(GbarError, match=r"has 'ena': no mechanism there uses that ion.*e_one, e_pas, e_two"):
        Workers(wrong, 1)


def test_two_files_of_one_suffix(write: Write) -> None:
    """An old copy beside the new one, in whatever folder; and a name that NEURON has itself."""
    files = {"a/old.mod": LEAK.replace("NAME", "leak"), "b/new.mod": LEAK.replace("NAME", "leak") + ": newer"}
    with pytest.raises(GbarError, match=r"a/old.mod and .*b/new.mod both declare SUFFIX leak"):
        Workers(problem(write, CELL, 'mechanisms = ["a", "b"]', **files), 1)
    files = {"mod/mine.mod": LEAK.replace("NAME", "hh")}
    with pytest.raises(GbarError, match=r"mine.mod: SUFFIX hh is a mechanism of NEURON's own"):
        Workers(problem(write, CELL, 'mechanisms = ["mod"]', **files), 1)


def test_a_mechanism_that_does_not_compile(write: Write) -> None:
    files = {"mod/leak.mod": LEAK.replace("NAME", "leak").replace("BREAKPOINT", "BREAKPOIN")}
    with pytest.raises(GbarError, match=r"leak.mod, line 5: does not compile"):
        Workers(problem(write, CELL, 'mechanisms = ["mod"]', **files), 1)


MODULE_TOML = TOML.replace("mosinit.hoc", "cell.py:Cell").replace("soma.gnabar_hh", "module.GNA")


def test_numbers_that_act_only_when_a_function_runs_again(write: Write) -> None:
    """Setting the module's number alone changes nothing, which is said with the reason; `apply` makes it act."""
    silent = problem(write, "", toml=MODULE_TOML, **{"cell.py": MODULE_PY})
    said, names = remarks(silent)
    assert names == ["gnabar"] and "gnabar changes nothing: most often the model's own set-up function" in said
    assert response(silent, 0.12) == response(silent, 0.25)
    acting = problem(
        write, "", toml=MODULE_TOML.replace('GNA"]', 'GNA"]\napply = "cell.set_props()"'), **{"cell.py": MODULE_PY}
    )
    assert remarks(acting)[1] == []
    assert response(acting, 0.25)["step.maximum_voltage"] > response(acting, 0.12)["step.maximum_voltage"]


REBUILT = (
    MODULE_PY.replace("GNA = 0.12", "GNA = 0.12\nCOUNT = 4")
    .replace("        self.set_props()\n", "")
    .replace(
        "    def set_props",
        """
    def grow(self):
        self.dend = [h.Section(name="dend", cell=self) for _ in range(int(COUNT))]
        for dend in self.dend:
            dend.L, dend.diam = 100, 2
            dend.connect(self.soma)
            dend.insert("pas")

    def set_props""",
    )
)


def test_sections_made_anew_by_the_models_own_function(write: Write) -> None:
    """The old ones are gone, as they are when gbar is not there, and the new ones get their values."""
    toml = MODULE_TOML.replace('"module.GNA"', '"dend.g_pas"').replace("[0.06, 0.3]", "[1e-5, 1e-2]")
    grown = '[[parameter]]\nname = "count"\nset = ["module.COUNT"]\nbounds = [1, 9]\napply = "cell.grow()"\n'
    made = problem(write, "", toml=toml.replace("[protocol", grown + "[protocol", 1), **{"cell.py": REBUILT})
    x = [np.array(values) for values in ((1e-3, 2), (1e-4, 7), (1e-3, 2))]
    first, _, again = simulate(made, x)
    assert first.status == again.status == "ok", again.reason
    assert str(first.features) == str(again.features)
    two = REBUILT.replace("COUNT = 4", "COUNT = 2").replace("range(3)", "range(2)")
    plain = problem(write, "", toml=toml, **{"cell.py": two})
    assert response(plain, 1e-3) == {key: value for key, value in again.features.items() if np.isfinite(value)}


def test_equal_names_and_addresses_in_names(write: Write) -> None:
    """`<Cell object at 0x…>.dend` three times: the name is all of them, an index one, and no address is shown."""
    both = MODULE_TOML.replace('["module.GNA"]', '["dend.g_pas", "dend[1].cm"]')
    with Workers(problem(write, "", toml=both, **{"cell.py": MODULE_PY}), 1) as pool:
        assert pool.found.parameters["gnabar"].places == 4
        assert pool.found.compartments == 4
        assert list(pool.found.sections) == ["soma", "dend"]
    missing = MODULE_TOML.replace("module.GNA", "dendr.g_pas")
    with pytest.raises(GbarError, match=r"'dendr' \(nearest: 'dend'\)$") as caught:
        Workers(problem(write, "", toml=missing, **{"cell.py": MODULE_PY}), 1)
    assert "0x" not in str(caught.value)


def test_a_file_called_like_a_module_of_ours(write: Write) -> None:
    """`sim.py` is a name that a modeller may well choose; and a whole number stays one."""
    text = MODULE_PY.replace("(self):\n        self.soma =", "(self, count):\n        self.soma =").replace(
        "range(3)", "range(count)"
    )
    toml = MODULE_TOML.replace('cell.py:Cell"', 'sim.py:Cell"\narguments = [6]').replace("module.GNA", "soma.gnabar_hh")
    with Workers(problem(write, "", toml=toml, **{"sim.py": text}), 1) as pool:
        assert pool.found.compartments == 7
        ((_, done),) = pool.run([np.array([0.2])])
    assert done.status == "ok", done.reason


def test_a_simulation_run_at_load(write: Write, plain: dict[str, float]) -> None:
    """Three seconds of a figure, with its own steps, clamp and end: nothing of it is left when gbar measures."""
    figure = CELL + CLAMP + "tstop = 3000\ndt = 0.1\nsteps_per_ms = 10\nsecondorder = 2\nrun()\n"
    assert response(problem(write, figure)) == plain


def test_a_library_at_a_path_of_its_own(write: Write, plain: dict[str, float]) -> None:
    """A path of another machine leads nowhere and does no harm."""
    assert response(problem(write, 'nrn_load_dll("C:/models/nrnmech.dll")\n' + CELL)) == plain


LIBRARY = """
import json, sys
from pathlib import Path
from gbar.sim import mechanisms
print(json.dumps(str(mechanisms.build([Path(sys.argv[1])]))))
"""


def test_a_library_that_the_model_and_gbar_both_load(write: Write, fresh: Any) -> None:
    """NEURON takes a mechanism once: the model's own library is enough, and two are refused with what to do."""
    files = {"mod/once.mod": LEAK.replace("NAME", "once")}
    folder = problem(write, CELL, 'mechanisms = ["mod"]', **files).folder
    built = Path(json.loads(json.dumps(fresh(LIBRARY, folder / "mod"))))
    theirs = folder / "x86_64" / built.name
    theirs.parent.mkdir()
    theirs.write_bytes(built.read_bytes())
    hoc = f'nrn_load_dll("./x86_64/{built.name}")\n{CELL}soma insert once\n'
    with pytest.raises(
        GbarError, match=r"loaded twice: if the model loads a library by itself, leave out model.mechanisms"
    ):
        Workers(problem(write, hoc, 'mechanisms = ["mod"]', **files), 1)
    assert "step.voltage_base" in response(problem(write, hoc, **files))


def test_fewer_compartments_than_gbar_is_for(write: Write) -> None:
    said, _ = remarks(problem(write, "create soma\nsoma { L = 20  diam = 20  insert hh }\n"))
    assert "1 compartments: gbar is made for cells of at least 5, but goes on" in said


def test_a_value_that_differs_along_the_cell_is_remarked_on(write: Write) -> None:
    tapering = CELL + "for i = 0, 3 { dend[i].g_pas = 0.001 / (i + 1) }\n"
    said, _ = remarks(problem(write, tapering, toml=TOML.replace("soma.gnabar_hh", "dend.g_pas")))
    assert (
        'gnabar differs between its 4 places in the model, and gets one value: mode = "scale" keeps the shape' in said
    )
