"""gbar recordings: measure recorded sweeps and write the table."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import JsonFlag, ProblemArgument, guarded, print_json, print_table, say, waiting

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help=".abf .nwb .ibw .csv .npz; or folders, one a cell.")]
Unit = Annotated[str | None, typer.Option(metavar="UNIT", help="What the files are in, where they do not say it.")]


@guarded
def recordings(
    problem: ProblemArgument,
    files: Files,
    out: Annotated[Path, typer.Option(metavar="CSV", help="The table to write.")] = Path("recordings.csv"),
    create: Annotated[bool, typer.Option("--create", help="Add the recorded steps to problem.toml.")] = False,
    junction: Annotated[float, typer.Option(metavar="MV", help="Liquid junction potential, subtracted.")] = 0.0,
    feature: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Repeat for more; or all.")] = None,
    sd_floor: Annotated[float, typer.Option(metavar="SHARE", help="Least SD, as a share of the mean.")] = 0.02,
    cells: Annotated[str, typer.Option(metavar="folder|file", help="Whose files are one cell.")] = "folder",
    no_holding: Annotated[bool, typer.Option("--no-holding", help="The resting current is an offset.")] = False,
    relative: Annotated[bool, typer.Option("--relative", help="Add steps as % of each cell's rheobase.")] = False,
    channel: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Which, of several. Repeatable.")] = None,
    voltage_unit: Unit = None,
    current_unit: Unit = None,
    as_json: JsonFlag = False,
) -> None:
    """Measure recorded current steps as the model is measured, and write mean and SD over sweeps and cells as a CSV.

    Sweeps that fail a quality check are left out and the reason is said.
    Steps that the problem has no protocol for are named, or made protocols with --create; with --relative in percent of
    each cell's rheobase, so that cells of different sizes can be averaged. Several cells also get a table each.

    Exit codes: 0 the table is written, 2 bad input and nothing is written.
    """
    from gbar.sim import load_problem
    from gbar.sim.recordings import Reading, measure_recordings, write

    loaded = load_problem(problem, measured=False)
    reading = Reading(junction, voltage_unit, current_unit, cells, no_holding, tuple(channel or []))
    with waiting("Reading"):
        found = measure_recordings(loaded, files, reading, feature or [], sd_floor, create, relative)
        write(found, loaded, out)
    if as_json:
        print_json(found.document())
        return
    rows = [(row.protocol, row.feature, f"{row.mean:.4g}", f"{row.sd:.2g}", row.unit, row.note) for row in found.rows]
    print_table(found.title(), ["protocol", "feature", "mean", "SD", "unit", "from"], rows, left=2, spare=1)
    for line in [*found.notes(), *found.next_steps(str(problem), out)]:
        say(line)


if __name__ == "__main__":
    as_process(lambda: typer.run(recordings))
