"""A table of measurements that is edited row by row: read as it was typed, written with its comments kept."""

import csv
import io
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from gbar.sim.errors import GbarError
from gbar.sim.features import known_features
from gbar.sim.problem.loading import measurement_of
from gbar.sim.problem.problem import Measurement, Problem
from gbar.sim.problem.quantity import Numerals
from gbar.sim.problem.responsekey import ResponseKey
from gbar.sim.problem.sheet import Sheet, folded, read_sheet
from gbar.sim.problem.synonyms import feature_of
from gbar.sim.problem.tables import (
    COLUMNS,
    DEMANDS,
    HEADINGS,
    NUMBERS,
    columns_of,
    numerals_of,
    plain_number,
    row_content,
)

PASTED = (*COLUMNS, "note")  # without a header, in this order
TYPED = (*PASTED, *DEMANDS)


class TypedRow(NamedTuple):
    """A row as somebody types it."""

    protocol: str = ""
    feature: str = ""
    mean: str = ""
    sd: str = ""
    unit: str = ""
    note: str = ""
    weight: str = ""
    must_hold: str = ""
    line: int = 0  # of the file that it stands in, from 1; 0 for a new one

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed but the protocol."""
        return not any((self.feature.strip(), self.mean.strip(), self.sd.strip()))


class EditableTable(NamedTuple):
    """A table as it stands."""

    rows: list[TypedRow]
    suggested: list[TypedRow]  # rows that are there as comments, as `gbar init` writes them
    plain: bool  # whether a row can be written back in its place: a CSV with the usual columns, mean and SD apart


class ReadRow(NamedTuple):
    """What gbar makes of a row: the measurement, or what is wrong."""

    measurement: Measurement | None
    error: str


def editable(table: Path) -> EditableTable:
    """The rows of a table. Raises GbarError where it is none."""
    sheet = read_sheet(table, HEADINGS)
    if not sheet.header:
        return EditableTable([], [], bool(sheet.delimiter))
    columns = columns_of(table, sheet)
    rows = _typed(sheet, columns, str(table))
    plain = bool(sheet.delimiter) and set(columns) <= set(TYPED) and _one_line_each(table, sheet)
    return EditableTable(rows, _commented(table, sheet, columns) if plain else [], plain)


def pasted(text: str) -> list[TypedRow]:
    """Rows from a spreadsheet of any country, with a header or in the order of the table's columns.

    Raises:
        GbarError: no table.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise GbarError("nothing was pasted: expected rows of protocol, feature, mean, SD, unit")
    delimiter = next((mark for mark in "\t;" if mark in lines[0]), ",")
    cells = next(csv.reader([lines[0]], delimiter=delimiter))
    if sum(folded(cell) in HEADINGS for cell in cells) < 2:
        if not 3 <= len(cells) <= len(PASTED):
            raise GbarError(f"{len(cells)} columns were pasted: expected protocol, feature, mean, SD, unit")
        of_three = ["protocol", "feature", "mean"] if "±" in cells[-1] else ["feature", "mean", "sd"]
        names = of_three if len(cells) == 3 else list(PASTED[: len(cells)])
        lines.insert(0, delimiter.join(names))
    with tempfile.TemporaryDirectory(prefix="gbar-") as folder:
        file = Path(folder) / "pasted.csv"
        file.write_text(_whole("\n".join(lines), delimiter), encoding="utf-8")
        try:
            sheet = read_sheet(file, HEADINGS)
            columns = columns_of(file, sheet)
            return [row._replace(line=0) for row in _typed(sheet, columns, "pasted")]
        except GbarError as error:
            raise GbarError(str(error).replace(f"{file}: ", "").replace(str(file), "what was pasted")) from None


def _whole(text: str, delimiter: str) -> str:
    """Pasted text with the columns that a table must have: those left out stay empty."""
    rows = list(csv.reader(text.splitlines(), delimiter=delimiter))
    known = {HEADINGS.get(folded(name), "").partition("±")[0] for name in rows[0]}
    spread = any("±" in HEADINGS.get(folded(name), "") for name in rows[0]) or any("±" in c for r in rows for c in r)
    missing = [name for name in COLUMNS if name not in known and not (name == "sd" and ("sem" in known or spread))]
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    writer.writerow([*rows[0], *missing])
    width = len(rows[0])
    writer.writerows([*row[:width], *[""] * (width - len(row)), *[""] * len(missing)] for row in rows[1:])
    return stream.getvalue()


def _typed(sheet: Sheet, columns: list[str], where: str) -> list[TypedRow]:
    """Rows as they stand, mean and SD apart whatever the columns."""
    apart = set(columns) <= set(TYPED)
    numerals = numerals_of(sheet, [k for k, name in enumerate(columns) if name.partition("±")[0] in NUMBERS])
    found = []
    for line in sheet.lines:
        cells = dict(zip(columns, [*line.cells, *[""] * (len(columns) - len(line.cells))], strict=False))
        text = {name: f"{cell:.12g}" if isinstance(cell, float) else str(cell) for name, cell in cells.items()}
        if not apart:
            content = row_content(cells, numerals, f"{where}, row {line.number}")
            text = {**text, "mean": f"{content['mean']:.12g}", "sd": f"{content['sd']:.12g}", "note": content["note"]}
        found.append(TypedRow(**{name: text.get(name, "").strip() for name in TYPED}, line=line.number))
    return found


def _one_line_each(table: Path, sheet: Sheet) -> bool:
    """Whether every row is a line of the file, and every line a row, a comment or blank."""
    return sum(map(_is_row, _lines(table, sheet))) == len(sheet.lines) + 1


