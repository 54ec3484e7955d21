"""Whether a solution holds, and what the surrogate says of one that is moved: on the squid axon."""

import time
from pathlib import Path

import numpy as np
import pytest

from gbar.agent import tune
from gbar.agent.result import Result, read_hold
from gbar.agent.tuning import StandIn, TuneConfig, hold
from gbar.sim import GbarError, load_problem, with_engine
from tests.problems import HH

pytestmark = pytest.mark.neuron
AT_ONCE_MS = 50.0  # a slider that moves must not wait longer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("run")
    config = TuneConfig(budget=16, solutions=2, tolerance=50.0)  # so wide that the design itself meets it
    return folder, tune(with_engine(load_problem(HH), "cvode atol 0.0001"), config, folder)


def test_a_solution_under_other_conditions(run: tuple[Path, Result]) -> None:
    folder, result = run
    found = hold(folder, 2, HH / "measurements" / "squid.csv")
    groups = [condition.group for condition in found.conditions]
    assert groups == ["as it is", *["time step"] * 2, *["parameter"] * 12, *["temperature"] * 2]
    as_it_is = found.conditions[0]
    assert as_it_is.max_abs_z == pytest.approx(result.solutions[1].max_abs_z) and found.holds(as_it_is)
    of_sodium = [c for c in found.conditions if c.what == "gnabar"]
    assert [c.change for c in of_sodium] == ["-10 %", "-2 %", "+2 %", "+10 %"]
    assert len({c.max_abs_z for c in of_sodium}) == 4
    assert [point.current for point in found.curve] == sorted(point.current for point in found.curve)
    assert found.curve_of == "fire" and found.curve[-1].rate > found.curve[2].rate > 0
    z = {row.found.feature: row.found.z for row in found.held_out}
    assert z == pytest.approx(result.solutions[1].z)  # the table that it was tuned to
    assert read_hold(folder, 2) == found and read_hold(folder, 1) is None
    with pytest.raises(GbarError, match="no solution 9: there are 2"):
        hold(folder, 9)


def test_the_stand_in_answers_at_once(run: tuple[Path, Result]) -> None:
    folder, result = run
    stand_in = StandIn(folder, result)
    x = np.array([result.solutions[0].parameters[name] for name in stand_in.problem.names])
    took = []
    for share in np.linspace(0.9, 1.1, 9):
        start = time.perf_counter()
        expected = stand_in.expect(share * x)
        took.append(1e3 * (time.perf_counter() - start))
    assert float(np.median(took)) <= AT_ONCE_MS
    assert [one.key for one in expected] == [m.key for m in result.measurements]
    for one in stand_in.expect(x):  # which it has learned from
        z = result.solutions[0].z[one.key]
        assert one.low <= one.z <= one.high
        assert z is not None and np.arcsinh(one.z) == pytest.approx(np.arcsinh(z), abs=1.0)
