"""The whole loop on models/hh: real NEURON, a small agent."""

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import psutil
import pytest

from gbar.agent import Result, read_result, tune
from gbar.agent.learning.agent import Planner
from gbar.agent.learning.planner import DISTINCT, PROPOSERS
from gbar.agent.report.contents import read_contents
from gbar.agent.report.search import makers
from gbar.agent.result import read_live, schema
from gbar.agent.tuning.definition import TuneConfig
from gbar.agent.tuning.ledger import Status
from gbar.agent.tuning.verify import _again
from gbar.sim import Integrator, Problem, load_problem, simulate
from tests.problems import GBAR, HH
from tests.synthetic import AGENT

CONFIG = TuneConfig(budget=200, solutions=3, agent=AGENT)
DESIGN = 6  # the model's own values, the centre, and four steps from it
UNNAMED = 0.05  # of a run's time, at most
LIMIT_S = 240.0  # of a real process, on two busy cores

# DESIGN section 4, and what it says every solution and every feature has
REQUIRED = {
    "": {"problem", "seed", "tolerance", "evaluations", "failed_evaluations", "wall_s", "solutions", "nearest"}
    | {"surrogate", "versions"},
    "wall_s": {"simulate", "fit", "plan", "total"},
    "nearest": {"parameters", "features", "z", "max_abs_z"},
}

pytestmark = [pytest.mark.neuron, pytest.mark.slow]


@pytest.fixture(scope="module")
def problem() -> Problem:
    return load_problem(HH)


@pytest.fixture(scope="module")
def heard() -> list[Status]:
    """What whoever waited for `run` was told."""
    return []


@pytest.fixture(scope="module")
def run(problem: Problem, heard: list[Status], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two workers. Copy it before running in it again."""
    out = tmp_path_factory.mktemp("run") / "hh"
    tune(problem, CONFIG, out, observe=heard.append)
    return out


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "hh"))


def rows_in(out: Path) -> list[tuple]:
    """Every evaluation in a run's archive: engine, parameters, features, status."""
    if not (out / "archive.sqlite").is_file():
        return []
    with sqlite3.connect(out / "archive.sqlite", timeout=30) as connection:
        try:
            return connection.execute("SELECT engine, parameters, features, status FROM evaluations").fetchall()
        except sqlite3.OperationalError:  # it has just been made
            return []


def parameters_of(result: Result) -> list[dict[str, float]]:
    return [solution.parameters for solution in result.solutions]


def test_result(run: Path) -> None:
    content = json.loads((run / "result.json").read_text())
    jsonschema.validate(content, json.loads(schema()))
    for where, keys in REQUIRED.items():
        assert keys <= set(content[where] if where else content)
    assert (
        set(content["surrogate"])
        == set(content["nearest"]["z"])
        == {f"{m['protocol']}.{m['feature']}" for m in content["measurements"]}
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "seed": "none"}, json.loads(schema()))


def test_solutions_are_confirmed_distinct_and_as_many_as_asked_for(run: Path, problem: Problem) -> None:
    result = read_result(run)
    assert result.status == "solved"
    assert len(result.solutions) == CONFIG.solutions
    proposed = {name for progress in result.history for name in progress.proposers}
    assert proposed <= {*PROPOSERS, "design"}
    for solution in result.solutions:
        z = [value for value in solution.z.values() if value is not None]
        assert len(z) == len(problem.measurements)
        assert solution.max_abs_z == max(map(abs, z)) <= result.tolerance
        assert solution.proposer in proposed
    x = np.array([list(parameters.values()) for parameters in parameters_of(result)])
    u = problem.unit(x)
    assert min(np.abs(a - b).max() for i, a in enumerate(u) for b in u[:i]) >= DISTINCT
    assert ((u >= 0) & (u <= 1)).all()
    tight = [json.loads(parameters) for engine, parameters, *_ in rows_in(run) if engine == result.confirmed_by]
    assert all(parameters in tight for parameters in parameters_of(result))


