"""What every command shares: errors as one line, tables, JSON, progress."""

import codecs
import errno
import functools
import io
import json
import os
import shlex
import shutil
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from gbar.scripts.interrupts import STOPPED, caught
from gbar.scripts.terminal.memory import LEARNING, SIMULATING, TooLittleMemory, check_memory

if TYPE_CHECKING:
    from gbar.sim import Problem

P = ParamSpec("P")
T = TypeVar("T")

os.environ.setdefault("NEURON_MODULE_OPTIONS", "-nogui")  # else NEURON warns of a missing DISPLAY
PLAIN = {
    "±": "+-",
    "µ": "u",
    "μ": "u",
    "Ω": "Ohm",
    "…": "...",
    "–": "-",
    "−": "-",
    "—": "-",
    "×": "x",
    "²": "2",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "─": "-",
    "│": "|",
    "°": "deg",
    "’": "'",
    "“": '"',
    "”": '"',
}
NO_ROOM = ("failed to map segment", "annot allocate memory")  # a library that cannot be loaded for that
NO_MEMORY = "not enough memory for this: fewer workers, or a smaller budget or archive, need less (ulimit -v)"
PIPED_WIDTH = 140  # characters; a pipe or a file has no edge to wrap at

ProblemArgument = Annotated[Path, typer.Argument(metavar="PROBLEM", help="A problem folder, or its problem.toml.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, as gbar tune makes it.")]
Measurements = Annotated[
    Path | None, typer.Option(metavar="CSV", help="A table instead of the problem's own: CSV, .xlsx, features.json.")
]
WorkersOption = Annotated[
    int, typer.Option(min=1, max=256, metavar="N", help="Processes that simulate side by side, 1 to 256.")
]
BudgetOption = Annotated[
    int, typer.Option(min=1, max=1_000_000, metavar="N", help="New evaluations (all protocols once) at most.")
]
DaskOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Simulate on a Dask cluster, such as tcp://HOST:8786.")
]
Schedule = StrEnum("Schedule", ["auto", "whole", "greedy"])
ScheduleOption = Annotated[Schedule, typer.Option(help="Protocols of an evaluation: whole, or in turn.")]
EngineOption = Annotated[
    str | None, typer.Option(metavar="ENGINE", help="As result.json names one, such as 'cvode atol 0.0001'.")
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=4096,
        metavar="N",
        help="Evaluations between refits; the first batches are smaller. Default: from what they take, measured once.",
    ),
]
JsonFlag = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON document and nothing else.")]


def guarded(command: Callable[P, T], kept: str = "") -> Callable[P, T]:
    """Bad input ends with one line on stderr and exit code 2; Ctrl-C with 130, and what is said then is true."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        any_letter()
        try:
            with (
                warnings.catch_warnings(action="ignore" if not sys.warnoptions else None),
                caught(),
            ):  # libraries' remarks
                check_memory(SIMULATING)
                return command(*args, **kwargs)
        except KeyboardInterrupt:
            print(f"gbar: stopped{kept}", file=sys.stderr)
            raise typer.Exit(STOPPED) from None
        except Exception as error:
            if _no_room(error):  # not even for another module
                print(f"gbar: {error if isinstance(error, TooLittleMemory) else NO_MEMORY}", file=sys.stderr)
                raise typer.Exit(2) from None
            said = _said(error)
            if said is None:
                raise
        from gbar.sim.errors import printable

        print(f"gbar: {printable(' '.join(said.split()))}", file=sys.stderr)
        raise typer.Exit(2)

    return run


def _no_room(error: Exception) -> bool:
    """Whether there is no memory left, or not enough to load a library."""
    return isinstance(error, MemoryError) or (
        isinstance(error, ImportError) and any(said in str(error) for said in NO_ROOM)
    )


def _said(error: Exception) -> str | None:
    """What to tell the user where it is the input, the disk or the machine; None where it is gbar's own fault."""
    if isinstance(error, OSError):  # a folder that cannot be written, a full disk
        if error.errno == errno.EPIPE or error.strerror is None:
            return None  # EPIPE: typer ends quietly when whoever reads has gone
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    from gbar.sim.errors import GbarError

    return str(error) if isinstance(error, GbarError) else None


archiving = functools.partial(guarded, kept="; everything simulated so far is kept")  # for a command with an archive


def any_letter() -> None:
    """Let stdout and stderr take every letter: what their encoding lacks is written in letters that it has."""
    codecs.register_error("gbar", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="gbar")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Stands for what cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


def say(text: str = "") -> None:
    """Text on stdout, without what would steer a terminal: names and reasons come from files."""
    from gbar.sim.errors import printable

    print(printable(text))


def say_in_lines(text: str) -> None:
    """Prose on stdout, broken between words where a terminal has an edge."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join(
            textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) for line in text.splitlines()
        )
    say(text)


def quoted(path: Path | str) -> str:
    """A path in a command that somebody may paste into a shell."""
    return shlex.quote(str(path))


def print_json(content: Any) -> None:
    """JSON on stdout, and nothing else there."""
    print(json.dumps(content, indent=1, allow_nan=False))


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1, spare: int = 0
) -> None:
    """A table on stdout.

    Args:
        left: how many columns, from the first, hold text; the others hold numbers.
        spare: how many of the last columns may be left out where the terminal is too narrow for them.
    """
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    from gbar.sim.errors import printable

    rows = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    title = printable(title)
    console = Console(highlight=False, markup=False, emoji=False)  # a section may be called dend[i]
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    for shown in range(len(columns), len(columns) - spare - 1, -1):
        table = Table(box=box.SIMPLE_HEAD)
        table.pad_edge, table.show_edge, table.collapse_padding = False, False, True
        for number, column in enumerate(columns[:shown]):
            text = number < left
            table.add_column(
                column, justify="left" if text else "right", overflow="fold", no_wrap=number == 0 or not text
            )
        for row in rows:
            table.add_row(*row[:shown])
        if Measurement.get(console, console.options.update(max_width=1000), table).maximum <= console.width:
            break
    with console.capture() as printed:
        console.print(title, style="bold")
        console.print(table)
    print("\n".join(line.rstrip() for line in printed.get().splitlines()), end="\n\n")


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[int, str], None]]:
    """A bar on stderr, where that is a terminal: call what is yielded with (done, what to say beside it)."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (BarColumn(bar_width=12), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    left = (TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *left, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, text: bar.update(task, completed=done, description=text)


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """A spinner on stderr, where that is a terminal, beside what is being done."""
    from rich.console import Console

    with Console(stderr=True).status(f"{text} …"):
        yield


def remark(note: str) -> None:
    """A remark on stderr."""
    from gbar.sim.errors import printable

    print(f"note: {printable(note)}", file=sys.stderr)


def say_how_read(problem: "Problem") -> None:
    """On stderr: rows of the table that were not read as they stand there, and values that a modeller would doubt."""
    from gbar.sim.problem import of_measurements

    for note in of_measurements(problem):
        remark(note)


def start_jax() -> None:
    """Load JAX, and see that it runs, before anything is simulated. Raises GbarError, or MemoryError."""
    check_memory(LEARNING)
    with waiting("Starting JAX"):
        from gbar.agent.learning import configure

        configure()


def engaged(problem: "Problem", engine: str | None) -> "Problem":
    """The problem with the engine that was asked for, or with the one found by trying; says how its table was read."""
    from gbar.sim import choose_engine, with_engine

    say_how_read(problem)
    if engine is not None:
        problem = with_engine(problem, engine)
    with waiting("Trying engines, once for this model"):
        return choose_engine(problem)[0]
