"""A run folder: what it holds when a run ends well, and what stays when one does not."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from gbar.agent import tune
from gbar.agent.tuning.definition import TuneConfig
from gbar.agent.tuning.ledger import Status
from gbar.sim import Archive, GbarError, Problem, load_problem, with_engine
from tests.problems import HH, TROUBLE

DESIGN = 6  # evaluations of the squid axon before anything is learned


@pytest.mark.neuron
def test_every_solution_comes_with_files_that_run_without_gbar(tmp_path: Path) -> None:
    config = TuneConfig(budget=20, solutions=2, tolerance=50.0)  # so wide that the design itself meets it
    result = tune(load_problem(HH), config, tmp_path / "run")
    assert len(result.solutions) == 2
    for number in ("01", "02"):
        assert sorted(file.name for file in (tmp_path / "run" / "solutions" / number).iterdir()) == [
            "run.py",
            "solution.hoc",
        ]
    assert (tmp_path / "run" / "solutions" / "model" / "hh.hoc").read_bytes() == (HH / "hh.hoc").read_bytes()
    assert not list((tmp_path / "run").glob("archive.sqlite-*")), "SQLite's own files are gone with the run"


@pytest.mark.neuron
def test_a_set_found_with_the_last_evaluation_is_a_solution(tmp_path: Path) -> None:
    """No evaluation is left to confirm it, and it is confirmed all the same: it was once shown as a compromise."""
    config = TuneConfig(budget=1, solutions=1, tolerance=50.0)
    result = tune(load_problem(HH), config, tmp_path / "run")
    assert (result.status, result.evaluations, result.first_solution_at) == ("solved", 1, 1)
    (solution,) = result.solutions
    assert solution.max_abs_z is not None and solution.max_abs_z <= 50.0 and not solution.gives_up
    assert (tmp_path / "run" / "solutions" / "01" / "run.py").is_file()
    again = tune(load_problem(HH), config, tmp_path / "run")
    assert (again.status, again.evaluations, again.solutions) == ("solved", 1, [solution]), "taken up again"


@pytest.mark.neuron
def test_what_was_simulated_stays_when_a_run_fails_later(tmp_path: Path) -> None:
    def fail(status: Status) -> None:
        if status.evaluations >= 2:
            raise GbarError("the disk is full")

    with pytest.raises(GbarError, match="disk is full"):
        tune(load_problem(HH), TuneConfig(budget=12), tmp_path / "deep" / "run", observe=fail)
    with Archive(tmp_path / "deep" / "run" / "archive.sqlite", load_problem(HH)) as archive:
        assert archive.count() == 2


@pytest.fixture
def broken() -> Problem:
    """A problem whose model does not load."""
    problem = load_problem(HH)
    return problem.model_copy(update={"model": problem.model.model_copy(update={"template": "NoSuchCell"})})


def inside(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.neuron
def test_nothing_stays_when_a_run_cannot_start(broken: Problem, tmp_path: Path) -> None:
    with pytest.raises(GbarError, match="NoSuchCell"):
        tune(broken, TuneConfig(budget=12), tmp_path / "deep" / "run")
    assert inside(tmp_path) == []


@pytest.mark.neuron
@pytest.mark.parametrize("typed", ["runs/../precious", "precious", "link", "precious/new", "precious/../precious/new"])
def test_what_was_there_stays_when_a_run_cannot_start(broken: Problem, tmp_path: Path, typed: str) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("all of it")
    (tmp_path / "link").symlink_to("precious")
    before = inside(tmp_path)
    with pytest.raises(GbarError, match="NoSuchCell"):
        tune(broken, TuneConfig(budget=12), tmp_path / typed)
    assert inside(tmp_path) == before


@pytest.mark.neuron
@pytest.mark.parametrize("typed", ["new/../s/keep.sqlite", "s/keep.sqlite", "s/link.sqlite"])
def test_another_models_archive_stays(tmp_path: Path, typed: str) -> None:
    problem = load_problem(HH)
    (tmp_path / "s").mkdir()
    with Archive(tmp_path / "s" / "keep.sqlite", load_problem(TROUBLE, measured=False)):
        pass
    (tmp_path / "s" / "link.sqlite").symlink_to("keep.sqlite")
    before = inside(tmp_path)
    with pytest.raises(GbarError, match="another model"):
        tune(problem, TuneConfig(budget=12), tmp_path / "run", tmp_path / typed)
    assert inside(tmp_path) == before


@pytest.mark.neuron
@pytest.mark.parametrize("where", ["run/a.sqlite", "run/deep/../a.sqlite"])
def test_a_model_that_changes_in_mid_run_costs_no_row(tmp_path: Path, where: str) -> None:
    """An archive of any name in the run folder, which did not exist before."""
    model = Path(shutil.copytree(HH, tmp_path / "model"))
    hoc = (model / "hh.hoc").read_text()

    def change(status: Status) -> None:
        if status.evaluations == DESIGN:
            (model / "hh.hoc").write_text(hoc + "\n")

    problem = load_problem(model)
    with pytest.raises(GbarError, match="changed since this run"):
        tune(problem, TuneConfig(budget=40), tmp_path / "run", tmp_path / where, observe=change)
    (model / "hh.hoc").write_text(hoc)
    with Archive(tmp_path / "run" / "a.sqlite", problem, must_exist=True) as archive:
        assert archive.count() == DESIGN
    assert inside(tmp_path / "run") == ["a.sqlite", "live.npz", "neuron.log", "progress.json"]


@pytest.mark.parametrize("name", ["result.json", "solutions.csv", "report.html", "traces.npz", "solutions/01/run.py"])
def test_what_another_program_wrote_is_not_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(GbarError, match="gbar did not write"):
        tune(with_engine(load_problem(HH), "cvode atol 0.0001"), TuneConfig(budget=12), tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "neuron.log").exists()


def test_one_run_at_a_time_in_a_folder(tmp_path: Path) -> None:
    """Held by the system: a run that is killed does not leave a lock."""
    (tmp_path / "run").mkdir()
    other = os.open(tmp_path / "run", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        with pytest.raises(GbarError, match="another gbar is at work in it"):
            tune(with_engine(load_problem(HH), "cvode atol 0.0001"), TuneConfig(budget=12), tmp_path / "run")
    finally:
        os.close(other)
    assert [file.name for file in (tmp_path / "run").iterdir()] == []
