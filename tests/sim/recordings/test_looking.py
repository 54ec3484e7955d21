"""Sweeps looked at before they are measured: one left out, or a step that is moved, counts when they are."""

from pathlib import Path

import pytest

from gbar.sim import GbarError, Problem, load_problem
from gbar.sim.recordings import Reading, look, measure_recordings
from tests.problems import HH
from tests.recorded import passive, write_csv


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    sweeps = [passive(-0.1, seed=1), passive(-0.1, resistance=120.0, seed=2), passive(0.2, spikes=5, seed=3)]
    write_csv(tmp_path / "cell.csv", sweeps, 0.1)
    return tmp_path / "cell.csv"


@pytest.fixture(scope="module")
def problem() -> Problem:
    return load_problem(HH)


def test_every_sweep_has_its_step_and_spikes(problem: Problem, recorded: Path) -> None:
    first, second, third = look(problem, [recorded], Reading())
    assert [one.reason for one in (first, second, third)] == ["", "", ""]
    assert first.step is not None
    assert (first.step.start, first.step.end) == pytest.approx((200, 500), abs=0.2)
    assert first.step.amplitude == pytest.approx(-0.1, abs=1e-3)
    assert (len(first.spikes), len(third.spikes)) == (0, 5)
    assert first.protocol == ""  # the squid has a step of other times


def test_one_that_is_left_out_is_shown_and_not_measured(problem: Problem, recorded: Path) -> None:
    name = Path(look(problem, [recorded], Reading())[1].name).name
    reading = Reading(left_out=(name,))
    assert [one.left_out for one in look(problem, [recorded], reading)] == [False, True, False]

    def resistance(reading: Reading) -> float:
        found = measure_recordings(problem, [recorded], reading, create=True)
        return next(row.mean for row in found.rows if row.feature == "ohmic_input_resistance")

    assert resistance(Reading()) == pytest.approx(110, abs=1)
    assert resistance(reading) == pytest.approx(100, abs=1)
    said = measure_recordings(problem, [recorded], reading, create=True).refused
    assert [line for line in said if line.endswith("left out")] == [f"{recorded}, sweep 1: left out"]


def test_a_step_is_where_the_user_says(problem: Problem, recorded: Path) -> None:
    name = Path(look(problem, [recorded], Reading())[0].name).name
    moved = look(problem, [recorded], Reading(windows=((name, 250.0, 450.0),)))
    assert moved[0].step is not None
    assert (moved[0].step.start, moved[0].step.end) == (250.0, 450.0)
    assert moved[1].step is not None
    assert moved[1].step.start == pytest.approx(200, abs=0.2)
    nowhere = look(problem, [recorded], Reading(windows=((name, 600.0, 700.0),)))
    assert "no current between 600 and 700 ms" in nowhere[0].reason


def test_what_cannot_be_read_is_one_that_is_not_used(problem: Problem, tmp_path: Path) -> None:
    (tmp_path / "bad.abf").write_bytes(b"nonsense")
    (one,) = look(problem, [tmp_path / "bad.abf"], Reading())
    assert one.sweep is None
    assert one.reason
    with pytest.raises(GbarError, match="no recording gbar can read"):
        (tmp_path / "x.doc").touch()
        look(problem, [tmp_path / "x.doc"], Reading())
