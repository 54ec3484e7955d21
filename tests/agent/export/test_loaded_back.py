"""Every form of export read back: the same parameters, and the same features when they are simulated."""

import csv
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gbar.agent.export import export_solution, export_table
from gbar.agent.result import read_result
from gbar.sim import GbarError, Integrator, Problem, load_problem, simulate
from tests import every_kind
from tests.problems import ROOT
from tests.runs import a_run, measured

FORMS = ["json", "bluepyopt", "csv", "parquet"]

# What is in NEURON once solution.hoc has been loaded, measured by gbar: run in the folder of the file.
LOADED = """
import json, sys
from pathlib import Path
from neuron import h
h.load_file("stdrun.hoc")
if not h.load_file("solution.hoc"):
    sys.exit("not loaded")
from gbar.sim import Integrator, load_problem
from gbar.sim.cell.cell import Cell
from gbar.sim.engine.single import Single
problem = load_problem(sys.argv[1], measured=False)
engine = object.__new__(Single)
thing = h.cell if problem.model.template else h
engine.problem, engine.cell = problem, Cell(problem.folder, thing, None, list(h.allsec()))
engine._restless = False
unmoved = {"assign": staticmethod(lambda x: None), "find": staticmethod(lambda: False)}  # the file has set them
engine.binding = type("Set", (), unmoved)
(done,) = engine.evaluate([None], Integrator.of(problem).tight())
print(json.dumps({key: value for key, value in done.features.items() if value == value}))
"""


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Problem, Path]:
    """A run whose solutions' features are NEURON's: every kind of protocol, two solutions."""
    folder = tmp_path_factory.mktemp("every")
    every_kind.write(folder)
    problem = load_problem(folder, measured=False)
    table = measured(problem, *every_kind.MEASURED)
    problem = problem.model_copy(update={"measurements": tuple(table)})
    x = np.array([0.1234567890123, 1.0 / 9000])
    (done,) = simulate(problem, [x], integrator=Integrator.of(problem).tight())
    assert done.status == "ok", done.reason
    run = a_run(tmp_path_factory.mktemp("run"), problem, x, done.features, table)
    first = read_result(run).solutions[0]
    second = first.model_copy(update={"parameters": {"gnabar": 0.11, "g_pas": 1e-4}, "proposer": "gradient"})
    result = read_result(run).model_copy(update={"solutions": [first, second]})
    (run / "result.json").write_text(result.model_dump_json())
    for form in ("hoc", "json", "bluepyopt"):
        export_solution(run, 1, form)  # type: ignore[arg-type]
    for form in ("csv", "parquet"):
        export_table(run, form)  # type: ignore[arg-type]
    return problem, run


def read_back(run: Path, form: str) -> list[dict[str, Any]]:
    """The parameters in an export, by name; of the first solution, or of all in a table."""
    if form == "json":
        content = json.loads((run / "solutions/01/parameters.json").read_text())
        return [{name: entry["value"] for name, entry in content["parameters"].items()}]
    if form == "bluepyopt":
        fixed = json.loads((run / "solutions/01/bluepyopt.json").read_text())
        assert list(fixed) == ["gnabar_hh.soma", "g_pas.basal"]
        return [{"gnabar": fixed["gnabar_hh.soma"], "g_pas": fixed["g_pas.basal"]}]
    if form == "csv":
        with (run / "solutions/solutions.csv").open(newline="") as stream:
            return [{name: float(row[name]) for name in ("gnabar", "g_pas")} for row in csv.DictReader(stream)]
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(run / "solutions/solutions.parquet").to_pylist()
    return [{name: row[name] for name in ("gnabar", "g_pas")} for row in rows]


@pytest.mark.neuron
def test_every_form_simulates_to_the_same_features(solved: tuple[Problem, Path]) -> None:
    problem, run = solved
    first, second = read_result(run).solutions
    assert [read_back(run, form)[0] for form in FORMS] == [first.parameters] * len(FORMS)
    assert read_back(run, "csv") == read_back(run, "parquet") == [first.parameters, second.parameters]
    xs = [np.array(list(read_back(run, form)[0].values())) for form in FORMS]
    for done in simulate(problem, xs, workers=2, integrator=Integrator.of(problem).tight()):
        known = {key: value for key, value in done.features.items() if not math.isnan(value)}
        assert known == {key: value for key, value in first.features.items() if value is not None}
    assert all(first.features[key] is not None for key in every_kind.MEASURED), "each kind has something to compare"


@pytest.mark.neuron
def test_hoc_simulates_to_the_same_features(solved: tuple[Problem, Path], fresh: Callable[..., Any]) -> None:
    problem, run = solved
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NEURON_MODULE_OPTIONS": "-nogui"}
    command = [sys.executable, "-c", LOADED, str(problem.folder)]
    done = subprocess.run(command, cwd=run / "solutions/01", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = {key: value for key, value in read_result(run).solutions[0].features.items() if value is not None}
    del expected["file.ohmic_input_resistance"]  # measured, but not computed unasked
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == set(expected)
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_table_holds_every_solution_and_everything_known(solved: tuple[Problem, Path]) -> None:
    _, run = solved
    with (run / "solutions/solutions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["solution"] for row in rows] == ["1", "2"]
    assert [row["proposer"] for row in rows] == ["policy", "gradient"]
    solution = read_result(run).solutions[0]
    for key in every_kind.MEASURED:
        assert float(rows[0][f"feature:{key}"]) == solution.features[key]
        assert float(rows[0][f"z:{key}"]) == solution.z[key]


def test_parquet_without_pyarrow_is_one_line(solved: tuple[Problem, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    _, run = solved
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    with pytest.raises(GbarError, match=r"Parquet needs pyarrow: pip install 'gbar\[parquet\]'"):
        export_table(run, "parquet", run / "elsewhere")
    assert not (run / "elsewhere").exists()


ODD = {
    'mode = "scale"': "multiplies what the model has",
    'tied = { "basal.e_pas" = "-value" }': "is tied to other places",
    'apply = "cell.proper()"': "is followed by a call",
    'formula = "value * own"': "has a formula of own",
    'set = ["dend[1].g_pas"]': r"goes to 'dend\[1\]\.g_pas'",
}


@pytest.mark.parametrize("key", ODD)
def test_what_bluepyopt_cannot_say_is_refused(tmp_path: Path, key: str) -> None:
    every_kind.write(tmp_path / "cell")
    toml = tmp_path / "cell" / "problem.toml"
    plain = 'set = ["basal.g_pas"]'
    toml.write_text(toml.read_text().replace(plain, key if key.startswith("set") else f"{plain}\n{key}"))
    problem = load_problem(tmp_path / "cell", measured=False)
    table = measured(problem, "series.Spikecount")
    run = a_run(tmp_path / "run", problem, [0.12, 1e-4], {"series.Spikecount": 2.0}, table)
    with pytest.raises(GbarError, match=f"parameter 'g_pas' {ODD[key]}.*export to json"):
        export_solution(run, 1, "bluepyopt")
    assert not (run / "solutions").exists()


def test_a_run_without_solutions_has_no_table(tmp_path: Path) -> None:
    every_kind.write(tmp_path / "cell")
    problem = load_problem(tmp_path / "cell", measured=False)
    table = measured(problem, "series.Spikecount")
    run = a_run(tmp_path / "run", problem, [0.12, 1e-4], {"series.Spikecount": 2.0}, table, solutions=[])
    with pytest.raises(GbarError, match="no solutions"):
        export_table(run, "csv")
    assert not (run / "solutions").exists()
