"""Tables of measurements as files: CSV of any country, .xlsx, and what other tools call their tables.

Here headings, spreads and numbers are understood; whether a row fits the problem is for `loading`.
"""

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gbar.sim.errors import GbarError, nearest
from gbar.sim.files import beside, resolved
from gbar.sim.problem.problem import Measurement
from gbar.sim.problem.quantity import Numerals, Quantity, Spread, spread_in
from gbar.sim.problem.sheet import LONGEST, Cell, Line, Sheet, brief, folded, read_sheet

COLUMNS = ["protocol", "feature", "mean", "sd", "unit"]
DEMANDS = ["weight", "must_hold"]
OPTIONAL = ["sem", "n", *DEMANDS, "note"]
NUMBERS = {"mean", "sd", "sem", "weight"}
YES_OR_NO = {"yes": True, "y": True, "true": True, "x": True, "no": False, "n": False, "false": False, "": False}
HEADINGS = {  # folded -> column
    **{name: name for name in (*COLUMNS, *OPTIONAL)},
    **dict.fromkeys(("average", "avg"), "mean"),
    **dict.fromkeys(("std", "stdev", "stddev", "standarddeviation", "stdeviation"), "sd"),
    **dict.fromkeys(("se", "stderr", "standarderror", "standarderrorofthemean", "standarderrorofmean"), "sem"),
    "units": "unit",
    "weights": "weight",
    "musthold": "must_hold",
    "ncells": "n",
    **dict.fromkeys(("notes", "comment", "comments", "remark", "remarks"), "note"),
    **dict.fromkeys(("mean±sd", "mean±std"), "mean±sd"),
    **dict.fromkeys(("mean±sem", "mean±se"), "mean±sem"),
}
NO_SPREAD = {"min", "max", "range", "minimum", "maximum", "low", "high", "lower", "upper"}
SEM_SAID = re.compile(r"(?i)\bs\.?e\.?m\b|standard error|\bstderr\b")
SD_SAID = re.compile(r"(?i)\bs\.?d\b|standard deviation|\bstd")
SUFFIXES = (".csv", ".tsv", ".xlsx", ".xlsm")  # what a table's name ends with, beside features.json

Row = tuple[str, dict[str, Any]]  # where it stands, its content


def rows_of(table: Path, may_be_empty: bool = False) -> list[Row]:
    """The rows of a table, each with where it stands ("FILE, measurement 3 (row 5)") and its mean and SD as numbers.

    Raises:
        GbarError: no such file, not a table, a column too many or too few, a number that is none or could be two.
    """
    if not table.is_file():
        raise GbarError(f"no measurements at {table}: expected a CSV or .xlsx with columns {','.join(COLUMNS)}")
    if table.suffix.lower() == ".json":
        from gbar.sim.problem.formats import bluepyopt

        return bluepyopt.feature_rows(table)
    sheet = read_sheet(table, HEADINGS)
    columns = columns_of(table, sheet)
    if not sheet.lines and not may_be_empty:
        raise GbarError(f"{table}: no measurements in it: expected one row a measurement under the header")
    rows = []
    for number, line in enumerate(sheet.lines, start=1):
        where = f"{table}, measurement {number} (row {line.number})"
        rows.append((where, _fields(line, columns, where)))
    numerals = numerals_of(sheet, [k for k, column in enumerate(columns) if column.partition("±")[0] in NUMBERS])
    return [(where, row_content(row, numerals, where)) for where, row in rows]


def numerals_of(sheet: Sheet, columns: Iterable[int]) -> Numerals:
    """How the numbers in some columns of a sheet are written."""
    cells = [line.cells[k] for line in sheet.lines for k in columns if k < len(line.cells)]
    texts = [part for cell in cells if isinstance(cell, str) for part in re.split(r"±|\+/-", cell)]
    return Numerals.of(texts, presumed_point=sheet.delimiter == ",")


