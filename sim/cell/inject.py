"""What each kind of protocol puts on a cell: a function a kind, called by the kind's name.

Each takes the segment `at`, the protocol (an object with the keys of problem.toml as attributes) and the amplitude in
nA, and returns the hoc objects that have to be kept as long as the stimulus is to last. Plain arguments, because an
exported script carries the source of the functions that it needs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from neuron import h


def step(at: Any, protocol: Any, amplitude: float) -> list[Any]:
    """A square current."""
    clamp = h.IClamp(at)
    clamp.amp, clamp.delay, clamp.dur = amplitude, protocol.delay, protocol.duration
    return [clamp]


pulse = step
rheobase = step


def train(at: Any, protocol: Any, amplitude: float) -> list[Any]:
    """Square currents of `width` ms at `frequency` Hz; the last is cut off where the duration ends."""
    end, clamps = protocol.delay + protocol.duration, []
    for onset in np.arange(protocol.delay, end - 1e-9, 1000 / protocol.frequency):
        clamp = h.IClamp(at)
        clamp.amp, clamp.delay, clamp.dur = amplitude, onset, min(protocol.width, end - onset)
        clamps.append(clamp)
    return clamps


def ramp(at: Any, protocol: Any, amplitude: float) -> list[Any]:
    """A current that goes from `first` to the amplitude."""
    end = protocol.delay + protocol.duration
    return played(at, [0, protocol.delay, protocol.delay, end, end], [0, 0, protocol.first, amplitude, 0])


def triangle(at: Any, protocol: Any, amplitude: float) -> list[Any]:
    """A current that goes from `first` to the amplitude and back."""
    middle, end = protocol.delay + protocol.duration / 2, protocol.delay + protocol.duration
    times = [0, protocol.delay, protocol.delay, middle, end, end]
    return played(at, times, [0, 0, protocol.first, amplitude, protocol.first, 0])


def noise(at: Any, protocol: Any, amplitude: float) -> list[Any]:
    """A seeded random current around the amplitude, with the autocorrelation exp(-t / tau), or none with tau = 0."""
    from scipy.signal import lfilter  # slow to load: only where it is needed

    count = int(np.ceil(protocol.duration / protocol.every - 1e-9)) + 1
    samples = np.random.default_rng(protocol.seed).standard_normal(count)
    kept = np.exp(-protocol.every / protocol.tau) if protocol.tau else 0.0
    samples[1:] *= np.sqrt(1 - kept**2)
    samples = lfilter([1.0], [1.0, -kept], samples)  # exact for an Ornstein–Uhlenbeck process at any interval
    end = protocol.delay + protocol.duration
    times = np.minimum(protocol.delay + protocol.every * np.arange(count), end)
    currents = amplitude + protocol.sd * samples
    return played(at, [0, protocol.delay, *times, end], [0, 0, *currents, 0])


def waveform(at: Any, protocol: Any, amplitude: float) -> list[Any]:
    """The current that was read from a file; 0 after its end."""
    return played(at, [*protocol.times, protocol.times[-1]], [*(protocol.scale * np.array(protocol.currents)), 0])


def played(at: Any, times: Sequence[float], currents: Sequence[float]) -> list[Any]:
    """A current (nA), linear between its times (ms) and constant after the last; a time that stands twice is a jump."""
    clamp = h.IClamp(at)
    clamp.delay, clamp.dur = 0, 1e9
    t, i = h.Vector([*times, 1e9]), h.Vector([*currents, currents[-1]])
    i.play(clamp._ref_amp, t, True)
    return [clamp, t, i]


def clamp(at: Any, protocol: Any, amplitude: float) -> list[Any]:
    """A single-electrode voltage clamp with three levels."""
    electrode = h.SEClamp(at)
    electrode.rs = protocol.resistance
    electrode.dur1, electrode.amp1 = protocol.delay, protocol.holding
    electrode.dur2, electrode.amp2 = protocol.duration, protocol.voltage
    electrode.dur3, electrode.amp3 = 1e9, protocol.holding if protocol.tail is None else protocol.tail
    return [electrode]


def synapse(at: Any, protocol: Any, amplitude: float) -> list[Any]:
    """A synaptic conductance that opens at every onset."""
    synapse = h.Exp2Syn(at)
    synapse.tau1, synapse.tau2, synapse.e = protocol.tau1, protocol.tau2, protocol.e
    kept = [synapse]
    for onset in protocol.onsets:
        source = h.NetStim()
        source.number, source.start, source.noise = 1, protocol.delay + onset, 0
        connection = h.NetCon(source, synapse)
        connection.delay, connection.weight[0] = 0, protocol.weight
        kept += [source, connection]
    return kept


def holding(at: Any, protocol: Any) -> list[Any]:
    """The holding current of the kinds that have one, from the start to the end."""
    clamp = h.IClamp(at)
    clamp.amp, clamp.delay, clamp.dur = protocol.holding, 0, 1e9
    return [clamp]
