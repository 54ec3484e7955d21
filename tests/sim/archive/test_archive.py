"""The archive: what was kept comes back, whatever ended the process that wrote it."""

import contextlib
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from gbar.sim import Archive, Evaluation, GbarError, Integrator, Problem, Rows, load_problem
from gbar.sim.engine import UNKNOWN
from tests.archives import FULL, refusal, started
from tests.problems import HH, ROOT, TROUBLE

CVODE = str(Integrator())
X = np.array([0.12, 0.036, 3e-4])


@pytest.fixture
def problem() -> Problem:
    return load_problem(HH, measured=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "archive.sqlite"


def test_rows_come_back_as_written(problem: Problem, file: Path) -> None:
    """NaN as NaN, a failed evaluation as failed with its reason, numbers to the last bit."""
    third = 1 / 3
    with Archive(file, problem) as archive:
        archive.add("r", 0, 0, "design", CVODE, X, Evaluation({"a.x": third, "a.y": math.nan}, seconds=0.25))
        archive.add("r", 0, 1, "policy", CVODE, X * third, Evaluation(status="failed", reason="crashed with SIGSEGV"))
    with Archive(file, problem) as archive:
        rows = archive.rows(["a.x", "a.y"], CVODE)
    np.testing.assert_array_equal(rows.x, [X, X * third])
    np.testing.assert_array_equal(rows.features, [[third, math.nan], [math.nan, math.nan]])
    assert rows.ok.tolist() == [True, False]
    assert (rows.run, rows.batch.tolist(), rows.proposer) == (["r", "r"], [0, 0], ["design", "policy"])
    assert (rows.reason, rows.seconds.tolist(), len(rows)) == (["", "crashed with SIGSEGV"], [0.25, 0.0], 2)
    (stored,) = sqlite3.connect(file).execute("SELECT features FROM evaluations WHERE slot = 0").fetchone()
    assert stored == f'{{"a.x": {third!r}, "a.y": null}}', "readable by any JSON reader: no NaN in the file"


def test_infinity_is_not_defined(problem: Problem, file: Path) -> None:
    with Archive(file, problem) as archive:
        archive.add("r", 0, 0, "design", CVODE, X, Evaluation({"a.x": math.inf}))
        assert math.isnan(archive.rows(["a.x"], CVODE).features[0, 0])


def test_order_is_that_of_asking(problem: Problem, file: Path) -> None:
    """However results arrive, they come back by run, batch and slot."""
    asked = [(run, batch, slot) for run in ("a", "b") for batch in (0, 1, 2) for slot in range(12)]
    with Archive(file, problem) as archive:
        for n in np.random.default_rng(0).permutation(len(asked)):
            archive.add(*asked[n], "design", CVODE, X, Evaluation({"a.x": float(n)}))
        rows = archive.rows(["a.x"], CVODE)
        assert rows.features[:, 0].tolist() == list(range(len(asked)))
        assert list(zip(rows.run, rows.batch.tolist(), strict=True)) == [key[:2] for key in asked]
        assert (archive.count(), archive.count("a"), archive.count("c")) == (72, 36, 0)


def test_an_empty_archive(problem: Problem, file: Path) -> None:
    with Archive(file, problem) as archive:
        rows = archive.rows(["a.x", "a.y"], CVODE)
        assert archive.count() == 0
    assert (len(rows), rows.x.shape, rows.features.shape, rows.ok.shape) == (0, (0, 3), (0, 2), (0,))


def test_features_asked_for_later(problem: Problem, file: Path) -> None:
    """Rows made before a feature was computed are left out; failed ones, which have none, stay."""
    with Archive(file, problem) as archive:
        archive.add("r", 0, 0, "design", CVODE, X, Evaluation({"a.x": 1.0}))
        archive.add("r", 0, 1, "design", CVODE, X, Evaluation(status="failed", reason="x"))
        archive.add("r", 1, 0, "design", CVODE, X, Evaluation({"a.x": 2.0, "a.y": math.nan}))
        assert archive.rows(["a.x"], CVODE).ok.tolist() == [True, False, True]
        assert archive.rows(["a.y", "a.x"], CVODE).ok.tolist() == [False, True]
        assert archive.rows(["a.z"], CVODE).ok.tolist() == [False]


def test_engines_never_mix(problem: Problem, file: Path) -> None:
    engines = [str(a) for a in (Integrator(), Integrator().tight(), Integrator("fixed"), Integrator("fixed").tight())]
    assert len(set(engines)) == 4
    with Archive(file, problem) as archive:
        for n, engine in enumerate(engines):
            archive.add("r", 0, n, "design", engine, X, Evaluation({"a.x": float(n)}))
        for n, engine in enumerate(engines):
            assert archive.rows(["a.x"], engine).features.tolist() == [[n]]
        assert len(archive.rows(["a.x"], "none")) == 0


def changed(tmp_path: Path, *replaced: tuple[str, str], file: str = "problem.toml") -> Problem:
    folder = tmp_path / "changed"
    shutil.copytree(TROUBLE, folder)
    text = (folder / file).read_text()
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    (folder / file).write_text(text)
    return load_problem(folder, measured=False)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("problem.toml", "amplitude = -0.05", "amplitude = -0.06"),
        ("problem.toml", "[protocol.hyperpolarise]", "[protocol.other]"),
        ("problem.toml", "all.g_pas", "soma.g_pas"),
        ("problem.toml", "v_init = -70.0", "v_init = -71.0"),
        ("trouble.hoc", "L = 20", "L = 21"),
        ("mod/trouble.mod", "log(-1)", "log(-2)"),
    ],
    ids=["amplitude", "protocol", "place", "start", "hoc", "mod"],
)
def test_another_model_is_refused(tmp_path: Path, file: Path, name: str, old: str, new: str) -> None:
    problem = load_problem(TROUBLE, measured=False)
    with Archive(file, problem) as archive:
        archive.add("r", 0, 0, "design", CVODE, X[:2], Evaluation({"a.x": 1.0}))
    other = changed(tmp_path, (old, new), file=name)
    message = refusal(lambda: Archive(file, other))
    assert str(file) in message and "another model or protocol set" in message and "--archive" in message
    with Archive(file, problem) as archive:
        assert archive.count() == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [("[1e-4, 1e-3]", "[1e-5, 1e-3]"), ('scale = "log"', 'scale = "linear"'), ("time_limit = 3.0", "time_limit = 9.0")],
)
def test_what_changes_no_simulation_changes_no_archive(tmp_path: Path, file: Path, old: str, new: str) -> None:
    with Archive(file, load_problem(TROUBLE, measured=False)) as archive:
        archive.add("r", 0, 0, "design", CVODE, X[:2], Evaluation({"a.x": 1.0}))
    with Archive(file, changed(tmp_path, (old, new))) as archive:
        assert archive.count() == 1


