"""`gbar COMMAND`."""

from importlib.metadata import version
from typing import Annotated

import typer

from gbar.scripts.bench import bench
from gbar.scripts.cells import cells
from gbar.scripts.check import check
from gbar.scripts.example import example
from gbar.scripts.export import export
from gbar.scripts.init import init
from gbar.scripts.measure import measure
from gbar.scripts.measurements import measurements
from gbar.scripts.recordings import recordings
from gbar.scripts.report import report
from gbar.scripts.sample import sample
from gbar.scripts.tune import tune
from gbar.scripts.ui import ui
from gbar.scripts.verify import verify

app = typer.Typer(
    help="Find the parameters with which a NEURON model reproduces what was measured on a real cell.",
    epilog="PROBLEM is a folder with a problem.toml; RUN is a folder that `gbar tune` made. Start: gbar example hh",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    example,
    init,
    check,
    measure,
    measurements,
    recordings,
    sample,
    tune,
    cells,
    verify,
    report,
    export,
    ui,
):
    app.command()(command)
app.add_typer(bench, name="bench")


def say_version(wanted: bool) -> None:
    """`gbar --version`."""
    if wanted:
        print(f"gbar {version('gbar')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=say_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Options of gbar itself; its help is the app's."""


def main() -> None:
    """Entry point of the `gbar` command."""
    app()


if __name__ == "__main__":
    main()
