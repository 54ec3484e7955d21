"""The table of measurements and the protocols that recordings make: written whole or not at all."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gbar.sim.errors import GbarError
from gbar.sim.files import as_csv, beside, resolved
from gbar.sim.problem import COLUMNS, KINDS, Problem, load_problem
from gbar.sim.recordings.kept import kept_file, pack

if TYPE_CHECKING:
    from gbar.sim.recordings import Findings
    from gbar.sim.recordings.averages import Average
    from gbar.sim.recordings.intake import Good


def extended(problem: Problem, made: Mapping[str, Mapping[str, Any]]) -> Problem:
    """The problem with more protocols."""
    more = {name: KINDS[content["kind"]].model_validate(dict(content)) for name, content in made.items()}
    return problem.model_copy(update={"protocol": {**problem.protocol, **more}})


def cells_folder(file: Path) -> Path:
    """The folder of the tables of single cells that are written beside a table of them all."""
    return file.with_name(f"{file.stem}_cells")


def write(found: "Findings", problem: Problem, file: Path) -> None:
    """Write the table, one for each cell where there are several, and append protocols that were made to problem.toml:
    all, or nothing.

    Raises:
        GbarError: there is such a file already, or what would be written could not be read again.
    """
    file = resolved(file, "--out")
    folder = cells_folder(file)
    tables = {file: text(found)}
    used = {file: found.used}
    for cell, rows in found.by_cell.items():
        table = folder / f"{_file_name(cell)}.csv"
        while table in tables:
            table = table.with_name(f"_{table.name}")
        tables[table] = _rows([f"Measured by gbar recordings: {cell}"], rows, [])
        own = {name: [one for one in sweeps if _is_of(one, cell)] for name, sweeps in found.used.items()}
        used[table] = {name: sweeps for name, sweeps in own.items() if sweeps}
    for path in (file, *([folder] if found.by_cell else []), kept_file(file)):
        if path.exists():
            raise GbarError(f"{path}: exists, and may hold your edits: name another with --out, or delete it")
    if found.created and problem.file.suffix != ".toml":
        raise GbarError(f"{problem.folder}: no problem.toml to add protocols to: make one with gbar init")
    addition = "".join(toml(name, content) for name, content in found.created.items())
    file.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        new_problem = problem.file
        if addition:
            content = problem.file.read_text(encoding="utf-8-sig").rstrip("\n") + "\n" + addition
            new_problem = stack.enter_context(beside(problem.file, content))
        written = {table: stack.enter_context(beside(file, content)) for table, content in tables.items()}
        for temporary in written.values():
            read = load_problem(new_problem, temporary)  # every row, as `tune` will read it
        sweeps = {kept_file(table): stack.enter_context(beside(file, pack(read, of))) for table, of in used.items()}
        if found.by_cell:
            folder.mkdir()
        for target, temporary in (sweeps | written).items():
            os.replace(temporary, target)
        if addition:
            os.replace(new_problem, problem.file)


def _is_of(one: "Good", cell: str) -> bool:
    """Whether a sweep is of a cell, which is called by the end of its path."""
    named = Path(cell).parts
    return Path(one.sweep.cell).parts[-len(named) :] == named


def _file_name(cell: str) -> str:
    """A cell's name as a file's: what a shell or another system would read something into is an underscore."""
    plain = re.sub(r"(?i)\.(abf|nwb|ibw|csv|txt|npz|npy)(?=$|, )", "", cell)  # of a file that is a cell
    return re.sub(r"[^\w.+-]+", "_", plain).strip("._") or "cell"


def text(found: "Findings") -> str:
    """The table as CSV: rows with a note each, and as comments what is not in it and why."""
    measured = f"Measured by gbar recordings: {found.sweeps} sweeps of {', '.join(found.cells)}"
    left_out = [f"not measured: {line}" for line in found.left_out()]
    refused = [f"refused: {' '.join(reason.split())}" for reason in found.refused]
    return _rows([measured, *found.said, *found.noted], found.rows, [*left_out, *refused])


def _rows(said: Sequence[str], rows: Sequence["Average"], left_out: Sequence[str]) -> str:
    table = [[*COLUMNS, "note"]]
    for row in rows:
        unit = row.unit.replace("MΩ", "MOhm")
        table.append([row.protocol, row.feature, f"{row.mean:.8g}", f"{row.sd:.4g}", unit, row.note])
    above = [*(f"{line}." for line in said), "Edit freely: delete rows, set an SD. z = (simulated - mean) / sd."]
    return _comments(above) + as_csv(table) + _comments(left_out)


def _comments(lines: Sequence[str]) -> str:
    return "".join(f"# {line}\n" for line in lines)


def toml(name: str, content: Mapping[str, Any]) -> str:
    """A protocol as problem.toml has it."""
    keys = ("kind", "at", "record", "relative_to", "percent", "amplitude", "holding", "delay", "duration", "total")
    units = {"amplitude": "nA", "holding": "nA", "delay": "ms, as recorded: lengthen it if the model has not settled"}
    units |= {"bounds": "nA", "precision": "nA", "percent": "%"}
    lines = [f"\n[protocol.{name}]  # made from recordings"]
    for key in (*keys, "bounds", "precision"):
        if key in content:
            value = content[key]
            value = f'"{value}"' if isinstance(value, str) else repr(value if isinstance(value, list) else float(value))
            lines.append(f"{key} = {value}" + (f"  # {units[key]}" if key in units else ""))
    return "\n".join(lines) + "\n"
