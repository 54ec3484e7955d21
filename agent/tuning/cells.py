"""A whole table of cells against one archive: every cell profits from all that were simulated before it."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gbar.agent.result import Result
from gbar.agent.tuning.definition import TuneConfig
from gbar.agent.tuning.ledger import Status
from gbar.agent.tuning.run import tune_into
from gbar.sim import GbarError, Measurement, Problem, load_problem
from gbar.sim.errors import nearest
from gbar.sim.features import plain_unit, unit_of
from gbar.sim.files import as_csv, check_name, resolved, write_whole
from gbar.sim.problem import (
    COLUMNS,
    DEMANDS,
    SUFFIXES,
    Cell,
    Numerals,
    Sheet,
    folded,
    numerals_of,
    of_measurements,
    read_sheet,
)

SUMMARY = "cells"  # .csv and .json in the output folder
TABLES = "tables"  # folder in it, for what is cut from one table of many cells
MARK = "# by gbar cells, from "  # begins what may be written over


class CellSummary(NamedTuple):
    """How one cell went. Seconds are wall clock."""

    cell: str
    status: str
    solutions: int
    first_solution_at: int | None  # new evaluations until then
    evaluations: int  # new ones
    best_max_abs_z: float | None
    first_batch: int | None  # evaluations in the first batch; None without a pretrained agent
    first_batch_best: float | None  # smallest largest |z| in it
    archived: int  # evaluations the pretrained agent was learned from
    simulate_s: float
    think_s: float
    total_s: float


def tune_cells(
    problem: Problem,
    cells: Path,
    archive: Path,
    out: Path,
    config: TuneConfig,
    observe: Callable[[str, Status], None] = lambda cell, status: None,
    say: Callable[[str], None] = lambda note: None,
) -> Iterator[CellSummary]:
    """Tune every cell in turn, in OUT/NAME, and write OUT/cells.csv and OUT/cells.json after each. Ctrl-C ends it all.

    Args:
        problem: without or with measurements of its own; its engine is every cell's.
        cells: a folder with one CSV a cell, or one CSV with a row a cell (see `split_table`).
        archive: shared by all.
        observe: called with a cell's name and how its run stands.
        say: called for every row of a table that was not read as it stands there, or that a modeller would doubt.

    Raises:
        GbarError: bad input, before anything is simulated: every table is read first.
    """
    out, archive = resolved(out, "--out"), resolved(archive, "--archive")
    _refuse_foreign(out / f"{SUMMARY}.csv", ",".join(CellSummary._fields))
    tables = _tables(cells) if cells.is_dir() else split_table(problem.file, cells, out / TABLES)
    loaded = {table.stem: load_problem(problem.file, table) for table in tables}
    problems = {name: one.model_copy(update={"simulation": problem.simulation}) for name, one in loaded.items()}
    for name, one in problems.items():
        for note in of_measurements(one):
            say(f"{name}: {note}")
    done: list[CellSummary] = []
    for name, problem in problems.items():
        result = tune_into(problem, config, out / name, archive, partial(observe, name))
        done.append(summary_of(name, result))
        write_summary(out, done)
        yield done[-1]
        if result.status == "interrupted":
            return


def _tables(folder: Path) -> list[Path]:
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.stem != "hidden")
    tables = [file for file in found if not file.name.startswith((".", "~$"))]  # Excel's own, of an open workbook
    if not tables:
        raise GbarError(f"--cells {folder}: no tables of measurements: expected CSV or .xlsx files, one a cell")
    for table in tables:
        same = [other.name for other in tables if other.stem == table.stem]
        if len(same) > 1:
            raise GbarError(f"--cells {folder}: {' and '.join(same)} are both cell '{table.stem}': keep one")
    return tables


def summary_of(cell: str, result: Result) -> CellSummary:
    """The row of one cell."""
    first, wall = result.first_batch, result.wall_s
    largest = [found.max_abs_z for found in result.shown if found.max_abs_z is not None]
    return CellSummary(
        cell,
        result.status,
        len(result.solutions),
        result.first_solution_at,
        result.evaluations,
        min(largest, default=None),
        first.evaluations if first else None,
        first.best_max_abs_z if first else None,
        result.memory.evaluations if result.memory else 0,
        wall.simulate,
        round(wall.fit + wall.plan, 3),
        wall.total,
    )


def overall(cells: Sequence[CellSummary]) -> dict[str, float | int | None]:
    """Figures over all cells; an unsolved cell counts at infinity in the median, which is null where most are."""
    found = [cell.first_solution_at or np.inf for cell in cells]
    median = float(np.median(found)) if found else np.inf
    first = [cell.first_batch_best for cell in cells if cell.first_batch]
    return {
        "cells": len(cells),
        "solved": sum(cell.first_solution_at is not None for cell in cells),
        "median_first_solution_at": median if np.isfinite(median) else None,
        "first_batches": len(first),
        "first_batches_within_3": sum(best is not None and best <= 3 for best in first),
        "evaluations": sum(cell.evaluations for cell in cells),
        "total_s": round(sum(cell.total_s for cell in cells), 1),
    }


def write_summary(out: Path, cells: Sequence[CellSummary]) -> None:
    """OUT/cells.csv, a row a cell, and OUT/cells.json with the figures over all of them too."""
    write_whole(out / f"{SUMMARY}.csv", as_csv([CellSummary._fields, *cells]))
    content = {"overall": overall(cells), "cells": [cell._asdict() for cell in cells]}
    write_whole(out / f"{SUMMARY}.json", json.dumps(content, indent=1) + "\n")


def split_table(folder: Path, file: Path, out: Path) -> list[Path]:
    """One CSV or .xlsx with a row a cell, as one table of measurements each, in the folder `out`.

    Columns: `cell`, then `PROTOCOL.FEATURE` with the mean and, if it has its own, `PROTOCOL.FEATURE sd`. An SD that is
    not given is the one of the problem's own table, as are weights and what must hold. Units are those of the problem's
    own table, or eFEL's.

    Raises:
        GbarError: no such file, a column that is neither, an empty or double name, a number that is none.
    """
    own = {m.key: m for m in load_problem(folder, measured=False).measurements}
    sheet = _read(file)
    columns = [re.sub(r"(?i)\s+sd$", " sd", name) for name in sheet.header]
    keys = [column for column in columns if folded(column) != "cell" and not column.endswith(" sd")]
    for column in columns:
        if column.endswith(" sd") and column.removesuffix(" sd") not in keys:
            raise GbarError(f"{file}: column '{column}' has no column of means{nearest(column[:-3], keys)}")
        if columns.count(column) > 1:
            raise GbarError(f"{file}: two columns are called '{column}': keep one")
    for key in keys:
        if "." not in key:
            raise GbarError(f"{file}: column '{key}': expected PROTOCOL.FEATURE{nearest(key, own)}")
        if f"{key} sd" not in columns and key not in own:
            raise GbarError(
                f"{file}: no SD for '{key}': give a column '{key} sd', or measure it in the problem's table"
            )
    named = next(k for k, column in enumerate(columns) if folded(column) == "cell")
    numerals = numerals_of(sheet, [k for k in range(len(columns)) if k != named])
    demanding = any(own[key].demand for key in keys if key in own)
    tables: dict[str, str] = {}
    for line in sheet.lines:
        row = dict(zip(columns, line.cells, strict=True))
        where = f"{file}, line {line.number}"
        name = _text(line.cells[named])
        if name in tables or name == TABLES:
            raise GbarError(f"{where}: cell '{name}': expected a name that is no other cell's")
        try:
            check_name(name)
        except ValueError as error:
            raise GbarError(f"{where}: cell {error}") from None
        rows: list[Sequence[object]] = [[*COLUMNS, *DEMANDS] if demanding else COLUMNS]
        for key in keys:
            protocol, _, feature = key.partition(".")
            if row[key] == "":
                continue  # not measured on this cell
            unit = own[key].unit if key in own else plain_unit(unit_of(feature) or "")
            mean = _number(numerals, row[key], f"{where}: {key}")
            given = row.get(f"{key} sd", "")
            sd = own[key].sd if given == "" and key in own else _number(numerals, given, f"{where}: {key} sd")
            demands = _demands(own.get(key)) if demanding else ()
            rows.append((protocol, feature, f"{mean:.12g}", f"{sd:.12g}", unit, *demands))
        tables[name] = f"{MARK}{file.name}\n{as_csv(rows)}"
    for name in tables:
        _refuse_foreign(out / f"{name}.csv", MARK)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in tables.items():
        write_whole(out / f"{name}.csv", text)
    return [out / f"{name}.csv" for name in tables]


def _demands(own: Measurement | None) -> tuple[str, str]:
    """What the problem's own table demands of a measurement, as a table says it."""
    return (f"{own.weight:.12g}", "yes" if own.must_hold else "no") if own else ("", "")


