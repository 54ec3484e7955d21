"""Parameters that are GLOBAL in their MOD: made RANGE in a private copy of it, to the last digit the same mechanism."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gbar.sim import GbarError, Integrator, Problem, Workers, design, load_problem
from gbar.sim.engine.evaluation import Evaluation
from gbar.sim.mechanisms import library as mechanisms
from gbar.sim.mechanisms.globaltorange import GlobalToRange, spread
from tests.problems import free, model_of, step_of, toml_of

KDR = """TITLE delayed rectifier: vh matters
: vh in a comment
COMMENT
vh in a "block
ENDCOMMENT
NEURON {
    SUFFIX kdr
    USEION k READ ek WRITE ik
    RANGE gmax, ninf,
        ntau
    GLOBAL vh,
        k
    THREADSAFE
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gmax = 0.02 (S/cm2)
    vh = -35 (mV) <-100, 100>  ? half-activation
    k = 9 (mV)
    vh2 = 1 (mV)
    tau = 2 (ms)
}
ASSIGNED { v (mV) ek (mV) ik (mA/cm2) ninf ntau (ms) }
STATE { n }
BREAKPOINT {
    SOLVE states METHOD cnexp
    ik = gmax * n^4 * (v - ek)
}
INITIAL { rates(v)  n = ninf }
DERIVATIVE states { rates(v) n' = (ninf - n) / ntau }
PROCEDURE rates(v (mV)) {
    LOCAL a, b
    a = 2 (mV)
    ninf = 1 / (1 + exp(-(v - vh) / k)) : vh, k
    ntau = tau * (0.2 + bell(v, vh)) + shadow(v) - vh2 * 0
}
FUNCTION bell(u (mV), k (mV)) (1) { bell = exp(-((u - k) / 20 (mV))^2) }
FUNCTION shadow(u) { LOCAL tau, vh
    vh = 1
    tau = vh + k
    if (tau == k) { LOCAL k
        k = 3
        tau = k } else { tau = k }
    shadow = 0 * tau
}
"""
GATE = """NEURON {
    POINT_PROCESS Gate
    NONSPECIFIC_CURRENT i
    RANGE g
}
UNITS { (nA) = (nanoamp) (mV) = (millivolt) (uS) = (microsiemens) }
PARAMETER { g = 0.002 (uS) half = -50 (mV) ms = 3 (ms) }
ASSIGNED { v (mV) i (nA) }
STATE { c o }
BREAKPOINT { SOLVE scheme METHOD sparse  i = g * o * (v - 0 (mV)) }
INITIAL { SOLVE scheme STEADYSTATE sparse }
KINETIC scheme { LOCAL open
    open = 1 / (1 + exp((half - v) / 5 (mV)))
    ~ c <-> o (open / ms, (1 - open) / ms)
    CONSERVE c + o = 1
}
"""
CELL = """
begintemplate Tree
public soma, dend
create soma, dend[2]
objref gate
proc init() { local i
    soma { L = 20  diam = 20  insert hh  insert kdr }
    for i = 0, 1 { connect dend[i](0), soma(1)  dend[i] { L = 100  diam = 2  nseg = 3  insert pas  insert kdr } }
    dend[1] gate = new Gate(0.5)
    vh_kdr = -30
    finitialize(-65)
    for i = 0, 1 dend[i] e_pas = v(0.5) + ik(0.5) / g_pas
}
endtemplate Tree
"""
PROBLEM = toml_of(
    model_of("tree.hoc", template="Tree", mechanisms=["mod"]),
    free("gmax", "dend.gmax_kdr", 0.001, 0.05),
    free("vh", "global.vh_kdr", -50, -20, unit="mV"),
    free("slope", "global.k_kdr", 0.5, 1.5, mode="scale"),
    free("tau", "global.tau_kdr", 0.5, 5),
    free("gate", "global.half_Gate", -70, -30),
    free("lag", "global.ms_Gate", 1, 5),
    # a holding current from the start: then a batch takes the steps that a single cell takes
    step_of(
        "fire", amplitude=0.5, holding=0.001, delay=20, duration=60, total=100, at="soma(0.5)", record="soma(0.5).v"
    ),
)
FREE = ("vh_kdr", "k_kdr", "tau_kdr", "half_Gate", "ms_Gate")
FILES = {"kdr.mod": KDR, "gate.mod": GATE}

RUN = """
import json, sys
from neuron import h
from gbar.sim import mechanisms
from pathlib import Path
library, ranged, values = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
mechanisms.load(library)
h.load_file("stdrun.hoc")
soma = h.Section(name="soma")
soma.L, soma.diam, soma.nseg = 60, 20, 3
soma.insert("hh"); soma.insert("kdr")
gate, clamp = h.Gate(soma(0.5)), h.IClamp(soma(0.5))
clamp.delay, clamp.dur, clamp.amp = 5, 40, 1.0
for name, value in values.items():
    if name not in ranged:
        setattr(h, name, value)
    for owner in ([gate] if name.endswith("Gate") else soma) if name in ranged else []:
        setattr(owner, ranged[name], value)
v, n, o = (h.Vector().record(at) for at in (soma(0.5)._ref_v, soma(0.5)._ref_n_kdr, gate._ref_o))
h.celsius, h.dt = 6.3, 0.025
h.finitialize(-65)
h.continuerun(50)
print(json.dumps([list(v), list(n), list(o)]))
"""


@pytest.fixture
def problem(write: Callable[..., Path]) -> Problem:
    folder = write("model", **{"tree.hoc": CELL, "problem.toml": PROBLEM})
    write("model/mod", **FILES)
    return load_problem(folder, measured=False)


def evaluated(problem: Problem, x: np.ndarray, accuracy: Integrator) -> list[Evaluation]:
    with Workers(problem, 1, accuracy) as pool:
        done = dict(pool.run(list(x), traces=True))
    assert [done[i].reason for i in range(len(x))] == [""] * len(x)
    return [done[i] for i in range(len(x))]


def furthest(one: list[Evaluation], other: list[Evaluation]) -> float:
    """The largest difference between voltages, in mV."""
    pairs = [(a.traces["fire"][1], b.traces["fire"][1]) for a, b in zip(one, other, strict=True)]
    return max(float(np.max(np.abs(a[: len(b)] - b[: len(a)]))) for a, b in pairs)


@pytest.mark.neuron
@pytest.mark.slow
def test_the_private_mechanism_is_the_user_s_to_the_last_digit(problem: Problem, fresh: Callable[..., Any]) -> None:
    folder = problem.folder / "mod"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    plain = mechanisms.prepare([folder], Integrator("fixed"), problem.globals)
    private = mechanisms.prepare([folder], Integrator("neuron"), problem.globals)
    assert plain.ranged == () and plain.library != private.library
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [each.variable for each in private.ranged] == list(FREE)
    names = {each.variable: each.attribute for each in private.ranged}
    values = {"vh_kdr": -28.3, "k_kdr": 11.7, "tau_kdr": 1.37, "half_Gate": -44.1, "ms_Gate": 2.9}
    user = fresh(RUN, plain.library, "{}", json.dumps(values))
    ours = fresh(RUN, private.library, json.dumps(names), json.dumps(values))
    assert user == ours
    assert user != fresh(RUN, plain.library, "{}", "{}"), "the parameters change nothing"


@pytest.mark.neuron
@pytest.mark.slow
def test_copies_differ_in_what_was_global(problem: Problem) -> None:
    """Beside single cells with the user's own mechanism, in the same steps."""
    x = problem.physical(design(len(problem.names), 8, 1))
    together = evaluated(problem, x, Integrator("neuron"))
    alone = evaluated(problem, x, Integrator("fixed", confirm="fixed"))
    assert furthest(together, alone) < 1e-6  # mV
    assert furthest(alone[:-1], alone[1:]) > 1.0


@pytest.mark.neuron
@pytest.mark.slow
def test_coreneuron_takes_it_too(problem: Problem) -> None:
    """Its own copies of hh and of a KINETIC scheme differ from NEURON's, whatever is free: by less than 1 mV here."""
    x = problem.physical(design(len(problem.names), 8, 2))
    core, plain = evaluated(problem, x, Integrator("coreneuron")), evaluated(problem, x, Integrator("neuron"))
    assert furthest(core, plain) < 2.0  # mV
    assert all(furthest([one], [other]) > 4.0 for one, other in itertools.pairwise(core))


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_equations_read_the_new_parameter_and_nothing_else_changes() -> None:
    texts, done = spread(FILES, ["vh_kdr", "k_kdr", "tau_kdr"])
    assert set(texts) == {"kdr.mod"}
    assert done[0] == GlobalToRange("vh_kdr", "kdr", "vh_gbar", False) and done[0].attribute == "vh_gbar_kdr"
    expected = KDR
    for old, new in {
        "NEURON {": "NEURON { RANGE tau_gbar RANGE k_gbar RANGE vh_gbar",
        "PARAMETER {": "PARAMETER { tau_gbar = 2 (ms) k_gbar = 9 (mV) vh_gbar = -35 (mV)",
        "(v - vh) / k)": "(v - vh_gbar) / k_gbar)",
        "tau * (0.2 + bell(v, vh))": "tau_gbar * (0.2 + bell(v, vh_gbar))",
        "tau = vh + k": "tau = vh + k_gbar",
        "if (tau == k)": "if (tau == k_gbar)",
        "else { tau = k }": "else { tau = k_gbar }",
    }.items():
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert texts["kdr.mod"] == expected


def test_a_unit_of_the_same_name_is_left_alone() -> None:
    texts, done = spread(FILES, ["ms_Gate", "half_Gate"])
    assert done[0] == GlobalToRange("ms_Gate", "Gate", "ms_gbar", True) and done[0].attribute == "ms_gbar"
    assert "ms = 3 (ms)" in texts["gate.mod"] and "ms_gbar = 3 (ms)" in texts["gate.mod"]
    assert "(open / ms_gbar, (1 - open) / ms_gbar)" in texts["gate.mod"]
    assert "exp((half_gbar - v) / 5 (mV))" in texts["gate.mod"]


def mod(body: str, neuron: str = "SUFFIX m", parameter: str = "x = 1 (mV)") -> str:
    return f"NEURON {{ {neuron} }}\nPARAMETER {{ {parameter} }}\nASSIGNED {{ v (mV) y }}\n{body}\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("BREAKPOINT { y = x + x2 - xx * max_x }", "BREAKPOINT { y = x_gbar + x2 - xx * max_x }"),
        ("BREAKPOINT { y = 3 (x) * x }", "BREAKPOINT { y = 3 (x) * x_gbar }"),
        ('BREAKPOINT { printf("x : %g", x) y = x }', 'BREAKPOINT { printf("x : %g", x_gbar) y = x_gbar }'),
        ("BREAKPOINT { y = 1 ? x\n y = x : x\n }", "BREAKPOINT { y = 1 ? x\n y = x_gbar : x\n }"),
        ("BREAKPOINT { if (x == 1) { y = x } }", "BREAKPOINT { if (x_gbar == 1) { y = x_gbar } }"),
        (
            "FUNCTION f(a (mV), x (x)) (x) { f = x }\nINITIAL { y = x }",
            "FUNCTION f(a (mV), x (x)) (x) { f = x }\nINITIAL { y = x_gbar }",
        ),
        (
            "FUNCTION_TABLE f(x)\nUNITSOFF\nINITIAL { y = f(x) }",
            "FUNCTION_TABLE f(x)\nUNITSOFF\nINITIAL { y = f(x_gbar) }",
        ),
        ("INITIAL { LOCAL a[2], x\n x = 1 y = x }", "INITIAL { LOCAL a[2], x\n x = 1 y = x }"),
        ("INITIAL { LOCAL a,\n b\n y = x }", "INITIAL { LOCAL a,\n b\n y = x_gbar }"),
        ("INITIAL { VERBATIM\nx1;\nENDVERBATIM\n y = x }", "INITIAL { VERBATIM\nx1;\nENDVERBATIM\n y = x_gbar }"),
        ('INCLUDE "rates.inc"', "PROCEDURE rates() { y = x_gbar }"),
        ("INITIAL { y = x }\n: INCLUDE \"none.inc\"", "INITIAL { y = x_gbar }\n: INCLUDE \"none.inc\""),
    ],
)  # fmt: skip
def test_names_in_equations(body: str, expected: str) -> None:
    texts, _ = spread({"m.mod": mod(body), "rates.inc": "PROCEDURE rates() { y = x }"}, ["x_m"])
    assert texts["m.mod"].endswith(f"\n{expected}\n")


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("x", " x_gbar x"),
        ("x = -1.5e-3", " x_gbar = -1.5e-3 x = -1.5e-3"),
        ("x (1/ms) : why\n x_gbar = 2", " x_gbar_ (1/ms) x (1/ms) : why\n x_gbar = 2"),
        ("a = 1 (x) x = 2 (S cm2) <0, 1>", " x_gbar = 2 (S cm2) a = 1 (x) x = 2 (S cm2) <0, 1>"),
    ],
)
def test_default_and_unit_are_kept(parameter: str, expected: str) -> None:
    texts, _ = spread({"m.mod": mod("INITIAL { y = x }", parameter=parameter)}, ["x_m"])
    assert squeezed(f"PARAMETER {{{expected} }}") in squeezed(texts["m.mod"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (mod("PROCEDURE p() { TABLE y DEPEND x FROM 0 TO 1 WITH 9\n y = x }"), "TABLE"),
        (mod("PROCEDURE p() { TABLE y FROM 0 TO 1 WITH 9\n y = f() }\nFUNCTION f() { f = x }"), "TABLE"),
        (mod("INITIAL { x = 2 }"), "INITIAL sets it"),
        (mod("INITIAL { VERBATIM\n y = x;\nENDVERBATIM\n }"), "VERBATIM"),
        (mod("CONSTRUCTOR { p() }\nPROCEDURE p() { y = x }"), "CONSTRUCTOR"),
        (mod("INITIAL { y = x[0] }", parameter="x[3]"), "array"),
        (mod("INITIAL { y = 1 }", "SUFFIX m GLOBAL x", "z = 1"), "no PARAMETER"),
        (mod("INITIAL { y = x }", "ARTIFICIAL_CELL m"), "ARTIFICIAL_CELL"),
        (mod('INCLUDE "none.inc"\nINITIAL { y = x }'), "none.inc"),
    ],
)
def test_what_only_a_global_allows_is_refused(text: str, why: str) -> None:
    with pytest.raises(GbarError, match=re.escape(why)):
        spread({"m.mod": text}, ["x_m"])