def written(problem: Problem, file: Path, count: int = 200) -> None:
    with Archive(file, problem) as archive:
        for slot in range(count):
            archive.add("r", 0, slot, "design", CVODE, X, Evaluation({f"a.{n}": slot / 7 for n in range(20)}))


@pytest.mark.parametrize("kind", ["text", "folder", "no such folder", "another program's", "header only", "schema"])
def test_what_is_no_archive(problem: Problem, tmp_path: Path, file: Path, kind: str) -> None:
    if kind == "text":
        file.write_text("protocol,feature\n" * 1000)
    elif kind == "folder":
        file.mkdir()
    elif kind == "no such folder":
        file = tmp_path / "nowhere" / "archive.sqlite"
    elif kind == "another program's":
        with sqlite3.connect(file) as other:
            other.execute("CREATE TABLE bookmarks (url TEXT)")
    elif kind == "schema":
        Archive(file, problem).close()
        with sqlite3.connect(file) as other:
            other.execute("UPDATE meta SET value = '0' WHERE key = 'schema'")
    else:
        written(problem, file)
        file.write_bytes(file.read_bytes()[:100])
    before = file.read_bytes() if file.is_file() else None
    message = refusal(lambda: Archive(file, problem))
    assert str(file) in message and "--archive" in message
    if kind in {"text", "another program's"}:
        assert file.read_bytes() == before, "somebody else's file was written to"


