"""What the screens about an answer share: the run's contents, read when one of its files has changed."""

from functools import lru_cache
from pathlib import Path

from gbar.agent.report import Contents, read_contents
from gbar.agent.result import LIVE, PROGRESS
from gbar.agent.ui.pages import Visit, needs_problem
from gbar.agent.ui.runs import stamp
from gbar.sim import GbarError

FILES = ("result.json", PROGRESS, "traces.npz", LIVE)


def contents_of(visit: Visit) -> Contents:
    """What the run's folder holds, of a run that is still going too. Raises GbarError."""
    seen = visit.run_seen
    if seen is None:
        raise GbarError("nothing has run yet")
    return _read(seen.folder, tuple(stamp(seen.folder / name) for name in FILES), seen.alive)


@lru_cache(maxsize=4)
def _read(run: Path, stamps: tuple[int, ...], alive: bool) -> Contents:
    return read_contents(run)


def needs_sets(visit: Visit) -> str:
    """For `ready`: a screen about parameter sets that a run has come to."""
    seen = visit.run_seen
    if why := needs_problem(visit):
        return why
    if seen is None:
        return "nothing has run yet"
    return "" if seen.is_over or (seen.live and seen.live.nearest) else "the run has not come to a set yet"
