"""Steps as percentages of each cell's own rheobase, so that cells of different sizes can be averaged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gbar.sim.errors import GbarError
from gbar.sim.problem import Problem, Step
from gbar.sim.recordings.intake import Good
from gbar.sim.recordings.match import (
    HOLDING,
    PULSE_MS,
    AtRheobase,
    close,
    holding_keys,
    lasts,
    rheobases,
    series,
    site,
    step_keys,
)
from gbar.sim.recordings.sweep import cell_name

APART = 25.0  # % of the rheobase between the steps that are one protocol and those of the next
NEAR = 0.02  # of the mean percentage: a protocol that is made has the multiple of `APART` that is as near,
ROUNDED = 5.0  # %, or else a multiple of this
PRECISION = 0.02  # of a rheobase, as it is searched for in the model
WIDEST = 5.0  # times the largest recorded rheobase: as far as it is searched for


@dataclass
class Relative:
    """What was found of percentages of a rheobase."""

    content: dict[str, dict[str, Any]] = field(default_factory=dict)  # protocols made, as problem.toml has them
    sweeps: dict[str, list[Good]] = field(default_factory=dict)  # by protocol, with the percentage of each
    said: list[str] = field(default_factory=list)


def assigned_percentages(problem: Problem, good: Sequence[Good], threshold: float) -> Relative:
    """Sweeps by the protocol of the problem that is nearest to their percentage of the cell's rheobase."""
    found = Relative()
    steps = {name: p for name, p in problem.protocol.items() if isinstance(p, Step) and p.percent is not None}
    for base in dict.fromkeys(str(protocol.relative_to) for protocol in steps.values()):
        rheobase = problem.rheobases[base]
        at = rheobases(good, rheobase.duration, None, threshold)
        found.said += _said(at, rheobase.duration)
        for one in _with_percentages(good, at, None):
            fitting = [
                name for name, p in steps.items() if p.relative_to == base and lasts(one.step.duration, p.duration)
            ]
            nearest = min(fitting, key=lambda name: abs(_percent(steps[name]) - one.percent), default=None)
            if nearest is not None and abs(_percent(steps[nearest]) - one.percent) <= APART / 2:
                found.sweeps.setdefault(nearest, []).append(one)
    return found


def created_percentages(problem: Problem, good: Sequence[Good], known: Relative, threshold: float) -> Relative:
    """Protocols of the steps of all cells, as percentages of each cell's own rheobase, and the rheobase's own.

    Args:
        problem: its rheobase protocols are used where they last as long as the steps; its names are not used again.
        good: all sweeps.
        known: those that a protocol of the problem has already.
        threshold: mV that a spike crosses.

    Raises:
        GbarError: no cell fires.
    """
    found = Relative({}, {**known.sweeps}, [*known.said])
    assigned = {one.sweep.name for used in known.sweeps.values() for one in used}
    for duration in _durations(good):
        at = rheobases(good, duration, None, threshold)
        if not at:
            continue
        silent = [cell for cell in series(good, duration, None) if cell not in at]
        said = _said(at, duration) + [f"{cell_name(cell)} fires under no {duration:.4g} ms step" for cell in silent]
        found.said += [line for line in said if line not in found.said]
        base = next((name for name, p in problem.rheobases.items() if lasts(duration, p.duration)), "")
        rest = [one for one in _with_percentages(good, at, duration) if one.sweep.name not in assigned]
        groups = _groups(rest)
        if not groups:
            continue
        used = [one for group in groups.values() for one in group]
        if not base:
            base = _new_name("rheobase", problem, found.content)
            found.content[base] = _rheobase_keys(used, at) | site(problem)
        for percent, group in groups.items():
            name = _new_name(f"step_{percent:g}pct".replace("-", "minus_"), problem, found.content)
            keys = {key: value for key, value in step_keys(group).items() if key not in {"amplitude", "holding"}}
            shares = {"relative_to": base, "percent": percent} | _holding(used, at)
            found.content[name] = keys | shares | site(problem)
            found.sweeps[name] = group
        levels = {cell_name(cell): round(1e3 * one.sweep.step.holding, 1) for cell, one in at.items()}
        if not close(min(levels.values()), max(levels.values()), (HOLDING[0], 1e3 * HOLDING[1])):
            each = ", ".join(f"{cell} {level:g}" for cell, level in levels.items())
            found.said.append(f"cells were held at different currents ({each} pA): protocols have their mean")
    if not found.said:
        raise GbarError("--relative: no cell fires under any step: no rheobase that others could be relative to")
    return found


