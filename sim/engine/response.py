"""From one cell's traces to all its features: what every engine shares. Never touches NEURON."""

from collections.abc import Mapping

import numpy as np

from gbar.sim import features
from gbar.sim.errors import GbarError
from gbar.sim.features import AFTER_MS, f_I_gain
from gbar.sim.problem import MAIN, Clamp, CurrentStimulus, Problem, ResponseKey, Rheobase, Stimulus

MARGIN_MS = 5.0  # that a trace goes on after the last time a feature looks at

Traces = Mapping[str, tuple[np.ndarray, np.ndarray]]  # recording -> t [T] ms, values [T]


def amplitude(problem: Problem, name: str, rheobases: Mapping[str, float | None]) -> float | None:
    """The current (nA) of a protocol for one candidate.

    Args:
        problem: the problem.
        name: of a protocol with a stimulus.
        rheobases: of the candidate, for every rheobase protocol; None where it has none.

    Returns:
        None where the candidate lacks the rheobase that the protocol needs: nothing to simulate, nothing defined.
    """
    protocol = problem.stimuli[name]
    if isinstance(protocol, Rheobase):
        return rheobases[name]
    if protocol.current is not None:
        return float(protocol.current)
    assert isinstance(protocol, CurrentStimulus) and protocol.relative_to and protocol.percent is not None
    found = rheobases[protocol.relative_to]
    return None if found is None else protocol.percent / 100 * found


def wanted(problem: Problem, name: str, recording: str = MAIN) -> list[str]:
    """The features to compute on a recording: the catalogue's and the measured ones."""
    protocol = problem.stimuli[name]
    variable = protocol.variables[recording]
    response = str(ResponseKey(name, recording))
    measured = {m.feature for m in problem.measurements if m.protocol == response}
    return sorted({*features.catalogue(protocol.kind, protocol.sign, variable)} | measured)


def watched_until(problem: Problem, name: str) -> float:
    """The time (ms) after which no feature of a protocol looks: its end, or earlier where all that is computed lies in
    the stimulus or in the decay after it."""
    protocol = problem.stimuli[name]
    names = {feature for recording in protocol.variables for feature in wanted(problem, name, recording)}
    if protocol.kind != "step" or not names <= features.BEFORE_DECAY_ENDS:
        return float(protocol.total)
    settings = {**features.known_settings(), **problem.efel_settings(name)}
    decayed = protocol.delay + protocol.duration + AFTER_MS[1]
    rested = float(settings["voltage_base_end_perc"]) * protocol.delay
    return min(float(protocol.total), max(decayed, rested) + MARGIN_MS)


def measure_protocol(problem: Problem, name: str, traces: Traces, amplitude: float | None) -> dict[str, float]:
    """Every feature under one protocol.

    Args:
        problem: the problem.
        name: of a protocol with a stimulus.
        traces: what was recorded, evenly sampled; not looked at where `amplitude` is None.
        amplitude: the current (nA) it was recorded at; None for a candidate without a rheobase.

    Returns:
        "protocol.feature" -> value, and "protocol:recording.feature" for others than the main recording; NaN where it
        is not defined.

    Raises:
        GbarError: a recording is not finite.
    """
    protocol = problem.stimuli[name]
    found: dict[str, float] = {}
    for recording in protocol.variables:
        names, values = wanted(problem, name, recording), dict[str, float]()
        key = ResponseKey(name, recording)
        if amplitude is not None:
            trace = _trace(name, protocol, recording, traces[recording], amplitude)
            values = features.measure(trace, names, problem.efel_settings(str(key)))
            if isinstance(protocol, Rheobase) and recording == MAIN:
                values["rheobase"] = amplitude
        found |= {key.of(feature): values.get(feature, float("nan")) for feature in names}
    return found


def _trace(
    name: str, protocol: Stimulus, recording: str, recorded: tuple[np.ndarray, np.ndarray], amplitude: float
) -> features.Trace:
    """A recording with its stimulus. Raises GbarError where it is not finite."""
    t, v = recorded
    if not np.isfinite(v.sum()) and not np.isfinite(v).all():  # a sum is sooner made than a look at each
        what = "the voltage" if protocol.variables[recording] == "v" else str(ResponseKey(name, recording))
        raise GbarError(f"protocol {name}: {what} is not finite from {t[~np.isfinite(v)][0]:.3f} ms on")
    end = protocol.delay + protocol.duration
    if isinstance(protocol, Clamp):
        return features.Trace(t, v, protocol.delay, end, amplitude, protocol.blank, end)
    return features.Trace(t, v, protocol.delay, end, amplitude)


def finish(problem: Problem, found: Mapping[str, float], amplitudes: Mapping[str, float | None]) -> dict[str, float]:
    """The features that relate several protocols.

    Args:
        problem: the problem.
        found: "protocol.feature" -> value, of all protocols with a stimulus.
        amplitudes: protocol -> the current (nA) it ran at; None where there was none.
    """
    added = {}
    for name, curve in problem.curves.items():
        if not amplitudes.keys() >= set(curve.steps):
            continue  # not all of it was simulated
        ran = [step for step in curve.steps if amplitudes[step] is not None]
        rates = np.array([found[f"{step}.mean_frequency"] for step in ran])
        added[f"{name}.f_I_gain"] = float(f_I_gain([amplitudes[step] for step in ran], rates))
    return added
