"""Sweeps to be looked at before they are measured: each with its step, its spikes, or the reason why it is not used."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gbar.sim.errors import GbarError
from gbar.sim.features import SETTINGS
from gbar.sim.problem import Problem
from gbar.sim.recordings.files import read_files
from gbar.sim.recordings.intake import Good, is_left_out, understood
from gbar.sim.recordings.match import assigned
from gbar.sim.recordings.quality import check_sweep
from gbar.sim.recordings.reading import Reading
from gbar.sim.recordings.stimulus import Square
from gbar.sim.recordings.sweep import Raw, Sweep, Unusable


@dataclass(frozen=True)
class LookedAt:
    """One recorded sweep."""

    name: str
    sweep: Sweep | None  # None where it cannot even be read
    step: Square | None
    reason: str  # why it is not used; "" where it is
    left_out: bool  # by the user
    protocol: str  # of the problem, that has its step; "" for none
    spikes: list[float]  # ms, where it crosses the threshold


def look(problem: Problem, paths: Sequence[Path], reading: Reading) -> list[LookedAt]:
    """Every sweep of some files, in their order. Raises GbarError where a file is of no known kind."""
    threshold = float({**SETTINGS, **problem.efel}["Threshold"])
    found = [_looked_at(raw, reading, threshold) for raw in read_files(paths, reading)]
    good = [Good(one.sweep, one.step, None) for one in found if one.sweep and one.step and not one.reason]
    protocols = {one.sweep.name: name for name, sweeps in assigned(problem, good)[0].items() for one in sweeps}
    return [one if one.sweep is None else replace(one, protocol=protocols.get(one.sweep.name, "")) for one in found]


def _looked_at(raw: Raw | Unusable, reading: Reading, threshold: float) -> LookedAt:
    if isinstance(raw, Unusable):
        return LookedAt(raw.cell, None, None, raw.reason, False, "", [])
    if raw.clamped == "voltage":
        return LookedAt(raw.name, None, None, "in voltage clamp: not measured", False, "", [])
    out = is_left_out(raw.name, reading)
    sweep: Sweep | None = None
    step: Square | None = None
    reason = "left out by you" if out else ""
    try:
        sweep, _, step, test = understood(raw, reading)
        check_sweep(sweep, step, test, threshold, reading.current_unit is not None)
    except GbarError as error:
        reason = reason or str(error).removeprefix(f"{raw.name}: ")
    if sweep is None:
        return LookedAt(raw.name, None, None, reason, out, "", [])
    above = sweep.v > threshold
    rises = np.flatnonzero(above[1:] & ~above[:-1]) + 1
    return LookedAt(raw.name, sweep, step, reason, out, "", [float(k * sweep.interval) for k in rises])
