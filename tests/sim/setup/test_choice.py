"""The trial of engines has an end: what cannot be the faster one is stopped, and so is a build that hangs."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from gbar.sim import Evaluation, GbarError, Integrator, choose_engine, load_problem
from gbar.sim.archive import near
from gbar.sim.errors import MachineError
from gbar.sim.mechanisms import library as mechanisms
from gbar.sim.setup import choice
from tests.problems import HH, LEAK_MOD, free, model_of, step_of, toml_of

pytestmark = pytest.mark.neuron

Write = Callable[..., Path]
LONG = """
begintemplate Cable
public dend
create dend
proc init() { dend { L = 3000  diam = 2  nseg = 901  insert pas } }
endtemplate Cable
"""
QUIET = toml_of(
    model_of("cable.hoc", template="Cable", v_init=-70),
    free("g_pas", "dend.g_pas", 1e-4, 1e-3),
    step_of("wait", at="dend(0.5)", record="dend(0.5).v", amplitude=-0.1, delay=9000, duration=200, total=9300),
)


@pytest.mark.slow
def test_what_cannot_be_faster_is_stopped(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long silence costs CVODE a few steps, and fixed steps as much as anything: no reason to wait for them."""
    monkeypatch.delenv("GBAR_ENGINE")
    monkeypatch.setattr(choice, "CANDIDATES", (Integrator("neuron"),))  # which is not built first
    monkeypatch.setattr(choice, "LEAST_S", 1.0)
    folder = write("cable", **{"cable.hoc": LONG, "problem.toml": QUIET})
    before = time.monotonic()
    problem, chosen = choose_engine(load_problem(folder, measured=False))
    assert problem.simulation.engine == "cvode"
    by_cvode, stopped = chosen.trials
    assert stopped.slow and stopped.seconds is None
    assert stopped.refused.startswith("slower than cvode atol 0.0001: 8 evaluations not done in ")
    assert stopped.refused in chosen.why
    assert by_cvode.seconds is not None and time.monotonic() - before < 60
    monkeypatch.setattr(choice, "LONGEST_S", 0.0)  # a model that even CVODE takes too long for
    monkeypatch.setenv("GBAR_CACHE", str(folder))  # where nothing is remembered
    _, chosen = choose_engine(load_problem(folder, measured=False))
    assert (chosen.engine, len(chosen.trials)) == ("cvode atol 0.0001", 1) and chosen.trials[0].slow
    assert chosen.why == "an evaluation takes longer than 0 s: no other engine was tried"
    assert not psutil.Process().children()


KILLED_PY = """
import os
from neuron import h
made = []
def build():
    made.append(h.Section(name=f"soma{len(made)}"))
    made[-1].insert("pas")
    if len(made) > 1 and "KILL_COPIES" in os.environ or "KILL_ALL" in os.environ:
        os.kill(os.getpid(), 9)
    class Cell: soma, sections = made[-1], [made[-1]]
    return Cell
"""
KILLED_TOML = toml_of(
    model_of("cell.py:build", v_init=-70),
    free("g_pas", "soma.g_pas", 1e-4, 1e-3),
    step_of("down", at="soma(0.5)", record="soma(0.5).v", amplitude=-0.1, delay=10, duration=20, total=40),
)


