"""Every fault made to happen, and what came of it: `python -m tests.faults.table` writes docs/notes/faults.md's table.

Each function makes one thing go wrong, checks that nothing finished is lost, and says what the user saw.
"""

import fcntl
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from gbar.agent.tuning import TuneConfig
from gbar.agent.tuning.run import tune_into
from gbar.sim import Archive, Evaluation, GbarError, Integrator, Problem, Workers, load_problem, with_engine
from gbar.sim.archive import archive as archives
from tests.archives import FULL, refusal, started
from tests.problems import HH, ROOT, TROUBLE

PAGE = ROOT / "docs" / "notes" / "faults.md"
FINE, SEGFAULT, EXIT, HANG, MEMORY, HOC_ERROR, NOT_FINITE, ABORT = range(8)
KINDS = {
    SEGFAULT: "a mechanism reads where it must not (segfault)",
    ABORT: "a mechanism aborts",
    EXIT: "a mechanism calls exit",
    HANG: "a mechanism never returns",
    MEMORY: "a mechanism's memory grows without end",
    HOC_ERROR: "a mechanism raises an error",
    NOT_FINITE: "the voltage becomes NaN",
}
LIMIT_S = 300.0
CVODE = "cvode atol 0.0001"


class Fault(NamedTuple):
    """A row of the table."""

    what: str
    lost: str
    saw: str


Several = Callable[[Path], Iterator[Fault]]


def in_a_worker(accuracy: Integrator) -> Iterator[Fault]:
    """All kinds of trouble at once: one cell at a time, or within one batch of 16."""
    problem = load_problem(TROUBLE, measured=False)
    levels = [
        FINE,
        SEGFAULT,
        FINE,
        ABORT,
        FINE,
        EXIT,
        FINE,
        HANG,
        MEMORY,
        FINE,
        HOC_ERROR,
        FINE,
        NOT_FINITE,
        *[FINE] * 3,
    ]
    xs = [np.array([level, g]) for level, g in zip(levels, np.geomspace(1e-4, 1e-3, 16), strict=True)]
    fine = [i for i, level in enumerate(levels) if level == FINE]
    with Workers(problem, 1, accuracy) as pool:
        done = dict(pool.run(xs))
        right = dict(pool.run([xs[i] for i in fine]))
    assert sorted(done) == list(range(16))
    assert [_bits(done[i]) for i in fine] == [_bits(right[k]) for k in range(len(fine))]
    assert all(done[i].status == "failed" for i, level in enumerate(levels) if level != FINE)
    where = "in a batch of 16 with six others that fail" if accuracy.batched else "one cell at a time"
    for i, level in enumerate(levels):
        if level != FINE:
            yield Fault(f"{KINDS[level]}, {where}", "this evaluation", f"a failed evaluation: {done[i].reason}")


def a_killed_worker() -> Iterator[Fault]:
    """kill -9 of the process that simulates."""
    problem = load_problem(TROUBLE, measured=False)
    xs = [np.array([FINE, g]) for g in np.geomspace(1e-4, 1e-3, 30)]
    with Workers(problem) as pool:
        flow = pool.run(xs)
        done = dict([next(flow)])
        psutil.Process().children()[-1].kill()
        done |= dict(flow)
        right = dict(pool.run(xs))
    assert [_bits(done[i]) for i in range(30)] == [_bits(right[i]) for i in range(30)]
    yield Fault("`kill -9` of a worker", "nothing: what it was on is made again", "nothing")


def a_changed_model(folder: Path) -> Iterator[Fault]:
    """Between two runs and in the middle of one."""
    model = shutil.copytree(TROUBLE, folder / "model")
    problem = load_problem(model, measured=False)
    file = folder / "archive.sqlite"
    with Archive(file, problem) as kept, Workers(problem) as pool:
        for i, done in pool.run([np.array([FINE, 3e-4])]):
            kept.add("r", 0, i, "design", CVODE, np.array([FINE, 3e-4]), done)
        hoc = model / "trouble.hoc"
        hoc.write_text(hoc.read_text().replace("L = 200", "L = 201"))
        said = refusal(lambda: list(pool.run([np.array([FINE, 3e-4])])))
        assert kept.count() == 1
    yield Fault("a model file changes while a run is going", "nothing", said)
    yield Fault("a model file changes between two runs", "nothing", refusal(lambda: Archive(file, problem)))


