"""A live view for somebody who waits, in a notebook or at a terminal: nothing where nobody looks."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gbar.agent.tuning.ledger import Observer, Status
from gbar.sim.errors import printable

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

ROWS = 14  # measurements at most, the furthest off first: a terminal has 24 lines
REACH = 3.0  # tolerances that a bar shows
BAR = 12  # columns


@contextmanager
def show_progress(wanted: int, observe: Observer | None = None) -> Iterator[Observer]:
    """What to call after every evaluation: `observe`, or else a view of how far the search has come."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, force_jupyter=None if "ipykernel" in sys.modules else False)
    if observe is not None or not (console.is_terminal or console.is_jupyter):
        yield observe or (lambda now: None)
        return
    start = time.monotonic()
    latest: list[Status] = []
    view = Live(
        get_renderable=lambda: _view(latest[-1] if latest else None, wanted, time.monotonic() - start),
        console=console,
        refresh_per_second=4,
        transient=not console.is_jupyter,  # the summary says it all again
    )
    with view:
        yield lambda now: latest.__setitem__(slice(None), [now])


def _view(now: Status | None, wanted: int, seconds: float) -> "Group":
    """The lines: solutions and phase, evaluations and failures, and how near each measurement is."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    head = Table.grid(padding=(0, 1))
    found = now.solutions if now else 0
    doing = now.phase if now else "choosing an engine"
    head.add_row(
        Text(f"{found}/{wanted} solutions"), ProgressBar(wanted, found, BAR), Text(clock(seconds)), Text(doing)
    )
    if now is None:
        return Group(head)
    return Group(head, Text(said(now), overflow="ellipsis", no_wrap=True), *_failures(now), _nearest(now))


def _failures(now: Status) -> "list[Text]":
    from rich.text import Text

    if not now.failures:
        return []
    (reason, often), others = now.failures[0], len(now.failures) - 1
    more = f", and {others} other reason{'s' * (others > 1)}" if others else ""
    text = f"{sum(n for _, n in now.failures)} failed: {often} {printable(reason)}{more}"
    return [Text(text, style="yellow", overflow="ellipsis", no_wrap=True)]


def _nearest(now: Status) -> "Table":
    """How far each measurement is in the nearest evaluation: the furthest first."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column()  # the only one that may become narrower
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=BAR, no_wrap=True)
    order = sorted(now.nearest, key=lambda one: -(abs(one[1]) if math.isfinite(one[1]) else math.inf))
    reach = REACH * now.tolerance
    for key, z in order[:ROWS]:
        met = math.isfinite(z) and abs(z) <= now.tolerance
        style = "green" if met else "yellow"
        value = f"{z:+.2f}" if math.isfinite(z) else "not defined"
        bar = ProgressBar(reach, min(reach, abs(z)) if math.isfinite(z) else reach, BAR, complete_style=style)
        bar.finished_style = style
        table.add_row(Text(printable(key), overflow="ellipsis", no_wrap=True), Text(value, style=style), bar)
    rest = order[ROWS:]
    if rest:
        inside = sum(math.isfinite(z) and abs(z) <= now.tolerance for _, z in rest)
        table.add_row(Text(f"and {len(rest)} more, {inside} of them met"))
    return table


def said(status: Status) -> str:
    """How far a search has come, in a few words."""
    best = f"best |z| {status.best:.2f} (wanted {status.tolerance:g}), " if status.best < math.inf else ""
    return f"{best}{status.evaluations} of at most {status.budget} evaluations"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