def test_a_truncated_archive(problem: Problem, file: Path) -> None:
    """Half of the pages: noticed, at the latest when they are read, in one line and never as fewer rows."""
    written(problem, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 8192 * 4096])

    def use() -> Rows:
        with Archive(file, problem) as archive:
            return archive.rows(["a.0"], CVODE)

    assert str(file) in refusal(use)


WRITER = """
import sys
import numpy as np
from gbar.sim import Archive, Evaluation, load_problem
with Archive(sys.argv[1], load_problem(sys.argv[2], measured=False)) as archive:
    for slot in range(int(sys.argv[4])):
        archive.add(sys.argv[3], 0, slot, "design", "cvode atol 0.0001", np.ones(3), Evaluation({"a.x": float(slot)}))
"""


def test_two_processes_write_at_once(problem: Problem, file: Path) -> None:
    """Both open a file that is not there yet, and neither loses a row."""
    count = 300
    writers = [started(WRITER, file, HH, run, count) for run in ("a", "b", "c")]
    said = [writer.communicate(timeout=60) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], said
    with Archive(file, problem) as archive:
        rows = archive.rows(["a.x"], CVODE)
    assert rows.features[:, 0].tolist() == list(range(count)) * 3
    assert rows.run == ["a"] * count + ["b"] * count + ["c"] * count


RUNNER = """
import sys
import numpy as np
from gbar.sim import Archive, Workers, load_problem
problem = load_problem(sys.argv[2], measured=False)
forever = problem.simulation.model_copy(update={"time_limit": 600.0})
problem = problem.model_copy(update={"simulation": forever})
xs = [np.array([3.0, 3e-4])] + [np.array([0.0, g]) for g in np.geomspace(1e-4, 1e-3, 5000)]  # the first one hangs
with Archive(sys.argv[1], problem) as archive, Workers(problem, 2) as pool:
    for slot, done in pool.run(xs):
        archive.add("r", 0, slot, "design", str(pool.integrator), xs[slot], done)
        print(slot, done.features["hyperpolarise.ohmic_input_resistance"].hex(), flush=True)
"""


@pytest.mark.neuron
def test_a_killed_run_loses_nothing_that_was_finished(file: Path) -> None:
    """SIGKILL in mid-run: what was reported is in the file, complete; no worker lives on, not even a hung one."""
    runner = started(RUNNER, file, TROUBLE)
    assert runner.stdout is not None
    reported = dict(runner.stdout.readline().split() for _ in range(5))
    workers = psutil.Process(runner.pid).children()
    assert len(workers) == 2
    os.kill(runner.pid, signal.SIGKILL)
    reported |= dict(line.split() for line in runner.stdout.read().splitlines() if len(line.split()) == 2)
    runner.communicate()
    assert not psutil.wait_procs(workers, timeout=10)[1], "workers outlive a killed run"
    assert 5 <= len(reported) < 5000
    with Archive(file, load_problem(TROUBLE, measured=False)) as archive:
        rows = archive.rows(["hyperpolarise.ohmic_input_resistance", "hyperpolarise.voltage_base"], CVODE)
        assert archive.count("r") == len(rows) >= len(reported)
        kept = {
            float(g_pas): resistance.hex() for g_pas, resistance in zip(rows.x[:, 1], rows.features[:, 0], strict=True)
        }
        grid = np.geomspace(1e-4, 1e-3, 5000)
        assert {slot: kept[float(grid[int(slot) - 1])] for slot in reported} == reported
        assert np.isfinite(rows.features).all()
        archive.add("r", 1, 0, "design", CVODE, X[:2], Evaluation({"a.x": 1.0}))
    check = sqlite3.connect(file)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


# ---- damage, and others at the file


