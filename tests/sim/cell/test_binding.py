"""Every kind of parameter on small models: what is set where, in which order, and that two cells keep their own."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.neuron

TREE = """
begintemplate Tree
public soma, dend, tuft, syn, gna, set_props, twice
create soma, dend[3]
objref tuft, syn
proc init() { local i
    soma { L = 20  diam = 20  insert hh  insert pas }
    for i = 0, 2 dend[i] { L = 100  diam = 2  nseg = 4  insert pas  insert hh }
    connect dend[0](0), soma(1)
    connect dend[1](0), dend[0](1)
    connect dend[2](0), dend[0](1)
    for i = 0, 2 dend[i] for (x, 0) { gnabar_hh(x) = 0.1 - 0.0001*(100*i + 100*x) }
    tuft = new SectionList()
    for i = 1, 2 { dend[i] tuft.append() }
    syn = new Exp2Syn()
    dend[1] syn.loc(0.4)
    gna = 0.12
}
proc set_props() { soma.gnabar_hh = gna }
proc twice() { soma.gkbar_hh = 2 * $1 }
endtemplate Tree
"""
MODULE = """
from neuron import h
LEAK = {"soma": 1e-4}
shape = 2.0

class Cell:
    def __init__(self, length, name="a"):
        self.soma = h.Section(name="soma", cell=self)
        self.soma.L, self.called = length, name
        self.soma.insert("pas")
        self.density = 1e-3

    def set_props(self, factor=1.0):
        self.soma.g_pas = self.density * factor

def spread():
    for section in h.allsec():
        section.g_pas = LEAK["soma"] * shape
"""
SCRIPT = """
import json, sys
from pathlib import Path
from gbar.sim import cell
from gbar.sim.errors import GbarError
from gbar.sim.problem.parameter import Parameter, check_parameters
from gbar.sim.cell.placement import get_value
from gbar.sim.problem.problem import Model

folder, asked = Path(sys.argv[1]), json.loads(sys.argv[2])
out = []
for given in asked:
    try:
        built = cell.build(folder, Model(celsius=6.3, v_init=-65, **given["model"]))
        bounds = {"bounds": [0, 1]}
        parameters = tuple(Parameter(**{**bounds, **p}) for p in given["parameters"])
        check_parameters(parameters, "problem.toml")
        bound = cell.ParameterBinding(built, parameters)
        own = bound.own()
        for x in given["x"]:
            bound.assign(x)
        read = {place: [float(get_value(*at)) for at in cell.places(built, place)] for place in given["read"]}
        out.append({"read": read, "own": own, "process_wide": bound.process_wide})
    except GbarError as error:
        out.append(str(error))
print(json.dumps(out))
"""


@pytest.fixture
def ask(tmp_path: Path, fresh: Callable[..., Any]) -> Callable[..., Any]:
    """Build a model in a process of its own, bind parameters, assign vectors, read places."""
    (tmp_path / "tree.hoc").write_text(TREE)
    (tmp_path / "cell.py").write_text(MODULE)

    def asked(*cases: dict[str, Any], model: dict[str, Any] | None = None) -> Any:
        plain = {"model": model or {"load": "tree.hoc", "template": "Tree"}, "read": [], "x": [[]]}
        return fresh(SCRIPT, tmp_path, json.dumps([{**plain, **case} for case in cases]))

    return asked


def along(start: float) -> list[float]:
    """The middles of four segments of 100 µm, the section beginning at `start` µm from the soma's middle."""
    return [start + 12.5 + 25 * i for i in range(4)]


DEND0, TUFT = along(10.0), along(110.0)
OWN0, OWN1, OWN2 = ([0.1 - 0.0001 * (100 * i + 12.5 + 25 * k) for k in range(4)] for i in range(3))


def only(parameter: dict[str, Any], value: float, place: str, *more: dict[str, Any]) -> dict[str, Any]:
    """One parameter, set once, and what one place then holds."""
    return {"parameters": [{"name": "p", **parameter}, *more], "x": [[value] + [0.5] * len(more)], "read": [place]}


