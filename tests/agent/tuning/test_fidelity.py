"""Dear models: searched on a coarser copy, confirmed on the model, left where that misleads; protocols in turn."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gbar.agent import tune
from gbar.agent.tuning import Status, TuneConfig
from gbar.sim import Archive, Integrator, Problem, load_problem, simulate
from gbar.sim.engine import UNKNOWN
from tests.cable import DISTAL, SOMATIC, cable
from tests.problems import HH
from tests.synthetic import AGENT

pytestmark = pytest.mark.neuron
CONFIG = TuneConfig(budget=120, solutions=1, tolerance=1.0, batch=4, agent=AGENT)


def worst(problem: Problem, parameters: dict[str, float]) -> float:
    """The largest |z| in the model itself."""
    (done,) = simulate(problem, [np.array(list(parameters.values()))], integrator=Integrator("cvode", 1e-7))
    return max(abs(m.z(done.features[m.key])) for m in problem.measurements)


def test_a_copy_is_searched_on_and_the_model_confirms(write: Callable[..., Path], tmp_path: Path) -> None:
    problem = cable(write, *SOMATIC, simulation='[simulation]\nengine = "cvode"\nsegments = 5\n')
    result = tune(problem, CONFIG, tmp_path / "run")
    assert (result.engine, result.confirmed_by) == ("cvode atol 0.0001 segments 5", "cvode atol 1e-07")
    assert result.simulated_s.keys() == {result.engine, result.confirmed_by} and "misled" not in result.engine_why
    assert worst(problem, result.solutions[0].parameters) <= 1.0


def test_a_copy_that_misleads_is_left(write: Callable[..., Path], tmp_path: Path) -> None:
    """With one segment the far end of the dendrite is its middle: what fits there does not fit the model."""
    problem = cable(write, *SOMATIC, DISTAL, simulation='[simulation]\nengine = "cvode"\nsegments = 1\n')
    result = tune(problem, CONFIG._replace(tolerance=0.5), tmp_path / "run")
    assert result.engine == "cvode atol 0.0001" and "cvode atol 0.0001 segments 1 misled" in result.engine_why
    assert result.left_form == "cvode atol 0.0001 segments 1"
    assert sum(seconds for _, seconds in result.wall_s.parts()) == pytest.approx(result.wall_s.total, rel=0.02, abs=1.0)
    began = time.monotonic()
    again = tune(problem, CONFIG._replace(tolerance=0.5), tmp_path / "run")
    assert again == result and time.monotonic() - began < 5, "it is known to have ended"
    assert worst(problem, result.solutions[0].parameters) <= 0.5


def test_protocols_in_turn_end_where_the_run_left_alone_does(tmp_path: Path) -> None:
    problem = load_problem(HH)
    problem = problem.model_copy(update={"simulation": problem.simulation.model_copy(update={"engine": "cvode"})})
    config = TuneConfig(budget=200, solutions=4, tolerance=0.5, batch=4, agent=AGENT, schedule="greedy")
    alone = tune(problem, config, tmp_path / "alone")
    assert alone.schedule == "greedy" and len(alone.solutions) == 4
    assert alone.arms_s["greedy"] < alone.arms_s["whole"]
    with Archive(tmp_path / "alone" / "archive.sqlite", problem) as archive:
        rows = archive.rows([m.key for m in problem.measurements], alone.engine, partial=True)
        parts = (rows.features == UNKNOWN).any(axis=1)
        assert 0 < parts.sum() < len(rows)
        assert len(archive.rows([m.key for m in problem.measurements], alone.engine)) == (~parts).sum()

    def stop(status: Status) -> None:
        if status.evaluations >= 16:
            raise KeyboardInterrupt

    assert tune(problem, config, tmp_path / "broken", observe=stop).status == "interrupted"
    broken = tune(problem, config, tmp_path / "broken")
    assert [one.parameters for one in broken.solutions] == [one.parameters for one in alone.solutions]
    assert broken.evaluations == alone.evaluations