def _durations(good: Sequence[Good]) -> list[float]:
    """The durations of recorded steps, ms, each once."""
    found: list[float] = []
    for one in good:
        if one.step.duration >= PULSE_MS and not any(lasts(one.step.duration, other) for other in found):
            found.append(one.step.duration)
    return found


def _with_percentages(good: Sequence[Good], at: Mapping[str, AtRheobase], duration: float | None) -> list[Good]:
    """The sweeps of cells whose rheobase is known, on the same holding current; of a duration (ms) or of any."""
    found = []
    for cell, rheobase in at.items():
        own = [one for one in good if one.sweep.cell == cell]
        if duration is not None:
            own = series(own, duration, rheobase.sweep.step.holding).get(cell, [])
        held = rheobase.sweep.step.holding
        same = [one for one in own if close(one.step.holding, held, HOLDING, one.step.amplitude)]
        found += [one._replace(percent=100 * one.step.amplitude / rheobase.current) for one in same]
    return found


def _groups(sweeps: Sequence[Good]) -> dict[float, list[Good]]:
    """Sweeps by percentage: steps near the same multiple of `APART`; below 100 % no cell fires, so none is with it."""
    bins: dict[int, list[Good]] = {}
    for one in sorted(sweeps, key=lambda one: one.percent):
        nearest = round(one.percent / APART)
        whole = round(100 / APART)
        bins.setdefault(min(nearest, whole - 1) if one.percent < 100 * (1 - 1e-9) else nearest, []).append(one)
    found: dict[float, list[Good]] = {}
    for group in bins.values():
        of_cells: dict[str, list[float]] = {}
        for one in group:
            of_cells.setdefault(one.sweep.cell, []).append(one.percent)
        mean = float(np.mean([np.mean(percents) for percents in of_cells.values()]))
        step = APART if abs(APART * round(mean / APART) - mean) <= NEAR * abs(mean) else ROUNDED
        if percent := step * round(mean / step):
            found.setdefault(percent, []).extend(group)
    return found


def _rheobase_keys(used: Sequence[Good], at: Mapping[str, AtRheobase]) -> dict[str, Any]:
    currents = [one.current for one in at.values()]
    keys = {key: value for key, value in step_keys(used).items() if key not in {"amplitude", "holding"}}
    keys |= {"kind": "rheobase", "bounds": [0.0, float(f"{WIDEST * max(currents):.2g}")]}
    return keys | {"precision": float(f"{PRECISION * min(currents):.1g}")} | _holding(used, at)


def _holding(used: Sequence[Good], at: Mapping[str, AtRheobase]) -> dict[str, float]:
    """The mean holding current of the cells."""
    return holding_keys([one.sweep.step.holding for one in at.values()], min(abs(one.step.amplitude) for one in used))


def _said(at: Mapping[str, AtRheobase], duration: float) -> list[str]:
    lines = []
    for cell, one in at.items():
        known = np.isfinite(one.gap)
        doubt = "" if known else ", the weakest recorded step, and it fires: the true one is lower, percentages higher"
        lines.append(f"rheobase of {cell_name(cell)} ({duration:.4g} ms): {1e3 * one.current:.4g} pA{doubt}")
    return lines


def _percent(protocol: Step) -> float:
    assert protocol.percent is not None
    return protocol.percent


def _new_name(name: str, problem: Problem, made: Mapping[str, Any]) -> str:
    number, base = 2, name
    while name in problem.protocol or name in made:
        name, number = f"{base}_{number}", number + 1
    return name
