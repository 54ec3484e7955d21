"""The tables of measurements in a problem's folder."""

from pathlib import Path

from gbar.sim import Problem
from gbar.sim.problem import SUFFIXES


def tables_of(problem: Problem) -> list[Path]:
    """Its own first, then what else is there."""
    own = problem.measurements_file
    places = (problem.folder, problem.folder / "measurements")
    files = [f for place in places for f in sorted(place.glob("*")) if f.suffix.lower() in SUFFIXES and f.is_file()]
    files = [f for f in files if not f.name.startswith((".", "~$")) and f.stem != "hidden"]
    return list(dict.fromkeys([*([own] if own and own in files else []), *files]))
