"""A MOD file that only CoreNEURON refuses is in nobody's way where the model has none of its mechanism."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from gbar.sim import Integrator, load_problem
from gbar.sim.mechanisms import library
from gbar.sim.pool import prepared as module
from gbar.sim.pool.prepared import prepared
from tests.problems import LEAK_MOD, free, model_of, step_of, toml_of

CORE = Integrator("coreneuron")
# NEURON takes a GLOBAL that the equations write, CoreNEURON does not
ODD_MOD = (
    LEAK_MOD.replace("leaky", "odd").replace("RANGE g", "RANGE g\n    GLOBAL tadj").replace("= g * (v", "= tadj * (v")
)
ODD_MOD = ODD_MOD.replace("ASSIGNED { ", "ASSIGNED { tadj ").replace("BREAKPOINT {", "BREAKPOINT {\n    tadj = g")
TOML = toml_of(model_of(mechanisms=["mod"]), free("g", "soma.g_leaky", 1e-5, 1e-3), step_of())
HOC = "create soma\nsoma { L = 20  diam = 20  insert leaky }\n"


@pytest.mark.neuron
@pytest.mark.skipif(int(metadata.version("neuron").partition(".")[0]) < 9, reason="nrnivmodl of NEURON 8 refuses it")
def test_what_the_model_does_not_insert_is_left_out(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "cache"))
    files = {"mod/leaky.mod": LEAK_MOD, "mod/odd.mod": ODD_MOD, "problem.toml": TOML}
    problem = load_problem(write("cell", **files, **{"cell.hoc": HOC}), measured=False)
    found = prepared(problem, CORE)
    assert list((tmp_path / "cache").rglob("used/*.json")), "CoreNEURON does not take all of them"
    assert found.core and found.library == str(library.build(problem.mechanism_folders)), "NEURON has them all"
    monkeypatch.setattr(module, "ask", None)  # remembered: nobody asks again
    assert prepared(problem, CORE) == found
    assert prepared(problem, Integrator("neuron")).core is None
