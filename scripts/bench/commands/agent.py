"""gbar bench agent: ways of planning compared, target by target."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import (
    EngineOption,
    JsonFlag,
    Measurements,
    ProblemArgument,
    WorkersOption,
    engaged,
    guarded,
    print_json,
    print_table,
    progress_bar,
)


@guarded
def agent(
    problem: ProblemArgument,
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="A few thousand evaluations: gbar sample.")],
    measurements: Measurements = None,
    arms: Annotated[
        str, typer.Option(help="Ways of thinking, compared with the first; an unknown one lists them.")
    ] = "both,policy,gradient,untrained",
    targets: Annotated[int, typer.Option(min=1, metavar="N", help="Aims: archived cells, or tables.")] = 24,
    tolerance: Annotated[float, typer.Option(min=0.01, metavar="Z", help="Largest |z| of a solution.")] = 1.0,
    rows: Annotated[
        int | None,
        typer.Option(min=64, metavar="N", help="Let sessions know only so many of the archive's evaluations."),
    ] = None,
    cells: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Aim at these tables, and simulate with NEURON.")
    ] = None,
    workers: WorkersOption = 2,
    engine: EngineOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Zero-shot quality and evaluations to a solution of the policy, of gradients and of both: against an emulator of
    the archive, which needs no simulation, or with --cells against NEURON."""
    from gbar.sim import load_problem

    loaded = engaged(load_problem(problem, measurements), engine)
    from gbar.scripts.bench.compare import find_tables
    from gbar.scripts.bench.rehearsal import perform, rehearse, summarise

    named, sessions = arms.split(","), []
    if cells:
        tables = find_tables(problem, cells)[:targets]
        played, targets = perform(loaded, tables, archive, named, tolerance, rows, workers), len(tables)
    else:
        played = rehearse(loaded, archive, named, targets, tolerance, rows)
    with progress_bar(targets * len(named)) as show:
        for session in played:
            sessions.append(session)
            show(len(sessions), session.arm)
    summary = summarise(sessions)
    if as_json:
        print_json([row._asdict() for row in summary])
        return
    columns = ["arm", "targets", "first |z|<=3", "first solved", "median first", "solved", "mean evaluations"]
    columns += ["more than the first", "±", "fewer on", "more on", "by chance"]
    table = [(row[0], str(row[1]), *(f"{value:.3g}" for value in row[2:])) for row in summary]
    title = f"Sessions against {'NEURON' if cells else 'an emulator of the archive'}"
    print_table(title, [*columns, "s a batch", "in 90 %", "RMSE/SD"], table)


if __name__ == "__main__":
    as_process(lambda: typer.run(agent))
