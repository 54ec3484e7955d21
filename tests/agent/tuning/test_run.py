"""A run folder: what it holds when a run ends well, and what stays when one does not."""

import fcntl
import os
from pathlib import Path

import pytest

from gbar.agent import tune
from gbar.agent.tuning.session import Session, TuneConfig
from gbar.sim import Archive, GbarError, load_problem, with_engine

HH = Path(__file__).parents[3] / "models" / "hh"


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


@pytest.mark.neuron
def test_what_was_simulated_stays_when_a_run_fails_later(tmp_path: Path) -> None:
    def fail(session: Session) -> None:
        if session.evaluations >= 2:
            raise GbarError("the disk is full")

    with pytest.raises(GbarError, match="disk is full"):
        tune(load_problem(HH), TuneConfig(budget=12), tmp_path / "deep" / "run", observe=fail)
    with Archive(tmp_path / "deep" / "run" / "archive.sqlite", load_problem(HH)) as archive:
        assert archive.count() == 2


@pytest.mark.neuron
def test_nothing_stays_when_a_run_cannot_start(tmp_path: Path) -> None:
    problem = load_problem(HH)
    broken = problem.model_copy(update={"model": problem.model.model_copy(update={"template": "NoSuchCell"})})
    with pytest.raises(GbarError, match="NoSuchCell"):
        tune(broken, TuneConfig(budget=12), tmp_path / "deep" / "run")
    assert not (tmp_path / "deep").exists()


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
    assert list((tmp_path / "run").iterdir()) == []
