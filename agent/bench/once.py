"""One run of one method, in a process of its own: python -m agent.bench.once RUN, RUN being a JSON object.

So that every method pays for its imports and its compiling, none profits from what another left in memory, and one
that crashes or hangs costs its own row.
"""

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from agent.bench.methods import ARMS, peer
from agent.bench.score import Score
from sim import Accuracy, Archive, GbarError, Problem, Workers, choose_engine, load_problem


class Run(NamedTuple):
    """What is to be run."""

    problem: str  # folder or toml
    table: str
    method: str
    seed: int
    tolerance: float
    budget: int
    workers: int


class Outcome(NamedTuple):
    """How it went; `score_of` makes a row of it."""

    solved: bool
    evaluations: int
    largest_batch: int
    simulate_s: float
    reason: str


def execute(run: Run) -> Outcome:
    """Search until a first confirmed solution or the end of the budget. Raises GbarError: the model cannot be run."""
    problem, _ = choose_engine(load_problem(run.problem, run.table))
    return _search_arm(problem, run) if run.method in ARMS else _search_peer(problem, run)


def _search_arm(problem: Problem, run: Run) -> Outcome:
    from agent.accelerate import configure
    from agent.loop import search
    from agent.mind import MindConfig
    from agent.session import TuneConfig

    configure()
    mind = ARMS[run.method].change(MindConfig())
    config = TuneConfig(run.budget, 1, run.tolerance, run.seed, run.workers, mind=mind)
    with tempfile.TemporaryDirectory() as scratch, Archive(Path(scratch) / "archive.sqlite", problem) as archive:
        session = search(problem, config, archive, Path(scratch) / "neuron.log")
    first, largest = session.first_solution_at, max(session.batch, config.design(len(problem.names)))
    return Outcome(first is not None, first or run.budget, largest, session.seconds["simulate"], _reason(first))


def _search_peer(problem: Problem, run: Run) -> Outcome:
    from agent.bench.trial import Over, Trial

    with Workers(problem, run.workers) as pool:
        trial = Trial(problem, pool, run.tolerance, run.budget)
        with contextlib.suppress(Over):
            peer(run.method)(trial, run.seed)
    reason = "" if trial.solved else "out of budget" if trial.made >= run.budget else "gave up"
    made = trial.made if trial.solved else run.budget
    return Outcome(trial.solved, made, trial.largest_batch, trial.simulate_s, reason)


def _reason(first: int | None) -> str:
    return "out of budget" if first is None else ""


def score_of(problem: Problem, run: Run, outcome: Outcome, total_s: float) -> Score:
    """The row of a run that took `total_s` from the start of its process."""
    simulated = min(outcome.simulate_s, total_s)
    return Score(
        problem.name,
        Path(run.table).stem,
        *run[2:],
        str(Accuracy.of(problem)),
        outcome.solved,
        outcome.evaluations,
        outcome.largest_batch,
        round(simulated, 2),
        round(total_s - simulated, 2),
        round(total_s, 2),
        outcome.reason,
    )


def main() -> None:
    """Entry: prints {"outcome": …, "total_s": …}, or {"refused": message} for bad input, as the last line."""
    run: Any = Run(**json.loads(sys.argv[1]))
    try:
        outcome = execute(run)
    except GbarError as error:
        print(json.dumps({"refused": str(error)}))
        return
    total = time.time() - psutil.Process().create_time()
    print(json.dumps({"outcome": outcome._asdict(), "total_s": total}), flush=True)


if __name__ == "__main__":
    main()
