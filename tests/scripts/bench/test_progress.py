"""How near a run has come: what it says while it runs, what is kept of that, and how runs are summed up."""

from pathlib import Path

import numpy as np
import pytest

from gbar.scripts.bench.compare import Settings, run_once
from gbar.scripts.bench.once import Run, _Watched
from gbar.scripts.bench.progress import MARKS, Progress, Reached, fit_of, stages, told
from gbar.scripts.bench.score import BEFORE, PROGRESS, Score, append, read_scores, summarise
from gbar.sim import Evaluation, load_problem
from gbar.sim.files import as_csv
from tests.problems import HH

SCORE = Score("p", "00", "cma", 0, 1.0, 100, 2, "cvode", False, 100, 16, 1.0, 2.0, 3.0, "out of budget", None, None)


def test_an_undefined_feature_counts_as_much_as_the_farthest_and_leaves_no_largest() -> None:
    assert fit_of(np.array([-1.0, 2.0, 2.5, 50.0])) == (50.0, 25.5, 2, 3)
    assert fit_of(np.array([-1.0, np.nan])) == (None, 21.0, 1, 1)


def test_a_run_says_its_best_at_every_mark_and_at_its_end() -> None:
    """The largest |z| and the sum are each the smallest so far, whichever sets they belong to."""
    said: list[str] = []
    progress = Progress(said.append)
    for z in [[9.0, np.nan], [4.0, 4.0], [5.0, 0.0], *[[20.0, 20.0]] * 98]:
        progress.note(np.array(z))
    progress.tell()
    progress.tell()  # no news
    found = told("NEURON says hello\n" + "\n".join(said) + "\nreached [2")
    assert [(one.evaluations, *one[2:]) for one in found] == [(100, 4.0, 5.0, 1, 1), (101, 4.0, 5.0, 1, 1)]
    assert 0 < found[0].seconds <= found[1].seconds


def test_protocols_that_come_one_by_one_are_one_evaluation(tmp_path: Path) -> None:
    """Whatever is put into the archive in parts counts once, with all that is known of it."""
    said: list[str] = []
    problem = load_problem(HH)
    keys, x = [m.key for m in problem.measurements], np.array([p.middle for p in problem.parameter])
    parts = [{m.key: m.mean for m in problem.measurements if m.under == name} for name in problem.stimuli]
    progress = Progress(said.append)
    with _Watched(tmp_path / "a.sqlite", problem, progress) as archive:
        for part in filter(None, parts):
            archive.add("run", 0, 0, "gradient", "cvode atol 0.01", x, Evaluation(part))
        archive.add("run", 0, 0, "confirm", "cvode atol 1e-07", x, Evaluation(dict.fromkeys(keys, np.nan)))
    progress.tell()
    (last,) = told(said[0] + "\n")
    assert (last.evaluations, last.largest_z, last.sum_z) == (2, 0.0, 0.0)


def test_stages_are_medians_and_a_run_that_ended_counts_with_what_it_had() -> None:
    solved = [Reached(30, 9.0, 0.9, 1.0, 4, 4)]
    long = [Reached(mark, float(mark), None, 80.0 - mark / 100, 1, 2) for mark in MARKS]
    found = stages([solved, long, []])
    assert [stage.evaluations for stage in found] == list(MARKS)
    assert found[0] == (100, 54.5, None, 40.0, 2.5, 3.0)
    assert found[3].sum_z == 36.5
    assert stages([solved]) == []  # it never came to a mark
    rows = summarise([SCORE._replace(progress=tuple(long)), SCORE])
    assert [stage.sum_z for stage in rows[0].reached] == [79.0, 78.0, 76.0, 72.0]


@pytest.mark.parametrize("before", BEFORE, ids=len)
def test_rows_of_an_earlier_version_are_read_and_get_new_columns_with_the_next_row(
    before: tuple[str, ...], tmp_path: Path
) -> None:
    file, newer = tmp_path / "scores.csv", SCORE._replace(seed=1, progress=(Reached(100, 3.0, None, 8.0, 1, 2),))
    file.write_text(as_csv([before, [*SCORE[:PROGRESS], "[]"][: len(before)]]))
    assert read_scores(file) == [SCORE]
    append(file, newer)
    assert read_scores(file) == [SCORE, newer]


def test_a_run_that_is_cut_short_keeps_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    run.write_text("#!/bin/sh\necho 'reached [100, 1.5, null, 3.0, 4, 5]'\nexec sleep 60\n")
    run.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(run))
    asked = Run(str(HH), str(HH / "measurements" / "squid.csv"), "random", 0, *Settings()[:3])
    score = run_once(load_problem(HH), asked, 1.0)
    assert score.progress == (Reached(100, 1.5, None, 3.0, 4, 5),)
    assert score.reason == "not done within 1 s"
