"""Every simulation kept: one SQLite file per model and protocol set, written as results arrive.

Each result is one transaction in write-ahead mode, so killing the process outright loses nothing that had finished.
"""

import contextlib
import hashlib
import json
import math
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gbar.sim.archive.identity import OTHER_MODEL, manifest_in, said_of, why_another
from gbar.sim.archive.reading import connected
from gbar.sim.engine import UNKNOWN, Evaluation
from gbar.sim.errors import GbarError
from gbar.sim.files import Made, resolved
from gbar.sim.problem import Problem, file_digest

SCHEMA_VERSION = "1"
OUTSIDE = "outside"  # in meta: JSON, name -> hash of the content, of files that are not in the model's folder
LOCK_LIMIT_S = 60.0  # that another program may keep the file to itself
TURNS = 100  # at opening a file that others make and take back
KEPT = ("run", "batch", "slot", "proposer", "engine", "parameters", "features", "status", "reason", "seconds")
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
    digest TEXT,                -- of all of the above but id: a byte changed by a disk is noticed
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
"""


class _Kept(NamedTuple):
    """One row, or the parts of one evaluation."""

    run: str
    batch: int
    slot: int
    proposer: str
    engine: str
    parameters: str
    features: dict[str, float | None]
    status: str
    reason: str
    seconds: float

    def is_continued_by(self, other: "_Kept") -> bool:
        """Whether another row is of the same evaluation, but of other protocols: the same twice are two."""
        return self[:6] == other[:6] and not self.features.keys() & other.features.keys()

    def joined(self, other: "_Kept") -> "_Kept":
        """Both; it failed where either has."""
        status, reason = (self.status, self.reason) if self.status != "ok" else (other.status, other.reason)
        features, seconds = self.features | other.features, self.seconds + other.seconds
        return self._replace(features=features, status=status, reason=reason, seconds=seconds)


@dataclass(frozen=True)
class Rows:
    """Evaluations as arrays, in the order in which they were asked for (not in which they happened to finish)."""

    x: np.ndarray  # [N, D] in NEURON's units
    features: np.ndarray  # [N, F], NaN = not defined, UNKNOWN = not simulated
    ok: np.ndarray  # [N] bool; a failed evaluation says nothing about its features
    run: list[str]
    batch: np.ndarray  # [N]
    proposer: list[str]
    reason: list[str]
    seconds: np.ndarray  # [N]

    def __len__(self) -> int:
        return len(self.x)

    def only(self, chosen: np.ndarray) -> "Rows":  # [N] bool
        """Some of the rows, in the same order."""
        at = np.flatnonzero(chosen)
        return Rows(
            self.x[at],
            self.features[at],
            self.ok[at],
            [self.run[i] for i in at],
            self.batch[at],
            [self.proposer[i] for i in at],
            [self.reason[i] for i in at],
            self.seconds[at],
        )


class Archive:
    """The open file. Opening creates it; opening one made by another model or protocol set is refused.

    Use as a context manager: when that ends with an exception and no row was added, what was made for it is taken back.

    Args:
        path: of the file.
        made: what was made before for the same purpose, such as its folder.
        must_exist: to read one that is there.

    Raises:
        GbarError: not an archive, not for this problem, or unreadable.
    """

    def __init__(self, path: Path, problem: Problem, made: Made | None = None, must_exist: bool = False):
        self.path, self.names = resolved(path, "--archive"), problem.names
        self.added = 0  # rows, by this object
        self._ours = said_of(problem)  # before there is a file that could lie among the model's
        self.made = made or Made()
        if not any(self._is_opened(must_exist) for _ in range(TURNS)):
            raise GbarError(f"{self.path}: others make it and take it back all the time: name another with --archive")

    def _is_opened(self, must_exist: bool) -> bool:
        """Open the file; False where who had made it took it back just then, and what is open here is no file's.

        Raises:
            GbarError: it cannot be used.
        """
        if not must_exist:
            self._create()
        before = self._identity()
        if before is None and (must_exist or self.path.exists()):
            what = "is no file" if self.path.exists() else "no archive there: gbar sample and gbar tune make them"
            raise GbarError(f"{self.path}: {what}: name another with --archive")
        try:
            with self._refusing():
                self._db = connected(self.path, LOCK_LIMIT_S)
        except GbarError:
            if before and self._identity() == before:
                self.made.take_back()
                raise
            return False
        try:
            with self._refusing():
                self._open()
        except BaseException as error:
            if not isinstance(error, GbarError) or self._identity() == before:
                self._take_back()
                raise
        if self._identity() == before:
            return True
        self.close()
        return False

    def _identity(self) -> tuple[int, int] | None:
        """What the disk knows the file by, which another of the same name does not share; None where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None

    def _create(self) -> None:
        """Make the file where there is none. Raises GbarError."""
        try:
            self.made.file(self.path)
        except OSError as error:
            self.made.take_back()
            raise GbarError(f"{self.path}: cannot be made ({error.strerror}): name another with --archive") from None

    def _open(self) -> None:
        """Check that the file is this problem's, or make it so."""
        tables = {name for (name,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not tables >= {"meta", "evaluations"}:
            raise sqlite3.DatabaseError("it is another program's database")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(f"BEGIN IMMEDIATE; {SCHEMA}")  # two processes may open a new one at once
        if "digest" not in {column[1] for column in self._db.execute("PRAGMA table_info(evaluations)")}:
            self._db.execute("ALTER TABLE evaluations ADD COLUMN digest TEXT")  # made before there was one
        meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        if not meta:
            meta = {**self._ours, "schema": SCHEMA_VERSION, OUTSIDE: "{}"}
            self._db.executemany("INSERT INTO meta VALUES (?, ?)", list(meta.items()))
        self._db.execute("COMMIT")
        if meta.get("schema") != SCHEMA_VERSION:
            raise GbarError(f"{self.path}: was made by another version of gbar: name another with --archive")
        if why := why_another(meta, self._ours):
            raise GbarError(f"{self.path}: was made with another model or protocol set: {why}")
        self._check()

    def hold_to(self, files: Sequence[str]) -> None:
        """Keep what files outside the model's folder hold, which the model was seen to open; or compare with it.

        Raises:
            GbarError: one of them has changed since the archive was begun.
        """
        now = {name: file_digest(Path(name)) for name in files}
        with self._refusing():
            kept = self._db.execute("SELECT value FROM meta WHERE key = ?", (OUTSIDE,)).fetchone()
            before = manifest_in(kept[0]) if kept else {}
            for name in now:
                if before.get(name, now[name]) != now[name]:
                    raise GbarError(f"{name}: has changed since {self.path} was made with it: {OTHER_MODEL}")
            if now.keys() - before.keys():
                self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (OUTSIDE, json.dumps(before | now)))

    def _check(self) -> None:
        """Look for damage: a row that is not what was written must not teach anybody. Raises GbarError."""
        (said,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise sqlite3.DatabaseError(f"it is damaged: {said.splitlines()[-1]}")
        for number, digest, *row in self._db.execute(f"SELECT id, digest, {', '.join(KEPT)} FROM evaluations"):
            if digest is not None and digest != _digest(row):
                raise GbarError(
                    f"{self.path}: evaluation {number} is not what was written: the file is damaged: use a copy, or "
                    f"have it made again after: sqlite3 {self.path} 'DELETE FROM evaluations WHERE id = {number}'"
                )

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """SQLite's errors (not a database, damaged, locked, disk full) as ours."""
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary one
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                way_out = f"another program has kept it to itself for {LOCK_LIMIT_S:g} s: wait for it, or "
            elif code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                way_out = f"{'what was written before is kept: ' if self.added else ''}make room and start again, or "
            else:
                way_out = ""
            raise GbarError(
                f"{self.path}: cannot be used as an archive ({error}): {way_out}name another with --archive"
            ) from None

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self._take_back()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _take_back(self) -> None:
        """Close after an error; where no row came of it all, nothing stays that was made for it."""
        if not self.added:
            self.made.take_back(*([] if self._is_unused() else [self.path]))
        self.close()

    def _is_unused(self) -> bool:
        """Whether there is no row, and nobody else has the file open; and lock it, so that it stays so until closed."""
        try:
            self._db.execute("PRAGMA busy_timeout = 0")
            self._db.execute("PRAGMA journal_mode = DELETE")  # refused while it is open elsewhere
            self._db.execute("BEGIN EXCLUSIVE")
            if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'evaluations'").fetchone():
                return self._db.execute("SELECT 1 FROM evaluations").fetchone() is None
            return True
        except sqlite3.Error:
            return False

    def add(self, run: str, batch: int, slot: int, proposer: str, engine: str, x: np.ndarray, done: Evaluation) -> None:
        """Keep one finished evaluation, for good when this returns."""
        values = {key: value if math.isfinite(value) else None for key, value in done.features.items()}
        parameters = dict(zip(self.names, map(float, x), strict=True))
        row = (
            *(run, batch, slot, proposer, engine, json.dumps(parameters), json.dumps(values)),
            *(done.status, done.reason, float(done.seconds)),
        )
        with self._refusing():
            self._db.execute(
                f"INSERT INTO evaluations ({', '.join(KEPT)}, digest) VALUES ({', '.join('?' * len(KEPT))}, ?)",
                (*row, _digest(row)),
            )
        self.added += 1

    def count(self, run: str | None = None) -> int:
        """How many evaluations there are, or how many one run has made; the parts of one are one."""
        where, arguments = ("WHERE run = ?", (run,)) if run else ("", ())
        one = "run || ' ' || batch || ' ' || slot || proposer || engine || parameters"
        query = f"SELECT count(*), count(DISTINCT {one}) FROM evaluations {where}"
        with self._refusing():
            rows, most = self._db.execute(query, arguments).fetchone()
        return int(rows) if rows == most else sum(1 for _ in self._evaluations(where, arguments))

    def _evaluations(self, where: str, arguments: tuple[str, ...]) -> "Iterator[_Kept]":
        """What is kept, in the order in which it was asked for; rows that are parts of one evaluation put together."""
        columns = "run, batch, slot, proposer, engine, parameters, features, status, reason, seconds"
        query = f"SELECT {columns} FROM evaluations {where} ORDER BY run, batch, slot, id"
        with self._refusing():
            rows = self._db.execute(query, arguments).fetchall()
        last: _Kept | None = None
        for content in rows:
            row = _Kept._make([*content[:6], json.loads(content[6]), *content[7:]])
            if last is not None and last.is_continued_by(row):
                last = last.joined(row)
                continue
            if last is not None:
                yield last
            last = row
        if last is not None:
            yield last

    def seconds(self, run: str) -> dict[str, float]:
        """What a run's evaluations have taken a worker by each engine, s."""
        query = "SELECT engine, sum(seconds) FROM evaluations WHERE run = ? GROUP BY engine ORDER BY min(id)"
        with self._refusing():
            return {engine: float(total) for engine, total in self._db.execute(query, (run,))}

    def rows(self, features: Sequence[str], engine: str, partial: bool = False) -> Rows:
        """The evaluations made by one engine in which all of `features` were computed (or which failed).

        Args:
            features: "protocol.feature" each.
            engine: that made them.
            partial: also those of which only some were: the protocols of one evaluation may be simulated one by one, a
                row each, and are put together here.
        """
        x, values, ok, rest = [], [], [], []
        for one in self._evaluations("WHERE engine = ?", (engine,)):
            there = [name in one.features for name in features]
            if one.status == "ok" and not (all(there) or (partial and any(there))):
                continue  # made before this feature was asked for
            given = json.loads(one.parameters)
            x.append([given[name] for name in self.names])
            known = {name: math.nan if value is None else value for name, value in one.features.items()}
            absent = math.nan if one.status != "ok" else UNKNOWN
            values.append([known.get(name, absent) for name in features])
            ok.append(one.status == "ok")
            rest.append([one.run, one.batch, one.proposer, one.reason, one.seconds])
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


def _digest(row: Sequence[Any]) -> str:
    """Of one row's values, in the order of `KEPT`."""
    return hashlib.blake2b(json.dumps(list(row), default=repr).encode(), digest_size=8).hexdigest()
