"""gbar tune: the main job."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from gbar.scripts import terminal
from gbar.scripts.interrupts import as_process

Planner = StrEnum("Planner", ["auto", "policy", "gradient", "both"])


@terminal.archiving
def tune(
    problem: terminal.ProblemArgument,
    measurements: terminal.Measurements = None,
    budget: terminal.BudgetOption = 2000,
    solutions: Annotated[int, typer.Option(min=1, metavar="N", help="Distinct solutions to stop at.")] = 10,
    tolerance: Annotated[float, typer.Option(min=0.01, metavar="Z", help="Largest |z| of a solution, in SDs.")] = 2.0,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Same seed, same answer.")] = 0,
    workers: terminal.WorkersOption = 2,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder. Default: runs/PROBLEM-TABLE.")] = None,
    archive: Annotated[Path | None, typer.Option(metavar="FILE", help="An archive to learn from and add to.")] = None,
    planner: Annotated[Planner, typer.Option(help="Who proposes candidates.")] = Planner.auto,
    batch: terminal.BatchOption = None,
    engine: terminal.EngineOption = None,
    schedule: terminal.ScheduleOption = terminal.Schedule.auto,
    dask: terminal.DaskOption = None,
    as_json: terminal.JsonFlag = False,
) -> None:
    """Find parameter sets that reproduce the measurements, each confirmed by NEURON.
    Resumes what it finds in DIR: the same command, given again, ends with the answer that a run left alone has.

    Exit codes: 0 solutions found; 3 none within the budget (the nearest and what they miss is printed); 2 bad input.
    """
    from gbar.sim import load_problem, with_engine

    loaded = load_problem(problem, measurements and measurements.resolve())
    terminal.start_jax()  # only after the input is known to be good
    from gbar.agent import tune as run
    from gbar.agent.learning import AgentConfig
    from gbar.agent.tuning import TuneConfig, show_progress

    terminal.say_how_read(loaded)
    loaded = with_engine(loaded, engine) if engine is not None else loaded
    who, in_turn = cast(Any, (planner.value, schedule.value))
    config = TuneConfig(budget, solutions, tolerance, seed, workers, batch, AgentConfig(planner=who), dask, in_turn)
    folder = out or terminal.default_folder(loaded)
    with show_progress(solutions) as watch:
        result = run(loaded, config, folder, archive and archive.resolve(), watch, terminal.remark)
    terminal.print_json(result.model_dump()) if as_json else terminal.print_summary(result, folder)
    if (stopped := result.status == "interrupted") or not result.solutions:
        raise typer.Exit(130 if stopped else 3)


if __name__ == "__main__":
    as_process(lambda: typer.run(tune))
