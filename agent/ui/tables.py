"""The tables of measurements in a problem's folder."""

from pathlib import Path

from gbar.sim import Problem
from gbar.sim.problem import SUFFIXES


def tables_in(folder: Path) -> list[Path]:
    """The tables of one folder; what an editor or a spreadsheet keeps beside them is none."""
    files = (f for f in sorted(folder.glob("*")) if f.suffix.lower() in SUFFIXES and f.is_file())
    return [f for f in files if not f.name.startswith((".", "~$"))]


def tables_of(problem: Problem) -> list[Path]:
    """Its own first, then what else is there."""
    own = problem.measurements_file
    files = [f for folder in (problem.folder, problem.folder / "measurements") for f in tables_in(folder)]
    files = [f for f in files if f.stem != "hidden"]
    return list(dict.fromkeys([*([own] if own and own in files else []), *files]))


def folders_of(problem: Problem) -> list[Path]:
    """The problem's folder and those below it; none of runs, and no links."""
    below = [f for f in sorted(problem.folder.glob("**/*")) if f.is_dir() and not f.is_symlink()]
    hidden = [f for f in below if f.name.startswith(".") or f.name == "runs"]
    return [problem.folder, *(f for f in below if not any(f.is_relative_to(other) for other in hidden))]
