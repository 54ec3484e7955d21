"""The paragraph for a methods section: what a reader of a paper needs to repeat the run."""

from pathlib import Path

import numpy as np
import pytest

from gbar.agent.export import export_methods, methods
from gbar.agent.result import read_result
from gbar.sim import GbarError, load_problem
from tests.problems import HH
from tests.runs import a_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    problem = load_problem(HH)
    values = {m.key: m.mean for m in problem.measurements}
    return a_run(tmp_path / "run", problem, np.array([0.12, 0.036, 3e-4]), values, problem.measurements)


def test_it_says_what_repeats_the_run(run: Path) -> None:
    text = methods(read_result(run))
    for part in (
        "The model hh (hh.hoc; 6.3 °C) was fitted to 8 measurements (mean ± SD; table.csv) under 2 stimulus protocols",
        "with gbar 0.1.0",
        "confirmed at higher accuracy (CVODE, absolute tolerance 1e-07)",
        "eFEL 5.7.34",
        "within 2 SD",
        "random seed 4) 1 parameter set was accepted.",
    ):
        assert part in text


def test_it_is_written_and_no_file_of_the_users_is_written_over(run: Path, tmp_path: Path) -> None:
    (file,) = export_methods(run)
    assert file == run / "solutions" / "methods.txt" and file.read_text() == methods(read_result(run)) + "\n"
    assert export_methods(run) == [file]  # over its own
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "methods.txt").write_text("My own words.")
    with pytest.raises(GbarError, match="no export wrote it"):
        export_methods(run, tmp_path / "mine")
