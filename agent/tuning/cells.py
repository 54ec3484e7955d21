"""A whole table of cells against one archive: every cell profits from all that were simulated before it."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gbar.agent.result import Result, write_whole
from gbar.agent.tuning.run import tune_into
from gbar.agent.tuning.session import Session, TuneConfig
from gbar.sim import GbarError, Problem, load_problem
from gbar.sim.errors import nearest
from gbar.sim.features import plain_unit
from gbar.sim.made import check_name, resolved

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
    first_batch: int | None  # evaluations in the first batch; None without a memory
    first_batch_best: float | None  # smallest largest |z| in it
    archived: int  # evaluations the memory was learned from
    simulate_s: float
    think_s: float
    total_s: float


def tune_cells(
    problem: Problem,
    cells: Path,
    archive: Path,
    out: Path,
    config: TuneConfig,
    observe: Callable[[str, Session], None] = lambda cell, session: None,
) -> Iterator[CellSummary]:
    """Tune every cell in turn, in OUT/NAME, and write OUT/cells.csv and OUT/cells.json after each.

    Args:
        problem: without or with measurements of its own; its engine is every cell's.
        cells: a folder with one CSV a cell, or one CSV with a row a cell (see `split_table`).
        archive: shared by all.

    Raises:
        GbarError: bad input, before anything is simulated: every table is read first.
    """
    out, archive = resolved(out, "--out"), resolved(archive, "--archive")
    _refuse_foreign(out / f"{SUMMARY}.csv", ",".join(CellSummary._fields))
    tables = _tables(cells) if cells.is_dir() else split_table(problem.file, cells, out / TABLES)
    loaded = {table.stem: load_problem(problem.file, table) for table in tables}
    problems = {name: one.model_copy(update={"simulation": problem.simulation}) for name, one in loaded.items()}
    done: list[CellSummary] = []
    for name, problem in problems.items():
        result = tune_into(problem, config, out / name, archive, partial(observe, name))
        done.append(summary_of(name, result))
        write_summary(out, done)
        yield done[-1]


def _tables(folder: Path) -> list[Path]:
    tables = sorted(file for file in folder.glob("*.csv") if file.stem != "hidden")
    if not tables:
        raise GbarError(f"--cells {folder}: no tables of measurements: expected CSV files, one a cell")
    return tables


def summary_of(cell: str, result: Result) -> CellSummary:
    """The row of one cell."""
    first, wall = result.first_batch, result.wall_s
    return CellSummary(
        cell,
        result.status,
        len(result.solutions),
        result.first_solution_at,
        result.evaluations,
        result.nearest.max_abs_z if result.nearest else None,
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
    lines = [",".join(CellSummary._fields)]
    lines += [",".join("" if value is None else str(value) for value in cell) for cell in cells]
    write_whole(out / f"{SUMMARY}.csv", "\n".join(lines) + "\n")
    content = {"overall": overall(cells), "cells": [cell._asdict() for cell in cells]}
    write_whole(out / f"{SUMMARY}.json", json.dumps(content, indent=1) + "\n")


def split_table(folder: Path, file: Path, out: Path) -> list[Path]:
    """One CSV with a row a cell, as one table of measurements each, in the folder `out`.

    Columns: `cell`, then `PROTOCOL.FEATURE` with the mean and, if it has its own, `PROTOCOL.FEATURE sd`. An SD that is
    not given is the one of the problem's own table. Units are those of the problem's own table, or eFEL's.

    Raises:
        GbarError: no such file, a column that is neither, an empty or double name, a number that is none.
    """
    from gbar.sim.features import unit_of

    own = {m.key: m for m in load_problem(folder, measured=False).measurements}
    rows, columns = _read(file)
    keys = [column for column in columns if column != "cell" and not column.endswith(" sd")]
    for column in columns:
        if column.endswith(" sd") and column.removesuffix(" sd") not in keys:
            raise GbarError(f"{file}: column '{column}' has no column of means{nearest(column[:-3], keys)}")
    for key in keys:
        if "." not in key:
            raise GbarError(f"{file}: column '{key}': expected PROTOCOL.FEATURE{nearest(key, own)}")
        if f"{key} sd" not in columns and key not in own:
            raise GbarError(
                f"{file}: no SD for '{key}': give a column '{key} sd', or measure it in the problem's table"
            )
    texts = {}
    for number, row in enumerate(rows, start=2):
        name = (row["cell"] or "").strip()
        if name in texts or name == TABLES:
            raise GbarError(f"{file}, line {number}: cell '{name}': expected a name that is no other cell's")
        try:
            check_name(name)
        except ValueError as error:
            raise GbarError(f"{file}, line {number}: cell {error}") from None
        lines = [f"{MARK}{file.name}", "protocol,feature,mean,sd,unit"]
        for key in keys:
            protocol, _, feature = key.partition(".")
            mean, sd = row[key], row.get(f"{key} sd") or (f"{own[key].sd:.12g}" if key in own else "")
            if (mean or "").strip():  # not measured on this cell
                unit = own[key].unit if key in own else plain_unit(unit_of(feature) or "")
                lines.append(f"{protocol},{feature},{mean},{sd},{unit}")
        texts[name] = "\n".join(lines) + "\n"
    for name in texts:
        _refuse_foreign(out / f"{name}.csv", MARK)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(out / f"{name}.csv", text)
    return [out / f"{name}.csv" for name in texts]


def _refuse_foreign(file: Path, beginning: str) -> None:
    """A file of ours may be written over, one that begins otherwise may not. Raises GbarError."""
    if file.exists() and not file.read_bytes().startswith(beginning.encode()):
        raise GbarError(f"{file}: is there and was not written by gbar cells: name another folder with --out")


def _read(file: Path) -> tuple[list[dict[str, str]], list[str]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(line for line in stream if not line.startswith("#"))
            rows, columns = list(reader), list(reader.fieldnames or [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GbarError(f"--cells {file}: cannot be read ({error}): expected a folder of tables, or a CSV") from None
    if "cell" not in columns or len(columns) < 2 or not rows:
        raise GbarError(f"{file}: expected a column 'cell', columns PROTOCOL.FEATURE and a row a cell")
    if any(None in row or None in row.values() for row in rows):
        raise GbarError(f"{file}: a row has more or fewer values than there are columns")
    return rows, columns
