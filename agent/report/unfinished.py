"""A run that is still going, or was ended from outside: what progress.json and live.npz say of it, as a result."""

import os
from pathlib import Path

from gbar.agent.result import (
    Accuracy,
    Live,
    Progress,
    Range,
    Result,
    Traces,
    Wall,
    read_live,
    read_live_traces,
    read_result,
    read_traces,
)
from gbar.sim import GbarError, load_problem


def state_of(run: Path) -> str:
    """Why a page about a run is not its last, in words that follow "the run"; empty where it has ended as runs do."""
    live = read_live(run)
    if live is None or live.pid == os.getpid():  # a run makes its page before it has ended
        return ""
    if live.alive:
        return "is still going"
    if live.ended is None:
        return "was ended from outside"
    return "" if (run / "result.json").is_file() else f"failed ({live.ended})"


def finished(run: Path) -> tuple[Result, Traces]:
    """What the last session that ended as runs do has left. Raises GbarError."""
    return read_result(run), read_traces(run) if (run / "traces.npz").is_file() else {}


def unfinished(run: Path) -> tuple[Result, Traces]:
    """How far a run has come that has left no result, and the voltages of its best sets.

    Where an earlier session had come further, its result says more.

    Raises:
        GbarError: its folder does not say so, or its problem is gone.
    """
    live = read_live(run)
    if live is None or (run / "result.json").is_file():
        earlier = finished(run)
        if live is None or earlier[0].evaluations >= live.evaluations:
            return earlier
    traces = read_live_traces(run)
    if not live.solutions:  # the nearest is "00" there; a result counts from 1
        traces = {name: {"01": found["00"]} for name, found in traces.items() if "00" in found}
    return _result(live), traces


def _result(live: Live) -> Result:
    took = live.updated - live.started
    return Result(
        problem=live.problem,
        problem_folder=live.problem_folder,
        measurements_file=live.measurements_file,
        archive="archive.sqlite",
        status="interrupted",
        seed=live.seed,
        tolerance=live.tolerance,
        budget=live.budget,
        wanted=live.wanted,
        batch=1,
        planner="auto",
        workers=live.workers,
        engine=live.engine,
        confirmed_by="NEURON",
        evaluations=live.evaluations,
        failed_evaluations=sum(live.failures.values()),
        failures=live.failures,
        first_solution_at=next((made for made, _, solutions in live.history if solutions), None),
        wall_s=Wall(simulate=0.0, fit=0.0, plan=0.0, total=max(0.0, took)),
        measurements=live.measurements,
        parameters=_ranges(live),
        solutions=live.solutions,
        nearest=live.nearest,
        surrogate={
            one.key: Accuracy(rmse_over_sd=None, coverage_90=one.coverage_90, n=0, verdict=one.verdict)
            for one in live.features
        },
        history=[
            Progress(evaluations=made, best_max_abs_z=best, solutions=solutions, proposers={})
            for made, best, solutions in live.history
        ],
        versions={},
    )


def _ranges(live: Live) -> list[Range]:
    """The parameters as the problem has them. Raises GbarError."""
    try:
        problem = load_problem(live.problem_folder, measured=False)
    except OSError as error:
        raise GbarError(
            f"{live.problem_folder}: {error.strerror}: the page of a run without a result needs it"
        ) from None
    names = live.nearest.parameters if live.nearest else problem.names
    return [
        Range(name=p.name, low=p.bounds[0], high=p.bounds[1], scale=p.scale, unit=p.unit_of_value(""))
        for p in problem.parameter
        if p.name in names  # one that was freed since has no values
    ]
