"""Stimuli and recordings placed on a cell, and the integration of one trace.

The functions take plain arguments, because an exported script carries their source.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from neuron import h

from gbar.sim.cell import inject
from gbar.sim.cell.anatomy import segment
from gbar.sim.cell.interpolation import resampled
from gbar.sim.cell.search import RheobaseSearch
from gbar.sim.errors import GbarError

DEFAULTS = {  # of CVODE in a NEURON that has just started, but for rtol
    "use_local_dt": False,
    "use_long_double": False,
    "minstep": 0.0,
    "maxstep": 1e9,
    "maxorder": 5,
    "jacobian": 0,
    "condition_order": 1,
    "stiff": 2,
    "rtol": 0.0,
}


def integrate(until: float, integrator: Mapping[str, Any]) -> None:
    """Advance from the current time to `until` (ms) by CVODE, in fixed steps, or by the model's own `advance`."""
    advance = integrator.get("advance")
    if advance:
        if integrator["engine"] == "cvode":
            h.CVode().event(until)  # a step ends there
        while h.t < until - (1e-9 if integrator["engine"] == "cvode" else integrator["dt"] / 2):
            before = h.t
            if not h(advance) or h.t <= before:
                raise GbarError(f"advance: '{advance}' makes no step: expected one that calls fadvance()")
    elif integrator["engine"] == "cvode":
        h.CVode().solve(until)
    elif integrator["engine"] == "plain":  # the loop that scripts run, for comparison
        h.continuerun(until)
    else:
        while h.t < until - integrator["dt"] / 2:
            h.fadvance()


def initialise(celsius: float, v_init: float, integrator: Mapping[str, Any], own: str | None = None) -> None:
    """Set NEURON's globals and start a simulation at t = 0. A model may have set any of them since the last one.

    `own` is the hoc statement with which the model starts a simulation, instead of finitialize(v_init).
    """
    configure(integrator)
    h.celsius, h.v_init = celsius, v_init
    if own is None:
        h.finitialize(v_init)
    elif not h(own):
        raise GbarError(f"init: NEURON cannot run '{own}': its own message is in the log")
    configure(integrator, started=True)
    if h.celsius != celsius:
        raise GbarError(f"init: '{own}' sets celsius to {h.celsius:g}: give celsius = {h.celsius:g} in [model]")


def configure(integrator: Mapping[str, Any], started: bool = False) -> None:
    """Settle everything that decides how NEURON integrates: what a model left behind would stay for all that follows.

    `started`: only look, after a model's own start, whether all is as it was; start again with it if not.
    """
    cvode, threads = h.CVode(), h.ParallelContext()
    adaptive = integrator["engine"] == "cvode"
    wanted = {"active": adaptive, **DEFAULTS, **({"atol": integrator["atol"]} if adaptive else {})}
    changed = False
    for name, value in wanted.items():
        if getattr(cvode, name)() != value:
            getattr(cvode, name)(value)
            changed = True
    if threads.nthread() != 1:  # a worker has one core
        threads.nthread(1)
        changed = True
    h.dt, h.secondorder, h.steps_per_ms, h.stoprun = integrator["dt"], 2, 1 / integrator["dt"], 0
    if changed and started:
        cvode.re_init() if adaptive else h.fcurrent()


