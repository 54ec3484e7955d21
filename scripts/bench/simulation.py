"""What each engine costs and how accurate it is: the comparison that `gbar bench sim` prints."""

import csv
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gbar.sim.archive import design
from gbar.sim.engine import Evaluation
from gbar.sim.errors import GbarError
from gbar.sim.features import unit_of
from gbar.sim.files import as_csv, write_whole
from gbar.sim.pool import Workers
from gbar.sim.problem import Integrator, Measurement, Problem, ResponseKey, load_problem, typical_sd

REFERENCE = Integrator("cvode", 1e-7)
PLAIN = Integrator("plain")  # h.continuerun at dt 0.025 on one cell: what a script does
ENGINES = (
    PLAIN,
    *(Integrator("cvode", atol) for atol in (1e-3, 1e-4, 1e-5)),
    *(Integrator("neuron", dt=dt) for dt in (0.025,)),
    *(Integrator("coreneuron", dt=dt) for dt in (0.05, 0.025, 0.0125)),
)
MARKERS = "osD^v<>Ph*X"
JITTER = 0.03  # SD of near-target vectors around their cell's hidden one, in the unit cube
TIMED = 64  # evaluations of a batch in one timing; single-cell engines make a part of them
SHARE = {"plain": 16, "cvode": 4, "fixed": 16}  # of those, one in so many


class Points(NamedTuple):
    """Parameter vectors, and the measurements that say what an error is worth."""

    x: np.ndarray  # [N, D] NEURON's units
    sds: list[dict[str, float]]  # of each vector: "protocol.feature" -> SD; a typical one where it is not measured


class Errors(NamedTuple):
    """How far an engine's features are from the reference's, in SDs."""

    within_quarter: float  # share of features within 0.25 SD
    within_one: float
    n: int  # features compared


class Row(NamedTuple):
    """One engine."""

    engine: str
    ms: float  # of processor time for an evaluation, median over repeats
    per_second: float  # evaluations on one core
    times_plain: float  # median over repeats, each paired
    times_cvode: float  # against atol 1e-4
    plumbing: float  # share of the processor time that is not NEURON's
    near: Errors
    random: Errors


def compare_engines(
    problem: Problem,
    engines: Sequence[Integrator] = ENGINES,
    near: int = 50,
    random: int = 200,
    repeats: int = 5,
    workers: int = 2,
    seed: int = 0,
    observe: Callable[[str], None] = lambda doing: None,
) -> list[Row]:
    """Simulate the same vectors with every engine.

    Args:
        problem: whose cells (measurements/cells with hidden.csv) say what is near a target; its own values do where it
            has none.
        near, random: how many vectors errors are taken on; the plain loop is timed only.
        repeats: of the timing; in each, every engine simulates the same vectors in turn.

    Raises:
        GbarError: an engine cannot simulate the model.
    """
    close, broad = near_points(problem, near, seed), random_points(problem, random, seed)
    errors: dict[Integrator, tuple[Errors, Errors]] = {}
    every = np.concatenate([close.x, broad.x])
    observe(f"the reference, {REFERENCE}")
    truth = _simulated(problem, every, REFERENCE, workers)
    for engine in engines:
        if engine != PLAIN:
            observe(f"errors of {engine}")
            found = _simulated(problem, every, engine, workers)
            errors[engine] = (
                _errors(found[:near], truth[:near], close.sds),
                _errors(found[near:], truth[near:], broad.sds),
            )
    costs: dict[Integrator, list[tuple[float, float]]] = {engine: [] for engine in engines}
    x = random_points(problem, TIMED, seed + 1).x
    for repeat in range(repeats):
        for engine in engines:
            observe(f"timing {repeat + 1} of {repeats}: {engine}")
            share = SHARE.get(engine.engine, 1)
            costs[engine].append(_cost(problem, x[repeat % share :: share], engine))
    nothing = Errors(math.nan, math.nan, 0)
    plain, cvode = costs.get(PLAIN), costs.get(Integrator("cvode", 1e-4))
    return [_row(engine, costs[engine], plain, cvode, *errors.get(engine, (nothing, nothing))) for engine in engines]


def chosen_engines(names: str) -> tuple[Integrator, ...]:
    """The engines that are named, with commas between them; all of `ENGINES` where none is. Raises GbarError."""
    listed = [name.strip() for name in names.split(",") if name.strip()]
    return tuple(PLAIN if name == PLAIN.engine else Integrator.parse(name) for name in listed) or ENGINES


def batch_sizes(
    problem: Problem, sizes: Sequence[int], accuracy: Integrator, repeats: int = 3
) -> Iterator[tuple[int, float]]:
    """(copies in a batch, ms of processor time for an evaluation), the least of a few repeats."""
    for size in sizes:
        x = random_points(problem, size, 1).x
        with Workers(problem, 1, accuracy) as pool:
            pool.copies = size
            best = min(np.mean([e.cpu for _, e in pool.run(list(x))]) for _ in range(repeats))
        yield size, 1000 * float(best)


def random_points(problem: Problem, count: int, seed: int) -> Points:
    """Vectors of a space-filling design; an error is worth what the problem's own measurements say."""
    sds = {m.key: m.sd for m in problem.measurements}
    return Points(problem.physical(design(len(problem.names), count, seed)), [sds] * count)


