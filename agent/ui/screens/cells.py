"""More cells: a table of cells against one archive, each tuned from all that was simulated before it."""

import csv
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from gbar.agent.report import words
from gbar.agent.result import PROGRESS, read_live
from gbar.agent.ui.pages import Form, Screen, Visit, action, fragment, needs_problem, render
from gbar.agent.ui.runs import options_of
from gbar.agent.ui.screens.consent import check_consent
from gbar.agent.ui.tables import folders_of, tables_in
from gbar.sim import GbarError, Problem
from gbar.sim.archive import reading
from gbar.sim.problem import folded, read_sheet


@dataclass(frozen=True)
class CellRow:
    """One cell of a table."""

    name: str
    state: str
    solutions: str
    best: str
    evaluations: str
    first: str
    link: str


def _out(visit: Visit, problem: Problem) -> Path:
    return visit.window.places.runs_root / f"{problem.name}-cells"


def _archive(visit: Visit, problem: Problem) -> Path:
    return _out(visit, problem) / "archive.sqlite"


def _sources(problem: Problem) -> list[tuple[str, str]]:
    """What could be a table of cells: folders with several tables, and tables with a column "cell"."""
    found: list[tuple[str, str]] = []
    for folder in folders_of(problem):
        tables = tables_in(folder)
        of_cells = [f for f in tables if _has_cells(f)]
        found += [(str(f), f"{f.relative_to(problem.folder)}: a row a cell") for f in of_cells]
        plain = [f for f in tables if f not in of_cells]
        if len(plain) > 1 and folder != problem.folder:
            found.append((str(folder), f"{folder.relative_to(problem.folder)}/: {len(plain)} tables, a cell each"))
    return found


def _has_cells(file: Path) -> bool:
    try:
        return "cell" in {folded(name) for name in read_sheet(file, {"cell"}).header}
    except GbarError:
        return False


def _simulated(archive: Path) -> int:
    """How many evaluations an archive holds; 0 where there is none."""
    if not archive.is_file():
        return 0
    try:
        with reading(archive) as db:
            return int(db.execute("SELECT COUNT(*) FROM evaluations").fetchone()[0])
    except sqlite3.Error:
        return 0


def _rows(visit: Visit, problem: Problem) -> list[CellRow]:
    """The cells of the last table: those that are done, and the one that is at work."""
    out = _out(visit, problem)
    done: dict[str, dict[str, str]] = {}
    if (out / "cells.csv").is_file():
        with (out / "cells.csv").open(newline="", encoding="utf-8") as stream:
            done = {row["cell"]: row for row in csv.DictReader(stream) if row.get("cell")}
    folders = [f for f in out.glob("*") if (f / PROGRESS).is_file()] if out.is_dir() else []
    found = []
    for name in [*done, *(f.name for f in sorted(folders, key=lambda f: f.stat().st_mtime) if f.name not in done)]:
        live, row = read_live(out / name), done.get(name, {})
        state = "at work: " + live.phase if live is not None and live.alive else row.get("status") or "interrupted"
        solutions = str(len(live.solutions)) if live is not None else row.get("solutions", "")
        near = live.nearest.max_abs_z if live is not None and live.nearest else None
        best = words.number(near) if near is not None else "–"
        count = str(live.evaluations) if live is not None else row.get("evaluations", "")
        first = row.get("first_solution_at") or "–"
        found.append(CellRow(name, state, solutions, best, count, first, visit.link("running", run=out / name)))
    return found


def table(visit: Visit) -> str:
    """#cells: how far the table is."""
    problem = visit.problem
    out, archive = _out(visit, problem), _archive(visit, problem)
    runs = visit.window.runs
    cells, sampling = runs.look(out), runs.look(archive)
    rows = _rows(visit, problem)
    at_work = cells.alive or any(row.state.startswith("at work") for row in rows)
    return render(
        "cells.html.j2",
        visit=visit,
        rows=rows,
        sources=_sources(problem),
        simulated=_simulated(archive),
        at_work=at_work,
        sampling=sampling.alive,
        said=[one.said for one in (cells, sampling) if one.said],
        name=out.name,
    )


def _body(visit: Visit) -> str:
    return render("more_cells.html.j2", visit=visit, table=table(visit))


def _tune(visit: Visit, form: Form) -> str:
    """`gbar cells` in a process of its own."""
    check_consent(visit, form)
    problem = visit.problem
    source = visit.window.places.inside(str(form.get("cells") or "nothing"))
    out, archive = _out(visit, problem), _archive(visit, problem)
    given = {key: form.get(key) for key in ("solutions", "tolerance", "budget", "workers")}
    options = ["--cells", str(source), "--archive", str(archive), *options_of(given)]
    visit.window.runs.launch("cells", problem, out, options)
    return table(visit)


def _sample(visit: Visit, form: Form) -> str:
    """`gbar sample`: what all cells learn from."""
    check_consent(visit, form)
    problem, archive = visit.problem, _archive(visit, visit.problem)
    options = ["-n", str(form.get("n") or 1024), *options_of({"workers": form.get("workers")})]
    visit.window.runs.launch("sample", problem, archive, options, into="--archive")
    return table(visit)


def _stop(visit: Visit, form: Form) -> str:
    """End the process that the window has started: as Ctrl-C does."""
    problem = visit.problem
    for what in (_out(visit, problem), _archive(visit, problem)):
        visit.window.runs.interrupt(what)
    return table(visit)


CELLS = Screen(
    "cells",
    "More cells",
    _body,
    [
        fragment("/cells/table", table),
        action("/cells/tune", _tune),
        action("/cells/sample", _sample),
        action("/cells/stop", _stop),
    ],
    group="run",
    ready=needs_problem,
)
