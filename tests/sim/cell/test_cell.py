"""Where a parameter lives: every way in which models give their sections, and what a wrong name says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.neuron

TEMPLATE = """
begintemplate Cell
public soma, dend, tuft, all
create soma, dend[3]
objref tuft, all
proc init() { local i
    for i = 0, 2 { connect dend[i](0), soma(1) }
    soma insert hh
    for i = 1, 2 { dend[i] insert pas  dend[i].nseg = 2 }
    tuft = new SectionList()
    for i = 1, 2 { dend[i] tuft.append() }
    all = new SectionList()
    soma all.append()
    for i = 0, 2 { dend[i] all.append() }
}
endtemplate Cell
"""
FLAT = """
create soma, dend[3]
objref tuft
for i = 0, 2 { connect dend[i](0), soma(1) }
soma { insert hh }
for i = 1, 2 dend[i] { insert pas  nseg = 2 }
tuft = new SectionList()
for i = 1, 2 dend[i] { tuft.append() }
"""
CLASS = """
from __future__ import annotations
from dataclasses import dataclass, field
from neuron import h

@dataclass
class Cell:
    dend: list = field(default_factory=list)

    def __post_init__(self):
        self.soma = h.Section(name="soma", cell=self)
        self.dend = [h.Section(name=f"dend[{i}]", cell=self) for i in range(3)]
        for dend in self.dend:
            dend.connect(self.soma)
        self.soma.insert("hh")
        for dend in self.dend[1:]:
            dend.insert("pas")
            dend.nseg = 2
        self.tuft = h.SectionList(self.dend[1:])
        self.name, self.number = "a cell", 3

build = Cell
"""
DICT = """
from neuron import h

def build():
    soma, dend = h.Section(name="soma"), [h.Section(name=f"dend_{i}") for i in range(3)]
    for section in dend:
        section.connect(soma)
    soma.insert("hh")
    for section in dend[1:]:
        section.insert("pas")
        section.nseg = 2
    return {"soma": soma, "dend": dend, "tuft": dend[1:], "name": "a cell", "number": 3}
"""
KINDS = {
    "template": ("cell.hoc", "Cell", TEMPLATE),
    "flat": ("cell.hoc", None, FLAT),
    "class": ("cell.py:build", None, CLASS),
    "dict": ("cell.py:build", None, DICT),
}
SCRIPT = """
import json, sys
from pathlib import Path
from gbar.sim import cell
from gbar.sim.errors import GbarError
from gbar.sim.cell.placement import set_value, get_value
from gbar.sim.problem.problem import Model

load, template, calls = json.loads(sys.argv[2])
def tried(call):
    try:
        return call()
    except GbarError as error:
        return str(error)
def short(section):
    return section.name().rpartition(".")[2].replace("_", "[") + ("]" if "_" in section.name() else "")
def answer(kind, text):
    if kind == "sections":
        return [short(section) for section in cell.sections(model, text)]
    if kind == "segment":
        place = cell.segment(model, text)
        return [short(place.sec), place.x]
    found = cell.places(model, text)
    for at in found:
        set_value(*at, 0.125)
    return [len(found), [get_value(*at) for at in found]]
