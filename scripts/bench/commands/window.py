"""gbar bench window: what watching a run costs."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.terminal import JsonFlag, ProblemArgument, guarded, print_json, print_table, progress_bar


@guarded
def window(
    problem: ProblemArgument,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The run's folder.")] = Path("runs/watched"),
    solutions: Annotated[int, typer.Option(min=1, metavar="N", help="To find.")] = 50,
    budget: Annotated[int, typer.Option(min=1, metavar="N", help="Evaluations.")] = 2000,
    tolerance: Annotated[float, typer.Option(min=0.01, help="Every |z| of a solution is at most this.")] = 1.0,
    as_json: JsonFlag = False,
) -> None:
    """Memory and processor time of a browser that watches a whole run, and of the window's server."""
    from gbar.scripts.bench.watched import watch
    from gbar.sim import load_problem

    options = [f"--solutions={solutions}", f"--budget={budget}", f"--tolerance={tolerance:g}"]
    looks = []
    with progress_bar(budget) as show:
        for look in watch(load_problem(problem), out, options):
            looks.append(look)
            show(look.evaluations, f"{look.solutions} solutions, {look.page_mb:.0f} MB")
    if as_json:
        print_json([look._asdict() for look in looks])
        return
    columns = ["evaluations", "solutions", "page MB", "browser MB", "script MB", "browser %", "window %"]
    shown = looks[:: max(1, len(looks) // 10)] + looks[-1:]
    rows = [(str(look.evaluations), str(look.solutions), *(f"{value:.1f}" for value in look[2:])) for look in shown]
    print_table("Watched in headless Chromium", columns, rows)