def columns_of(table: Path, sheet: Sheet) -> list[str]:
    """The column that each heading names. Raises GbarError for those too many or too few."""
    columns = []
    for name in sheet.header:
        word = folded(name)
        if word in NO_SPREAD:
            raise GbarError(
                f"{table}: column '{name}': a range is no SD: give the mean and SD of what was measured, "
                f"in columns {','.join(COLUMNS)}"
            )
        if word not in HEADINGS:
            if said := _more_in(name):
                raise GbarError(f"{table}: column '{name}': {said}")
            raise GbarError(f"{table}: unknown column '{name}'{nearest(name, [*COLUMNS, *OPTIONAL])}{_below(sheet)}")
        columns.append(HEADINGS[word])
    has = {column.partition("±")[0] for column in columns}
    has |= {"sd"} & {spread for column in columns for spread in column.partition("±")[2:]}
    if "mean±sem" in columns or "sem" in columns or _all_spread(sheet, columns):
        has.add("sd")
    missing = [f"'{column}'" for column in COLUMNS if column not in has]
    if missing:
        raise GbarError(f"{table}: no column {', '.join(missing)}: expected {','.join(COLUMNS)}")
    for column in columns:
        if [other.partition("±")[0] for other in columns].count(column.partition("±")[0]) > 1:
            raise GbarError(f"{table}: two columns are called '{column.partition('±')[0]}': keep one")
    if "n" not in columns and ("sem" in columns or "mean±sem" in columns) and not _all_spread(sheet, columns):
        raise GbarError(f"{table}: SEM without n: give a column 'n', the number of cells, or SDs: SD = SEM × √n")
    return columns


def _more_in(heading: str) -> str:
    """What to do about a heading such as "Mean (MOhm)" or "mean [SEM]"; "" for any other."""
    found = re.fullmatch(r"(.+?)\s*[(\[{,;:/]\s*(.+?)[\s)\]}]*", heading)
    column = HEADINGS.get(folded(found[1]), "") if found else ""
    if not found or column.partition("±")[0] not in NUMBERS:
        return ""
    more = found[2].lstrip("±+/- ")
    if HEADINGS.get(folded(more)) in {"sd", "sem"}:
        return f"mean and spread in one cell are written 1.4 ± 0.3, under '{found[1]} ± {more}'"
    return f"a unit stands in the column 'unit', one for each row: call this column '{column}'"


def _below(sheet: Sheet) -> str:
    """Where the header seems to be, if not in the first row."""
    for line in sheet.lines[:20]:
        if {"protocol", "feature"} <= {folded(cell) for cell in line.cells}:
            return f": the header seems to be row {line.number}: begin what stands above it with #"
    return ""


def _all_spread(sheet: Sheet, columns: list[str]) -> bool:
    """Whether every mean is written with its spread, `1.4 ± 0.3`."""
    at = next((k for k, column in enumerate(columns) if column.partition("±")[0] == "mean"), None)
    cells = [line.cells[at] for line in sheet.lines if at is not None and at < len(line.cells)]
    return bool(cells) and all(re.search(r"±|\+/-|\+-", str(cell)) for cell in cells)


def _fields(line: Line, columns: list[str], where: str) -> dict[str, Cell]:
    """Column -> cell. What is optional may be missing at the end of a row."""
    missing = columns[len(line.cells) :]
    if len(line.cells) > len(columns) or any(column not in OPTIONAL or column == "sem" for column in missing):
        commas = "; a decimal comma? Quote such numbers, or part fields by ;" if len(line.cells) > len(columns) else ""
        raise GbarError(
            f"{where}: {len(line.cells)} fields: expected {len(columns)} fields ({','.join(columns)}){commas}"
        )
    return dict(zip(columns, [*line.cells, *[""] * len(missing)], strict=True))


