"""An archive that is only looked at."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

LOCK_LIMIT_S = 5.0  # to wait for another program that keeps it to itself


@contextmanager
def reading(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing and makes no file. Raises sqlite3.Error.

    SQLite's own files beside it go when the last connection closes, but not where that one may not write.
    """
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=rw", uri=True, timeout=LOCK_LIMIT_S)) as opened:
        opened.execute("PRAGMA query_only = ON")
        yield opened
