"""gbar cells: a whole table of cells against one archive."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts import terminal
from gbar.scripts.interrupts import as_process


@terminal.archiving
def cells(
    problem: terminal.ProblemArgument,
    cells: Annotated[Path, typer.Option(metavar="DIR|CSV", help="A table a cell, or one CSV with a row a cell.")],
    archive: Annotated[Path, typer.Option(metavar="FILE", help="Learned from by every cell, and added to.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Default: runs/PROBLEM-cells.")] = None,
    budget: terminal.BudgetOption = 2000,
    solutions: Annotated[int, typer.Option(min=1, metavar="N", help="Distinct solutions to stop at.")] = 1,
    tolerance: Annotated[float, typer.Option(min=0.01, metavar="Z", help="Largest |z| of a solution, in SDs.")] = 2.0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Same seed, same answer.")] = 0,
    workers: terminal.WorkersOption = 2,
    engine: terminal.EngineOption = None,
    dask: terminal.DaskOption = None,
    as_json: terminal.JsonFlag = False,
) -> None:
    """Tune every cell of a table, each from all that was simulated before it.

    Start with an archive of a few thousand evaluations: gbar sample PROBLEM -n
    4096. What it teaches is learned once and kept beside it.

    Exit codes: 0 every cell has a solution; 3 some have none; 2 bad input;
    130 stopped by Ctrl-C.
    """
    from gbar.sim import load_problem

    loaded = load_problem(problem, measured=False)
    terminal.start_jax()
    from gbar.agent.tuning import TuneConfig, overall, tune_cells

    loaded = terminal.engaged(loaded, engine)
    folder = out or Path("runs") / f"{loaded.name}-cells"
    config = TuneConfig(budget, solutions, tolerance, seed, workers, dask=dask)
    with terminal.progress_bar(budget) as show:
        watch = lambda cell, now: show(now.evaluations, cell)  # noqa: E731
        done = list(tune_cells(loaded, cells, archive.resolve(), folder, config, watch, terminal.remark))
    figures = overall(done)
    if as_json:
        terminal.print_json({"overall": figures, "cells": [row._asdict() for row in done]})
    else:
        terminal.print_cells(done, figures, folder)
    if any(row.status == "interrupted" for row in done):
        raise typer.Exit(130)
    if figures["solved"] != figures["cells"]:
        raise typer.Exit(3)


if __name__ == "__main__":
    as_process(lambda: typer.run(cells))