def _refuse_foreign(file: Path, beginning: str) -> None:
    """A file of ours may be written over, one that begins otherwise may not. Raises GbarError."""
    if file.exists() and not file.read_bytes().startswith(beginning.encode()):
        raise GbarError(f"{file}: is there and was not written by gbar cells: name another folder with --out")


def _read(file: Path) -> Sheet:
    if not file.is_file():
        raise GbarError(f"--cells {file}: no such file: expected a folder of tables, or a CSV")
    sheet = read_sheet(file, {"cell"})
    columns = [folded(name) for name in sheet.header]
    if "cell" not in columns or len(columns) < 2 or not sheet.lines:
        raise GbarError(f"{file}: expected a column 'cell', columns PROTOCOL.FEATURE and a row a cell")
    for line in sheet.lines:
        if len(line.cells) != len(columns):
            raise GbarError(
                f"{file}, line {line.number}: has more or fewer values than there are columns: "
                f"{len(line.cells)}, expected {len(columns)}; quote numbers with a comma, or part fields by ;"
            )
    return sheet


def _number(numerals: Numerals, cell: Cell, where: str) -> float:
    try:
        value, percent = numerals.number(cell)
    except GbarError as error:
        raise GbarError(f"{where}: {error}") from None
    if percent:
        raise GbarError(f"{where}: expected a number, got '{cell}': give a share, without %")
    return value


def _text(cell: Cell) -> str:
    return f"{cell:.12g}" if isinstance(cell, float) else str(cell)
