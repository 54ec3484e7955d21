"""gbar bench long, gbar bench pools: memory and throughput over a long run, and over more workers."""

from typing import Annotated

import typer

from gbar.scripts.terminal import (
    DaskOption,
    EngineOption,
    JsonFlag,
    ProblemArgument,
    WorkersOption,
    engaged,
    guarded,
    print_json,
    print_table,
    progress_bar,
)


@guarded
def long(
    problem: ProblemArgument,
    count: Annotated[int, typer.Option("-n", min=2, metavar="N", help="Evaluations in one run.")] = 10_000,
    stretch: Annotated[int, typer.Option(min=1, metavar="N", help="Evaluations between two looks.")] = 1000,
    workers: WorkersOption = 2,
    engine: EngineOption = None,
    dask: DaskOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Memory of the parent and its workers, and throughput, along one long run with an archive."""
    from gbar.scripts.bench.endurance import endure
    from gbar.sim import Integrator, load_problem

    loaded = engaged(load_problem(problem, measured=False), engine)
    accuracy = Integrator.of(loaded)
    made = []
    with progress_bar(count) as show:
        for part in endure(loaded, count, stretch, workers, accuracy, dask):
            made.append(part)
            show(part.evaluations, f"{part.per_second:.1f} per second")
    if as_json:
        print_json([part._asdict() for part in made])
        return
    columns = ["evaluations", "per second", "parent MB", "workers MB", "log bytes each", "failed"]
    rows = [(str(part.evaluations), *(f"{v:.1f}" for v in part[1:5]), str(part.failed)) for part in made]
    print_table(f"{loaded.name}: {accuracy}", columns, rows)


@guarded
def pools(
    problem: ProblemArgument,
    count: Annotated[int, typer.Option("-n", min=1, metavar="N", help="Evaluations in one timing.")] = 256,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds; medians are shown.")] = 5,
    engine: EngineOption = None,
    dask: DaskOption = None,
    as_json: JsonFlag = False,
) -> None:
    """The same evaluations with one process, with two, and with --dask on a cluster, in turn."""
    from gbar.scripts.bench.endurance import compare_pools
    from gbar.sim import Integrator, load_problem

    loaded = engaged(load_problem(problem, measured=False), engine)
    speeds = compare_pools(loaded, count, repeats, Integrator.of(loaded), dask)
    if as_json:
        print_json([speed._asdict() for speed in speeds])
        return
    rows = [(speed.pool, f"{speed.per_second:.1f}", f"{speed.times:.2f}") for speed in speeds]
    print_table(f"{loaded.name}: {Integrator.of(loaded)}", ["pool", "per second", "x one"], rows)
