"""`gbar COMMAND`."""

import typer

from scripts.bench import bench
from scripts.cells import cells
from scripts.check import check
from scripts.export import export
from scripts.init import init
from scripts.measure import measure
from scripts.measurements import measurements
from scripts.recordings import recordings
from scripts.report import report
from scripts.sample import sample
from scripts.tune import tune
from scripts.verify import verify

app = typer.Typer(
    help="Find the parameters with which a NEURON model reproduces what was measured on a real cell.",
    epilog="PROBLEM is a folder with a problem.toml; RUN is a folder that `gbar tune` made. Start: gbar tune models/hh",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (init, check, measure, measurements, recordings, sample, tune, cells, verify, report, export):
    app.command()(command)
app.add_typer(bench, name="bench")


def main() -> None:
    """Entry point of the `gbar` command."""
    app()


if __name__ == "__main__":
    main()
