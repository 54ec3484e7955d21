"""gbar bench sim: what each engine costs and how accurate it is."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gbar.scripts.terminal import JsonFlag, ProblemArgument, WorkersOption, guarded, print_json, print_table

if TYPE_CHECKING:
    from gbar.scripts.bench.simulation import Row

COLUMNS = [
    "engine",
    "ms",
    "per second",
    "x plain",
    "x cvode",
    "plumbing",
    "near 0.25",
    "near 1",
    "random 0.25",
    "random 1",
]


@guarded
def sim(
    problem: ProblemArgument,
    near: Annotated[int, typer.Option(min=1, help="Vectors near a target on which errors are taken.")] = 50,
    random: Annotated[int, typer.Option(min=1, help="Vectors from all over the bounds.")] = 200,
    repeats: Annotated[int, typer.Option(min=1, help="Of the timing; the median is shown.")] = 5,
    workers: WorkersOption = 2,
    engines: Annotated[str, typer.Option(help="Only these, with commas: 'plain,cvode atol 0.0001'.")] = "",
    copies: Annotated[str, typer.Option(help="Batch sizes to time as well, with commas.")] = "8,16,32,64,128,256",
    out: Annotated[Path | None, typer.Option(metavar="CSV", help="Keep the rows.")] = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw cost against error: .svg or .png.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Cost and accuracy of every engine, beside a plain loop, on the same parameter vectors.

    ms: of one core for an evaluation. plumbing: the share that is not NEURON's. near, random: the share of features
    within 0.25 and 1 SD of CVODE at an absolute tolerance of 1e-7.
    """
    from gbar.scripts.bench.simulation import batch_sizes, chosen_engines, compare_engines, draw, write_rows
    from gbar.sim import Integrator, load_problem

    loaded = load_problem(problem, measured=False)
    compared = chosen_engines(engines)
    rows = compare_engines(loaded, compared, near, random, repeats, workers, observe=_told)
    sizes = [int(size) for size in copies.split(",") if size.strip()]
    batches = list(batch_sizes(loaded, sizes, Integrator("coreneuron")))
    if out:
        write_rows(out, rows, batches)
    if figure:
        draw(rows, batches, figure)
    if as_json:
        print_json([_plain(row) for row in rows])
        return
    print_table(f"{loaded.name}: engines", COLUMNS, [_words(row) for row in rows])
    print_table("Copies in a batch", ["copies", "ms"], [(str(n), f"{ms:.1f}") for n, ms in batches])


def _told(doing: str) -> None:
    print(doing, file=sys.stderr)


def _plain(row: "Row") -> dict[str, Any]:
    flat = {**row._asdict(), "near": row.near._asdict(), "random": row.random._asdict()}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in flat.items()}


def _words(row: "Row") -> tuple[str, ...]:
    shares = [
        row.plumbing,
        row.near.within_quarter,
        row.near.within_one,
        row.random.within_quarter,
        row.random.within_one,
    ]
    numbers = [f"{row.ms:.1f}", f"{row.per_second:.2f}", f"{row.times_plain:.1f}", f"{row.times_cvode:.1f}"]
    return (row.engine, *numbers, *("–" if math.isnan(share) else f"{share:.1%}" for share in shares))