model = tried(lambda: cell.build(Path(sys.argv[1]), Model(load=load, template=template, celsius=6.3, v_init=-65)))
print(json.dumps(model if isinstance(model, str) else [tried(lambda: answer(*call)) for call in calls]))
"""

SECTIONS = {
    "soma": ["soma"],
    "soma[0]": ["soma"],
    "dend": ["dend[0]", "dend[1]", "dend[2]"],
    "dend[2]": ["dend[2]"],
    "tuft": ["dend[1]", "dend[2]"],
    "tuft[1]": ["dend[2]"],
    "all": ["soma", "dend[0]", "dend[1]", "dend[2]"],
}
SEGMENTS = {"soma(0.5)": ["soma", 0.5], "dend[1](0.75)": ["dend[1]", 0.75], "soma( .5 )": ["soma", 0.5]}
# every section is 100 µm long; of several that reach a distance it is the last
SEGMENTS |= {"dend@100": ["dend[2]", 0.5], "tuft@75": ["dend[2]", 0.25]}
PLACES = {  # how many segments or sections have it
    "soma.gnabar_hh": 1,
    "all.gnabar_hh": 1,
    "tuft.g_pas": 4,
    "dend.g_pas": 4,
    "dend[1].e_pas": 2,
    "all.cm": 6,
    "all.Ra": 4,
    "soma.L": 1,
    "tuft.diam": 4,
}
WRONG = {
    ("sections", "som"): "'som' (nearest: 'soma')",
    ("sections", "tuftt"): "'tuftt' (nearest: 'tuft')",
    ("sections", "dend[3]"): "'dend[3]' (nearest: 'dend",
    ("sections", "number"): "no section or section list 'number'",
    ("segment", "some(0.5)"): "'some' (nearest: 'soma')",
    ("segment", "soma(1.5)"): "between 0 and 1",
    ("segment", "dend(0.5)"): "'dend' is 3 sections, not one",
    ("segment", "dend@300"): "nothing of 'dend' is 300 µm from the soma: expected ",
    ("places", "soma.gnabar_hhh"): "no section of 'soma' has 'gnabar_hhh' (nearest: 'gnabar_hh')",
    ("places", "soma.g_pas"): "no section of 'soma' has 'g_pas'",
    ("places", "axon.g_pas"): "no section or section list 'axon'",
    ("places", "global.celsius"): "'celsius' is set at the start of every run",
    ("places", "global.not_there"): "no global variable 'not_there'",
}
CALLS = [
    *(("sections", name) for name in SECTIONS),
    *(("segment", place) for place in SEGMENTS),
    *(("places", target) for target in PLACES),
    ("places", "global.ena_not_there"),
    *WRONG,
]


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory, fresh: Callable[..., Any]
) -> dict[str, dict[tuple[str, str], Any]]:
    """What sim.cell.cell finds in each kind of model, each in a fresh interpreter."""
    found = {}
    for kind, (load, template, text) in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        (folder / load.partition(":")[0]).write_text(text)
        listed = fresh(SCRIPT, folder, json.dumps([load, template, CALLS]))
        assert isinstance(listed, list), listed
        found[kind] = dict(zip(CALLS, listed, strict=True))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_sections(answers: dict[str, Any], kind: str) -> None:
    assert {name: answers[kind]["sections", name] for name in SECTIONS} == SECTIONS


@pytest.mark.parametrize("kind", KINDS)
def test_segments(answers: dict[str, Any], kind: str) -> None:
    assert {place: answers[kind]["segment", place] for place in SEGMENTS} == SEGMENTS


@pytest.mark.parametrize("kind", KINDS)
def test_places_are_found_and_set(answers: dict[str, Any], kind: str) -> None:
    expected = {target: [count, [0.125] * count] for target, count in PLACES.items()}
    assert {target: answers[kind]["places", target] for target in PLACES} == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", WRONG, ids=lambda call: call[1])
def test_wrong_names(answers: dict[str, Any], kind: str, call: tuple[str, str]) -> None:
    message = answers[kind][call]
    assert isinstance(message, str), message
    assert "\n" not in message
    assert call[1].partition("(")[0].partition(".")[0] in message
    assert WRONG[call] in message


def test_global(tmp_path: Path, fresh: Callable[..., Any]) -> None:
    """A GLOBAL of a mechanism and a plain hoc variable; the section of the model stays as it was."""
    (tmp_path / "cell.hoc").write_text("create soma\nsoma insert hh\nshift = 3\n")
    calls = [("places", "global.nai0_na_ion"), ("places", "global.shift"), ("sections", "soma")]
    found = fresh(SCRIPT, tmp_path, json.dumps(["cell.hoc", None, calls]))
    assert found == [[1, [0.125]], [1, [0.125]], ["soma"]]


@pytest.mark.parametrize(
    ("load", "template", "text", "wanted"),
    [
        ("cell.hoc", "Cel", TEMPLATE, "no template 'Cel': expected the name after begintemplate (nearest: 'Cell')"),
        ("cell.py:bild", None, DICT, "no function 'bild' (nearest: 'build')"),
    ],
)
def test_models_that_cannot_be_built(
    tmp_path: Path, fresh: Callable[..., Any], load: str, template: str | None, text: str, wanted: str
) -> None:
    (tmp_path / load.partition(":")[0]).write_text(text)
    assert wanted in fresh(SCRIPT, tmp_path, json.dumps([load, template, []]))


def test_files_beside_the_model_are_found_and_the_working_folder_returns(
    tmp_path: Path, fresh: Callable[..., Any]
) -> None:
    """A model reads its own folder by relative names, whatever folder gbar was started in."""
    (tmp_path / "cell.hoc").write_text(
        'objref file\nfile = new File()\nfile.ropen("size.dat")\nsize = file.scanvar()\nload_file("part.hoc")\n'
    )
    (tmp_path / "size.dat").write_text("42\n")
    (tmp_path / "part.hoc").write_text("create soma\nsoma.L = size\n")
    script = """
import json, os, sys
from pathlib import Path
from gbar.sim import cell
before = os.getcwd()
from gbar.sim.problem.problem import Model
model = cell.build(Path(sys.argv[1]), Model(load="cell.hoc", celsius=6.3, v_init=-65))
print(json.dumps([model.object.soma.L, os.getcwd() == before]))
"""
    assert fresh(script, tmp_path) == [42.0, True]
