"""Every simulation kept: one SQLite file per model and protocol set, written as results arrive.

Each result is one transaction in write-ahead mode, so killing the process outright loses nothing that had finished.
"""

import contextlib
import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim.errors import GbarError
from sim.evaluation import Evaluation
from sim.problem import Problem

SCHEMA_VERSION = "1"
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS evaluations (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL,          -- which run asked for it
    batch INTEGER NOT NULL,     -- in which of its batches
    slot INTEGER NOT NULL,      -- and where in that batch
    proposer TEXT NOT NULL,     -- design, policy, gradient, ...
    engine TEXT NOT NULL,       -- integrator and accuracy
    parameters TEXT NOT NULL,   -- JSON object, NEURON's units
    features TEXT NOT NULL,     -- JSON object "protocol.feature": value, null = not defined (not valid)
    status TEXT NOT NULL,       -- ok | failed
    reason TEXT NOT NULL,
    seconds REAL NOT NULL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
"""


@dataclass(frozen=True)
class Rows:
    """Evaluations as arrays, in the order in which they were asked for (not in which they happened to finish)."""

    x: np.ndarray  # [N, D] in NEURON's units
    features: np.ndarray  # [N, F], NaN = not defined
    ok: np.ndarray  # [N] bool; a failed evaluation says nothing about its features
    run: list[str]
    batch: np.ndarray  # [N]
    proposer: list[str]
    reason: list[str]
    seconds: np.ndarray  # [N]

    def __len__(self) -> int:
        return len(self.x)


class Archive:
    """The open file. Opening creates it; opening one made by another model or protocol set is refused.

    Raises:
        GbarError: not an archive, not for this problem, or unreadable.
    """

    def __init__(self, path: Path, problem: Problem):
        self.path, self.names = Path(path), problem.names
        with self._refusing():
            self._db = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
        try:
            with self._refusing():
                self._open(problem)
        except BaseException:
            self.close()
            raise

    def _open(self, problem: Problem) -> None:
        """Check that the file is this problem's, or make it so."""
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not tables >= {"meta", "evaluations"}:
            raise sqlite3.DatabaseError("it is another program's database")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT")  # two processes may open a new one at once
        ours = {"identity": problem.identity(), "problem": problem.name, "schema": SCHEMA_VERSION}
        self._db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", list(ours.items()))
        meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        if meta["schema"] != SCHEMA_VERSION:
            raise GbarError(f"{self.path}: was made by another version of gbar: name another with --archive")
        if meta["identity"] != ours["identity"]:
            raise GbarError(
                f"{self.path}: was made with another model or protocol set ({meta['problem']}, {meta['identity']}; "
                f"this is {problem.name}, {ours['identity']}): name another with --archive"
            )

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """SQLite's errors (not a database, damaged, disk full) as ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise GbarError(
                f"{self.path}: cannot be used as an archive ({error}): name another with --archive"
            ) from None

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, run: str, batch: int, slot: int, proposer: str, engine: str, x: np.ndarray, done: Evaluation) -> None:
        """Keep one finished evaluation, for good when this returns."""
        values = {key: value if math.isfinite(value) else None for key, value in done.features.items()}
        parameters = dict(zip(self.names, map(float, x), strict=True))
        row = (run, batch, slot, proposer, engine, json.dumps(parameters), json.dumps(values))
        with self._refusing():
            self._db.execute(
                "INSERT INTO evaluations"
                " (run, batch, slot, proposer, engine, parameters, features, status, reason, seconds)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, done.status, done.reason, done.seconds),
            )

    def count(self, run: str | None = None) -> int:
        """How many evaluations there are, or how many one run has made."""
        where, arguments = ("WHERE run = ?", (run,)) if run else ("", ())
        with self._refusing():
            return int(self._db.execute(f"SELECT count(*) FROM evaluations {where}", arguments).fetchone()[0])

    def rows(self, features: Sequence[str], engine: str) -> Rows:
        """The evaluations made by one engine in which all of `features` were computed (or which failed)."""
        query = (
            "SELECT parameters, features, status, run, batch, proposer, reason, seconds FROM evaluations"
            " WHERE engine = ? ORDER BY run, batch, slot, id"
        )
        x, values, ok, rest = [], [], [], []
        with self._refusing():
            kept = self._db.execute(query, (engine,)).fetchall()
        for parameters, computed, status, *others in kept:
            found = json.loads(computed)
            if status == "ok" and not all(name in found for name in features):
                continue  # made before this feature was asked for
            given = json.loads(parameters)
            x.append([given[name] for name in self.names])
            values.append([math.nan if found.get(name) is None else found[name] for name in features])
            ok.append(status == "ok")
            rest.append(others)
        runs, batches, proposers, reasons, seconds = (
            map(list, zip(*rest, strict=True)) if rest else ([], [], [], [], [])
        )
        return Rows(
            np.array(x, float).reshape(-1, len(self.names)),
            np.array(values, float).reshape(len(x), len(features)),
            np.array(ok, bool),
            runs,
            np.array(batches, int),
            proposers,
            reasons,
            np.array(seconds, float),
        )
