"""gbar bench: the published comparisons, reproducible."""

from pathlib import Path
from typing import Annotated

import typer

from scripts._shared import JsonFlag, ProblemArgument, WorkersOption, guarded, print_json, print_table

bench = typer.Typer(help="The published comparisons.", no_args_is_help=True)


@bench.callback()
def group() -> None:
    """The published comparisons, reproducible."""


@bench.command()
@guarded
def tune(
    problem: ProblemArgument,
    cells: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Tables. Default: PROBLEM/measurements/cells.")
    ] = None,
    only: Annotated[str, typer.Option(help="Cells by name, with commas; all by default.")] = "",
    methods: Annotated[str, typer.Option(help="gbar, gbar-policy, gbar-gradient, cma, random.")] = "gbar,cma",
    seeds: Annotated[int, typer.Option(min=1, help="How many: 0, 1, …")] = 3,
    tolerance: Annotated[float, typer.Option(min=0.01, help="Every |z| of a solution is at most this.")] = 1.0,
    budget: Annotated[
        int, typer.Option(min=1, help="Evaluations at most; an unsolved run counts as this many.")
    ] = 2000,
    workers: WorkersOption = 2,
    out: Annotated[Path, typer.Option(metavar="CSV", help="Rows in it are kept, not run again.")] = Path("bench.csv"),
    as_json: JsonFlag = False,
) -> None:
    """Evaluations and wall clock to the first confirmed solution, per method, over cells and seeds."""
    from agent.bench import compare, find_tables, summarise

    tables = find_tables(cells or problem / "measurements" / "cells", [name for name in only.split(",") if name])
    scores = []
    for score in compare(problem, tables, methods.split(","), range(seeds), out, tolerance, budget, workers):
        scores.append(score)
        typer.echo(
            f"{score.cell} {score.method} seed {score.seed}: {score.evaluations} in {score.total_s:.0f} s", err=True
        )
    rows = summarise(scores)
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    columns = ["method", "runs", "solved", "median evaluations", "worst", "simulate s", "think s", "total s"]
    table = [(row[0], *(f"{value:.0f}" for value in row[1:])) for row in rows]
    print_table("To the first solution (medians; unsolved count at the budget)", columns, table)


if __name__ == "__main__":
    bench()