def test_neuron_agrees_in_a_fresh_process(run: Path, problem: Problem) -> None:
    solution = read_result(run).solutions[0]
    (done,) = simulate(problem, [np.array([solution.parameters[name] for name in problem.names])])
    z = [(done.features[m.key] - m.mean) / m.sd for m in problem.measurements]
    assert np.abs(z).max() <= CONFIG.tolerance + 0.1  # at the coarser accuracy of the search


def test_evaluations_are_counted_and_none_made_twice(run: Path) -> None:
    result, rows = read_result(run), rows_in(run)
    assert result.evaluations == len(rows) == len({row[:2] for row in rows})
    assert result.history[-1].evaluations == result.evaluations <= CONFIG.budget
    assert result.failed_evaluations == sum(status == "failed" for *_, status in rows)
    assert result.first_solution_at is not None
    assert DESIGN < result.first_solution_at <= result.evaluations


def test_the_time_adds_up(run: Path) -> None:
    """Little of it has no name."""
    wall = json.loads((run / "result.json").read_text())["wall_s"]
    named = sum(seconds for part, seconds in wall.items() if part not in {"total", "compile", "earlier"})
    assert all(wall[part] > 0 for part in ("start", "simulate", "fit", "plan", "write", "total")), wall
    assert -0.1 <= wall["total"] - named <= max(1.0, UNNAMED * wall["total"]), wall
    assert wall["compile"] <= wall["fit"] + wall["plan"], wall


def test_who_proposed_adds_up_to_the_evaluations(run: Path) -> None:
    """Confirmations are named; as many as the archive has at the accuracy that confirms."""
    result = read_result(run)
    confirmed = sum(engine == result.confirmed_by for engine, *_ in rows_in(run))
    made = {maker.name: maker.evaluations for maker in makers(read_contents(run))}
    assert made["confirmation by NEURON"] == confirmed >= len(result.solutions)
    assert sum(made.values()) == result.evaluations == len(rows_in(run))


def test_whoever_waits_is_told_what_is_done(run: Path, heard: list[Status]) -> None:
    """Before the first evaluation too."""
    phases = dict.fromkeys(status.phase for status in heard)
    assert set(phases) >= {"learning", "starting NEURON", "simulating", "planning"}
    assert list(phases)[:3] == ["learning", "starting NEURON", "simulating"] and heard[0].evaluations == 0


