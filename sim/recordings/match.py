"""Which protocol of a problem a recorded step is, or a new one made from it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gbar.sim.problem import Problem, Rheobase, Step
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


def holding_of(protocol: Any) -> float:
    """The current (nA) under a protocol's own."""
    return float(getattr(protocol, "holding", 0.0))


def assigned(problem: Problem, good: Sequence[Good]) -> tuple[dict[str, list[Good]], list[Good]]:
    """Sweeps by the protocol that has their step, and those that no protocol has."""
    steps = {  # a percentage of a rheobase is no current that a recorded one could be
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
        and close(one.step.holding, holding_of(protocol), HOLDING, one.step.amplitude)
    )


def families(protocol: Rheobase, good: Sequence[Good], threshold: float) -> dict[str, tuple[Good, float]]:
    """For each cell the sweep at its rheobase: the weakest step of the protocol's duration that makes a spike.

    Returns:
        cell -> the sweep and the distance (nA) to the strongest silent step below it; cells without one are left out.
    """
    found = {}
    for cell in dict.fromkeys(one.sweep.cell for one in good):
        steps = [
            one
            for one in good
            if one.sweep.cell == cell
            and one.step.amplitude > 0
            and lasts(one.step.duration, protocol.duration)
            and close(one.step.holding, holding_of(protocol), HOLDING, one.step.amplitude)
        ]
        firing = [one for one in steps if one.sweep.v[one.step.first :].max() > threshold]
        if not firing:
            continue
        weakest = min(firing, key=lambda one: one.step.amplitude)
        silent = [o.step.amplitude for o in steps if o not in firing and o.step.amplitude < weakest.step.amplitude]
        if silent:
            found[cell] = weakest, weakest.step.amplitude - max(silent)
    return found


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
        protocol = _keys(group) | _site(problem)
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


def _keys(group: Sequence[Good]) -> dict[str, Any]:
    """A protocol for a group of like sweeps: the longest delay and tail among them, the mean currents."""
    duration = _plain(_mean([one.step.duration for one in group]))
    delay = _plain(max(one.step.start for one in group))
    tail = max(len(one.sweep.v) * one.sweep.interval - one.step.end for one in group)
    keys: dict[str, Any] = {
        "kind": "pulse" if duration < PULSE_MS else "step",
        "amplitude": float(f"{_mean([one.step.amplitude for one in group]):.4g}"),
        "delay": delay,
        "duration": duration,
        "total": _plain(delay + duration + tail),
    }
    holding = _mean([one.step.holding for one in group])
    if not close(holding, 0.0, HOLDING, keys["amplitude"]):
        keys["holding"] = float(f"{holding:.3g}")
    return keys


def _site(problem: Problem) -> dict[str, str]:
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