def a_bad_archive(folder: Path) -> Iterator[Fault]:
    """Full disk, locked, truncated, a flipped byte."""
    problem, file = load_problem(HH, measured=False), folder / "archive.sqlite"
    for what, disk in _disks(folder):
        filling = started(FULL, disk / "full.sqlite", HH, "" if disk != folder else "limited")
        kept, _, said = filling.communicate(timeout=LIMIT_S)[0].strip().partition(" ")
        assert filling.returncode == 0
        with sqlite3.connect(disk / "full.sqlite") as left:
            assert left.execute("SELECT count(*) FROM evaluations").fetchone() == (int(kept),)
        left.close()
        yield Fault(what, "the evaluation that did not fit", said)
        if disk != folder:
            subprocess.run(["umount", disk], check=True)
    _fill(problem, file)
    whole = file.read_bytes()
    archives.LOCK_LIMIT_S, before = 0.2, archives.LOCK_LIMIT_S
    with Archive(file, problem) as kept, sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        said = refusal(lambda: _add(kept, 99))
        other.execute("ROLLBACK")
        assert kept.count() == 40
    other.close()
    archives.LOCK_LIMIT_S = before
    yield Fault("another program locks the archive", "the evaluation that had to wait", said.replace("0.2 s", "60 s"))
    file.write_bytes(whole[: len(whole) // 2])
    yield Fault("an archive cut in half", "what was cut off", refusal(lambda: Archive(file, problem)))
    middle = whole.index(b'"a.7": 1.0') + 8
    file.write_bytes(whole[:middle] + b"3" + whole[middle + 1 :])
    yield Fault("one byte of an archive changed", "that evaluation", refusal(lambda: Archive(file, problem)))


def a_stopped_run(folder: Path) -> Iterator[Fault]:
    """Ctrl-C, twice; kill -9 of the parent; another run in the same archive at the same time."""
    for what, name in {"Ctrl-C": "once", "Ctrl-C twice": "twice", "`kill -9` of gbar": "killed"}.items():
        file = folder / f"{name}.sqlite"
        running = _sampling(file, 0)
        _wait_for(running, file, 3)
        workers = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGKILL if name == "killed" else signal.SIGINT)
        if name == "twice":
            time.sleep(0.01)
            running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=LIMIT_S)[1].strip() or "nothing"
        assert not psutil.wait_procs(workers, timeout=20)[1], "workers live on"
        assert "Traceback" not in said and _whole(file) >= 3
        yield Fault(what, "what was being simulated", f"{said} (exit code {running.returncode})")
    file = folder / "both.sqlite"
    both = [_sampling(file, seed, "4") for seed in (1, 2)]
    said = [running.communicate(timeout=LIMIT_S)[0].strip() for running in both]
    assert [running.returncode for running in both] == [0, 0] and _whole(file) == 8
    assert all("4 evaluations made, 0 failed" in text for text in said)
    yield Fault("two runs on one archive at once", "nothing", "what each says when alone")


