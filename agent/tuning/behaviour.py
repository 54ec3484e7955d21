"""What solutions do in protocols that nobody measured: what no modeller would accept is said, whatever their z."""

from collections.abc import Iterator, Mapping

import numpy as np

from gbar.agent.result import Misbehaviour
from gbar.sim import Problem
from gbar.sim.engine import amplitude
from gbar.sim.problem import MAIN, Clamp, Rheobase, Stimulus

STRONG = 1.5  # times its rheobase: a current at which a cell is expected to do so
LATE = 0.4  # of a step: its last part, in which a cell that goes on firing has a spike
BLOCKED_MV = -45.0  # a voltage that stays above it without a spike is that of a cell whose sodium current is gone
SETTLED_MS, AFTER_MS = 20.0, 50.0  # from the start, and after a stimulus: what spikes then is not put down to it
BACK_MS, BACK_MV = 100.0, 10.0  # after a stimulus: by then the voltage is that near to where it was

Trace = tuple[np.ndarray, np.ndarray]  # t [T] ms, v [T] mV


def misbehaviour(
    problem: Problem, traces: list[Mapping[str, Trace]], features: list[Mapping[str, float]]
) -> list[Misbehaviour]:
    """What some parameter sets do under protocols without a measurement that a cell should not.

    Args:
        problem: with measurements.
        traces, features: of each parameter set: protocol -> trace, "protocol.feature" -> value.

    Returns:
        One entry for a protocol and a kind, the sets numbered from 1, the most frequent first.
    """
    found: dict[tuple[str, str], list[int]] = {}
    for number, (recorded, values) in enumerate(zip(traces, features, strict=True), start=1):
        for name, protocol in _unmeasured(problem):
            if name in recorded:
                current = _current(problem, name, values)
                crossing = float(problem.efel_settings(name)["Threshold"])
                for kind in _seen(protocol, recorded[name], current, crossing, _rheobase(problem, values)):
                    found.setdefault((name, kind), []).append(number)
    listed = [
        Misbehaviour(protocol=name, stimulus=problem.stimuli[name].brief, kind=kind, sets=numbers, of=len(traces))
        for (name, kind), numbers in found.items()
    ]
    return sorted(listed, key=lambda one: -len(one.sets))


def _unmeasured(problem: Problem) -> Iterator[tuple[str, Stimulus]]:
    """The current clamps that no measurement looks at, neither by itself nor through a curve."""
    measured = {m.under for m in problem.measurements}
    measured |= {step for name, curve in problem.curves.items() if name in measured for step in curve.steps}
    for name, protocol in problem.stimuli.items():
        if name not in measured and not isinstance(protocol, Clamp | Rheobase) and protocol.variables[MAIN] == "v":
            yield name, protocol


def _rheobase(problem: Problem, values: Mapping[str, float]) -> float | None:
    """The set's own, where a protocol looks for it with a long current."""
    known = [values.get(f"{name}.rheobase") for name in problem.rheobases]
    return next((value for value in known if value is not None and np.isfinite(value)), None)


def _current(problem: Problem, name: str, values: Mapping[str, float]) -> float | None:
    return amplitude(problem, name, {found: values.get(f"{found}.rheobase") for found in problem.rheobases})


def _seen(
    protocol: Stimulus, trace: Trace, current: float | None, crossing: float, rheobase: float | None
) -> Iterator[str]:
    """What one trace shows of what it should not."""
    t, v = trace
    start, end = protocol.delay, protocol.delay + protocol.duration
    spikes = spike_times(t, v, crossing)
    if ((spikes > SETTLED_MS) & (spikes < start)).any():
        yield "fires before the stimulus"
    if (spikes > end + AFTER_MS).any():
        yield "fires after the stimulus"
    sustained = protocol.sustained and (current or 0.0) > 0
    last = (t > end - LATE * protocol.duration) & (t < end)
    if sustained and last.any() and not ((spikes > end - LATE * protocol.duration) & (spikes < end)).any():
        if float(np.median(v[last])) > BLOCKED_MV:
            yield "depolarisation block"
        elif (spikes > start).any() or (rheobase is not None and current is not None and current >= STRONG * rheobase):
            yield "no repetitive firing"
    if not (spikes > end + AFTER_MS).any() and _away(t, v, start, end) > BACK_MV:
        yield "does not return to rest"


def spike_times(t: np.ndarray, v: np.ndarray, crossing: float) -> np.ndarray:  # [T] ms, [T] mV -> [S] ms
    """When the voltage rises through the threshold (mV)."""
    return t[1:][(v[1:] >= crossing) & (v[:-1] < crossing)]


def _away(t: np.ndarray, v: np.ndarray, start: float, end: float) -> float:
    """How far (mV) the voltage is at the end from where it was before the stimulus; 0 where the trace does not say."""
    before, after = (t > 0.8 * start) & (t < start), t > max(end + BACK_MS, t[-1] - BACK_MS / 2)
    return abs(float(np.median(v[after]) - np.median(v[before]))) if before.any() and after.any() else 0.0