SET = {  # parameter, value, place read, what is expected there
    "a region by path distance": ({"set": ["all[50:120].gkbar_hh"]}, 0.2, "dend[0].gkbar_hh", [0.036, 0.036, 0.2, 0.2]),
    "the end of a region is left out": ({"set": ["all[:22.5].gkbar_hh"]}, 0.2, "dend[0].gkbar_hh", [0.036] * 4),
    "a region to the tip": ({"set": ["tuft[185:].g_pas"]}, 0.2, "dend[2].g_pas", [0.001, 0.001, 0.001, 0.2]),
    "an element and a region": ({"set": ["dend[2][:150].g_pas"]}, 0.3, "dend[2].g_pas", [0.3, 0.3, 0.001, 0.001]),
    "an element, not its sister": ({"set": ["dend[2][:150].g_pas"]}, 0.3, "dend[1].g_pas", [0.001] * 4),
    "linear with distance": (
        {"set": ["dend.g_pas"], "formula": "value * (1 + 0.01 * distance)"},
        0.001,
        "dend[0].g_pas",
        [0.001 * (1 + 0.01 * d) for d in DEND0],
    ),
    "exponential with distance": (
        {"set": ["tuft.g_pas"], "formula": "(-0.8696 + 2.087*math.exp((distance)*0.0031))*value"},
        8e-5,
        "dend[1].g_pas",
        [8e-5 * (-0.8696 + 2.087 * math.exp(0.0031 * d)) for d in TUFT],
    ),
    "scaled": (
        {"set": ["dend.gnabar_hh"], "mode": "scale"},
        2.0,
        "dend.gnabar_hh",
        [2 * g for g in OWN0 + OWN1 + OWN2],
    ),
    "a formula of what is there": (
        {"set": ["dend[1].gnabar_hh"], "formula": "own + value"},
        0.5,
        "dend[1].gnabar_hh",
        [g + 0.5 for g in OWN1],
    ),
    "a ratio": ({"set": ["soma.g_pas"], "tied": {"dend[0].g_pas": "p / 4"}}, 0.4, "dend[0].g_pas", [0.1] * 4),
    "a point process by section": ({"set": ["dend.Exp2Syn.tau2"]}, 7.0, "dend[1].Exp2Syn.tau2", [7.0]),
    "a point process by name": ({"set": ["cell.syn.tau1"]}, 0.3, "dend.Exp2Syn.tau1", [0.3]),
    "a public number and its procedure": (
        {"set": ["cell.gna"], "apply": "cell.set_props()"},
        0.25,
        "soma.gnabar_hh",
        [0.25],
    ),
    "an argument": ({"apply": ["cell.twice(p)"]}, 0.2, "soma.gkbar_hh", [0.4]),
    "a section's own variable": ({"set": ["tuft.Ra"]}, 77.0, "dend.Ra", [35.4, 77.0, 77.0]),
}


def test_every_kind_of_place_and_rule(ask: Callable[..., Any]) -> None:
    answers = ask(*(only(parameter, value, place) for parameter, value, place, _ in SET.values()))
    for (name, (_, _, place, expected)), found in zip(SET.items(), answers, strict=True):
        assert isinstance(found, dict), f"{name}: {found}"
        assert found["read"][place] == pytest.approx(expected, rel=1e-12), name


def test_coefficients_are_parameters_and_sums_are_tied(ask: Callable[..., Any]) -> None:
    """A slope that is set nowhere, and a place that is the sum of two parameters."""
    rule = {"name": "g", "set": ["dend.g_pas"], "formula": "g * (1 + slope * distance)"}
    total = {"name": "slope", "tied": {"soma.g_pas": "g + slope"}}
    (found,) = ask({"parameters": [rule, total], "x": [[0.001, 0.02]], "read": ["dend[0].g_pas", "soma.g_pas"]})
    assert found["read"]["dend[0].g_pas"] == pytest.approx([0.001 * (1 + 0.02 * d) for d in DEND0], rel=1e-12)
    assert found["read"]["soma.g_pas"] == pytest.approx([0.021])
    assert found["own"] == [None, None]


def test_order_plain_then_scaled_then_tied_then_calls(ask: Callable[..., Any]) -> None:
    """Whatever the order in the file: a scale multiplies what a plain parameter has just put there."""
    parameters = [
        {"name": "twice", "set": ["soma.gkbar_hh", "dend[0].gnabar_hh"], "mode": "scale"},
        {"name": "plain", "set": ["soma.gkbar_hh"], "tied": {"dend[1].gkbar_hh": "plain * twice"}},
        {"name": "number", "set": ["cell.gna"], "apply": "cell.set_props()"},
        {"name": "overwritten", "set": ["soma.gnabar_hh"]},
    ]
    read = ["soma.gkbar_hh", "dend[1].gkbar_hh", "soma.gnabar_hh", "dend[0].gnabar_hh"]
    (found,) = ask({"parameters": parameters, "x": [[9, 9, 9, 9], [2.0, 0.1, 0.3, 0.7]], "read": read})
    assert found["read"]["soma.gkbar_hh"] == pytest.approx([0.2])
    assert found["read"]["dend[1].gkbar_hh"] == pytest.approx([0.2] * 4)
    assert found["read"]["soma.gnabar_hh"] == pytest.approx([0.3])
    assert found["read"]["dend[0].gnabar_hh"] == pytest.approx([2 * g for g in OWN0])  # of the model, not of the last
    assert found["own"][0] == [1.0, 1.0]
    assert found["own"][1] == [0.036, 0.036]


