"""Cells whose answer is known: features of hidden parameter vectors, written as tables of measurements.

They are what the benchmarks tune to: a solution certainly exists, and nobody can tune a method to its location.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gbar.sim import GbarError
from gbar.sim.engine import Evaluation
from gbar.sim.files import as_csv, write_whole
from gbar.sim.pool import Workers
from gbar.sim.problem import COLUMNS, SD_SHARE, Integrator, Problem, ResponseKey, typical_sd

MARGIN = 0.1  # hidden vectors keep this share of each range from its ends
NEAR = 0.1  # of each range: SD of hidden vectors around a published one
DRAWN = 40  # vectors for each that is wanted, at most, before the place is given up
MIN_SPIKES = 5  # on every sustained step


def make_cells(problem: Problem, wanted: Sequence[str], count: int, seed: int, workers: int, folder: Path) -> None:
    """Draw hidden parameter vectors and write what an experimenter would have measured on each.

    Args:
        problem: defines parameters and protocols.
        wanted: "protocol.feature" names to measure.
        count: cells to write, as `00.csv`, `01.csv`, …; the vectors themselves go to `hidden.csv`.
        seed: of the draw; vectors are uniform on the parameters' own scales and redrawn until `_usable`.
        workers: processes.
        folder: where the files go.
    """
    draw = np.random.default_rng(seed)

    def drawn(size: int) -> np.ndarray:
        return draw.uniform(MARGIN, 1 - MARGIN, (size, len(problem.names)))

    cells = _cells(problem, drawn, lambda cell: _usable(problem, cell, wanted), count, workers)
    rows = [_rows(problem, cell, dict.fromkeys(wanted)) for _, cell in cells]
    made = f"SD = {SD_SHARE:.0%} of the value, with a floor. Made by scripts/bench/make_cells.py"
    _write(problem, folder, [x for x, _ in cells], rows, f"seed {seed}; {made}")


def hide_near(problem: Problem, values: Mapping[str, float], count: int, seed: int, workers: int, folder: Path) -> None:
    """Write tables as `make_cells` does, of vectors around published parameters, with the SDs of the problem's table.

    Args:
        problem: with measurements, all of which each of the cells has.
        values: published, NEURON's units; the middle of the bounds for what is not named.
        count, seed, workers, folder: as there.

    Raises:
        GbarError: cells that have all measurements are rare there.
    """
    draw, middle = np.random.default_rng(seed), problem.physical(np.full((1, len(problem.names)), 0.5))[0]
    published = [values.get(name, other) for name, other in zip(problem.names, middle, strict=True)]
    centre, sds = problem.unit(np.array([published]))[0], {m.key: m.sd for m in problem.measurements}

    def drawn(size: int) -> np.ndarray:
        near: np.ndarray = np.clip(centre + NEAR * draw.standard_normal((size, len(centre))), 0, 1)
        return near

    def has_all(cell: Evaluation) -> bool:
        return cell.status == "ok" and all(math.isfinite(cell.features[key]) for key in sds)

    cells = _cells(problem, drawn, has_all, count, workers)
    made = f"seed {seed}, around the published parameters; SDs of the recorded cells"
    _write(problem, folder, [x for x, _ in cells], [_rows(problem, cell, sds) for _, cell in cells], made)


def _cells(
    problem: Problem,
    drawn: Callable[[int], np.ndarray],
    is_usable: Callable[[Evaluation], bool],
    count: int,
    workers: int,
) -> list[tuple[np.ndarray, Evaluation]]:
    """The first of the vectors drawn, [size, D] in the unit cube, whose cells are usable. Raises GbarError."""
    cells: list[tuple[np.ndarray, Evaluation]] = []
    made = 0
    with Workers(problem, workers, Integrator.of(problem).tight()) as pool:
        while len(cells) < count:
            if made >= DRAWN * count:
                raise GbarError(f"{len(cells)} of {made} vectors can be used: {count} are wanted")
            xs = problem.physical(drawn(2 * workers))
            done = dict(pool.run(list(xs)))
            cells += [(xs[i], done[i]) for i in range(len(xs)) if is_usable(done[i])]
            made += len(xs)
    return cells[:count]


def _write(
    problem: Problem,
    folder: Path,
    hidden: Sequence[np.ndarray],
    tables: Sequence[Sequence[Sequence[object]]],
    made: str,
) -> None:
    """A table a cell, `00.csv` and on, and `hidden.csv`, which says what they were made with."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(tables):
        title = f"# Hidden vector {number} of {made}\n"
        write_whole(folder / f"{number:02d}.csv", title + as_csv([COLUMNS, *rows]))
    vectors = [[f"{number:02d}", *(f"{v:.8g}" for v in x)] for number, x in enumerate(hidden)]
    write_whole(folder / "hidden.csv", as_csv([["cell", *problem.names], *vectors]))


def _usable(problem: Problem, cell: Evaluation, wanted: Sequence[str]) -> bool:
    """Every wanted feature is defined, one spike follows a pulse, and the cell keeps firing on every sustained step."""
    if cell.status != "ok" or not all(math.isfinite(cell.features[key]) for key in wanted):
        return False
    for name, protocol in problem.protocol.items():
        spikes = cell.features.get(f"{name}.Spikecount", math.nan)
        if protocol.kind == "pulse" and spikes != 1:
            return False
        if protocol.kind == "step" and protocol.sign > 0:
            blocked = cell.features[f"{name}.depol_block_bool"] != 0
            if spikes < MIN_SPIKES or blocked or _stops_early(protocol.duration, cell, name):
                return False
    return True


def _stops_early(duration: float, cell: Evaluation, name: str) -> bool:
    """The last interval fits more than twice between the last spike and the end: the cell fell silent."""
    silent = duration - cell.features[f"{name}.time_to_last_spike"]
    return silent > 2 * 1000.0 / cell.features[f"{name}.inv_last_ISI"]


def _rows(problem: Problem, cell: Evaluation, sds: Mapping[str, float | None]) -> list[Sequence[object]]:
    """What is written of a cell: a row for each of the keys, with a typical SD where there is none."""
    rows: list[Sequence[object]] = []
    for key, given in sds.items():
        at, unit, value = ResponseKey.parse(key), problem.unit_of(key) or "", cell.features[key]
        sd = typical_sd(unit, value) if given is None else given
        rows.append([at.response, at.feature, f"{value:.6g}", f"{sd:.4g}", unit.replace("MΩ", "MOhm")])
    return rows
