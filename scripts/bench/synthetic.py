"""Cells whose answer is known: features of hidden parameter vectors, written as tables of measurements.

They are what the benchmarks tune to: a solution certainly exists, and nobody can tune a method to its location.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gbar.sim.engine import Evaluation
from gbar.sim.files import as_csv, write_whole
from gbar.sim.pool import Workers
from gbar.sim.problem import COLUMNS, SD_SHARE, Integrator, Problem, ResponseKey, typical_sd

MARGIN = 0.1  # hidden vectors keep this share of each range from its ends
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
    cells: list[tuple[np.ndarray, Evaluation]] = []
    with Workers(problem, workers, Integrator.of(problem).tight()) as pool:
        while len(cells) < count:
            xs = problem.physical(draw.uniform(MARGIN, 1 - MARGIN, (2 * workers, len(problem.names))))
            done = dict(pool.run(list(xs)))
            cells += [(xs[i], done[i]) for i in range(len(xs)) if _usable(problem, done[i], wanted)]
    folder.mkdir(parents=True, exist_ok=True)
    for number, (_, cell) in enumerate(cells[:count]):
        _write_cell(problem, folder / f"{number:02d}.csv", cell, wanted, f"Hidden vector {number} of seed {seed}")
    hidden = [[f"{number:02d}", *(f"{v:.8g}" for v in x)] for number, (x, _) in enumerate(cells[:count])]
    write_whole(folder / "hidden.csv", as_csv([["cell", *problem.names], *hidden]))


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


def _write_cell(problem: Problem, file: Path, cell: Evaluation, wanted: Sequence[str], title: str) -> None:
    rows: list[Sequence[object]] = [COLUMNS]
    for key in wanted:
        at, unit, value = ResponseKey.parse(key), problem.unit_of(key) or "", cell.features[key]
        sd = typical_sd(unit, value)
        rows.append([at.response, at.feature, f"{value:.6g}", f"{sd:.4g}", unit.replace("MΩ", "MOhm")])
    made = f"# {title}; SD = {SD_SHARE:.0%} of the value, with a floor. Made by scripts/bench/make_cells.py\n"
    write_whole(file, made + as_csv(rows))