def _is_row(line: str) -> bool:
    """Whether a line is a row or the header: no comment, and not blank."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _commented(table: Path, sheet: Sheet, columns: list[str]) -> list[TypedRow]:
    """Rows behind a #, where they would be rows without it."""
    found = []
    for number, line in enumerate(_lines(table, sheet), start=1):
        if line.lstrip().startswith("#"):
            cells = next(csv.reader([line.lstrip("# \t")], delimiter=sheet.delimiter, skipinitialspace=True), [])
            if len(COLUMNS) <= len(cells) <= len(columns):
                text = dict(zip(columns, [*cells, *[""] * (len(columns) - len(cells))], strict=True))
                if re.fullmatch(r"[-+.,\d e]*\d[-+.,\d e]*|MEAN", text["mean"].strip()):
                    found.append(TypedRow(**{name: text.get(name, "").strip() for name in TYPED}, line=number))
    return found


def read_rows(rows: Sequence[TypedRow], problem: Problem) -> list[ReadRow]:
    """What gbar makes of each row, whatever is wrong with the others."""
    numerals = _numerals(rows)
    found: list[ReadRow] = []
    keys: set[str] = set()
    for row in rows:
        try:
            measurement = _measured(row, numerals, problem)
            if measurement.key in keys:
                raise GbarError(f"{measurement.key} is measured twice: keep one row")
            keys.add(measurement.key)
            found.append(ReadRow(measurement, ""))
        except GbarError as error:
            found.append(ReadRow(None, str(error).removeprefix("this row: ")))
    return found


def _numerals(rows: Sequence[TypedRow]) -> Numerals:
    """How the numbers of all rows together are written."""
    cells = [cell for row in rows for cell in (row.mean, row.sd, row.weight)]
    return Numerals.of([part for cell in cells for part in re.split(r"±|\+/-", cell)], presumed_point=False)


def _measured(row: TypedRow, numerals: Numerals, problem: Problem) -> Measurement:
    if not row.protocol.strip():
        raise GbarError("no protocol: choose the one under which it was measured")
    if not row.feature.strip():
        raise GbarError("no feature: say what was measured")
    cells: Mapping[str, str] = {name: getattr(row, name).strip() for name in TYPED}
    unit = cells["unit"] or _own_unit(row, problem)
    return measurement_of(row_content({**cells, "unit": unit}, numerals, "this row"), problem, "this row")


def _own_unit(row: TypedRow, problem: Problem) -> str:
    """The feature's own unit, for who typed none."""
    protocol = problem.protocol.get(ResponseKey.parse(row.protocol).protocol)
    if protocol is None or row.protocol not in problem.responses:
        return ""
    known = known_features(protocol.kind, problem.variable(row.protocol))
    feature = feature_of(row.feature, known)
    return problem.unit_of(f"{row.protocol}.{feature}") or "" if feature else ""


def rewritten(table: Path | None, rows: Sequence[TypedRow], problem: Problem) -> str:
    """The text of a table with these rows: a row that did not change stays as it stands, and so do comments.

    Args:
        table: that they come from; None for a new one, or where it cannot be written as it is.
        rows: each of them can be read.
    """
    numerals = _numerals(rows)
    read = [_measured(row, numerals, problem) for row in rows]
    sheet = read_sheet(table, HEADINGS) if table is not None else Sheet([], [], ",", "utf-8", "\n")
    lines = _lines(table, sheet) if table is not None else []
    before = {row.line: row for row in (editable(table).rows if table is not None else [])}
    columns = columns_of(table, sheet) if table is not None and sheet.header else list(COLUMNS)
    more = [name for name in TYPED if name not in columns and any(getattr(row, name) for row in rows)]
    columns, delimiter = [*columns, *more], sheet.delimiter or ","
    if sheet.header:  # a column more, which the rows that stand there may leave out
        at = next(k for k, line in enumerate(lines) if _is_row(line))
        lines[at] = delimiter.join([lines[at], *more])
    added = [] if sheet.header else [delimiter.join(columns)]
    comma = numerals_of(sheet, [k for k, name in enumerate(columns) if name in {"mean", "sd"}]).comma
    starts = {line.number for line in sheet.lines}
    new: dict[int, str] = {}
    for row, measurement in zip(rows, read, strict=True):
        if row.line and before.get(row.line) == row:
            new[row.line] = lines[row.line - 1]
            continue
        text = _written(row, measurement, columns, delimiter, comma)
        if row.line and table is not None:
            new[row.line] = text
        else:
            added.append(text)
    kept = [new.get(k, line) for k, line in enumerate(lines, start=1) if k in new or k not in starts]
    while kept and not kept[-1].strip():
        kept.pop()
    return "\n".join([*kept, *added]) + "\n"


def _written(row: TypedRow, measurement: Measurement, columns: list[str], delimiter: str, comma: bool) -> str:
    """One row, its numbers in one way to read them; the unit as it was typed."""
    stream = io.StringIO()
    content = {name: getattr(row, name).strip() for name in TYPED}
    unit = content["unit"] or measurement.unit.replace("MΩ", "MOhm")
    if measurement.said or "±" in row.mean:  # converted: in the feature's own unit
        unit = measurement.unit.replace("MΩ", "MOhm")
    typed = [name for name in ("mean", "sd", "weight") if name != "weight" or content[name]]
    numbers = {name: plain_number(getattr(measurement, name), comma) for name in typed}
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="")
    writer.writerow([{**content, **numbers, "feature": measurement.feature, "unit": unit}[name] for name in columns])
    return stream.getvalue()


def _lines(table: Path, sheet: Sheet) -> list[str]:
    return re.split(r"\r\n|\r|\n", table.read_bytes().decode(sheet.encoding))
