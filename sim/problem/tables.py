"""Tables of measurements as files: CSV, and what other tools call their tables. Rows come out as they stand there."""

import csv
import io
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gbar.sim.errors import GbarError, nearest
from gbar.sim.made import resolved
from gbar.sim.problem.problem import Measurement

COLUMNS = [name for name, field in Measurement.model_fields.items() if field.is_required()]


def rows_of(table: Path, may_be_empty: bool = False) -> list[tuple[str, dict[str, Any]]]:
    """The rows of a table, each with where it stands ("FILE, measurement 3").

    Raises:
        GbarError: no such file, not a table, a column too many or too few.
    """
    if not table.is_file():
        raise GbarError(f"no measurements at {table}: expected a CSV with columns {','.join(COLUMNS)}")
    if table.suffix.lower() == ".json":
        from gbar.sim.problem.formats import bluepyopt

        return bluepyopt.feature_rows(table)
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader((line for line in stream if not line.startswith("#")), skipinitialspace=True)
            columns, rows = list(reader.fieldnames or []), list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise GbarError(f"{table}: not a CSV text file: {error}") from None
    known = list(Measurement.model_fields)
    for column in columns:
        if column not in known:
            raise GbarError(f"{table}: unknown column '{column}'{nearest(column or '', known)}")
    for column in known:
        if column not in columns and column in COLUMNS:
            raise GbarError(f"{table}: no column '{column}': expected {','.join(COLUMNS)}")
        if columns.count(column) > 1:
            raise GbarError(f"{table}: two columns are called '{column}': keep one")
    if not rows and not may_be_empty:
        raise GbarError(f"{table}: no measurements in it: expected one row a measurement under the header")
    found = []
    for number, row in enumerate(rows, start=1):
        where = f"{table}, measurement {number}"
        if None in row or None in row.values():
            raise GbarError(f"{where}: expected {len(columns)} fields ({','.join(columns)})")
        found.append((where, row))
    return found


def add_rows(table: Path, rows: Iterable[Measurement]) -> None:
    """Write rows to a CSV, at the end of what it holds already: all of them or none."""
    table = resolved(table, "--out")
    before = table.read_text(encoding="utf-8-sig") if table.exists() else ""
    lines = [line for line in before.splitlines() if line and not line.startswith("#")]
    columns = next(csv.reader(lines, skipinitialspace=True)) if lines else COLUMNS
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
    if not lines:
        writer.writeheader()
    # MOhm: what a keyboard has, and every spreadsheet reads
    for row in rows:
        numbers = {"mean": f"{row.mean:.12g}", "sd": f"{row.sd:.12g}"}
        writer.writerow({**row.model_dump(), **numbers, "unit": row.unit.replace("MΩ", "MOhm")})
    table.parent.mkdir(parents=True, exist_ok=True)
    with beside(table, (before.rstrip("\n") + "\n" if before else "") + stream.getvalue()) as new:
        os.replace(new, table)


@contextmanager
def beside(file: Path, content: str) -> Iterator[Path]:
    """A temporary file with `content` in the same folder as `file`, gone at the end unless it was moved there."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem}.", suffix=file.suffix)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(content)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # as any other new file
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
