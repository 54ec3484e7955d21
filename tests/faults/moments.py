"""kill -9, Ctrl-C and a full disk at random moments of a run: `python -m tests.faults.moments 100`.

After each: every evaluation that was seen in the archive is there, all of it can be read, nothing that lay beside the
run was touched, nobody lives on, no temporary file stays, and what was said is true. Raises AssertionError otherwise.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import psutil

from gbar.sim import Archive, load_problem
from tests.problems import HH, ROOT

KINDS = ("kill", "ctrl-c", "full")
LIMIT_S = 300.0
GONE_WITHIN_S = 20.0
START_S = 0.3  # before Python itself has begun there is nobody to act upon Ctrl-C
KEPT = "everything simulated so far is kept"


class Moment(NamedTuple):
    """One interruption, and how it ended."""

    kind: str
    after: float  # s; for a full disk, bytes that fit in a file
    rows: int
    code: int
    said: str


def interrupted(folder: Path, kind: str, after: float) -> Moment:
    """Start a run in RUN/new, a folder that is missing, interrupt it, and check everything."""
    (folder / "precious").mkdir()
    (folder / "precious" / "thesis.txt").write_text("all of it")
    (folder / "tmp").mkdir()
    out = folder / "missing" / ".." / "new" / "run"
    running = _started(folder, out, int(after) if kind == "full" else None)
    mine, seen = psutil.Process(running.pid), 0
    end = time.monotonic() + (after if kind != "full" else LIMIT_S)
    while time.monotonic() < end and running.poll() is None:
        seen = max(seen, _rows(folder / "new" / "run" / "archive.sqlite"))
        time.sleep(0.02)
    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        children = mine.children(recursive=True)
    if kind != "full":
        running.send_signal(signal.SIGKILL if kind == "kill" else signal.SIGINT)
    said = running.communicate(timeout=LIMIT_S)[1]
    rows = _checked(folder, seen, children, killed=kind == "kill")
    moment = Moment(kind, after, rows, running.returncode, said.strip())
    _check_end(folder / "new" / "run", moment)
    return moment


def _started(folder: Path, out: Path, size: int | None) -> "subprocess.Popen[str]":
    limited = ["prlimit", f"--fsize={size}"] if size else []
    options = ["--out", str(out), "--solutions", "3", "--tolerance", "1", "--batch", "8"]
    environment = {**os.environ, "TMPDIR": str(folder / "tmp"), "GBAR_ENGINE": "cvode atol 0.0001"}
    environment["PYTHONPATH"] = str(ROOT)
    command = [*limited, sys.executable, "-m", "gbar", "tune", str(HH), *options]
    kept = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": folder, "env": environment}
    return subprocess.Popen(command, text=True, **kept)  # type: ignore[call-overload, no-any-return]


def _rows(file: Path) -> int:
    """Evaluations that anybody can see, without opening the file for writing."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db,
    ):
        return int(db.execute("SELECT count(*) FROM evaluations").fetchone()[0])
    return 0


def _checked(folder: Path, seen: int, children: list[psutil.Process], killed: bool) -> int:
    """Rows in the archive, after everything that has to hold whatever ended the run."""
    assert not psutil.wait_procs(children, timeout=GONE_WITHIN_S)[1], "a process lives on"
    assert (folder / "precious" / "thesis.txt").read_text() == "all of it"
    there = {path.name for path in folder.iterdir()}
    assert there - {"new"} == {"precious", "tmp"}, there
    left = [path for path in (folder / "tmp").iterdir() if not path.name.startswith("pymp-")]
    assert not left, f"temporary files stay: {left}"
    archive = folder / "new" / "run" / "archive.sqlite"
    if not archive.exists():
        assert seen == 0, f"{seen} evaluations are gone"
        assert killed or not (folder / "new").exists(), "a folder that holds nothing stays"
        return 0
    with Archive(archive, load_problem(HH), must_exist=True) as kept:  # reads every row
        assert kept.count() >= seen, f"{seen} evaluations were there, {kept.count()} are"
        return kept.count()


def _check_end(run: Path, moment: Moment) -> None:
    """What was said, and the result."""
    assert "Traceback" not in moment.said and "Error" not in moment.said and moment.said.count("\n") == 0, moment
    result = run / "result.json"
    if moment.kind == "kill":
        assert moment.code in {-signal.SIGKILL, 0}, moment
    elif moment.kind == "ctrl-c":
        assert moment.code in {130, 0}, moment  # 0: it was done
        if moment.rows:
            assert result.is_file() or KEPT in moment.said, moment
    else:
        assert moment.code in {0, 2}, moment
        assert moment.code == 0 or moment.said.startswith("gbar: "), moment
    if result.is_file():
        assert json.loads(result.read_text())["evaluations"] == moment.rows


def moments(count: int, seed: int, whole_s: float, kinds: tuple[str, ...] = KINDS) -> list[Moment]:
    """`count` interruptions, in turn of each kind, at moments drawn at random from `whole_s`."""
    draw, made = random.Random(seed), []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        after = draw.uniform(START_S, whole_s) if kind != "full" else float(int(10 ** draw.uniform(4.3, 5.8)))
        folder = Path(tempfile.mkdtemp(prefix="gbar-moment-"))
        try:
            made.append(interrupted(folder, kind, after))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, number {number}, {kind} at {after:g}: {error} (in {folder})") from error
        shutil.rmtree(folder)
    return made


def main() -> None:
    """Print a line for each, and how often what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--whole", type=float, default=60.0, help="seconds that a whole run takes")
    parser.add_argument("--kind", choices=KINDS, default=None)
    asked = parser.parse_args()
    made = []
    for number in range(asked.count):
        kinds = (asked.kind,) if asked.kind else (KINDS[number % 3],)
        made += moments(1, asked.seed + number, asked.whole, kinds)
        print(made[-1], flush=True)
    print(Counter((moment.kind, moment.code, "rows" if moment.rows else "none") for moment in made))


if __name__ == "__main__":
    main()
