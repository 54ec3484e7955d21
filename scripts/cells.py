"""gbar cells: a whole table of cells against one archive."""

from pathlib import Path
from typing import Annotated

import typer

from scripts import _shared
from scripts._shared import EngineOption, JsonFlag, ProblemArgument, WorkersOption
from scripts._summary import print_cells


@_shared.guarded
def cells(
    problem: ProblemArgument,
    cells: Annotated[Path, typer.Option(metavar="DIR|CSV", help="A table a cell, or one CSV with a row a cell.")],
    archive: Annotated[Path, typer.Option(metavar="FILE", help="Learned from by every cell, and added to.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: runs/PROBLEM-cells.")] = None,
    budget: Annotated[int, typer.Option(min=1, metavar="N", help="New evaluations for each cell at most.")] = 2000,
    solutions: Annotated[int, typer.Option(min=1, metavar="N", help="Distinct solutions to stop at.")] = 1,
    tolerance: Annotated[float, typer.Option(min=0.01, metavar="Z", help="Largest |z| of a solution, in SDs.")] = 2.0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Same seed, same answer.")] = 0,
    workers: WorkersOption = 2,
    engine: EngineOption = None,
    dask: _shared.DaskOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tune every cell of a table, each from all that was simulated before it.

    Start with an archive of a few thousand evaluations: gbar sample PROBLEM -n
    4096. What it teaches is learned once and kept beside it.

    Exit codes: 0 every cell has a solution; 3 some have none; 2 bad input;
    130 stopped by Ctrl-C.
    """
    from sim import load_problem

    loaded = _shared.engaged(load_problem(problem, measured=False), engine)
    from agent.cells import overall, tune_cells
    from agent.session import TuneConfig

    folder = out or Path("runs") / f"{loaded.name}-cells"
    config = TuneConfig(budget, solutions, tolerance, seed, workers, dask=dask)
    with _shared.progress_bar(budget) as show:
        watch = lambda cell, now: show(now.evaluations, cell)  # noqa: E731
        done = list(tune_cells(loaded, cells, archive.resolve(), folder, config, watch))
    figures = overall(done)
    if as_json:
        _shared.print_json({"overall": figures, "cells": [row._asdict() for row in done]})
    else:
        print_cells(done, figures, folder)
    if any(row.status == "interrupted" for row in done):
        raise typer.Exit(130)
    if figures["solved"] != figures["cells"]:
        raise typer.Exit(3)


if __name__ == "__main__":
    typer.run(cells)