def test_another_file_that_reads_the_global_is_refused() -> None:
    other = "NEURON { SUFFIX o }\nINITIAL { VERBATIM\n extern double x_m;\nENDVERBATIM }"
    with pytest.raises(GbarError, match=r"o\.mod reads 'x_m'"):
        spread({"m.mod": mod("INITIAL { y = x }"), "o.mod": other}, ["x_m"])


def test_what_is_no_global_of_these_files_is_left_out() -> None:
    texts = {"m.mod": mod("INITIAL { y = x }", "SUFFIX m RANGE r, x"), "n.mod": mod("", "SUFFIX nothing")}
    assert spread(texts, ["x_m", "x", "celsius", "usetable_hh", "x_nothing", "table_m[2]"]) == ({}, ())


def test_no_batch_is_started_with_a_mechanism_that_cannot_be_rewritten(problem: Problem, write) -> None:
    write("model/mod", **{"kdr.mod": KDR.replace("LOCAL a, b", "LOCAL a, b\n TABLE ninf FROM -99 TO 99 WITH 99")})
    with pytest.raises(GbarError, match=r"kdr\.mod: 'vh' cannot differ between copies of the cell: a TABLE"):
        Workers(problem, 1, Integrator("neuron"))


LEAK = """NEURON { SUFFIX lk  NONSPECIFIC_CURRENT i }
PARAMETER { half = -60 (mV) }
ASSIGNED { v (mV) i (mA/cm2) }
BREAKPOINT { i = 1e-4 * (v + 65) * opened(v) }
FUNCTION opened(u (mV)) { opened = 1 / (1 + exp((half - u) / 5)) }
"""
TWIG = """
begintemplate Twig
public soma, opened, told
create soma
proc init() { soma { L = 20  diam = 20  insert lk } %s }
proc told() { }
endtemplate Twig
"""


@pytest.mark.neuron
@pytest.mark.slow
def test_what_the_model_s_code_asks_of_a_global_is_not_answered_wrongly(problem: Problem, write) -> None:
    """A FUNCTION called outside any segment, and a call that may read the GLOBAL."""
    first, *_ = PROBLEM.split("[[parameter]]")
    text = first.replace("Tree", "Twig") + "[protocol" + PROBLEM.split("[protocol")[1]
    free = '[[parameter]]\nname = "half"\nset = ["global.half_lk"]\nbounds = [-70, -50]\n'
    for code, more in (("opened_lk(-60)", ""), ("", 'apply = "cell.told()"\n')):
        folder = write("twig", **{"tree.hoc": TWIG % code, "problem.toml": f"{text}{free}{more}"})
        write("twig/mod", **{"lk.mod": LEAK})
        asking = load_problem(folder, measured=False)
        assert evaluated(asking, np.array([[-60.0]]), Integrator("fixed", confirm="fixed"))
        with pytest.raises(GbarError, match="told" if more else "opened_lk|setdata"):
            Workers(asking, 1, Integrator("neuron"))