def test_accuracy_is_that_of_predictions_made_before(run: Path) -> None:
    """One prediction for every evaluation after the design, none for the design; errors as in predictions.csv."""
    result, keys = read_result(run), list(read_result(run).surrogate)
    lines = [line.split(",") for line in (run / "predictions.csv").read_text().splitlines()]
    header, predicted = lines[0], [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    searched = [json.loads(features) for engine, _, features, _ in rows_in(run) if engine == result.engine]
    assert header[0] == "evaluation"
    assert len(predicted) == (len(searched) - DESIGN) * len(keys)
    assert min(int(row["evaluation"]) for row in predicted) == DESIGN + 1
    simulated = [row for row in predicted if row["feature"] == "mean_frequency" and row["simulated"]]
    rates = {(engine, x): json.loads(features)["fire.mean_frequency"] for engine, x, features, _ in rows_in(run)}
    known = [rate for (engine, _), rate in rates.items() if engine == result.engine and rate is not None]
    both = [
        (rate, rates.get((result.engine, x))) for (engine, x), rate in rates.items() if engine == result.confirmed_by
    ]
    off = max(abs(tight - fast) for tight, fast in both if tight is not None and fast is not None)
    assert off < 0.05, "Hz: by what the searching engine is corrected"
    assert all(min(abs(float(row["simulated"]) - rate) for rate in known) < off + 1e-4 for row in simulated)
    error = np.array([(float(r["predicted"]) - float(r["simulated"])) / float(r["measured_sd"]) for r in simulated])
    found = result.surrogate["fire.mean_frequency"]
    assert found.n == len(simulated) > 0
    assert found.rmse_over_sd == pytest.approx(float(np.sqrt(np.mean(error**2))), rel=1e-3)
    assert all(accuracy.verdict for accuracy in result.surrogate.values())


def test_files(run: Path) -> None:
    names = {file.name for file in run.iterdir()}
    assert {"result.json", "solutions.csv", "predictions.csv", "traces.npz", "report.html", "archive.sqlite"} <= names
    assert len((run / "solutions.csv").read_text().splitlines()) == 1 + CONFIG.solutions
    with np.load(run / "traces.npz") as traces:
        assert {name.partition("/")[0] for name in traces} == {f"{k + 1:02d}" for k in range(CONFIG.solutions)}


def test_who_watched_has_seen_what_the_result_says(run: Path) -> None:
    live, result = read_live(run), read_result(run)
    assert live is not None
    assert (live.ended, live.evaluations, live.failures) == (result.status, result.evaluations, result.failures)
    assert [(f.coverage_90, f.verdict) for f in live.features] == [
        (result.surrogate[f.key].coverage_90, result.surrogate[f.key].verdict) for f in live.features
    ]
    assert live.history == [(h.evaluations, h.best_max_abs_z, h.solutions) for h in result.history]


def test_workers_do_not_change_the_answer(run: Path, problem: Problem, tmp_path: Path) -> None:
    alone, together = tune(problem, CONFIG._replace(workers=1), tmp_path / "hh"), read_result(run)
    assert [s.model_dump() for s in alone.solutions] == [s.model_dump() for s in together.solutions]
    assert sorted(rows_in(tmp_path / "hh")) == sorted(rows_in(run))
    assert alone.surrogate == together.surrogate


def test_another_seed_gives_another_answer(run: Path, problem: Problem, tmp_path: Path) -> None:
    other = tune(problem, CONFIG._replace(seed=1, solutions=1), tmp_path / "hh")
    assert parameters_of(other)[0] not in parameters_of(read_result(run))


def test_again(copied: Path, problem: Problem) -> None:
    """The same command in a finished run: the same result to the last word, nothing simulated."""
    before, rows = read_result(copied), rows_in(copied)
    assert tune(problem, CONFIG, copied) == before == read_result(copied)
    assert rows_in(copied) == rows


@pytest.mark.parametrize("spent", [False, True], ids=["budget left", "budget spent"])
def test_resumes_from_the_archive_alone(copied: Path, problem: Problem, spent: bool) -> None:
    """All else lost: the same solutions in the same order, no new evaluation, whatever budget is left."""
    before, rows = read_result(copied), rows_in(copied)
    (copied / "result.json").unlink()
    config = CONFIG._replace(budget=before.evaluations if spent else CONFIG.budget)
    after = tune(problem, config, copied)
    assert parameters_of(after) == parameters_of(before)
    assert (after.status, after.evaluations) == ("solved", before.evaluations)
    assert after.first_solution_at == before.first_solution_at
    assert rows_in(copied) == rows


def test_more_is_asked_for(copied: Path, problem: Problem) -> None:
    """A finished run goes on where it was: earlier solutions first, earlier evaluations counted."""
    before, rows = read_result(copied), rows_in(copied)
    after = tune(problem, CONFIG._replace(solutions=CONFIG.solutions + 1), copied)
    assert len(after.solutions) == CONFIG.solutions + 1
    assert parameters_of(after)[: CONFIG.solutions] == parameters_of(before)
    assert rows_in(copied)[: len(rows)] == rows
    assert after.evaluations == len(rows_in(copied)) > len(rows)


def narrowed_past(problem: Problem, result: Result) -> Problem:
    """The problem with bounds of its first parameter that leave every solution out."""
    first, *others = problem.parameter
    values = [solution.parameters[first.name] for solution in result.solutions]
    gaps = (first.bounds[0], min(values) * 0.98), (max(values) * 1.02, first.bounds[1])
    wider = max(gaps, key=lambda ends: ends[1] / ends[0])
    return problem.model_copy(update={"parameter": (first.model_copy(update={"bounds": wider}), *others)})


def test_what_lies_outside_narrowed_bounds_teaches_and_is_no_solution(copied: Path, problem: Problem) -> None:
    before, known = read_result(copied), len(rows_in(copied))
    narrow = narrowed_past(problem, before)
    name, (low, high) = narrow.parameter[0].name, narrow.parameter[0].bounds
    after = tune(narrow, CONFIG._replace(budget=before.evaluations + 24), copied)
    for found in [*after.solutions, *filter(None, [after.nearest]), *after.next_nearest]:
        assert low * (1 - 1e-9) <= found.parameters[name] <= high * (1 + 1e-9)
    assert not [p for p in parameters_of(after) if p in parameters_of(before)]
    new = [json.loads(parameters)[name] for _, parameters, *_ in rows_in(copied)[known:]]
    assert new
    assert all(low * (1 - 1e-9) <= value <= high * (1 + 1e-9) for value in new), (
        "what is planned from rows outside lies inside"
    )
    assert not {p.name for p in (copied / "solutions").glob("0?")} - {
        f"{k + 1:02d}" for k in range(len(after.solutions))
    }


def test_verify_says_what_lies_outside_narrowed_bounds(run: Path, problem: Problem) -> None:
    result = read_result(run)
    narrow = narrowed_past(problem, result)
    again = _again(narrow, result, 2, Integrator.parse(result.confirmed_by))
    assert {one.verdict for one in again} == {f"outside the bounds: {narrow.parameter[0].name}"}


def told(out: Path) -> tuple[object, ...]:
    """All that a run tells but for the time it took: result, history and every prediction."""
    result = read_result(out)
    return result.model_dump(exclude={"wall_s", "pace", "workers", "simulated_s", "arms_s"}), (
        out / "predictions.csv"
    ).read_text()


@pytest.mark.parametrize("at", [5, DESIGN + 7], ids=["in the design", "in a batch"])
def test_interrupted_and_resumed(run: Path, problem: Problem, tmp_path: Path, at: int) -> None:
    def interrupt(status: Status) -> None:
        if status.evaluations >= at:
            raise KeyboardInterrupt

    first = tune(problem, CONFIG, tmp_path / "hh", observe=interrupt)
    rows = rows_in(tmp_path / "hh")
    assert (first.status, first.evaluations) == ("interrupted", len(rows)) == ("interrupted", at)
    assert read_result(tmp_path / "hh") == first
    assert first.nearest is not None, "what it has come to is said"
    second = tune(problem, CONFIG, tmp_path / "hh")
    assert second.wall_s.earlier == first.wall_s.total > 0
    assert second.status == "solved"
    assert told(tmp_path / "hh") == told(run), "a resumed run is the uninterrupted one"
    assert sorted(rows_in(tmp_path / "hh")) == sorted(rows_in(run))
    all_rows = rows_in(tmp_path / "hh")
    assert all_rows[:at] == rows
    assert second.evaluations == len(all_rows) == len({row[:2] for row in all_rows})
    design = [row for row in all_rows if row[0] == second.engine][:DESIGN]
    assert len(design) == DESIGN


@pytest.mark.parametrize("planner", ["policy", "gradient"])
def test_each_planner_alone(problem: Problem, tmp_path: Path, planner: Planner) -> None:
    config = CONFIG._replace(solutions=1, agent=AGENT._replace(planner=planner))
    result = tune(problem, config, tmp_path / "hh")
    assert (result.status, result.planner) == ("solved", planner)
    proposed = {name for progress in result.history for name in progress.proposers}
    assert proposed == {"design", planner}


def test_out_of_budget(problem: Problem, tmp_path: Path) -> None:
    """Less than a design: nothing found, the nearest told, and not one evaluation more than allowed."""
    result = tune(problem, CONFIG._replace(budget=6), tmp_path / "hh")
    assert (result.status, result.evaluations, result.solutions) == ("out of budget", 6, [])
    assert result.nearest is not None
    assert result.nearest.max_abs_z is None or result.nearest.max_abs_z > CONFIG.tolerance
    shortfalls = [compromise.shortfall for compromise in result.shown]
    assert shortfalls == sorted(shortfalls) and all(compromise.gives_up for compromise in result.shown)
    for compromise in result.shown:
        assert set(compromise.gives_up) == {k for k, z in compromise.z.items() if z is None or abs(z) > 2.0}
    assert len(rows_in(tmp_path / "hh")) == 6


def test_another_cell_from_the_same_archive(
    run: Path, problem: Problem, tmp_path: Path, write: Callable[..., Path]
) -> None:
    """What was simulated for one cell serves the next: fewer new evaluations than from nothing."""
    (done,) = simulate(problem, [problem.physical(np.array([0.5, 0.5, 0.5]))])
    lines = ["protocol,feature,mean,sd,unit"]
    for m in problem.measurements:
        value = done.features[m.key]
        lines.append(f"{m.protocol},{m.feature},{value},{max(0.05 * abs(value), 0.02)},{m.unit}")
    table = write("other", **{"cell.csv": "\n".join(lines) + "\n"}) / "cell.csv"
    other = load_problem(HH, table)
    config = CONFIG._replace(solutions=2, tolerance=1.0)
    scratch = tune(other, config, tmp_path / "scratch")
    archive = tmp_path / "shared.sqlite"
    shutil.copy(run / "archive.sqlite", archive)
    informed = tune(other, config, tmp_path / "informed", archive)
    assert scratch.status == informed.status == "solved"
    assert informed.evaluations < scratch.evaluations
    assert "design" not in {name for progress in informed.history for name in progress.proposers}
    assert not (tmp_path / "informed" / "archive.sqlite").exists()
    assert informed.archive == str(archive)
    for name, result in (("scratch", scratch), ("informed", informed)):
        with (tmp_path / name / "predictions.csv").open(newline="") as stream:
            proposers = {int(row["evaluation"]): row["proposer"] for row in csv.DictReader(stream)}
        for solution in result.solutions:  # by the same number there
            assert solution.evaluation <= result.evaluations
            unplanned = "design" if solution.evaluation else "archive"
            assert solution.proposer == proposers.get(solution.evaluation, unplanned)


def test_tables_of_one_name_are_two_runs(problem: Problem, tmp_path: Path, write: Callable[..., Path]) -> None:
    """In a shared archive one cell's evaluations are not charged to another's budget."""
    assert problem.measurements_file is not None
    text = problem.measurements_file.read_text()
    tables = [write(name, **{"cell.csv": text.replace("87.2354", rate)}) for name, rate in [("a", "87"), ("b", "80")]]
    config = CONFIG._replace(budget=4)
    for table in tables:
        result = tune(load_problem(HH, table / "cell.csv"), config, tmp_path / table.name / "run", tmp_path / "shared")
        assert result.evaluations == 4


def started(out: Path, *options: str) -> subprocess.Popen[str]:
    command = [str(GBAR), "tune", str(HH), "--out", str(out), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=out.parent)


def wait_for(what: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    end = time.monotonic() + limit_s
    while not what():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def all_gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=20)[1]


def test_ctrl_c(tmp_path: Path) -> None:
    out = tmp_path / "hh"
    process = started(out, "--tolerance", "0.01")
    wait_for(lambda: len(rows_in(out)) >= 3 or process.poll() is not None)
    workers = workers_of(process)
    assert len(workers) == 2
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert all_gone(workers)
    result, rows = read_result(out), rows_in(out)
    assert (result.status, result.evaluations) == ("interrupted", len(rows))
    assert len(rows) >= 3


def test_killed_outright_and_run_again(tmp_path: Path) -> None:
    out = tmp_path / "hh"
    options = ["--solutions", "1", "--planner", "gradient"]
    process = started(out, *options)
    wait_for(lambda: len(rows_in(out)) >= 5 or process.poll() is not None)
    workers = workers_of(process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == -signal.SIGKILL
    assert all_gone(workers)
    assert not (out / "result.json").exists()
    kept = rows_in(out)
    assert len(kept) >= 5
    again = started(out, *options)
    _, told = again.communicate(timeout=LIMIT_S)
    assert again.returncode == 0, told
    rows, result = rows_in(out), read_result(out)
    assert rows[: len(kept)] == kept
    assert result.evaluations == len(rows) == len({row[:2] for row in rows})
    assert result.solutions


def test_exit_code_when_nothing_is_found(tmp_path: Path) -> None:
    process = started(tmp_path / "hh", "--budget", "3", "--json")
    told, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 3
    assert json.loads(told)["status"] == "out of budget"