def test_what_a_killed_process_says_of_an_engine_is_not_remembered(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory may be there another time."""
    monkeypatch.delenv("GBAR_ENGINE")
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr(choice, "CANDIDATES", (Integrator("neuron"),))
    problem = load_problem(write("cell", **{"cell.py": KILLED_PY, "problem.toml": KILLED_TOML}), measured=False)
    monkeypatch.setenv("KILL_ALL", "1")
    with pytest.raises(MachineError, match="3 times in a row: by somebody, or by the system because memory is short"):
        choose_engine(problem)
    monkeypatch.delenv("KILL_ALL")
    monkeypatch.setenv("KILL_COPIES", "1")
    _, chosen = choose_engine(problem)
    assert chosen.engine == "cvode atol 0.0001" and chosen.trials[1].passing, chosen
    assert not list((tmp_path / "own").rglob("engines/*.json"))
    monkeypatch.delenv("KILL_COPIES")
    _, chosen = choose_engine(problem)
    assert len(chosen.trials) == 2 and not chosen.trials[1].passing and chosen.trials[1].simulates, chosen
    assert len(list((tmp_path / "own").rglob("engines/*.json"))) == 1


def test_the_patience_for_a_candidate() -> None:
    """As long as CVODE takes for as many; where that is long, what a few evaluations take."""
    patience = {s: choice.Reference(Integrator(), {0: Evaluation(seconds=s)}, 1.0).patience for s in (0.1, 2, 4, 12)}
    assert patience == {0.1: choice.LEAST_S, 2: 16.0, 4: 20.0, 12: 48.0}


def test_an_engine_may_see_a_few_cells_otherwise() -> None:
    """Those that fire by themselves, of which all features differ: a quarter of eight, but not more; and no engine that
    is off in some features of every cell."""
    problem = load_problem(HH)
    right = Evaluation(features={m.key: m.mean for m in problem.measurements})
    off = {m.key: m.mean + 2 * m.sd for m in problem.measurements[::4]}
    little = Evaluation(features=right.features | off)
    wild = Evaluation(features=dict.fromkeys(right.features, math.nan))

    def trial(*seen: Evaluation) -> choice.EngineTrial:
        shares = choice._agreement(problem, [(one, right) for one in seen])
        return choice.EngineTrial(engine="neuron", agree=float(np.mean(shares)), typical=float(np.median(shares)))

    assert trial(*[right] * 8).agree == 1.0
    assert trial(*[right] * 6, *[wild] * 2).sees_the_same
    assert not trial(*[right] * 5, *[wild] * 3).sees_the_same
    assert not trial(*[little] * 8).sees_the_same
    assert choice._agreement(problem, [(wild, wild)]) == [1.0]  # what neither defines says nothing
    half = Evaluation(features=dict(list(right.features.items())[:2]))
    assert choice._agreement(problem, [(half, half), (half, wild)]) == [1.0, 0.0]


@pytest.mark.parametrize("core", [False, True])
def test_a_build_that_does_not_end(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, core: bool) -> None:
    """It is ended with everything it has started, says so, and leaves nothing that would be taken for a library."""
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr(mechanisms, "BUILD_LIMIT_S", 0.3)
    folder, program = write("mod", **{"leaky.mod": LEAK_MOD}), "nrnivmodl-core" if core else "nrnivmodl"
    with pytest.raises(GbarError, match=rf"^{program} was not done within 0\.3 s$"):
        (mechanisms.build_core if core else mechanisms.build)([folder])
    deadline = time.monotonic() + 5
    while (left := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
    assert not [path for path in (tmp_path / "own").rglob("*") if path.suffix in {".so", ".dylib", ".cpp"}]


def test_engines_are_timed_where_a_search_begins() -> None:
    """At the start that the problem names or the model's own values, and near them; the rest only says whether they
    agree anywhere."""
    problem = load_problem(HH)
    own = np.array([0.12, 0.5, 0.0003])  # the second outside its bounds
    points = problem.unit(near(problem, own, choice.POINTS - choice.FAR, choice.NEAR_STEP))
    assert np.allclose(points[0], problem.nearest(own)) and len(points) == choice.POINTS - choice.FAR
    assert np.abs(points - points[0]).max() <= choice.NEAR_STEP + 1e-9 and (points >= 0).all() and (points <= 1).all()
    seconds = [9.0, 9.0, 1.0, 2.0]
    found = choice.Reference(Integrator(), {i: Evaluation(seconds=s) for i, s in enumerate(seconds)}, 1.0)
    assert found.seconds == 1.5 and found._replace(evaluations={0: Evaluation(seconds=9)}).seconds == 9.0
