"""Recorded sweeps kept beside the table that was measured on them, so that a page can draw them beneath the model's.

TABLE_sweeps.npz holds, as a run's traces.npz does, "01/PROTOCOL/t" ms and "01/PROTOCOL/v" mV of each sweep, and
"01/PROTOCOL/current" nA and "01/PROTOCOL/sweep", where it is from. A step begins at its protocol's delay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from gbar.sim.errors import GbarError
from gbar.sim.files import packed_arrays, read_arrays
from gbar.sim.problem import Problem
from gbar.sim.recordings.intake import Good

MOST = 8  # sweeps of a protocol: more cannot be told apart in a plot
BEFORE_MS, AFTER_MS = 100.0, 300.0  # around the step, that are kept
DECIMALS = 2  # of a voltage in mV: finer than any rig's noise


@dataclass(frozen=True)
class Recorded:
    """A sweep as it was kept."""

    sweep: str  # where it is from
    current: float  # nA of its step
    t: np.ndarray  # [T] ms, on the clock of its protocol
    v: np.ndarray  # [T] mV


def kept_file(table: Path) -> Path:
    """Where the sweeps of a table are."""
    return table.with_name(f"{table.stem}_sweeps.npz")


def pack(problem: Problem, sweeps: Mapping[str, Sequence[Good]]) -> bytes:
    """The file's content: sweeps by the problem's protocols, `MOST` of each at most, of as many cells as can be."""
    arrays: dict[str, np.ndarray] = {}
    for protocol, used in sweeps.items():
        delay = problem.stimuli[protocol].delay
        for number, one in enumerate(_spread(used), start=1):
            t = one.sweep.t - one.step.start
            near = (t >= -BEFORE_MS) & (t <= one.step.duration + AFTER_MS)
            name = f"{number:02d}/{protocol}"
            arrays[f"{name}/t"] = (t[near] + delay).astype(np.float32)
            arrays[f"{name}/v"] = one.sweep.v[near].round(DECIMALS).astype(np.float32)
            arrays[f"{name}/current"] = np.array(one.step.amplitude)
            arrays[f"{name}/sweep"] = np.array(one.sweep.name)
    return packed_arrays(arrays)


def _spread(sweeps: Sequence[Good]) -> list[Good]:
    """The first sweep of every cell, then the second …"""
    cells: dict[str, list[Good]] = {}
    for one in sweeps:
        cells.setdefault(one.sweep.cell, []).append(one)
    turns = chain.from_iterable(zip_longest(*cells.values()))
    return [one for one in turns if one is not None][:MOST]


def read_kept(table: Path) -> dict[str, list[Recorded]]:
    """The sweeps beside a table, by protocol; nothing where none were kept.

    Raises:
        GbarError: the file is damaged or something else.
    """
    file = kept_file(table)
    found: dict[str, list[Recorded]] = {}
    if not file.is_file():
        return found
    arrays = read_arrays(file)
    for name in sorted(arrays):
        if not name.endswith("/t"):
            continue
        key = name.removesuffix("/t")
        number, _, protocol = key.partition("/")
        t, v = arrays[name], arrays.get(f"{key}/v", np.array(None))
        current, sweep = (arrays.get(f"{key}/{what}", np.array(None)) for what in ("current", "sweep"))
        whole = number.isdigit() and t.ndim == 1 and t.shape == v.shape and current.shape == sweep.shape == ()
        if not whole or t.dtype.kind + v.dtype.kind + current.dtype.kind + sweep.dtype.kind != "fffU":
            raise GbarError(f"{file}: not the sweeps that gbar recordings writes: {key}")
        one = Recorded(str(sweep), float(current), t.astype(float), v.astype(float))
        found.setdefault(protocol, []).append(one)
    return found
