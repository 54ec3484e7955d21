"""Paths with any letter: of the model, the cache, the temporary folder and of where gbar is started."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gbar.sim import Integrator, load_problem, simulate
from gbar.sim.problem import Problem
from tests.problems import TROUBLE, free, model_of, step_of, toml_of

pytestmark = [pytest.mark.neuron, pytest.mark.slow]

LETTERS = "é ü 漢 #1 'x'"
G = free("g", "soma.g_pas", 1e-5, 1e-3)
HOC = '{load_file("part é.hoc")}\nsoma { insert pas  L = 20  diam = 20 }\n'
PYTHON = """
import os
from neuron import h
HERE = os.path.dirname(os.path.abspath(__file__))

def make():
    h.load_file(os.path.join(HERE, "part.hoc"))
    h.soma.insert("pas")
    h.soma.L = h.soma.diam = 20
"""
SWC = "1 1 0 0 0 10 -1\n2 1 10 0 0 10 1\n3 3 20 0 0 1 2\n4 3 60 0 0 1 3\n"
KINDS = {
    "hoc": ("zelle é.hoc", {}, {"zelle é.hoc": HOC, "part é.hoc": "create soma\n"}),
    "python": ("zelle.py:make", {}, {"zelle.py": PYTHON, "part.hoc": "create soma\n"}),
    "swc": ("zelle ü.swc", {"insert.all": ["pas"]}, {"zelle ü.swc": SWC}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_in_a_folder_of_any_letters(
    kind: str, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, more, files = KINDS[kind]
    toml = {"problem.toml": toml_of(model_of(load, **more), G, step_of(amplitude=0.01, delay=5, duration=20))}
    there = load_problem(write(LETTERS, **files, **toml), measured=False)
    monkeypatch.chdir(there.folder)
    (tmp_path / "tmp é").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp é"))
    monkeypatch.setattr("tempfile.tempdir", None)
    plain = load_problem(write("plain", **files, **toml), measured=False)
    x = [np.array([1e-4])]
    (done,), (same,) = simulate(there, x), simulate(plain, x)
    assert done.status == same.status == "ok"
    assert repr(done.features) == repr(same.features) and done.features["step.voltage_base"] < -60
    assert not list((tmp_path / "tmp é").iterdir())


def test_mechanisms_are_built_in_a_cache_of_any_letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is relative: workers start in another folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GBAR_CACHE", f"cache {LETTERS}")
    problem = load_problem(shutil.copytree(TROUBLE, tmp_path / LETTERS), measured=False)
    (done,) = simulate(problem, [_fine(problem)], integrator=Integrator("neuron"))
    assert done.status == "ok", done.reason
    assert sorted(os.listdir(tmp_path)) == sorted([f"cache {LETTERS}", LETTERS])


def _fine(problem: Problem) -> np.ndarray:
    return np.array([0.0, 3e-4])[: len(problem.names)]
