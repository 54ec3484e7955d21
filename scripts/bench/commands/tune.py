"""gbar bench tune: gbar and everybody else on the same cells."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gbar.scripts.terminal import JsonFlag, WorkersOption, guarded, print_json, print_table

if TYPE_CHECKING:
    from gbar.scripts.bench.score import Score, Summary


@guarded
def tune(
    problems: Annotated[
        list[Path] | None, typer.Argument(metavar="[PROBLEM]...", help="Default: the bundled hh and motoneuron.")
    ] = None,
    cells: Annotated[Path | None, typer.Option(metavar="DIR", help="Tables, instead of the problem's cells.")] = None,
    only: Annotated[str, typer.Option(help="Cells by name, with commas; all by default.")] = "",
    methods: Annotated[str, typer.Option(help="By name or group (all, arms, peers), with commas.")] = "all",
    seeds: Annotated[int, typer.Option(min=1, help="How many: 0, 1, …")] = 10,
    tolerance: Annotated[float, typer.Option(min=0.01, help="Every |z| of a solution is at most this.")] = 1.0,
    budget: Annotated[int, typer.Option(min=1, help="Evaluations; an unsolved run counts as this many.")] = 2000,
    workers: WorkersOption = 2,
    time_limit: Annotated[float, typer.Option(min=1, help="Seconds for one run; a longer one is unsolved.")] = 3600,
    archive: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Every run begins with a copy of it: gbar sample makes one.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="CSV", help="Rows in it are kept, not run again.")] = Path("bench.csv"),
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it: .svg, .png or .pdf.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluations and wall clock to the first confirmed solution, per method, over problems, cells and seeds."""
    from gbar.scripts.bench.compare import BUNDLED, Settings, compare, find_tables
    from gbar.scripts.bench.figure import check_figure, draw
    from gbar.scripts.bench.score import summarise

    folder = cells and cells.resolve()
    asked = [
        (path, table) for path in problems or BUNDLED for table in find_tables(path, folder, _between_commas(only))
    ]
    if figure:
        check_figure(figure)
    settings = Settings(tolerance, budget, workers, time_limit, archive and archive.resolve())
    scores = []
    for score in compare(asked, _between_commas(methods), range(seeds), out, settings):
        scores.append(score)
        print(_told(score), file=sys.stderr)
    rows = summarise(scores)
    if figure:
        draw(scores, figure)
    if as_json:
        print_json([row._asdict() | {"reached": [stage._asdict() for stage in row.reached]} for row in rows])
    else:
        _print(rows)


def _between_commas(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _told(score: "Score") -> str:
    outcome = f"{score.evaluations} evaluations" if score.solved else f"not solved: {score.reason}"
    return f"{score.problem} {score.cell} seed {score.seed} {score.method}: {outcome} in {score.total_s:.0f} s"


def _print(rows: "list[Summary]") -> None:
    columns = ["problem", "method", "runs", "solved", "evaluations", "worst", "simulate s", "think s", "total s"]
    columns += ["RMSE/SD", "in 90 %"]
    table = [
        (
            row.problem,
            row.method,
            *(f"{value:.0f}" for value in row[2:9]),
            *("–" if v is None else f"{v:.2f}" for v in row[9:11]),
        )
        for row in rows
    ]
    print_table("To the first solution (medians; an unsolved run counts at the budget)", columns, table, left=2)
    columns = ["problem", "method", "evaluations", "seconds", "largest |z|", "sum of |z|", "within 2", "within 3"]
    near = [
        (row.problem, row.method, str(stage.evaluations), *("–" if v is None else f"{v:.4g}" for v in stage[1:]))
        for row in rows
        for stage in row.reached
    ]
    if near:
        print_table("The nearest so far (medians; each |z| counts 20 at most in a sum)", columns, near, left=2)
