"""gbar cells: a whole table of cells against one archive."""

from pathlib import Path
from typing import Annotated

import typer

from scripts._shared import JsonFlag, ProblemArgument, WorkersOption, guarded, print_json, print_table, progress_bar


@guarded
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
    as_json: JsonFlag = False,
) -> None:
    """Tune every cell of a table, each from all that was simulated before it.

    Start with an archive of a few thousand evaluations: gbar sample PROBLEM -n
    4096. What it teaches is learned once and kept beside it.

    Exit codes: 0 every cell has a solution; 3 some have none; 2 bad input;
    130 stopped by Ctrl-C.
    """
    from sim import load_problem

    loaded = load_problem(problem, measured=False)
    from agent.cells import overall, tune_cells
    from agent.loop import TuneConfig

    folder, archive = out or Path("runs") / f"{loaded.name}-cells", archive.resolve()
    config = TuneConfig(budget, solutions, tolerance, seed, workers)
    done = []
    with progress_bar(0) as show:
        for row in tune_cells(problem, cells, archive, folder, config, lambda cell, now: show(now.evaluations, cell)):
            done.append(row)
    figures = overall(done)
    if as_json:
        print_json({"overall": figures, "cells": [row._asdict() for row in done]})
    else:
        columns = ["cell", "status", "solutions", "first at", "evaluations", "best |z|", "first batch", "total s"]
        keys = ["solutions", "first_solution_at", "evaluations", "best_max_abs_z", "first_batch_best", "total_s"]
        rows = [(row.cell, row.status, *(_text(getattr(row, key)) for key in keys)) for row in done]
        print_table("New evaluations to the first solution, and the best |z| of the first batch", columns, rows, left=2)
        typer.echo("; ".join(f"{key.replace('_', ' ')} {_text(value)}" for key, value in figures.items()))
        typer.echo(f"Summary:   {folder / 'cells.csv'}")
    if any(row.status == "interrupted" for row in done):
        raise typer.Exit(130)
    if figures["solved"] != figures["cells"]:
        raise typer.Exit(3)


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    typer.run(cells)