def test_a_flipped_byte_is_never_taken_for_a_result(problem: Problem, file: Path) -> None:
    """Wherever a byte changes, the file is refused in one line or gives back exactly what was written."""
    written(problem, file, 40)
    whole = file.read_bytes()
    with Archive(file, problem) as archive:
        right = archive.rows([f"a.{n}" for n in range(20)], CVODE)
    assert len(right) == 40
    outcomes = {"refused": 0, "whole": 0}
    for place in np.random.default_rng(0).integers(0, len(whole), 120):
        for beside in (f"{file}-wal", f"{file}-shm"):
            Path(beside).unlink(missing_ok=True)
        damaged = bytearray(whole)
        damaged[place] ^= 0x01
        file.write_bytes(bytes(damaged))
        try:
            with Archive(file, problem) as archive:
                rows = archive.rows([f"a.{n}" for n in range(20)], CVODE)
        except GbarError as error:
            assert str(file) in str(error) and "\n" not in str(error)
            outcomes["refused"] += 1
            continue
        np.testing.assert_array_equal(rows.x, right.x)
        np.testing.assert_array_equal(rows.features, right.features)
        assert (rows.run, rows.proposer, rows.reason) == (right.run, right.proposer, right.reason)
        outcomes["whole"] += 1
    assert outcomes["refused"] > 60, outcomes


def test_an_archive_of_before_there_were_digests(problem: Problem, file: Path) -> None:
    written(problem, file, 3)
    with sqlite3.connect(file) as old:
        old.execute("ALTER TABLE evaluations DROP COLUMN digest")
    written(problem, file, 2)
    with Archive(file, problem) as archive:
        assert archive.count() == 5
        assert len(archive.rows(["a.1"], CVODE)) == 5


def test_a_damaged_row_can_be_done_without(problem: Problem, file: Path) -> None:
    written(problem, file, 3)
    with sqlite3.connect(file) as damaged:
        damaged.execute("UPDATE evaluations SET features = replace(features, '0.14', '0.15') WHERE id = 2")
    message = refusal(lambda: Archive(file, problem))
    assert "evaluation 2 is not what was written" in message
    statement = message.rpartition("'DELETE")[2].rstrip("'")
    with sqlite3.connect(file) as damaged:
        damaged.execute(f"DELETE{statement}")
    with Archive(file, problem) as archive:
        assert archive.count() == 2


