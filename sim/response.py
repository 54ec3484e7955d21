"""From one cell's traces to all its features: what every engine shares. Never touches NEURON."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sim import definitions, features
from sim.errors import GbarError
from sim.kinds import FiCurve, Rheobase, Stimulus
from sim.problem import Problem

Traces = Mapping[str, tuple[np.ndarray, np.ndarray]]  # recording -> t [T] ms, values [T]
RECORD = "record"  # the protocol's main recording, as in problem.toml


def named(protocol: str, recording: str) -> str:
    """What a recording is called outside its protocol."""
    return protocol if recording == RECORD else f"{protocol}:{recording}"


def stimulated(problem: Problem) -> Iterator[tuple[str, Stimulus]]:
    """The protocols that are simulated, in the problem's order."""
    for name, protocol in problem.protocol.items():
        if not isinstance(protocol, FiCurve):
            yield name, protocol


def amplitude(protocol: Stimulus) -> float | None:
    """The current (nA) of a protocol that has one of its own; None where it is searched for each candidate."""
    return None if isinstance(protocol, Rheobase) else protocol.amplitude


def wanted(problem: Problem, name: str) -> list[str]:
    """The features to compute under a protocol: the catalogue's and the measured ones."""
    protocol = problem.protocol[name]
    catalogue = features.catalogue(protocol.kind, getattr(protocol, "amplitude", 0.0))
    return sorted({*catalogue} | {m.feature for m in problem.measurements if m.protocol == name})


def measure_protocol(problem: Problem, name: str, traces: Traces, amplitude: float | None) -> dict[str, float]:
    """Every feature under one protocol.

    Args:
        problem: the problem.
        name: of a protocol with a stimulus.
        traces: what was recorded, evenly sampled; not looked at where `amplitude` is None.
        amplitude: the current (nA) it was recorded at; None for a candidate without a rheobase.

    Returns:
        "protocol.feature" -> value, NaN where it is not defined.

    Raises:
        GbarError: a recording is not finite.
    """
    protocol: Any = problem.protocol[name]
    values: dict[str, float] = {}
    names = wanted(problem, name)
    if amplitude is not None:
        t, v = traces[RECORD]
        if not np.isfinite(v).all():
            raise GbarError(f"protocol {name}: the voltage is not finite from {t[~np.isfinite(v)][0]:.3f} ms on")
        trace = features.Trace(t, v, protocol.delay, protocol.delay + protocol.duration, amplitude)
        values = features.measure(trace, names, problem.efel_settings(name))
        if isinstance(protocol, Rheobase):
            values["rheobase"] = amplitude
    return {f"{name}.{feature}": values.get(feature, float("nan")) for feature in names}


def finish(problem: Problem, found: Mapping[str, float], amplitudes: Mapping[str, float | None]) -> dict[str, float]:
    """The features that relate several protocols.

    Args:
        problem: the problem.
        found: "protocol.feature" -> value, of all protocols with a stimulus.
        amplitudes: protocol -> the current (nA) it ran at; None where there was none.
    """
    added = {}
    for name, curve in problem.protocol.items():
        if isinstance(curve, FiCurve):
            ran = [step for step in curve.steps if amplitudes[step] is not None]
            rates = np.array([found[f"{step}.mean_frequency"] for step in ran])
            added[f"{name}.f_I_gain"] = float(definitions.f_I_gain([amplitudes[step] for step in ran], rates))
    return added