def row_content(row: Mapping[str, Cell], numerals: Numerals, where: str) -> dict[str, Any]:
    """A measurement's fields: mean and SD as numbers, and what was made of a SEM."""

    def number(column: str, cell: Cell) -> Quantity:
        try:
            return numerals.number(cell)
        except GbarError as error:
            raise GbarError(f"{where}: {column}: {error}") from None

    pair = _pair(row, where)
    mean = number("mean", pair.mean if pair else row["mean"])
    name, cell = _spread(row, pair, number, where)
    spread, said = number(name, cell), ""
    if pair and spread.percent:  # 12 ± 3 %
        mean = mean._replace(percent=True)
    if spread.value <= 0:
        raise GbarError(f"{where}: {name}: expected more than 0, got '{cell}'")
    if name == "sem":
        n = number("n", (pair and pair.n) or row.get("n", "")).value
        if n < 2 or n != int(n):
            raise GbarError(f"{where}: n: expected a whole number of cells, 2 or more, for SD = SEM × √n, got '{n:g}'")
        spread = spread._replace(value=float(f"{spread.value * math.sqrt(n):.15g}"))
        said = f"SD {spread.value:.4g} from SEM {cell} of {n:g}"
    elif pair and not pair.kind and row.get("sd", "") == "":
        said = f"± {pair.spread} taken for an SD, not a SEM"
    unit, note, known = (_text(row.get(column, "")) for column in ("unit", "note", "n"))
    if name == "sd" and SEM_SAID.search(note) and not SD_SAID.search(note):
        raise GbarError(
            f"{where}: the note says SEM, the column sd: if it is a SEM, name the column sem and give n in a column n; "
            "if it is an SD, say so in the note"
        )
    if mean.percent or spread.percent:
        unit = _percent(unit, mean.percent and spread.percent, where)
    note = "; ".join(part for part in (note, f"n = {known}" if known and name == "sd" else "") if part)
    text = {column: _text(row[column]) for column in ("protocol", "feature")}
    for column, given in (*text.items(), ("unit", unit)):
        if len(given) > LONGEST:
            raise GbarError(f"{where}: {column}: expected a name, got {len(given)} characters: '{given[:20]}…'")
    numbers = {"mean": mean.value, "sd": spread.value, **_demands(row, number, where)}
    return {**text, **numbers, "unit": unit, "note": note, "said": said}


def _demands(row: Mapping[str, Cell], number: Any, where: str) -> dict[str, Any]:
    """Weight and must_hold, where the row has them. Raises GbarError."""
    found: dict[str, Any] = {}
    if row.get("weight", "") != "":
        weight = number("weight", row["weight"])
        if weight.percent or weight.value <= 0:
            raise GbarError(f"{where}: weight: expected a number above 0, 1 for a plain row, got '{row['weight']}'")
        found["weight"] = weight.value
    if "must_hold" in row:
        said = _text(row["must_hold"]).strip().lower()
        if said not in YES_OR_NO:
            raise GbarError(f"{where}: must_hold: expected yes or no, got '{brief(row['must_hold'])}'")
        found["must_hold"] = YES_OR_NO[said]
    return found


def _pair(row: Mapping[str, Cell], where: str) -> Spread | None:
    """Mean and spread, where both stand in one cell."""
    column = next(name for name in row if name.partition("±")[0] == "mean")
    try:
        pair = spread_in(row[column])
    except GbarError as error:
        raise GbarError(f"{where}: mean: {error}") from None
    if pair is None:
        if column != "mean":
            raise GbarError(f"{where}: {column}: expected MEAN ± {column[5:].upper()}, got '{brief(row[column])}'")
        return None
    of_heading = column.partition("±")[2]
    if of_heading and pair.kind and of_heading != pair.kind:
        raise GbarError(f"{where}: '{row[column]}' in a column {column}: is it an SD or a SEM?")
    return pair._replace(kind=pair.kind or of_heading)


def _spread(row: Mapping[str, Cell], pair: Spread | None, number: Any, where: str) -> tuple[str, Cell]:
    """What is known of the spread: "sd" or "sem", and its cell."""
    given: dict[str, Cell] = {name: row[name] for name in ("sd", "sem") if row.get(name, "") != ""}
    if pair:
        name = pair.kind or "sd"
        if name in given and number(name, given[name]) != number(name, pair.spread):
            raise GbarError(f"{where}: '{pair.mean} ± {pair.spread}', and {name} {given[name]} beside it: keep one")
        given[name] = pair.spread
    if len(given) == 2 and number("sem", given["sem"]).value >= number("sd", given["sd"]).value:
        raise GbarError(f"{where}: SD {given['sd']} is not larger than SEM {given['sem']}: are they mixed up?")
    if not given:
        raise GbarError(f"{where}: sd: expected a number, got '': for one cell measured once, what repeats vary by")
    name = "sd" if "sd" in given else "sem"
    return name, given[name]


