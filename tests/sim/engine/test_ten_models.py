"""Every stored number is what a modeller's own script finds in a fresh process, for ten kinds of model."""

import os
from pathlib import Path

import numpy as np
import pytest

from gbar.sim import Archive, Problem, Workers, choose_engine, design, sample, with_process
from tests.ten_models import ENGINE, KINDS, by_hand, unequal, write

pytestmark = pytest.mark.neuron
ROWS = int(os.environ.get("GBAR_TEST_ROWS", "8"))  # of each kind; 32 take three minutes more
OUTLIVES = "a GLOBAL in a TABLE that does not depend on it"


def points(problem: Problem, count: int) -> np.ndarray:
    return problem.physical(design(len(problem.names), count, 0))


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Problem]:
    folder = tmp_path_factory.mktemp("ten")
    return {name: write(kind, folder / f"model{i}") for i, (name, kind) in enumerate(KINDS.items())}


def test_a_used_process_stores_what_a_script_finds(problems: dict[str, Problem]) -> None:
    """The first vector again after two others, in one process; in a fresh one where a table outlives an evaluation."""
    asked, stored = [], []
    for name, problem in problems.items():
        x = points(problem, 3)
        process = "each" if name == OUTLIVES else "kept"
        with Workers(with_process(problem, process), 1) as pool:
            done = dict(pool.run([x[0], x[1], x[2], x[0]]))
        assert all(one.status == "ok" for one in done.values()), (name, done[0].reason)
        stored += [done[1].features, done[3].features]
        asked += [(problem, KINDS[name], x[1]), (problem, KINDS[name], x[0])]
    wrong = {
        problem.folder.name: said
        for (problem, _, _), one, found in zip(asked, stored, by_hand(asked), strict=True)
        if (said := unequal(one, found))
    }
    assert not wrong


def test_what_outlives_an_evaluation_gets_a_process_for_each(problems: dict[str, Problem]) -> None:
    problem, choice = choose_engine(problems[OUTLIVES])
    assert (choice.process, choice.engine) == ("each", ENGINE)
    assert "in a fresh process and" in choice.why and "after another evaluation" in choice.why
    assert problem.simulation.process == "each"
    assert choose_engine(problems["a GLOBAL"])[1].process == "kept"


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_row_of_an_archive(problems: dict[str, Problem], name: str, tmp_path: Path) -> None:
    """A sample, as `gbar sample` makes it, beside a fresh process for each and the script."""
    problem, _ = choose_engine(problems[name])
    keys = [m.key for m in problem.measurements]
    with Archive(tmp_path / "archive.sqlite", problem) as archive:
        sample(problem, archive, ROWS, 0, 2)
        rows = archive.rows(keys, ENGINE)
    assert len(rows) == ROWS and rows.ok.all()
    with Workers(with_process(problem, "each"), 2) as pool:
        fresh = {i: done.features for i, done in pool.run(list(rows.x))}
    for i, found in enumerate(by_hand([(problem, KINDS[name], x) for x in rows.x])):
        kept = dict(zip(keys, rows.features[i], strict=True))
        assert not unequal(kept, found)
        assert not unequal(fresh[i], found)
