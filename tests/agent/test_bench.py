"""The comparison: the same problem for every method, resumed row by row."""

from pathlib import Path

import pytest

from agent.bench import Score, compare, find_tables, read_scores, summarise
from sim import GbarError

HH = Path(__file__).parents[2] / "models" / "hh"


@pytest.mark.neuron
def test_methods_share_problem_and_budget_and_rows_are_kept(tmp_path: Path) -> None:
    tables = find_tables(HH / "measurements")
    out = tmp_path / "scores.csv"
    scores = list(compare(HH, tables, ["random", "cma"], [0], out, tolerance=3.0, budget=64))
    assert [(s.cell, s.method, s.seed) for s in scores] == [("squid", "random", 0), ("squid", "cma", 0)]
    assert all(s.evaluations <= 64 + 1 and s.simulate_s <= s.total_s for s in scores)
    assert read_scores(out) == scores
    written = out.read_text()
    assert list(compare(HH, tables, ["random", "cma"], [0], out, tolerance=3.0, budget=64)) == scores
    assert out.read_text() == written  # nothing was run again


def score(method: str, evaluations: int, solved: bool = True) -> Score:
    return Score("p", "00", method, 0, 1.0, 100, 2, solved, evaluations, 1.0, 2.0, 3.0)


def test_unsolved_runs_count_at_the_budget() -> None:
    rows = summarise([score("a", 100, solved=False), score("a", 100, solved=False), score("a", 10), score("b", 90)])
    assert [(row.method, row.runs, row.solved, row.median_evaluations) for row in rows] == [
        ("b", 1, 1, 90.0),
        ("a", 3, 1, 100.0),
    ]


def test_unknown_names_are_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(GbarError, match=r"no method 'cmaes'.*nearest: 'cma'"):
        list(compare(HH, find_tables(HH / "measurements"), ["cmaes"], [0], tmp_path / "scores.csv"))
    with pytest.raises(GbarError, match=r"no table 'squit'.*nearest: 'squid'"):
        find_tables(HH / "measurements", ["squit"])
    with pytest.raises(GbarError, match="no tables"):
        find_tables(tmp_path)
    assert not (tmp_path / "scores.csv").exists()
