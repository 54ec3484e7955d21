"""How a result shows itself."""

from pathlib import Path

from gbar.agent import read_result
from gbar.sim import load_problem
from tests.problems import HH
from tests.runs import a_run, measured


def test_a_result_prints_as_one_line(tmp_path: Path) -> None:
    problem = load_problem(HH)
    rows = measured(problem, "fire.AP_height", AP_height=30.0)
    x = [parameter.bounds[0] for parameter in problem.parameter]
    result = read_result(a_run(tmp_path / "run", problem, x, {"fire.AP_height": 30.5}, rows))
    assert str(result) == "hh: 1 solution in 10 evaluations (solved, largest |z| 1)"
    assert repr(result) == f"<{result}>" and f"<p>{result}</p>" in result._repr_html_()
    none = result.model_copy(update={"solutions": [], "nearest": None, "status": "out of budget", "evaluations": 1})
    assert str(none) == "hh: no solutions in 1 evaluation (out of budget)"
