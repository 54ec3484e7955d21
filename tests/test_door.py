"""The door: what `import gbar` offers, and that it costs nothing until something is asked for."""

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gbar
from tests.problems import HH, ROOT, free, model_of, step_of, toml_of
from tests.synthetic import AGENT


def test_a_run_that_cannot_begin_leaves_no_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GBAR_ENGINE", "nonsense")
    with pytest.raises(gbar.GbarError, match="nonsense"):
        gbar.tune(HH)
    assert list(tmp_path.iterdir()) == []


def test_the_door_lists_what_it_offers() -> None:
    for name in gbar.__all__:
        assert getattr(gbar, name) is not None
    assert set(gbar.__all__) <= set(dir(gbar))
    with pytest.raises(AttributeError, match="no attribute 'tuna'"):
        _ = gbar.tuna


def test_importing_loads_neither_jax_nor_neuron(fresh: Callable[..., Any]) -> None:
    script = "import json, sys, gbar; gbar.load_problem(sys.argv[1]); print(json.dumps(sorted(sys.modules)))"
    assert not {"jax", "neuron", "flax", "sim", "agent", "scripts"} & set(fresh(script, HH))


@pytest.mark.parametrize("command", [["-m", "gbar"], [str(ROOT / "scripts" / "main.py")]])
def test_the_version(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, *command, "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"gbar {gbar.__version__}\n")


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = [
        ".".join(("gbar", *init.parent.relative_to(ROOT).parts))
        for folder in ("sim", "surrogate", "agent", "scripts")
        for init in (ROOT / folder).rglob("__init__.py")
    ]
    assert sorted(listed) == sorted(["gbar", "gbar.models", *there])


@pytest.mark.neuron
def test_measure() -> None:
    own = gbar.measure(HH)
    changed = gbar.measure(str(HH), {"gnabar": 0.13})
    assert [(row.protocol, row.feature) for row in own] == [(row.protocol, row.feature) for row in changed]
    assert own != changed and all(row.unit for row in own)
    with pytest.raises(gbar.GbarError, match=r"no free parameter 'gnabr' \(nearest: 'gnabar'\)"):
        gbar.measure(HH, {"gnabr": 0.13})
    with pytest.raises(gbar.GbarError, match="expected a finite number"):
        gbar.measure(HH, {"gnabar": float("nan")})


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> gbar.Result:
    out = tmp_path_factory.mktemp("door") / "run"
    return gbar.tune(HH, out=out, solutions=2, tolerance=3.0, batch=8, agent=AGENT)


@pytest.mark.neuron
@pytest.mark.slow
def test_tune_gives_a_result_to_look_at(result: gbar.Result) -> None:
    assert len(result.solutions) == 2
    table = result.to_dataframe()
    names = [parameter.name for parameter in result.parameters]
    assert list(table.index) == [1, 2] and list(table.columns[: len(names)]) == names
    assert table.loc[1, "z:fire.AP_height"] == result.solutions[0].z["fire.AP_height"]
    assert table.loc[2, "fire.AP_height"] == result.solutions[1].features["fire.AP_height"]
    t, v = result.traces(1)["fire"]
    assert t.shape == v.shape and np.all(np.diff(t) > 0) and v.max() > 20
    with pytest.raises(gbar.GbarError, match="no traces of solution 3: expected 1 to 2"):
        result.traces(3)
    page = result._repr_html_()
    assert page.count("<th>solution") == 2 and f"{result.solutions[0].features['fire.AP_height']:.4g}" in page


@pytest.mark.neuron
@pytest.mark.slow
def test_a_result_is_read_back_and_verified(result: gbar.Result) -> None:
    again = gbar.read_result(result.folder)
    assert again == result and again.traces(2).keys() == result.traces(2).keys()
    assert [solution.verdict for solution in gbar.verify(result.folder).solutions] == ["confirmed", "confirmed"]


def test_a_choice_that_there_is_not() -> None:
    with pytest.raises(gbar.GbarError, match=r"tune: no choice is called 'solution' \(nearest: 'solutions'\)"):
        gbar.tune(HH, solution=3)


MODEL = """
from neuron import h
from scripts import LENGTH
from agent import Dendrites
import gbar_model


class Cell:
    def __init__(self):
        self.soma = h.Section(name="soma", cell=self)
        self.soma.L = self.soma.diam = LENGTH
        self.soma.insert("hh")
        self.dend = Dendrites(self).made
        assert gbar_model.OWN


def make():
    return Cell()
"""
FILES = {
    "sim.py": MODEL,
    "scripts.py": "LENGTH = 30\n",
    "gbar_model.py": "OWN = True\n",
    "agent.py": """
from neuron import h


class Dendrites:
    def __init__(self, cell):
        self.made = [h.Section(name=f"dend[{i}]", cell=cell) for i in range(4)]
        for section in self.made:
            section.insert("pas")
            section.connect(cell.soma(1))
""",
    "problem.toml": toml_of(
        model_of("sim.py:make"), free("gnabar", "soma.gnabar_hh", 0.05, 0.3), step_of(amplitude=0.1)
    ),
}


@pytest.mark.neuron
def test_a_model_whose_files_are_called_like_ours(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where folders of these names lie
    rows = gbar.measure(write("model", **FILES))
    assert {row.protocol for row in rows} == {"step"} and any(row.value is not None for row in rows)
