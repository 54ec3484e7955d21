"""Cheaper forms of a model: a coarser copy beside the model, tried and remembered."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gbar.sim import Archive, GbarError, Integrator, choose_engine, load_problem
from gbar.sim.engine import Evaluation
from gbar.sim.pool import Workers
from gbar.sim.setup import fidelity
from tests.cable import SOMATIC, cable

pytestmark = pytest.mark.neuron

Write = Callable[..., Path]
COARSE = "cvode atol 0.0001 segments 5"


def test_a_coarser_copy_leaves_the_model_as_it_is(write: Write) -> None:
    problem = cable(write, *SOMATIC)
    with Workers(problem, 1, Integrator.parse(COARSE)) as pool:
        assert pool.found.sections == {"soma": 1, "dend": 5}
        (_, coarse), (_, whole) = (
            next(pool.run([pool.found.own], integrator=each))
            for each in (None, Integrator("cvode"))  # in processes of their own
        )
        assert pool.found.sections == {"soma": 1, "dend": 101}
    apart = [abs(coarse.features[key] - whole.features[key]) / abs(whole.features[key]) for key in SOMATIC]
    assert 0 < max(apart) < 0.05


def test_rules_of_distance_hold_in_a_coarser_copy(write: Write) -> None:
    text = (cable(write, *SOMATIC).folder / "problem.toml").read_text()
    rule = '[model.values]\n"dend.g_pas" = "1e-4 * (1 + distance / 1000)"\n'
    folder = write("other", **{"problem.toml": text + rule, "cable.hoc": (write("cable") / "cable.hoc").read_text()})
    with Workers(load_problem(folder, measured=False), 1, Integrator.parse("cvode atol 0.01 segments 1")) as pool:
        assert pool.found.parameters["gleak"].value == pytest.approx(1e-4 * (1 + 0.61), rel=1e-3)  # in the middle


def test_what_a_user_names_is_tried_and_remembered(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fidelity, "GAIN", 0.0)  # the cell is so small that chance decides
    named = f'[simulation]\nengine = "cvode"\nfidelities = ["{COARSE}"]\n'
    asked = cable(write, *SOMATIC, simulation=named)
    problem, choice = choose_engine(asked)
    (trial,) = choice.fidelities
    assert (trial.engine, trial.serves, trial.rank is not None and trial.rank < 0.7) == (COARSE, True, False)
    assert trial.gain > fidelity.GAIN and trial.off is not None and trial.off < 2
    assert str(Integrator.of(problem)) == choice.engine == COARSE
    assert "confirmed on the model itself" in choice.why and COARSE not in choice.why, "it is said before"
    assert str(Integrator.of(problem).tight()) == "cvode atol 1e-07"
    monkeypatch.setattr(fidelity, "_tried", lambda *_: pytest.fail("it was not remembered"))
    assert choose_engine(asked)[1] == choice
    none = asked.model_copy(update={"simulation": asked.simulation.model_copy(update={"fidelities": ()})})
    assert choose_engine(none)[1].engine == "cvode atol 0.0001"


def test_a_dear_model_is_tried_by_itself(write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GBAR_ENGINE", raising=False)
    monkeypatch.setattr(fidelity, "DEAR_S", 0.0)
    monkeypatch.setattr("gbar.sim.setup.choice.DOUBTFUL_S", 0.0)
    monkeypatch.setattr("gbar.sim.setup.choice.CANDIDATES", ())
    monkeypatch.setattr(fidelity, "GAIN", 0.0)
    problem, choice = choose_engine(cable(write, *SOMATIC))
    assert choice.engine == "cvode atol 0.01 segments 1" and len(choice.fidelities) == 1
    monkeypatch.setattr(fidelity, "GAIN", 1e9)  # nothing is so cheap
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "other"))
    problem, choice = choose_engine(cable(write, *SOMATIC))
    assert choice.engine == str(Integrator.of(problem)) == "cvode atol 0.0001" and len(choice.fidelities) == 3
    assert "no cheaper form serves" in choice.why


def test_a_model_that_is_dear_further_out_counts_as_dear(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where engines are compared the cell may be silent, which costs CVODE a tenth of firing."""
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GBAR_ENGINE", raising=False)
    monkeypatch.setattr("gbar.sim.setup.choice.DOUBTFUL_S", 0.0)
    monkeypatch.setattr("gbar.sim.setup.choice.CANDIDATES", ())
    _, cheap = choose_engine(cable(write, *SOMATIC))
    assert cheap.fidelities == [] and cheap.further_out_s and "cheaper form" not in cheap.why
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(fidelity, "DEAR_S", cheap.further_out_s / 100)
    _, dear = choose_engine(cable(write, *SOMATIC))
    assert dear.fidelities and dear.further_out_s and dear.seconds >= dear.further_out_s


def test_what_was_ended_half_way_does_not_make_a_model_cheap() -> None:
    ended, done = Evaluation({}, status="failed", reason="took too long"), Evaluation({}, cpu=2.0)
    assert fidelity._seconds([ended, done]) == 2.0
    assert fidelity._seconds([ended]) is None


def test_a_form_that_the_system_killed_is_tried_again(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a machine short of memory does to a process says nothing about the form."""
    memory = tmp_path / "engine.json"
    killed = fidelity.FidelityTrial(engine=COARSE, refused="crashed with SIGKILL", passing=True)
    for_good = killed.model_copy(update={"passing": False})
    problem = cable(write, *SOMATIC)
    monkeypatch.setattr(fidelity, "_tried", lambda *_: fidelity.FidelityTrials(trials=[killed]))
    assert fidelity.try_fidelities(problem, memory, None).best is None
    assert list(tmp_path.glob("engine-fidelity-*")) == []
    monkeypatch.setattr(fidelity, "_tried", lambda *_: fidelity.FidelityTrials(trials=[for_good]))
    fidelity.try_fidelities(problem, memory, None)
    assert len(list(tmp_path.glob("engine-fidelity-*"))) == 1


def test_a_form_that_is_none(write: Write) -> None:
    with pytest.raises(GbarError, match=r"simulation.fidelities: 'segments 1' is no engine: expected one such as"):
        cable(write, *SOMATIC, simulation='[simulation]\nfidelities = ["segments 1"]\n')
    with pytest.raises(GbarError, match="segments"):
        cable(write, *SOMATIC, simulation="[simulation]\nsegments = 0\n")


def test_rows_of_two_fidelities_never_mix(write: Write, tmp_path: Path) -> None:
    problem = cable(write, *SOMATIC)
    with Workers(problem, 1) as pool, Archive(tmp_path / "a.sqlite", problem) as archive:
        for slot, engine in enumerate([COARSE, "cvode atol 0.0001"]):
            (_, done) = next(pool.run([pool.found.own], integrator=Integrator.parse(engine)))
            archive.add("run", 0, slot, "design", engine, pool.found.own, done)
        assert [len(archive.rows(SOMATIC, engine)) for engine in (COARSE, "cvode atol 0.0001", "cvode atol 0.01")] == [
            1,
            1,
            0,
        ]
        assert archive.seconds("run").keys() == {COARSE, "cvode atol 0.0001"}