class Placed:
    """One protocol's stimulus and recordings on one cell. They are there as long as this object, or until `close`.

    stimulus: NEURON's objects; t: Vector, ms; recorded: recording -> Vector, where "record" is the main one.
    """

    def __init__(self, stimulus: Any, t: Any, recorded: dict[str, Any]):
        self.stimulus, self.t, self.recorded = stimulus, t, recorded

    def close(self) -> None:
        """Take stimulus and recordings off the cell."""
        self.stimulus, self.t, self.recorded = None, None, {}

    def traces(self, interval: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What was recorded, at even intervals (ms): recording -> t [T] ms, values [T]."""
        t = np.array(self.t)
        values = {name: np.array(vector) for name, vector in self.recorded.items()}
        return {name: resampled(t, v, interval) if np.isfinite(v).all() else (t, v) for name, v in values.items()}


def place(cell: Any, protocol: Any, amplitude: float, interval: float = 0.0) -> Placed:
    """Put one protocol on one cell; several cells in a process may each have their own.

    Args:
        cell: as `sim.cell.cell.build` returns it.
        protocol: an object with the keys of problem.toml as attributes.
        amplitude: nA, where the kind has one.
        interval: ms between recorded samples; 0 records every step that NEURON makes.
    """
    at = segment(cell, protocol.at)
    stimulus = getattr(inject, protocol.kind)(at, protocol, amplitude)
    wanted = {"record": protocol.record, **protocol.recordings}
    recorded = {name: recorder(cell, stimulus, what, interval) for name, what in wanted.items()}
    if protocol.kind != "clamp" and getattr(protocol, "holding", 0):
        stimulus += inject.holding(at, protocol)
    every = [interval] if interval else []
    return Placed(stimulus, h.Vector().record(h._ref_t, *every), recorded)


def recorder(cell: Any, stimulus: list[Any], what: str, interval: float) -> Any:
    """A Vector that records "PLACE.VARIABLE" of a cell, or "clamp.i", the current of the stimulus' electrode.

    Raises:
        GbarError: there is no such place, or nothing of that name in it.
    """
    place, _, variable = what.rpartition(".")
    owner = stimulus[0] if what == "clamp.i" else segment(cell, place)
    try:
        reference = getattr(owner, "_ref_" + variable)
    except (AttributeError, NameError, LookupError):
        raise GbarError(f"'{what}': there is no '{variable}' at {place}: expected v, cai, ina or the like") from None
    return h.Vector().record(reference, *([interval] if interval else []))


def begin(cell: Any, protocol: Any, amplitude: float, start: Callable[[], None]) -> Placed:
    """Put one protocol on a cell and start its simulation; the arguments are those of `run`."""
    placed = place(cell, protocol, amplitude)
    start()
    h.secondorder = order(protocol)
    return placed


def run(
    cell: Any,
    protocol: Any,
    amplitude: float,
    interval: float,
    start: Callable[[], None],
    integrator: Mapping[str, Any],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Simulate one protocol on a cell and return what was recorded: recording -> t [T] ms, values [T].

    Args:
        cell, protocol, amplitude: as in `place`.
        interval: ms between the samples returned.
        start: a function that initialises the simulation.
        integrator: engine and tolerance, as in `initialise`.
    """
    placed = begin(cell, protocol, amplitude, start)
    integrate(protocol.total, integrator)
    return placed.traces(interval)


def order(protocol: Any) -> int:
    """NEURON's secondorder in fixed steps: 2, but with a clamp the voltage would ring around the commanded one."""
    return 0 if protocol.kind == "clamp" else 2


def fires(
    cell: Any,
    protocol: Any,
    amplitude: float,
    threshold: float,
    start: Callable[[], None],
    integrator: Mapping[str, Any],
) -> bool:
    """Whether a current makes the cell cross `threshold` (mV) after its onset. Stops at the first crossing."""
    placed = begin(cell, protocol, amplitude, start)
    integrate(protocol.delay, integrator)
    while not crossed(placed.t, placed.recorded["record"], protocol.delay, threshold):
        if h.t >= protocol.total - 1e-9:
            return False
        integrate(min(h.t + 5.0, protocol.total), integrator)
    return True


def crossed(t: Any, v: Any, after: float, threshold: float) -> bool:
    """Whether a voltage v [T] mV rises through `threshold` after a time (ms)."""
    t, above = np.array(t), np.array(v) >= threshold
    return bool((above[1:] & ~above[:-1] & (t[1:] > after + 1e-9)).any())


def find_rheobase(
    cell: Any, protocol: Any, threshold: float, start: Callable[[], None], integrator: Mapping[str, Any]
) -> float | None:
    """The smallest current (nA) at which a cell fires; None where there is none in the protocol's bounds."""
    low, high = protocol.bounds
    search = RheobaseSearch(low, high, protocol.precision)
    while search.current is not None:
        search.fired(fires(cell, protocol, search.current, threshold, start, integrator))
    return search.found
