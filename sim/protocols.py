"""Stimuli and recordings placed on a cell, and the integration of one trace.

The functions take plain arguments, because an exported script carries their source.
"""

import numpy as np
from neuron import h
from scipy.interpolate import Akima1DInterpolator

from sim.errors import GbarError


def integrate(until, accuracy):
    """Advance from the current time to `until` (ms) with CVODE or in fixed steps."""
    if accuracy["engine"] == "cvode":
        h.CVode().solve(until)
    else:
        while h.t < until - accuracy["dt"] / 2:
            h.fadvance()


def initialise(celsius, v_init, accuracy, own=None):
    """Set NEURON's globals and start a simulation at t = 0. A model may have set any of them when it was loaded.

    `own` is the hoc statement with which the model starts a simulation, instead of finitialize(v_init).
    """
    cvode = h.CVode()
    cvode.active(accuracy["engine"] == "cvode")
    if accuracy["engine"] == "cvode":
        cvode.atol(accuracy["atol"])
        cvode.rtol(0)
    else:
        h.dt, h.secondorder, h.steps_per_ms = accuracy["dt"], 2, 1 / accuracy["dt"]
    h.celsius, h.v_init = celsius, v_init
    if own is None:
        h.finitialize(v_init)
    elif not h(own):
        raise GbarError(f"init: NEURON cannot run '{own}': its own message is in the log")
    if h.celsius != celsius:
        raise GbarError(f"init: '{own}' sets celsius to {h.celsius:g}: give celsius = {h.celsius:g} in [model]")


def resampled(t, v, interval):
    """A trace at even intervals (ms) between CVODE's own uneven steps.

    Where the voltage is slow those steps are milliseconds apart, and straight lines between them would put the trough
    of an AHP on one of them: features would jump by several per cent between neighbouring parameters.
    """
    once = np.append(np.diff(t) > 1e-9, True)  # a stimulus' edge is recorded twice
    even = np.minimum(np.arange(np.ceil(t[-1] / interval - 1e-6) + 1) * interval, t[-1])
    return even, Akima1DInterpolator(t[once], v[once], method="makima")(even)


def square_current(inject, record, amplitude, delay, duration, total, start, accuracy, interval):
    """Run one square current and return its trace: t [T] ms, v [T] mV.

    Args:
        inject, record: segments.
        amplitude: nA.
        delay, duration, total: ms.
        start: a function that initialises the simulation.
        accuracy: engine and tolerance, as in `initialise`.
        interval: ms between the samples returned.
    """
    clamp = h.IClamp(inject)
    clamp.amp, clamp.delay, clamp.dur = amplitude, delay, duration
    t, v = h.Vector().record(h._ref_t), h.Vector().record(record._ref_v)
    start()
    integrate(total, accuracy)
    t, v = np.array(t), np.array(v)
    return resampled(t, v, interval) if np.isfinite(v).all() else (t, v)


def spikes(inject, record, amplitude, delay, duration, total, threshold, start, accuracy):
    """Whether one square current makes the cell cross `threshold` (mV) after its onset. Stops at the first crossing."""
    clamp = h.IClamp(inject)
    clamp.amp, clamp.delay, clamp.dur = amplitude, delay, duration
    counter = h.APCount(record)
    counter.thresh = threshold
    start()
    integrate(delay, accuracy)
    spontaneous = counter.n
    while h.t < total - 1e-9 and counter.n == spontaneous:
        integrate(min(h.t + 5.0, total), accuracy)
    return counter.n > spontaneous


def rheobase(fires, low, high, precision):
    """The smallest current (nA) at which `fires(current)` holds, to `precision`, by bisection; None outside the bounds.

    None rather than a bound: a cell that never fires, or fires at the lowest current, has no rheobase in the bounds.
    """
    if fires(low) or not fires(high):
        return None
    while high - low > precision:
        middle = (low + high) / 2
        low, high = (low, middle) if fires(middle) else (middle, high)
    return high
