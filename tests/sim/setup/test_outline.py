"""What the window asks of a model: how it hangs together, one simulation with its traces, what each protocol costs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gbar.sim import GbarError, load_problem
from gbar.sim.setup import measure_once, outline, seconds_each, simulate_once
from tests.problems import BRANCHED_HOC, HH, free, model_of, protocol_of, step_of, toml_of

pytestmark = pytest.mark.neuron


def test_sections_are_where_they_join(write: Callable[..., Path]) -> None:
    free_ones = free("g", "basal.g_pas", 1e-5, 1e-3), free("na", "soma.gnabar_hh", 0.1, 0.2)
    toml = toml_of(model_of(template="Cell"), *free_ones, step_of())
    problem = load_problem(write("cell", **{"cell.hoc": BRANCHED_HOC, "problem.toml": toml}), measured=False)
    found = outline(problem)
    shown = [(b.name, b.parent, b.at, b.nseg, b.L) for b in found.branches]
    assert shown == [("soma", None, 0.0, 1, 20.0), ("dend[0]", 0, 1.0, 5, 100.0), ("dend[1]", 1, 1.0, 5, 100.0)]
    assert (found.compartments, found.traced) == (11, False)
    assert found.branches[0].has == ["hh"]
    assert found.own == {"g": (1e-4, 1e-4), "na": (0.12, 0.12)}


def test_a_traced_cell_has_a_shape(write: Callable[..., Path]) -> None:
    swc = "1 1 0 0 0 10 -1\n2 1 0 10 0 10 1\n3 3 0 20 0 1 2\n4 3 5 90 0 1 3\n"
    model = model_of("cell.swc") + '[model.insert]\nall = ["pas"]\n'
    toml = toml_of(model, free("g", "all.g_pas", 1e-5, 1e-3), step_of())
    found = outline(load_problem(write("cell", **{"cell.swc": swc, "problem.toml": toml}), measured=False))
    assert found.traced
    assert all(len(branch.points) > 1 for branch in found.branches)


def test_a_model_that_does_not_load_is_one_line(write: Callable[..., Path]) -> None:
    toml = toml_of(model_of(template="Other"), free("g", "soma.g_pas", 1e-5, 1e-3), step_of())
    with pytest.raises(GbarError, match="Other"):
        outline(load_problem(write("cell", **{"cell.hoc": BRANCHED_HOC, "problem.toml": toml}), measured=False))


def test_one_simulation_has_rows_traces_and_what_was_used() -> None:
    problem = load_problem(HH)
    once = simulate_once(problem, {"gl": 4e-4})
    assert once.rows == measure_once(problem, {"gl": 4e-4})
    assert once.parameters == {"gnabar": 0.12, "gkbar": 0.036, "gl": 4e-4}
    t, v = once.traces["fire"]
    assert (len(t), t[-1]) == (len(v), pytest.approx(275))
    assert v.max() > 0


def test_each_protocol_has_its_price(write: Callable[..., Path]) -> None:
    times = {"delay": 10, "duration": 10, "total": 30}
    toml = toml_of(
        model_of(template="Cell"),
        free("g", "basal.g_pas", 1e-5, 1e-3),
        protocol_of("threshold", "rheobase", bounds=[0, 1], precision=0.1, **times),
        protocol_of("twice", "step", relative_to="threshold", percent=200, **times),
    )
    problem = load_problem(write("cell", **{"cell.hoc": BRANCHED_HOC, "problem.toml": toml}), measured=False)
    seconds = seconds_each(problem)
    assert set(seconds) == {"threshold", "twice"}
    assert all(0 < value < 30 for value in seconds.values())
