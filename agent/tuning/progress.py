"""A bar for somebody who waits, in a notebook or at a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gbar.agent.tuning.ledger import Observer, Status


@contextmanager
def show_progress(wanted: int, observe: Observer | None = None) -> Iterator[Observer]:
    """What to call after every evaluation: `observe`, or else a bar that counts towards the solutions wanted."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, force_jupyter=None if "ipykernel" in sys.modules else False)
    seen = observe is None and (console.is_terminal or console.is_jupyter)
    columns = (MofNCompleteColumn(), TextColumn("solutions"), BarColumn(bar_width=12), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=console, disable=not seen) as bar:
        task = bar.add_task("choosing an engine", total=wanted)
        yield observe or (lambda now: bar.update(task, completed=now.solutions, description=said(now)))


def said(status: Status) -> str:
    """How far a search has come, in a few words."""
    best = f"best |z| {status.best:.2f}, " if status.best < float("inf") else ""
    return f"{status.phase}: {best}{status.evaluations} of at most {status.budget} evaluations"