def _percent(unit: str, both: bool, where: str) -> str:
    """The unit of numbers with a % behind them."""
    if unit.strip().lower() not in {"", "%", "percent", "constant", "1", "-"}:
        raise GbarError(f"{where}: a number with % in '{unit}': give mean and sd in {unit}, without %")
    if unit.strip() not in {"%", "percent"} and not both:
        raise GbarError(f"{where}: % behind one of mean and sd: write it behind both, or % as the unit")
    return "%"


def _text(cell: Cell) -> str:
    return f"{cell:.12g}" if isinstance(cell, float) and not isinstance(cell, bool) else str(cell)


def written_table(table: Path) -> Sheet:
    """The table that rows are to be added to; an empty CSV where there is none yet.

    Raises:
        GbarError: rows cannot be added to it.
    """
    if not table.exists():
        if table.suffix.lower() in {".xlsx", ".xlsm", ".xls", ".ods", ".json"}:
            raise GbarError(f"{table}: rows are added to a CSV only: call it {table.stem}.csv")
        return Sheet([], [], ",", "utf-8", "\n")
    sheet = read_sheet(table, HEADINGS)
    if not sheet.delimiter or table.suffix.lower() == ".json":
        raise GbarError(f"{table}: rows are added to a CSV only: name a new one with --out")
    if sheet.header and not set(COLUMNS) <= set(columns_of(table, sheet)):
        raise GbarError(f"{table}: rows are added to a table with columns {','.join(COLUMNS)}: name a new --out")
    return sheet


def add_rows(table: Path, rows: Iterable[Measurement]) -> None:
    """Write rows to a CSV, at the end of what it holds already and as it is written: all of them or none.

    Raises:
        GbarError: a table that rows cannot be added to.
    """
    table, rows = resolved(table, "--out"), list(rows)
    sheet = written_table(table)
    columns = columns_of(table, sheet) if sheet.header else COLUMNS
    before = re.sub(r"\r\n|\r", "\n", table.read_bytes().decode(sheet.encoding)) if table.exists() else ""
    kept = rows_of(table) if sheet.lines else []
    stream = io.StringIO()
    form: Any = {"extrasaction": "ignore", "delimiter": sheet.delimiter, "lineterminator": "\n"}
    writer = csv.DictWriter(stream, columns, **form)
    if not sheet.header:
        writer.writeheader()
    comma = numerals_of(sheet, [k for k, column in enumerate(columns) if column in NUMBERS]).comma
    for row in rows:
        numbers = {name: plain_number(getattr(row, name), comma) for name in ("mean", "sd", "weight")}
        numbers["must_hold"] = "yes" if row.must_hold else ""
        # MOhm: what a keyboard has, and every spreadsheet reads
        writer.writerow({**row.model_dump(), **numbers, "unit": row.unit.replace("MΩ", "MOhm")})
    text = (before.rstrip("\n") + "\n" if before else "") + stream.getvalue()
    table.parent.mkdir(parents=True, exist_ok=True)
    with beside(table, text.replace("\n", sheet.newline).encode(sheet.encoding)) as new:
        try:
            read = [(row["mean"], row["sd"]) for _, row in rows_of(new)]
        except GbarError:
            read = []
        meant = [(float(f"{m.mean:.12g}"), float(f"{m.sd:.12g}")) for m in rows]
        if read != [(row["mean"], row["sd"]) for _, row in kept] + meant:
            raise GbarError(f"{table}: rows are added to a plain table only, here they would be misread: new --out")
        os.replace(new, table)


def plain_number(value: float, comma: bool) -> str:
    """A number that nobody can take for another: 1.050 has three digits, as thousands do."""
    text = f"{value:.12g}"
    text += "0" if re.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}", text) else ""
    return text.replace(".", ",") if comma else text
