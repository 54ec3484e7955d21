"""The table of measurements and the protocols that recordings make: written whole or not at all."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gbar.sim.errors import GbarError
from gbar.sim.made import resolved
from gbar.sim.problem import KINDS, Problem, beside, load_problem

if TYPE_CHECKING:
    from gbar.sim.recordings import Findings


def extended(problem: Problem, made: Mapping[str, Mapping[str, Any]]) -> Problem:
    """The problem with more protocols."""
    more = {name: KINDS[content["kind"]].model_validate(dict(content)) for name, content in made.items()}
    return problem.model_copy(update={"protocol": {**problem.protocol, **more}})


def write(found: "Findings", problem: Problem, file: Path) -> None:
    """Write the table, and append protocols that were made to problem.toml: both, or neither.

    Raises:
        GbarError: there is such a file already, or what would be written could not be read again.
    """
    file = resolved(file, "--out")
    if file.exists():
        raise GbarError(f"{file}: exists, and may hold your edits: name another with --out, or delete it")
    if found.created and problem.file.suffix != ".toml":
        raise GbarError(f"{problem.folder}: no problem.toml to add protocols to: make one with gbar init")
    table = text(found)
    addition = "".join(toml(name, content) for name, content in found.created.items())
    file.parent.mkdir(parents=True, exist_ok=True)
    with beside(file, table) as new_table:
        if not addition:
            load_problem(problem.file, new_table)  # every row, as `tune` will read it
            os.replace(new_table, file)
            return
        content = problem.file.read_text(encoding="utf-8-sig").rstrip("\n") + "\n" + addition
        with beside(problem.file, content) as new_problem:
            load_problem(new_problem, new_table)
            os.replace(new_table, file)
            os.replace(new_problem, problem.file)


def text(found: "Findings") -> str:
    """The table as CSV: rows with a note each, and as comments what is not in it and why."""
    stream = io.StringIO()
    stream.write(f"# Measured by gbar recordings: {found.sweeps} sweeps of {', '.join(found.cells)}.\n")
    stream.writelines(f"# {said}.\n" for said in found.said)
    stream.write("# Edit freely: delete rows, set an SD. z = (simulated - mean) / sd.\n")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["protocol", "feature", "mean", "sd", "unit", "note"])
    for row in found.rows:
        unit = row.unit.replace("MΩ", "MOhm")
        writer.writerow([row.protocol, row.feature, f"{row.mean:.8g}", f"{row.sd:.4g}", unit, row.note])
    stream.writelines(f"# not measured: {line}\n" for line in found.left_out())
    stream.writelines(f"# refused: {' '.join(reason.split())}\n" for reason in found.refused)
    return stream.getvalue()


def toml(name: str, content: Mapping[str, Any]) -> str:
    """A protocol as problem.toml has it."""
    keys: Sequence[str] = ("kind", "at", "record", "amplitude", "holding", "delay", "duration", "total")
    units = {"amplitude": "nA", "holding": "nA", "delay": "ms, as recorded: lengthen it if the model has not settled"}
    lines = [f"\n[protocol.{name}]  # made from recordings"]
    for key in keys:
        if key in content:
            value = f'"{content[key]}"' if isinstance(content[key], str) else repr(float(content[key]))
            lines.append(f"{key} = {value}" + (f"  # {units[key]}" if key in units else ""))
    return "\n".join(lines) + "\n"
