"""One run of one method, in a process of its own: python -m scripts.bench.once RUN, RUN being a JSON object.

So that every method pays for its imports and its compiling, none profits from what another left in memory, and one
that crashes or hangs costs its own row.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import psutil

from gbar.scripts.bench.methods import ARMS, peer
from gbar.scripts.bench.progress import Progress, told
from gbar.scripts.bench.score import Score
from gbar.sim import Archive, Evaluation, GbarError, Integrator, Problem, Workers, choose_engine, load_problem
from gbar.sim.problem import within

if TYPE_CHECKING:
    from gbar.agent.tuning import Outcome
    from gbar.scripts.bench.trial import Known


LEARNED = ".npz"  # what a pretrained agent is kept in


class Run(NamedTuple):
    """What is to be run."""

    problem: str  # folder or toml
    table: str
    method: str
    seed: int
    tolerance: float
    budget: int
    workers: int
    archive: str = ""  # of evaluations that were made before; empty: from nothing


class RunOutcome(NamedTuple):
    """How it went; `score_of` makes a row of it."""

    solved: bool
    evaluations: int
    largest_batch: int
    simulate_s: float
    reason: str
    rmse_over_sd: float | None = None
    coverage_90: float | None = None


def execute(run: Run) -> RunOutcome:
    """Search until a first confirmed solution or the end of the budget. Raises GbarError: the model cannot be run."""
    problem, _ = choose_engine(load_problem(run.problem, run.table))
    progress = Progress(lambda line: print(line, flush=True))
    outcome = (_search_arm if run.method in ARMS else _search_peer)(problem, run, progress)
    progress.tell()
    return outcome


class _Watched(Archive):
    """An archive that says how near each evaluation comes that is put into it."""

    def __init__(self, path: Path, problem: Problem, progress: Progress):
        from gbar.agent.learning import target_of, z_scores

        super().__init__(path, problem)
        self._keys, self._target = [m.key for m in problem.measurements], target_of(problem.measurements)
        self._progress, self._scored = progress, z_scores
        self._parts: dict[tuple[object, ...], Evaluation] = {}  # of evaluations whose protocols come one by one

    def add(self, run: str, batch: int, slot: int, proposer: str, engine: str, x: np.ndarray, done: Evaluation) -> None:
        super().add(run, batch, slot, proposer, engine, x, done)
        key = batch, slot, proposer, engine
        before = self._parts.get(key)
        self._parts[key] = done if before is None else before.joined(done)
        self._progress.note(self._scored(self._parts[key].row(self._keys), self._target), before is None)


def _search_arm(problem: Problem, run: Run, progress: Progress) -> RunOutcome:
    from gbar.agent.learning import AgentConfig, configure
    from gbar.agent.tuning import TuneConfig, search

    configure()
    agent = ARMS[run.method].change(AgentConfig())
    config = TuneConfig(run.budget, 1, run.tolerance, run.seed, run.workers, agent=agent)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "archive.sqlite"
        if run.archive:
            _copy_archive(Path(run.archive), path, {".sqlite", LEARNED})
        with _Watched(path, problem, progress) as archive:
            outcome = search(problem, config, archive, Path(scratch) / "neuron.log")
        if run.archive:
            _copy_archive(path, Path(run.archive), {LEARNED})
    first = outcome.findings.first_solution_at
    largest = outcome.batch.size if run.archive else max(outcome.batch.size, config.design(len(problem.names)))
    simulated, reason = outcome.ledger.seconds["simulate"], "out of budget" if first is None else ""
    return RunOutcome(first is not None, first or run.budget, largest, simulated, reason, *accuracy_of(outcome))


def _copy_archive(archive: Path, to: Path, kinds: set[str]) -> None:
    """An archive, or what it has taught, which is kept beside it: a run adds to a copy, what it learned is kept."""
    for file in archive.parent.glob(f"{archive.name}*"):
        copy = to.with_name(to.name + file.name.removeprefix(archive.name))
        if file.suffix in kinds and not copy.exists():
            shutil.copy(file, copy)


def known_of(problem: Problem, archive: str) -> "Known | None":
    """What an archive holds of a problem's measurements inside the bounds, by the engine that searches."""
    if not archive:
        return None
    from gbar.agent.learning import target_of, z_scores
    from gbar.scripts.bench.trial import Known

    with Archive(Path(archive), problem) as kept:
        rows = kept.rows([m.key for m in problem.measurements], str(Integrator.of(problem)))
    u = problem.unit(rows.x)
    inside, features = within(u), np.where(rows.ok[:, None], rows.features, np.nan)
    return Known(u[inside], z_scores(features[inside], target_of(problem.measurements)))


def _search_peer(problem: Problem, run: Run, progress: Progress) -> RunOutcome:
    from gbar.scripts.bench.trial import Over, Trial

    known = known_of(problem, run.archive)
    with Workers(problem, run.workers) as pool:
        trial = Trial(problem, pool, run.tolerance, run.budget, progress.note, known)
        with contextlib.suppress(Over):
            peer(run.method)(trial, run.seed)
    reason = "" if trial.solved else "out of budget" if trial.made >= run.budget else "gave up"
    made = trial.made if trial.solved else run.budget
    return RunOutcome(trial.solved, made, trial.largest_batch, trial.simulate_s, reason)


def accuracy_of(outcome: "Outcome") -> tuple[float | None, float | None]:
    """How good a run's predictions were, each made before its simulation: median over features of the RMSE of the
    later half, in SDs, and the share of all 90 % intervals that held. None with fewer than two predictions."""
    from gbar.agent.tuning import accuracies

    features = [one for one in accuracies(outcome.findings).values() if one.coverage_90 is not None]
    recent = [one.recent_rmse_over_sd for one in features if one.recent_rmse_over_sd is not None]
    if not recent:
        return None, None
    coverage = np.average([one.coverage_90 or 0.0 for one in features], weights=[one.n for one in features])
    return round(float(np.median(recent)), 4), round(float(coverage), 4)


def score_of(problem: Problem, run: Run, outcome: RunOutcome, total_s: float, output: str = "") -> Score:
    """The row of a run that took `total_s` from the start of its process, and said `output`."""
    simulated = min(outcome.simulate_s, total_s)
    return Score(
        problem.name,
        Path(run.table).stem,
        *run[2:7],
        str(Integrator.of(problem)),
        outcome.solved,
        outcome.evaluations,
        outcome.largest_batch,
        round(simulated, 2),
        round(total_s - simulated, 2),
        round(total_s, 2),
        *outcome[4:],
        told(output),
    )


def _end_with(parent: int) -> None:
    """Do not go on for hours when the comparison has been killed: nobody would read the result."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main() -> None:
    """Entry: prints {"outcome": …, "total_s": …}, or {"refused": message} for bad input, as the last line."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
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
