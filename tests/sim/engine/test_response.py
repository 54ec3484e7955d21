"""Features from traces without NEURON, across protocols, and protocols placed on several cells of one process."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gbar.sim import GbarError, load_problem
from gbar.sim.engine.response import finish, measure_protocol
from tests.problems import HH, MOTONEURON


def test_a_candidate_without_a_rheobase_has_no_feature_defined() -> None:
    problem = load_problem(MOTONEURON)
    found = measure_protocol(problem, "threshold", {}, None)
    assert {"threshold.rheobase", "threshold.AP_begin_voltage"} <= set(found)
    assert all(math.isnan(value) for value in found.values())


def test_the_gain_is_taken_over_the_steps_that_ran() -> None:
    problem = load_problem(MOTONEURON)
    steps = ["fire_low", "fire_mid", "fire_high"]
    rates = dict(zip([f"{step}.mean_frequency" for step in steps], [10.0, 14.0, 99.0], strict=True))
    assert finish(problem, rates, {"fire_low": 10.0, "fire_mid": 12.0, "fire_high": None}) == {
        "fi.f_I_gain": pytest.approx(2.0)
    }


def test_a_voltage_that_is_not_finite_is_an_error_with_its_time() -> None:
    problem = load_problem(HH)
    t = np.arange(0.0, 200.0, 0.025)
    v = np.where(t > 70.0, np.nan, -65.0)
    with pytest.raises(GbarError, match=r"protocol hyperpolarise: the voltage is not finite from 70\.02"):
        measure_protocol(problem, "hyperpolarise", {"record": (t, v)}, -0.2)


def test_protocols_say_how_long_they_are_quiet() -> None:
    problem = load_problem(HH)
    assert {name: protocol.quiet_until for name, protocol in problem.stimuli.items()} == {
        "hyperpolarise": 50,
        "fire": 50,
    }


@pytest.mark.neuron
def test_several_cells_each_with_its_own_current(fresh: Callable[..., Any]) -> None:
    """Two cells in one process respond as each does alone; a closed protocol injects nothing."""
    script = """
import json
from pathlib import Path
from gbar.sim import Integrator, load_problem
from gbar.sim import cell
from gbar.sim.cell import protocols
problem = load_problem("models/hh")
accuracy = vars(Integrator("fixed"))
model = problem.model
cells = [cell.build(problem.folder, model) for _ in range(2)]
def run(*pairs):
    placed = [protocols.place(one, problem.protocol["fire"], amplitude, 0.1) for one, amplitude in pairs]
    protocols.initialise(model.celsius, model.v_init, accuracy)
    protocols.integrate(problem.protocol["fire"].total, accuracy)
    traces = [[float(v).hex() for v in p.recorded["record"]] for p in placed]
    assert all(len(p.t) == len(trace) in (2750, 2751) for p, trace in zip(placed, traces))
    for one in placed:
        one.close()
    return traces
both = run((cells[0], 2.0), (cells[1], 3.0))
print(json.dumps([both == run((cells[0], 2.0)) + run((cells[1], 3.0)), both[0] == both[1]]))
"""
    assert fresh(script) == [True, False]
