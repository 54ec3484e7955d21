"""The published comparison: the same cell, score, budget, workers and seeds for every method."""

import csv
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agent import goal as goals
from agent.accelerate import configure
from agent.loop import MindConfig, TuneConfig, search
from sim import Accuracy, Archive, GbarError, Problem, Workers, design, load_problem
from sim.errors import nearest

METHODS = ("gbar", "gbar-policy", "gbar-gradient", "cma", "random")
POPULATION = 16  # of CMA-ES, and the batch of every method


class Score(NamedTuple):
    """One run of one method on one cell. Times are wall clock."""

    problem: str
    cell: str
    method: str
    seed: int
    tolerance: float
    budget: int
    workers: int
    solved: bool
    evaluations: int  # to the first confirmed solution, or all of the budget
    simulate_s: float
    think_s: float  # everything else: fitting, planning, compiling; the optimiser itself
    total_s: float


def find_tables(folder: Path, only: Sequence[str] = ()) -> list[Path]:
    """The tables of measurements in a folder, or those of them that are named.

    Raises:
        GbarError: there is none, or none of that name.
    """
    found = {file.stem: file for file in sorted(folder.glob("*.csv")) if file.stem != "hidden"}
    for name in only:
        if name not in found:
            raise GbarError(f"{folder}: no table '{name}'{nearest(name, found)}")
    if not found:
        raise GbarError(f"{folder}: no tables of measurements: expected CSV files, or another folder with --cells")
    return [file for name, file in found.items() if not only or name in only]


def compare(
    folder: Path,
    tables: Sequence[Path],
    methods: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    tolerance: float = 1.0,
    budget: int = 2000,
    workers: int = 2,
) -> Iterator[Score]:
    """Run every method on every table with every seed; rows already in the CSV `out` are kept and not run again.

    Yields:
        Every row, old ones included.
    """
    for method in methods:
        if method not in METHODS:
            raise GbarError(f"no method '{method}'{nearest(method, METHODS)}")
    configure()
    done = {(s.problem, s.cell, s.method, s.seed, s.tolerance, s.budget): s for s in read_scores(out)}
    for table in tables:
        problem = load_problem(folder, table)
        for method in methods:
            for seed in seeds:
                key = (problem.name, table.stem, method, seed, tolerance, budget)
                if key not in done:
                    done[key] = _run(problem, method, seed, tolerance, budget, workers)
                    _append(out, done[key])
                yield done[key]


def _run(problem: Problem, method: str, seed: int, tolerance: float, budget: int, workers: int) -> Score:
    start = time.perf_counter()
    if method.startswith("gbar"):
        planner: Any = method.removeprefix("gbar").lstrip("-") or "both"
        config = TuneConfig(budget, 1, tolerance, seed, workers, mind=MindConfig(planner=planner))
        with tempfile.TemporaryDirectory() as scratch, Archive(Path(scratch) / "archive.sqlite", problem) as archive:
            session = search(problem, config, archive, Path(scratch) / "neuron.log")
        first, simulated = session.first_solution_at, session.seconds["simulate"]
    else:
        first, simulated = _optimise(problem, OPTIMISERS[method](len(problem.names), seed), tolerance, budget, workers)
    total = time.perf_counter() - start
    return Score(
        problem.name,
        problem.measurements_file.stem if problem.measurements_file else "",
        method,
        seed,
        tolerance,
        budget,
        workers,
        first is not None,
        first or budget,
        round(simulated, 2),
        round(total - simulated, 2),
        round(total, 2),
    )


class Optimiser(NamedTuple):
    """Ask for a batch [B, D] in the unit cube, tell its scores [B]."""

    ask: Callable[[], np.ndarray]
    tell: Callable[[np.ndarray, np.ndarray], None]


def _cma(dimension: int, seed: int) -> Optimiser:
    """pycma at its defaults within bounds, from the middle with a step of 0.3 of the range, popsize 16."""
    import cma

    options = {"bounds": [0, 1], "popsize": POPULATION, "seed": seed + 1, "verbose": -9, "maxiter": np.inf}
    strategy = cma.CMAEvolutionStrategy(np.full(dimension, 0.5), 0.3, options)
    return Optimiser(lambda: np.array(strategy.ask()), lambda u, scores: strategy.tell(list(u), list(scores)))


def _random(dimension: int, seed: int) -> Optimiser:
    """A Sobol sequence."""
    points = iter(design(dimension, 1 << 16, seed))
    return Optimiser(lambda: np.array([next(points) for _ in range(POPULATION)]), lambda u, scores: None)


OPTIMISERS: dict[str, Callable[[int, int], Optimiser]] = {"cma": _cma, "random": _random}


def _optimise(
    problem: Problem, optimiser: Optimiser, tolerance: float, budget: int, workers: int
) -> tuple[int | None, float]:
    """Evaluations to the first confirmed solution (None: not within the budget) and seconds spent simulating.

    The score is the square of gbar's own distance: mean of asinh(z)^2, undefined features counting as far away.
    """
    goal, keys = goals.goal_of(problem.measurements, tolerance), [m.key for m in problem.measurements]
    made, simulated = 0, 0.0
    with Workers(problem, workers) as pool:

        def z_of(u: np.ndarray, accuracy: Accuracy) -> np.ndarray:
            nonlocal made, simulated
            start = time.perf_counter()
            done = dict(pool.run(list(problem.physical(u)), accuracy=accuracy))
            simulated, made = simulated + time.perf_counter() - start, made + len(u)
            features = np.array([[done[i].features.get(key, np.nan) for key in keys] for i in range(len(u))])
            return goals.z_scores(features, goal)

        search_at, confirm_at = Accuracy.of(problem), Accuracy.of(problem).tight()
        while made < budget:
            u = optimiser.ask()[: budget - made]
            z = z_of(u, search_at)
            met = np.flatnonzero(goals.worst(z) <= tolerance)
            if len(met) and (goals.worst(z_of(u[met[:1]], confirm_at)) <= tolerance).all():
                return made, simulated
            if len(u) == POPULATION:
                optimiser.tell(u, goals.distance(z) ** 2)
    return None, simulated


def read_scores(file: Path) -> list[Score]:
    """The rows of a CSV that `compare` wrote; none where there is no file."""
    if not file.exists():
        return []
    kinds: dict[str, Callable[[str], Any]] = {
        name: (lambda text: text == "True") if kind is bool else kind for name, kind in Score.__annotations__.items()
    }
    with file.open(newline="") as stream:
        return [Score(**{name: kinds[name](value) for name, value in row.items()}) for row in csv.DictReader(stream)]


def _append(file: Path, score: Score) -> None:
    new = not file.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(Score._fields)
        writer.writerow(score)


class Summary(NamedTuple):
    """One method over all cells and seeds; an unsolved run counts at its whole budget."""

    method: str
    runs: int
    solved: int
    median_evaluations: float
    worst_evaluations: int
    median_simulate_s: float
    median_think_s: float
    median_total_s: float


def summarise(scores: Iterable[Score]) -> list[Summary]:
    """A row a method, fewest evaluations first."""
    by_method: dict[str, list[Score]] = {}
    for score in scores:
        by_method.setdefault(score.method, []).append(score)
    rows = [
        Summary(
            method,
            len(runs),
            sum(run.solved for run in runs),
            float(np.median([run.evaluations for run in runs])),
            max(run.evaluations for run in runs),
            *(float(np.median([getattr(run, part) for run in runs])) for part in ("simulate_s", "think_s", "total_s")),
        )
        for method, runs in by_method.items()
    ]
    return sorted(rows, key=lambda row: row.median_evaluations)
