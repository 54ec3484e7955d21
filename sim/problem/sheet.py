"""A table as a spreadsheet saves it in any country: rows of cells from CSV text or an .xlsx workbook.

Nothing is interpreted here but the file itself: encoding, delimiter, line ends, comments, which sheet. What a cell
means is for whoever asked.
"""

import csv
import re
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from datetime import date, time, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from gbar.sim.errors import GbarError

Cell: TypeAlias = str | float | bool  # of a CSV always text

DELIMITERS = ",;\t|"
LARGEST_MB = 20  # of a file, and of what an .xlsx unpacks to: tables of measurements have kilobytes
MOST_ROWS = 100_000
LONGEST = 200  # characters of a heading or a name
SHOWN = 60  # characters of a cell in a message
MOST_PARTS = 2_000  # files in an .xlsx
BOMS = (  # the longer first: UTF-32 begins as UTF-16 does
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
SEP = re.compile(r'"?sep=(.)"?', re.I)  # a first line that Excel reads and writes


class Line(NamedTuple):
    """One row under the header."""

    number: int  # in the file, from 1, as a spreadsheet counts
    cells: list[Cell]


class Sheet(NamedTuple):
    """A header and the rows under it, without comments, blank rows and blank columns."""

    header: list[str]
    lines: list[Line]  # cells may be fewer or more than the header's; of a workbook never
    delimiter: str = ""  # of a CSV
    encoding: str = ""
    newline: str = ""


def read_sheet(file: Path, words: Collection[str]) -> Sheet:
    """Read a table.

    Args:
        file: CSV in any encoding, delimiter and line end; or .xlsx, which is known by its content.
        words: that a header of such a table has, in lower case; they tell delimiters and sheets of a workbook apart.

    Raises:
        GbarError: no such file, neither CSV nor .xlsx, or a workbook whose values cannot be told.
    """
    if not file.is_file():
        raise GbarError(f"no table at {file}: expected a CSV or .xlsx file")
    if file.stat().st_size > LARGEST_MB * 1e6:
        raise GbarError(f"{file}: has more than {LARGEST_MB} MB: that is no table of measurements")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise GbarError(f"{file}: cannot be read: {error.strerror}") from None
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise GbarError(f"{file}: is an old .xls or has a password: save it as .xlsx without one, or as CSV")
    if content.startswith(b"PK\x03\x04"):
        return _headed(file, _of_workbook(file, content, words))
    text, encoding = decoded(file, content)
    newline = next((end for end in ("\r\n", "\r", "\n") if end in text), "\n")
    lines, delimiter = _of_text(file, text, words)
    return _headed(file, lines)._replace(delimiter=delimiter, encoding=encoding, newline=newline)


def brief(cell: object) -> str:
    """A cell in a message: its beginning, if it is long."""
    text = str(cell)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def folded(word: object) -> str:
    """A heading without case, spaces and punctuation: "Mean ± S.D." is "mean±sd"."""
    return re.sub(r"[\s_.\-()\[\]]+", "", str(word).lower()).replace("+/", "±")


def _headed(file: Path, lines: Sequence[Line]) -> Sheet:
    """The first row as header; columns without a name go where nothing is in them."""
    if not lines:
        return Sheet([], [])
    names = [str(cell).strip() for cell in lines[0].cells]
    rows = [line for line in lines[1:] if [str(cell).strip() for cell in line.cells] != names]  # files put together
    if any(len(name) > LONGEST for name in names):
        raise GbarError(
            f"{file}, row {lines[0].number}: a heading of more than {LONGEST} characters: no table, it seems"
        )
    kept = [k for k, name in enumerate(names) if name]
    for k in (k for k, name in enumerate(names) if not name):
        for line in rows:
            if k < len(line.cells) and line.cells[k] != "":
                raise GbarError(
                    f"{file}, row {line.number}: '{brief(line.cells[k])}' stands in column {k + 1}, which has no name: "
                    f"expected {','.join(names[i] for i in kept)}; name the column or empty it"
                )
    cut = [
        Line(line.number, [line.cells[k] for k in kept if k < len(line.cells)] + _beyond(line.cells, len(names)))
        for line in rows
    ]
    return Sheet([names[k] for k in kept], cut)


def _beyond(cells: Sequence[Cell], width: int) -> list[Cell]:
    """What a row holds to the right of the header."""
    more = list(cells[width:])
    while more and more[-1] == "":
        more.pop()
    return more


def _is_content(line: Line) -> bool:
    """Neither blank nor a comment."""
    first = next((cell for cell in line.cells if cell != ""), "")
    return first != "" and not str(first).startswith("#")


# --- CSV


def decoded(file: Path, content: bytes) -> tuple[str, str]:
    """Text and its encoding. What is not UTF is taken for a Western code page, where letters beyond ASCII are units."""
    encoding = next((name for bom, name in BOMS if content.startswith(bom)), "")
    if not encoding and b"\0" in content:  # Excel's "Unicode text" without its mark
        encoding = "utf-16-le" if content[1::2].count(0) > content[::2].count(0) else "utf-16-be"
    for name in [encoding] if encoding else ["utf-8", "cp1252", "latin-1"]:
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        if CONTROL.search(text):
            break
        return text, name
    raise GbarError(f"{file}: damaged, or not a CSV text file: save it as CSV (UTF-8)")


def _of_text(file: Path, text: str, words: Collection[str]) -> tuple[list[Line], str]:
    numbered = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    kept = [(k, line) for k, line in numbered if line.strip() and not line.lstrip().startswith("#")]
    said = SEP.fullmatch(kept[0][1].strip()) if kept else None
    if said:
        kept = kept[1:]
    delimiter = said[1] if said else _delimiter([line for _, line in kept[:20]], words)
    reader = csv.reader((f"{line}\n" for _, line in kept), delimiter=delimiter, skipinitialspace=True, strict=True)
    found, begin = [], 0
    try:
        for fields in reader:
            found.append(Line(kept[begin][0], [field.strip() for field in fields]))
            begin = reader.line_num
    except csv.Error as error:
        raise GbarError(
            f'{file}, row {kept[begin][0]}: not CSV ({brief(error)}): quotes go in pairs, "…", around a whole field'
        ) from None
    return [line for line in found if _is_content(line)], delimiter


def _delimiter(lines: Sequence[str], words: Collection[str]) -> str:
    """The one that makes most known words of a heading, then most fields."""

    def parts(delimiter: str) -> tuple[int, int]:
        split = [[folded(field.strip(' "')) for field in line.split(delimiter)] for line in lines]
        return max((sum(word in words for word in fields), len(fields)) for fields in split)

    return max(DELIMITERS, key=parts) if lines else ","


# --- workbooks


def _of_workbook(file: Path, content: bytes, words: Collection[str]) -> list[Line]:
    """The rows of the one sheet that holds a table."""
    _check_package(file, content)
    sheets = {name: lines for name, lines in _sheets(file, content) if lines}
    tables = [name for name, lines in sheets.items() if any(_known(line, words) > 1 for line in lines[:20])]
    if len(tables) > 1:
        raise GbarError(
            f"{file}: sheets {', '.join(map(repr, tables))} all hold a table: keep one, or save each as a CSV"
        )
    if not sheets:
        return []
    lines = sheets[tables[0] if tables else next(iter(sheets))]
    width = max(len(line.cells) for line in lines[:1])
    return [Line(line.number, line.cells + [""] * (width - len(line.cells))) for line in lines]


def _known(line: Line, words: Collection[str]) -> int:
    return sum(folded(cell) in words for cell in line.cells)


def _check_package(file: Path, content: bytes) -> None:
    """Nothing that could do harm when it is unpacked or parsed. Raises GbarError."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as package:
            parts = package.infolist()
            names = [part.filename for part in parts]
            if "xl/workbook.xml" not in names:
                kind = "an OpenDocument table" if "mimetype" in names else "a zip file"
                raise GbarError(f"{file}: is {kind}, no .xlsx workbook: save the table as .xlsx or CSV")
            if file.suffix.lower() in {".xlsm", ".xltm"} or any(name.endswith("vbaProject.bin") for name in names):
                raise GbarError(f"{file}: holds macros: save it as .xlsx without them, or as CSV")
            if sum(part.file_size for part in parts) > LARGEST_MB * 1e6 or len(parts) > MOST_PARTS:
                raise GbarError(f"{file}: unpacks to more than {LARGEST_MB} MB: that is no table of measurements")
            for part in parts:
                # a definition of entities can make gigabytes of a line; no spreadsheet writes one
                data = package.read(part) if part.filename.lower().endswith((".xml", ".rels")) else b""
                if b"<!DOCTYPE" in data.replace(b"\0", b"") or b"<!ENTITY" in data.replace(b"\0", b""):
                    raise GbarError(f"{file}: '{part.filename}' in it defines entities: no spreadsheet writes that")
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise GbarError(f"{file}: a damaged .xlsx ({brief(error)}): save it again, or as CSV") from None


def _sheets(file: Path, content: bytes) -> Iterator[tuple[str, list[Line]]]:
    from openpyxl import load_workbook  # a tenth of a second, for who needs it

    def opened(values: bool) -> Any:
        return load_workbook(BytesIO(content), read_only=True, data_only=values, keep_links=False)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and validations, which nobody asked for
            shown, written = opened(True), opened(False)
            for values, formulas in zip(shown.worksheets, written.worksheets, strict=True):
                for sheet in (values, formulas):
                    sheet.reset_dimensions()  # what a file says of its own size may cut rows off
                where = f"{file}, sheet '{values.title}'"
                rows = zip(values.iter_rows(), formulas.iter_rows(), strict=True)
                yield values.title, [line for line in _rows(where, rows) if _is_content(line)]
    except GbarError:
        raise
    except Exception as error:  # openpyxl raises what its parsers do: KeyError, ParseError, ValueError, …
        raise GbarError(f"{file}: not a workbook that can be read ({brief(error)}): save it again, or as CSV") from None


def _rows(where: str, rows: Iterator[tuple[Sequence[Any], Sequence[Any]]]) -> Iterator[Line]:
    for number, (shown, written) in enumerate(rows, start=1):
        if number > MOST_ROWS:
            raise GbarError(f"{where}: has more than {MOST_ROWS} rows: that is no table of measurements")
        if any(cell.value is not None for cell in written):
            yield Line(number, [_cell(where, a, b) for a, b in zip(shown, written, strict=True)])


def _cell(where: str, shown: Any, written: Any) -> Cell:
    """What a cell shows. `written` is the same cell with its formula."""
    value = shown.value
    if written.value is None:
        return ""
    at = f"{where}, cell {written.coordinate}"
    if written.data_type == "f" and value is None:
        raise GbarError(f"{at}: a formula whose value is not in the file: open and save it once, or paste values")
    if shown.data_type == "e":
        raise GbarError(f"{at}: {brief(value)}: expected a number or text: mend the formula")
    if isinstance(value, date | time | timedelta):  # a datetime is a date
        raise GbarError(f"{at}: a date: spreadsheets make them of numbers such as 1.5 or 3-4; enter it as a number")
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        percent = "%" in re.sub(r'"[^"]*"|\\.', "", str(shown.number_format))
        return f"{value * 100:.15g}%" if percent else float(value)
    return str(value).strip()