def near_points(problem: Problem, count: int, seed: int) -> Points:
    """Vectors around the hidden ones of the problem's cells, in turn, each with its cell's SDs."""
    cells = list(_cells(problem.folder / "measurements" / "cells", problem))
    if not cells:
        with Workers(problem, 1) as pool:
            own = pool.found.own
        cells = [(own, problem.measurements)]
    draw = np.random.default_rng(seed)
    chosen = [cells[i % len(cells)] for i in range(count)]
    unit = problem.nearest(np.array([x for x, _ in chosen]))
    unit = np.clip(unit + draw.normal(0, JITTER, unit.shape), 0, 1)
    return Points(problem.physical(unit), [{m.key: m.sd for m in measured} for _, measured in chosen])


def _cells(folder: Path, problem: Problem) -> Iterator[tuple[np.ndarray, Sequence[Measurement]]]:
    if not (folder / "hidden.csv").is_file():
        return
    with (folder / "hidden.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            table = load_problem(problem.file, folder / f"{row['cell']}.csv")
            yield np.array([float(row[name]) for name in problem.names]), table.measurements


def _simulated(problem: Problem, x: np.ndarray, accuracy: Integrator, workers: int) -> list[Evaluation]:
    with Workers(problem, workers, accuracy) as pool:
        done = dict(pool.run(list(x)))
    return [done[i] for i in range(len(x))]


def _errors(found: Sequence[Evaluation], truth: Sequence[Evaluation], sds: Sequence[dict[str, float]]) -> Errors:
    """Compare where the reference has a value or the engine has one that the reference has not."""
    z = []
    for one, other, sd in zip(found, truth, sds, strict=True):
        for key in sd or other.features:
            a, b = one.features.get(key, math.nan), other.features.get(key, math.nan)
            if math.isfinite(a) or math.isfinite(b):
                width = sd.get(key) or typical_sd(unit_of(ResponseKey.parse(key).feature) or "", b)
                z.append(abs(a - b) / width if math.isfinite(a) and math.isfinite(b) else math.inf)
    size = np.array(z)
    return Errors(float(np.mean(size <= 0.25)), float(np.mean(size <= 1.0)), len(size))


def _cost(problem: Problem, x: np.ndarray, accuracy: Integrator) -> tuple[float, float]:
    """Seconds of processor time for an evaluation, and the share of it that is not NEURON's."""
    with Workers(problem, 1, accuracy) as pool:
        list(pool.run(list(x if accuracy.batched else x[:1])))  # loaded, all copies made, and warm
        start = time.process_time()
        done = [evaluation for _, evaluation in pool.run(list(x))]
        ours = time.process_time() - start
    worker, measuring = (sum(getattr(e, part) for e in done) for part in ("cpu", "measuring"))
    return (worker + ours) / len(x), (measuring + ours) / (worker + ours)


def _row(
    engine: Integrator,
    costs: list[tuple[float, float]],
    plain: list[tuple[float, float]] | None,
    cvode: list[tuple[float, float]] | None,
    near: Errors,
    random: Errors,
) -> Row:
    seconds, plumbing = np.median(np.array(costs), axis=0)

    def times(other: list[tuple[float, float]] | None) -> float:
        if other is None:
            return math.nan
        return float(np.median([theirs[0] / ours[0] for theirs, ours in zip(other, costs, strict=True)]))

    name = "plain loop dt 0.025" if engine == PLAIN else str(engine)
    return Row(name, 1000 * seconds, 1 / seconds, times(plain), times(cvode), float(plumbing), near, random)


def write_rows(file: Path, rows: Sequence[Row], batches: Sequence[tuple[int, float]]) -> None:
    """Keep a comparison as CSV: a row an engine, then a row a batch size."""
    file.resolve().parent.mkdir(parents=True, exist_ok=True)
    errors = [f"{what}_{part}" for what in ("near", "random") for part in Errors._fields]
    engines = [[*map(_short, row[:-2]), *map(_short, (*row.near, *row.random)), ""] for row in rows]
    copies = [[f"coreneuron, {size} copies", _short(ms), *[""] * (len(errors) + 4), size] for size, ms in batches]
    write_whole(file, as_csv([[*Row._fields[:-2], *errors, "copies"], *engines, *copies]))


def _short(value: object) -> object:
    return ("" if math.isnan(value) else f"{value:.5g}") if isinstance(value, float) else value


def draw(rows: Sequence[Row], batches: Sequence[tuple[int, float]], file: Path) -> None:
    """Cost of an evaluation against the share of near-target features that are further than 0.25 SD from the reference,
    and cost against the number of copies. Raises GbarError: matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        raise GbarError("--figure needs matplotlib: pip install matplotlib") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4), layout="constrained")
    colours = {"cvode": "tab:blue", "neuron": "tab:orange", "coreneuron": "tab:red"}
    for row, marker in zip((row for row in rows if not math.isnan(row.near.within_quarter)), MARKERS, strict=False):
        missed = max(1 - row.near.within_quarter, 5e-4)
        colour = colours.get(row.engine.partition(" ")[0], "black")
        left.loglog(row.ms, missed, marker, color=colour, label=row.engine)
    for row in (row for row in rows if math.isnan(row.near.within_quarter)):
        left.axvline(row.ms, color="grey", linestyle=":", label=row.engine)
    left.legend(fontsize=7)  # beside the points, names would lie on one another
    left.axhline(0.01, color="black", linewidth=0.5)
    left.set(xlabel="ms of one core for an evaluation", ylabel="near-target features off by more than 0.25 SD")
    right.semilogx([size for size, _ in batches], [ms for _, ms in batches], "o-", color="tab:red", base=2)
    right.set(xlabel="copies in a batch", ylabel="ms of one core for an evaluation", ylim=(0, None))
    figure.savefig(file)