def a_narrow_place(folder: Path) -> Iterator[Fault]:
    """A run folder that another run is in, one core, no room for temporary files, a model killed as it loads."""
    run = folder / "run"
    run.mkdir()
    other = os.open(run, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    said = refusal(lambda: tune_into(with_engine(load_problem(HH), CVODE), TuneConfig(budget=8), run, None, print))
    os.close(other)
    assert list(run.iterdir()) == []
    yield Fault("two runs in one run folder", "nothing", said)
    if shutil.which("taskset"):
        file = folder / "one.sqlite"
        running = _sampling(file, 0, "4", before=["taskset", "-c", str(min(os.sched_getaffinity(0)))])
        assert running.communicate(timeout=LIMIT_S)[1] == "" and (running.returncode, _whole(file)) == (0, 4)
        yield Fault("two workers have one core", "nothing", "nothing")
    running = _sampling(folder / "a.sqlite", 0, "4", before=["prlimit", f"--as={250 * 10**6}"])
    said = running.communicate(timeout=LIMIT_S)[1].strip()
    assert running.returncode == 2 and not (folder / "a.sqlite").exists()
    yield Fault("the limit on memory is 250 MB (`ulimit -v`)", "nothing", said)
    full = folder / "full"
    full.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", full], capture_output=True).returncode == 0:
        (full / "filled").write_bytes(bytes(4096))
        running = _sampling(folder / "a.sqlite", 0, "4", TMPDIR=str(full))
        said = running.communicate(timeout=LIMIT_S)[1]
        assert [file.name for file in full.iterdir()] == ["filled"]
        subprocess.run(["umount", full], check=True)
        assert (said, running.returncode, _whole(folder / "a.sqlite")) == ("", 0, 4)
        yield Fault("`$TMPDIR` is full", "nothing", "nothing")
    model = shutil.copytree(HH, folder / "model")
    (model / "cell.py").write_text("import os\ndef build(): os.kill(os.getpid(), 9)\n")
    toml = (model / "problem.toml").read_text()
    (model / "problem.toml").write_text(toml.replace("hh.hoc", "cell.py:build").replace('template = "SquidAxon"', ""))
    said = refusal(lambda: Workers(load_problem(model, measured=False)))
    yield Fault("a worker is killed whenever it loads the model", "nothing", said)


def _disks(folder: Path) -> Iterator[tuple[str, Path]]:
    """A file-size limit, and where this may be mounted a small disk."""
    yield "the archive reaches a limit of file size", folder
    small = folder / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", small], capture_output=True)
    if mounted.returncode == 0:
        yield "the disk is full", small


def _sampling(
    file: Path, seed: int, count: str = "5000", before: Sequence[str] = (), **more: str
) -> "subprocess.Popen[str]":
    options = ["-n", count, "--seed", str(seed), "--archive", str(file), "--engine", CVODE]
    command = [*before, sys.executable, "-m", "gbar", "sample", str(HH), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for(running: "subprocess.Popen[str]", file: Path, count: int) -> None:
    start = time.monotonic()
    while running.poll() is None and _count(file) < count:
        assert time.monotonic() - start < LIMIT_S
        time.sleep(0.1)


def _count(file: Path) -> int:
    try:
        return _whole(file)
    except (GbarError, OSError, AssertionError):
        return 0


def _whole(file: Path) -> int:
    assert file.exists()
    with Archive(file, load_problem(HH, measured=False)) as archive:
        return archive.count()


def _fill(problem: Problem, file: Path) -> None:
    with Archive(file, problem) as archive:
        for slot in range(40):
            _add(archive, slot)


def _add(archive: Archive, slot: int) -> None:
    archive.add("r", 0, slot, "design", CVODE, np.ones(3), Evaluation({f"a.{n}": n / 7 for n in range(20)}))


def _bits(done: Evaluation) -> dict[str, str]:
    assert done.status == "ok", done.reason
    return {name: float(value).hex() for name, value in done.features.items()}


def rows() -> Iterator[Fault]:
    """Every row; takes about a minute."""
    yield from in_a_worker(Integrator())
    yield from in_a_worker(Integrator("neuron"))
    yield from a_killed_worker()
    for several in (a_changed_model, a_bad_archive, a_stopped_run, a_narrow_place):
        with tempfile.TemporaryDirectory() as scratch:
            yield from (row._replace(saw=row.saw.replace(scratch, "RUN")) for row in several(Path(scratch)))


def line(row: Fault) -> str:
    """A row as it stands in the page."""
    saw = re.sub(r"\b[0-9a-f]{16}\b", "HASH", row.saw)
    return f"| {row.what} | {row.lost} | {saw} |"


def main() -> None:
    """Write the table."""
    made = "\n".join(line(row) for row in rows())
    page = PAGE.read_text()
    head, _, rest = page.partition("|---|---|---|\n")
    tail = rest[rest.index("\n\n") :] if "\n\n" in rest else "\n"
    PAGE.write_text(f"{head}|---|---|---|\n{made}{tail}")


if __name__ == "__main__":
    main()
