"""What every command shares: errors as one line, tables, JSON, progress."""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

P = ParamSpec("P")
T = TypeVar("T")

ProblemArgument = Annotated[Path, typer.Argument(metavar="PROBLEM", help="A problem folder, or its problem.toml.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, as gbar tune makes it.")]
Measurements = Annotated[
    Path | None, typer.Option(metavar="CSV", help="A table of measurements instead of the problem's own.")
]
WorkersOption = Annotated[int, typer.Option(min=1, max=256, help="Processes that simulate side by side.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def guarded(command: Callable[P, T]) -> Callable[P, T]:
    """Bad input ends with one line on stderr and exit code 2; Ctrl-C with 130."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        from sim.errors import GbarError

        try:
            return command(*args, **kwargs)
        except GbarError as error:
            print(f"gbar: {' '.join(str(error).split())}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print("gbar: stopped; everything simulated so far is kept", file=sys.stderr)
            raise typer.Exit(130) from None

    return run


def print_json(content: Any) -> None:
    """JSON on stdout, and nothing else there."""
    print(json.dumps(content, indent=1, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> None:
    """A table on stdout; all but the first `left` columns are numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right", overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 140  # a pipe or a file has no edge to wrap at
    console.print(table)


@contextmanager
def progress_bar(total: int, quiet: bool) -> Iterator[Callable[[int, str], None]]:
    """A bar on stderr: call what is yielded with (done, what to say beside it)."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    left = (TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *left, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, text: bar.update(task, completed=done, description=text)
