"""An archive that is only looked at."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

LOOK_LIMIT_S = 5.0  # to wait for another program that keeps it to itself


def connected(file: Path, limit_s: float) -> sqlite3.Connection:
    """An archive's file, which is not made here: it would be nobody's to take back. Raises sqlite3.Error."""
    return sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=limit_s, isolation_level=None)


@contextmanager
def reading(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing and makes no file. Raises sqlite3.Error.

    SQLite's own files beside it go when the last connection closes, but not where that one may not write.
    """
    with closing(connected(file.resolve(), LOOK_LIMIT_S)) as opened:
        opened.execute("PRAGMA query_only = ON")
        yield opened
