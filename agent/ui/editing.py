"""problem.toml edited in its place: comments, order and spaces stay, and nothing is written that cannot be read."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit import TOMLDocument

from gbar.sim import GbarError, Problem, load_problem
from gbar.sim.files import beside, write_whole


def keep_if_it_loads(file: Path, text: str) -> None:
    """Write problem.toml if that is a problem. Raises GbarError where it is none, and nothing is written."""
    with beside(file, text) as new:
        try:
            load_problem(new, measured=False)
        except GbarError as error:
            raise GbarError(str(error).replace(str(new), file.name)) from None
    write_whole(file, text)


def edit(problem: Problem, change: Callable[[TOMLDocument], None]) -> None:
    """Change the document of a problem and write it. Raises GbarError where it would be none."""
    document = tomlkit.parse(problem.file.read_text(encoding="utf-8"))
    change(document)
    keep_if_it_loads(problem.file, tomlkit.dumps(document))


def name_table(problem: Problem, table: Path) -> None:
    """Say in problem.toml which table is its own."""
    name = table.relative_to(problem.folder).as_posix()
    text = problem.file.read_text(encoding="utf-8")
    if "measurements" in tomlkit.parse(text):
        edit(problem, lambda document: document.__setitem__("measurements", name))
    else:  # above everything, where a key of no table has to stand
        keep_if_it_loads(problem.file, f'measurements = "{name}"\n{text}')


# --- parameters that are there as comments, as `gbar init` writes those beyond the first, and as the window puts aside

HEAD = re.compile(r"^\s*\[\[parameter\]\]\s*(#.*)?$")
TABLE = re.compile(r"^\s*\[")
KEY = re.compile(r"^\s*[\w\"'.-]+\s*=")


def put_aside(text: str, name: str) -> str:
    """Make comments of a parameter's lines."""
    lines = text.split("\n")
    first, last = _block(lines, name)
    lines[first:last] = [f"# {line}" if line.strip() else line for line in lines[first:last]]
    return "\n".join(lines)


def take_up(text: str, name: str) -> str:
    """Make a parameter of comments again."""
    lines, plain = text.split("\n"), _uncommented(text)
    first, last = _block(plain, name)
    lines[first:last] = plain[first:last]
    return "\n".join(lines)


def aside(text: str) -> list[dict[str, Any]]:
    """The parameters that are there as comments."""
    plain, found = _uncommented(text), []
    for first, last in _blocks(plain):
        try:
            table = tomlkit.parse("\n".join(plain[first:last]))["parameter"][0].unwrap()
        except Exception:  # a comment that only looks like one
            continue
        if isinstance(table.get("name"), str):
            found.append(table)
    return found


def _uncommented(text: str) -> list[str]:
    """The lines that are comments, without their #; in place of each other one, "\\0"."""
    return [re.sub(r"^# ?", "", line) if line.startswith("#") else "\0" for line in text.split("\n")]


def _block(lines: Sequence[str], name: str) -> tuple[int, int]:
    """The lines [first, last) of a parameter. Raises GbarError."""
    named = re.compile(rf"""^\s*name\s*=\s*["']{re.escape(name)}["']""")
    for first, last in _blocks(lines):
        if any(named.match(line) for line in lines[first:last]):
            return first, last
    raise GbarError(f"problem.toml has no parameter '{name}' in lines of its own: edit it as text, under My model")


def _blocks(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Where [[parameter]] tables begin and end; blank lines and comments behind the last key are not theirs."""
    found = []
    for first, line in enumerate(lines):
        if not HEAD.match(line):
            continue
        last = first + 1
        while last < len(lines) and not TABLE.match(lines[last]) and lines[last] != "\0":
            last += 1
        inside = [k for k in range(first, last) if KEY.match(lines[k]) or HEAD.match(lines[k]) or _continues(lines[k])]
        found.append((first, max(inside) + 1))  # the heading at least
    return found


def _continues(line: str) -> bool:
    """Whether a line is the rest of a list."""
    return bool(re.match(r"""^\s*(["'\d].*,?|\])\s*(#.*)?$""", line))