def test_python_side_variables(ask: Callable[..., Any]) -> None:
    """An attribute of the cell, a module's dict and number, and the set-up functions that make them act."""
    model = {"load": "cell.py:Cell", "arguments": [30.0, "b"]}
    of_cell = {"name": "p", "set": ["cell.density"], "apply": "cell.set_props(2 * p)"}
    of_module = [
        {"name": "leak", "set": ["module.LEAK.soma"], "apply": "module.spread()"},
        {"name": "shape", "set": ["module.shape"], "apply": "module.spread()"},
    ]
    first, second = ask(
        {"parameters": [of_cell], "x": [[0.01]], "read": ["soma.g_pas", "soma.L"]},
        {"parameters": of_module, "x": [[0.3, 4.0]], "read": ["soma.g_pas"]},
        model=model,
    )
    assert first["read"] == {"soma.g_pas": [pytest.approx(0.01 * 0.02)], "soma.L": [30.0]}
    assert first["process_wide"] == {}
    assert second["read"]["soma.g_pas"] == [pytest.approx(1.2)]
    assert second["process_wide"]["leak"] == [["", "module.LEAK.soma"], ["", "module.spread()"]]


def test_what_holds_for_the_whole_process_is_named(ask: Callable[..., Any]) -> None:
    parameters = [{"name": "table", "set": ["global.usetable_hh"]}, {"name": "g", "set": ["soma.g_pas"]}]
    (found,) = ask({"parameters": parameters, "x": [[1, 1]]})
    assert found["process_wide"] == {"table": [["hh", "usetable"]]}


TWO = """
import json, sys
from pathlib import Path
from gbar.sim import cell
from gbar.sim.problem.parameter import Parameter
from gbar.sim.problem.problem import Model

model = Model(load="tree.hoc", template="Tree", celsius=6.3, v_init=-65)
parameters = [
    Parameter(name="g", set=("all.g_pas",), bounds=(0, 1)),
    Parameter(name="s", set=("dend.gnabar_hh",), mode="scale", bounds=(0, 9)),
    Parameter(name="n", set=("cell.gna",), apply="cell.set_props()", bounds=(0, 1)),
]
cells = [cell.build(Path(sys.argv[1]), model) for _ in range(3)]
bound = [cell.ParameterBinding(each, parameters) for each in cells]
for i, one in enumerate(bound):
    one.assign([0.1 * (i + 1), i + 1, 0.2 * (i + 1)])
print(json.dumps([
    [m.soma.g_pas, m.dend[2].g_pas, m.dend[0](0.125).gnabar_hh, m.soma.gnabar_hh, len(c.sections)]
    for c in cells for m in [c.object]
]))
"""


def test_several_cells_in_one_process_keep_their_own_values(
    ask: Callable[..., Any], tmp_path: Path, fresh: Any
) -> None:
    own = OWN0[0]
    expected = [[0.1 * i, 0.1 * i, own * i, 0.2 * i, 4] for i in (1, 2, 3)]
    for got, wanted in zip(fresh(TWO, tmp_path), expected, strict=True):
        assert got == pytest.approx(wanted)


WRONG = {
    "a region beyond the tips": ({"set": ["dend[900:].g_pas"]}, "reaches 198 µm"),
    "no such point process": ({"set": ["dend.ExpSyn.tau"]}, "no point process 'ExpSyn' in 'dend' (nearest: 'Exp2Syn')"),
    "no such variable of one": ({"set": ["dend.Exp2Syn.tau9"]}, "'Exp2Syn' has no 'tau9'"),
    "no such attribute": ({"set": ["cell.gnaa"]}, "cell has nothing called 'gnaa' (nearest: 'gna')"),
    "a module of a hoc model": ({"set": ["module.x"]}, "the model has no Python module"),
    "no such procedure": (
        {"set": ["cell.gna"], "apply": "cell.set_prop()"},
        "nothing called 'set_prop' (nearest: 'set_props')",
    ),
    "no such hoc procedure": ({"set": ["cell.gna"], "apply": "nowhere()"}, "NEURON cannot run 'nowhere()'"),
    "a statement that is no call": ({"set": ["cell.gna"], "apply": "cell.gna = 3"}, "'cell.gna = 3' is no call"),
    "a place with a space": ({"set": ["dend g.pas"]}, "is no place in a model"),
    "dividing by zero": ({"set": ["soma.g_pas"], "formula": "1 / (value - value)"}, "has no value"),
    "an overflow": ({"set": ["soma.g_pas"], "formula": "exp(1000 * (value + 1))"}, "has no value"),
    "an unknown name": ({"set": ["soma.g_pas"], "formula": "valu * 2"}, "no parameter 'valu' (nearest: 'value')"),
    "set nowhere": ({}, "parameter.p is set nowhere"),
    "an ion that nobody uses": ({"set": ["soma.eca"]}, "no section of 'soma' has 'eca'"),
}


def test_wrong_places_and_formulas_are_one_line(ask: Callable[..., Any]) -> None:
    answers = ask(*({"parameters": [{"name": "p", **given}], "x": [[0.5]]} for given, _ in WRONG.values()))
    for (name, (_, wanted)), said in zip(WRONG.items(), answers, strict=True):
        assert isinstance(said, str), name
        assert wanted in said and "\n" not in said, f"{name}: {said}"
