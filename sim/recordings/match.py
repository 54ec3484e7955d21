"""Which protocol of a problem a recorded step is, or a new one made from it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gbar.sim.problem import CurrentStimulus, Problem, Step
from gbar.sim.recordings.intake import Good
from gbar.sim.recordings.stimulus import Square

AMPLITUDE = (0.05, 0.002)  # what a recorded amplitude may be off: share, nA (the larger)
DURATION = (0.01, 0.1, 1.0)  # share; of a short one this share, up to so many ms
HOLDING = (0.02, 0.005)  # share of the step's amplitude, nA
PULSE_MS = 10.0  # a shorter step is a pulse: what follows it is measured


def close(value: float, wanted: float, tolerance: tuple[float, float], of: float | None = None) -> bool:
    """Whether a value is within a share of `of` (of what is wanted, unless given) or an absolute tolerance."""
    return abs(value - wanted) <= max(tolerance[0] * abs(wanted if of is None else of), tolerance[1])


def lasts(duration: float, wanted: float) -> bool:
    """Whether two durations (ms) are the same."""
    return abs(duration - wanted) <= max(DURATION[0] * wanted, min(DURATION[1] * wanted, DURATION[2]))


def assigned(problem: Problem, good: Sequence[Good]) -> tuple[dict[str, list[Good]], list[Good]]:
    """Sweeps by the protocol that has their step, and those that no protocol has."""
    steps = {  # what is a percentage of a rheobase is matched in `relative`
        name: (protocol, protocol.amplitude)
        for name, protocol in problem.protocol.items()
        if isinstance(protocol, Step) and protocol.amplitude is not None
    }
    found: dict[str, list[Good]] = {}
    left = []
    for one in good:
        fitting = [name for name, (protocol, amplitude) in steps.items() if _is(one, protocol, amplitude)]
        if fitting:
            nearest = min(fitting, key=lambda name: abs(steps[name][1] - one.step.amplitude))
            found.setdefault(nearest, []).append(one)
        else:
            left.append(one)
    return found, left


def _is(one: Good, protocol: Step, amplitude: float) -> bool:
    return (
        close(one.step.amplitude, amplitude, AMPLITUDE)
        and lasts(one.step.duration, protocol.duration)
        and close(one.step.holding, protocol.holding, HOLDING, one.step.amplitude)
    )


class AtRheobase(NamedTuple):
    """The weakest step of a cell that makes a spike."""

    sweep: Good
    gap: float  # nA to the strongest silent step below; NaN where none was recorded: the rheobase is lower still

    @property
    def current(self) -> float:  # nA
        return self.sweep.step.amplitude


def rheobases(good: Sequence[Good], duration: float, holding: float | None, threshold: float) -> dict[str, AtRheobase]:
    """For each cell its rheobase under steps of a duration; cells that never fire are left out.

    Args:
        good: sweeps.
        duration: ms.
        holding: nA; None for each cell's own, the one with the most sweeps.
        threshold: mV that a spike crosses.
    """
    found = {}
    for cell, steps in series(good, duration, holding).items():
        rising = [one for one in steps if one.step.amplitude > 0]
        firing = [one for one in rising if one.sweep.v[one.step.first :].max() > threshold]
        if firing:
            weakest = min(firing, key=lambda one: one.step.amplitude)
            silent = [o.step.amplitude for o in rising if o not in firing]
            below = [amplitude for amplitude in silent if amplitude < weakest.step.amplitude]
            found[cell] = AtRheobase(weakest, weakest.step.amplitude - max(below) if below else float("nan"))
    return found


def series(good: Sequence[Good], duration: float, holding: float | None) -> dict[str, list[Good]]:
    """For each cell its sweeps of a duration (ms) on a holding current (nA; None: the one with the most sweeps)."""
    found = {}
    for cell in dict.fromkeys(one.sweep.cell for one in good):
        steps = [one for one in good if one.sweep.cell == cell and lasts(one.step.duration, duration)]
        levels = [one.step.holding for one in steps] if holding is None else [holding]
        alike = [
            [one for one in steps if close(one.step.holding, level, HOLDING, one.step.amplitude)] for level in levels
        ]
        if most := max(alike, key=len, default=[]):
            found[cell] = most
    return found


def families(problem: Problem, name: str, good: Sequence[Good], threshold: float) -> dict[str, AtRheobase]:
    """For each cell the sweep at its rheobase, where a weaker step was silent.

    Args:
        problem: has a rheobase protocol of this name. One that others are relative to is each cell's own, whatever it
            was held at.
        name: the protocol.
        good: all sweeps.
        threshold: mV that a spike crosses.
    """
    protocol = problem.rheobases[name]
    shared = any(isinstance(p, CurrentStimulus) and p.relative_to == name for p in problem.stimuli.values())
    found = rheobases(good, protocol.duration, None if shared else protocol.holding, threshold)
    return {cell: one for cell, one in found.items() if np.isfinite(one.gap)}


def created(left: Sequence[Good], problem: Problem) -> tuple[dict[str, dict[str, Any]], dict[str, list[Good]]]:
    """Protocols made from the steps that no protocol of the problem has.

    Args:
        left: the sweeps.
        problem: its names are not used again; its other steps say where the electrode is.

    Returns:
        name -> the protocol's keys as problem.toml has them, and name -> its sweeps.
    """
    groups: list[list[Good]] = []
    for one in sorted(left, key=lambda one: (one.step.duration, one.step.amplitude)):
        same = next((group for group in groups if _alike(group[0].step, one.step)), None)
        same.append(one) if same is not None else groups.append([one])
    content: dict[str, dict[str, Any]] = {}
    sweeps: dict[str, list[Good]] = {}
    taken = list(problem.protocol)
    for group in groups:
        protocol = step_keys(group) | site(problem)
        name = base = f"{protocol['kind']}_{1000 * protocol['amplitude']:.0f}pA".replace("-", "minus_")
        while name in content or name in taken:
            name = f"{base}_{len(content) + len(taken)}"
        content[name], sweeps[name] = protocol, group
    return content, sweeps


def _alike(one: Square, other: Square) -> bool:
    return (
        close(one.amplitude, other.amplitude, AMPLITUDE)
        and lasts(one.duration, other.duration)
        and close(one.holding, other.holding, HOLDING, other.amplitude)
    )


def step_keys(group: Sequence[Good]) -> dict[str, Any]:
    """A protocol for a group of like sweeps: the longest delay and tail among them, the mean currents."""
    duration = _plain(_mean([one.step.duration for one in group]))
    delay = _plain(max(one.step.start for one in group))
    tail = max(len(one.sweep.v) * one.sweep.interval - one.step.end for one in group)
    amplitude = float(f"{_mean([one.step.amplitude for one in group]):.4g}")
    keys: dict[str, Any] = {
        "kind": "pulse" if duration < PULSE_MS else "step",
        "amplitude": amplitude,
        "delay": delay,
        "duration": duration,
        "total": _plain(delay + duration + tail),
    }
    return keys | holding_keys([one.step.holding for one in group], amplitude)


def holding_keys(levels: Sequence[float], amplitude: float) -> dict[str, float]:
    """The holding current of a protocol (nA), as problem.toml has it; nothing where there is none to speak of."""
    holding = _mean(levels)
    return {} if close(holding, 0.0, HOLDING, amplitude) else {"holding": float(f"{holding:.3g}")}


def site(problem: Problem) -> dict[str, str]:
    """Where most of the problem's steps are injected and recorded; nothing where that is the default."""
    steps = [protocol for protocol in problem.protocol.values() if isinstance(protocol, Step)]
    sites = Counter((step.at, step.record) for step in steps)
    default = tuple(Step.model_fields[key].default for key in ("at", "record"))
    ((site, _),) = sites.most_common(1) or [(default, 0)]
    return {} if site == default else dict(zip(("at", "record"), site, strict=True))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _plain(ms: float) -> float:
    return round(ms, 3)