def test_an_archive_that_another_program_keeps(problem: Problem, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbar.sim.archive.archive.LOCK_LIMIT_S", 0.2)
    written(problem, file, 2)
    with Archive(file, problem) as archive, sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        message = refusal(lambda: archive.add("r", 0, 9, "design", CVODE, X, Evaluation({"a.0": 1.0})))
        assert "another program has kept it to itself for 0.2 s: wait for it" in message
        other.execute("ROLLBACK")
        archive.add("r", 0, 9, "design", CVODE, X, Evaluation({"a.0": 1.0}))
        assert archive.count() == 3


def test_a_full_disk_loses_nothing_that_was_written(problem: Problem, file: Path) -> None:
    runner = started(FULL, file, HH, "limited")
    said, _ = runner.communicate(timeout=120)
    kept, _, message = said.strip().partition(" ")
    assert runner.returncode == 0 and int(kept) > 20
    assert message.startswith(str(file)) and "what was written before is kept: make room" in message
    with Archive(file, problem) as archive:
        rows = archive.rows(["a.x"], CVODE)
        assert rows.features[:, 0].tolist() == list(range(int(kept)))
        archive.add("r", 0, int(kept), "design", CVODE, X, Evaluation({"a.x": 1.0}))


def failing(file: Path, problem: Problem, meanwhile: Callable[[Archive], object] = lambda archive: None) -> None:
    """An archive whose user fails."""
    with pytest.raises(GbarError, match="no good"), Archive(file, problem) as archive:
        meanwhile(archive)
        raise GbarError("no good")


def add(archive: Archive) -> None:
    archive.add("r", 0, 0, "design", CVODE, X, Evaluation({"a.x": 1.0}))


def test_an_archive_of_no_use_is_taken_back(problem: Problem, file: Path) -> None:
    failing(file, problem)
    assert list(file.parent.iterdir()) == []


def test_an_archive_with_a_row_stays(problem: Problem, file: Path) -> None:
    failing(file, problem, add)
    with Archive(file, problem) as archive:
        assert archive.count() == 1


@pytest.mark.parametrize("rows", [0, 1])
def test_an_archive_that_was_there_stays(problem: Problem, file: Path, rows: int) -> None:
    with Archive(file, problem) as archive:
        for _ in range(rows):
            add(archive)
    failing(file, problem)
    with Archive(file, problem, must_exist=True) as archive:
        assert archive.count() == rows


def test_an_archive_that_another_has_opened_stays(problem: Problem, file: Path) -> None:
    """Who made it fails; who found it there has written nothing yet, and goes on."""
    with contextlib.ExitStack() as others:

        def another(archive: Archive) -> None:
            others.enter_context(Archive(file, problem))

        failing(file, problem, another)
    with Archive(file, problem, must_exist=True) as other:
        add(other)
        assert other.count() == 1


def test_an_archive_that_another_has_written_to_stays(problem: Problem, file: Path) -> None:
    def another(archive: Archive) -> None:
        with Archive(file, problem) as other:
            add(other)

    failing(file, problem, another)
    with Archive(file, problem, must_exist=True) as archive:
        assert archive.count() == 1


RACE = """
import sys
import numpy as np
from gbar.sim import Archive, Evaluation, GbarError, load_problem
problem, rows = load_problem(sys.argv[2], measured=False), 0
for turn in range(60):
    try:
        with Archive(sys.argv[1], problem) as archive:
            if turn % 3 == int(sys.argv[3]):
                archive.add(sys.argv[3], turn, 0, "design", "cvode", np.ones(3), Evaluation({"a.x": 1.0}))
                rows += 1
            raise GbarError("no good")
    except GbarError as error:
        assert str(error) == "no good", error
print(rows)
"""


def test_processes_that_make_one_archive_and_take_it_back_lose_no_row(problem: Problem, file: Path) -> None:
    command = [sys.executable, "-c", RACE, str(file), str(HH)]
    racing = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True, cwd=ROOT) for n in range(2)]
    made = [int(process.communicate(timeout=120)[0]) for process in racing]
    with Archive(file, problem, must_exist=True) as archive:
        assert archive.count() == sum(made) == 40


def test_one_that_must_be_there_is_not_made(problem: Problem, file: Path) -> None:
    assert "no archive there" in refusal(lambda: Archive(file, problem, must_exist=True))
    assert list(file.parent.iterdir()) == []


def test_parts_of_one_evaluation_are_put_together(problem: Problem, file: Path) -> None:
    """In the order of the rows; the same twice are two, and what failed in one protocol failed."""
    x = np.array([parameter.middle for parameter in problem.parameter])
    with Archive(file, problem) as archive:
        for slot, part in [(0, {"a.1": 1.0}), (0, {"b.1": math.nan}), (1, {"a.1": 2.0}), (2, {"a.1": 3.0, "b.1": 4.0})]:
            archive.add("run", 0, slot, "gradient", CVODE, x, Evaluation(part, seconds=0.5))
        archive.add("run", 0, 2, "gradient", CVODE, x, Evaluation({"a.1": 3.0, "b.1": 4.0}))
        archive.add("run", 0, 3, "gradient", CVODE, x, Evaluation({"a.1": 5.0}))
        archive.add("run", 0, 3, "gradient", CVODE, x, Evaluation(status="failed", reason="crashed"))
        assert (archive.count(), archive.count("run"), archive.count("other")) == (5, 5, 0)
        whole, rows = (archive.rows(["a.1", "b.1"], CVODE, partial) for partial in (False, True))
        np.testing.assert_array_equal(whole.features[:3], [[1.0, math.nan], [3.0, 4.0], [3.0, 4.0]])
        np.testing.assert_array_equal(rows.features[:4], [[1, math.nan], [2.0, UNKNOWN], [3, 4], [3, 4]])
        assert rows.ok.tolist() == [True] * 4 + [False] and rows.reason[4] == "crashed"
        assert rows.seconds.tolist() == [1.0, 0.5, 0.5, 0.0, 0.0] and archive.seconds("run") == {CVODE: 2.0}
