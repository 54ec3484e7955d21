"""Firing rate against current, where the protocols give a curve."""

from dataclasses import dataclass

import numpy as np

from gbar.agent.report.axis import Tick, around
from gbar.agent.report.closeup import peaks
from gbar.agent.report.contents import Contents, Stimulus
from gbar.agent.report.voltages import HEIGHT, WIDTH, simulated, sweeps
from gbar.sim.problem import Step

FEWEST = 3  # steps that make a curve where the problem defines none

Point = tuple[float, float]  # nA, Hz


@dataclass(frozen=True)
class RateLine:
    number: int  # the solution, from 1
    path: str
    dots: str


@dataclass(frozen=True)
class RateCurve:
    """Rate (Hz) against current (nA)."""

    name: str
    lines: list[RateLine]
    recorded: str  # dots
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def rate_curves(contents: Contents) -> list[RateCurve]:
    """A plot for each curve of the problem; without one, for three or more long steps that differ in the current."""
    made = (_curve(contents, name, steps) for name, steps in _families(contents).items())
    return [curve for curve in made if curve is not None]


def _families(contents: Contents) -> dict[str, list[str]]:
    problem = contents.problem
    if problem is None:
        return {}
    if problem.curves:
        return {name: list(curve.steps) for name, curve in problem.curves.items()}
    alike: dict[tuple[object, ...], list[str]] = {}
    for name, protocol in problem.stimuli.items():
        if isinstance(protocol, Step) and protocol.sustained:
            alike.setdefault((protocol.at, protocol.duration, protocol.holding), []).append(name)
    return {f"{names[0]} … {names[-1]}": names for names in alike.values() if len(names) >= FEWEST}


def _curve(contents: Contents, name: str, steps: list[str]) -> RateCurve | None:
    drawn = [step for step in steps if step in contents.traces and contents.stimuli[step].recorded == "mV"]
    found: dict[int, list[Point]] = {}
    measured: list[Point] = []
    for step in drawn:
        stimulus = contents.stimuli[step]
        for number, (t, v) in simulated(contents, step).items():
            if (current := contents.current(step, number)) is not None and current >= 0:
                found.setdefault(number, []).append((current, rate(t, v, stimulus)))
        currents = [one.current for one in contents.recorded(step)]
        if min(currents, default=0.0) >= 0:
            traces = sweeps(contents, step)
            measured += [(i, rate(t, v, stimulus)) for i, (t, v) in zip(currents, traces, strict=True)]
    points = [point for each in [*found.values(), measured] for point in each]
    if len({current for current, _ in points}) < 2 or not any(hz for _, hz in points):
        return None
    x, y = around([i for i, _ in points]), around([0.0, *(hz for _, hz in points)], upright=True)

    def at(point: Point) -> str:
        return f"{round(x.at(point[0]) * WIDTH / 100)} {round(y.at(point[1]) * HEIGHT / 100)}"

    def dots(of: list[Point]) -> str:
        return "".join(f"M{at(point)}h0" for point in of)

    lines = [RateLine(n, "M" + "L".join(map(at, sorted(of))), dots(of)) for n, of in sorted(found.items())]
    return RateCurve(name, lines, dots(measured), x.ticks(5), y.ticks(5))


def rate(t: np.ndarray, v: np.ndarray, stimulus: Stimulus) -> float:
    """Spikes during the stimulus over its duration, in Hz: a cell in depolarisation block has a low rate."""
    at = peaks(t, v, stimulus)
    return 1e3 * int((at <= stimulus.duration).sum()) / stimulus.duration
