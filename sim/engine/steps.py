"""In what steps a batch is run, and what it recorded in them put on one grid."""

import functools
from typing import NamedTuple

import numpy as np

from gbar.sim.cell import resampled
from gbar.sim.problem import Step, Stimulus

MARGIN = 2  # dt before a stimulus that its run starts, so that no rounding of t can cut into it
COARSE = 2  # dt in a step where nothing is fast: while cells settle, under a current that hyperpolarises, in a search
FINE = 0.25  # dt in a step around a brief pulse
SPIKE_MS = 10.0  # after a stimulus, in which its last spike is over


class Phase(NamedTuple):
    """A part of a run in steps of one length."""

    until: float  # ms
    step: float  # in dt


def phases_of(protocol: Stimulus, until: float, dt: float) -> list[Phase]:
    """In what steps a protocol is run (docs/simulation.md).

    A brief strong pulse leaves the time of its spike, and so its slope on eFEL's grid, to fractions of a dt. Under a
    current that only hyperpolarises nothing is fast, as long as its edges lie between two of the longer steps.
    """
    end = protocol.delay + protocol.duration
    if not isinstance(protocol, Step) or protocol.amplitude is None:
        return [Phase(until, 1)]
    if protocol.kind == "pulse" and end + SPIKE_MS < until:
        return [Phase(end + SPIKE_MS, FINE), *_fitting(end + SPIKE_MS, [until], COARSE, dt)]
    if protocol.kind == "step" and protocol.amplitude < 0:
        return _fitting(protocol.delay - MARGIN * dt, [protocol.delay, end, until], COARSE, dt)
    if protocol.kind == "step" and end + SPIKE_MS < until:
        return [Phase(end + SPIKE_MS, 1), *_fitting(end + SPIKE_MS, [until], COARSE, dt)]
    return [Phase(until, 1)]


def _fitting(start: float, edges: list[float], step: float, dt: float) -> list[Phase]:
    """Phases from one edge to the next in steps of so many dt, where these fit between all of them; else in dt."""
    steps = np.diff([start, *edges]) / (step * dt)
    if np.allclose(steps, np.round(steps), rtol=0, atol=1e-6):
        return [Phase(edge, step) for edge in edges]
    return [Phase(edges[-1], 1)]


def joined(before: np.ndarray, v: np.ndarray, parts: list[tuple[int, int, float]]) -> np.ndarray:
    """A recording from t = 0 at every dt: what was settled, then the parts (first, last, dt in a step) of a run.

    A run's first sample was taken before the state was restored; what was settled ends with the right one.
    """
    v[0] = before[-1]
    return np.concatenate([before, *(finer(v[first:last], step)[1:] for first, last, step in parts)])


def finer(v: np.ndarray, step: float) -> np.ndarray:
    """A smooth recording in steps of so many dt, at every dt: cubics through the four samples around."""
    if step <= 1:
        return v[:: round(1 / step)]
    if len(v) < 4:
        even: np.ndarray = np.interp(np.arange((len(v) - 1) * step + 1e-6) / step, np.arange(len(v)), v)
        return even
    left, weights = _cubics(len(v), step)
    between: np.ndarray = sum(weight * v[left + i] for i, weight in enumerate(weights))
    return between


@functools.lru_cache(16)
def _cubics(count: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """For each dt of `count` samples the first of the four around it [N], and their Lagrange weights [4, N]."""
    at = np.arange((count - 1) * step + 1e-6) / step
    left = np.clip(at.astype(int) - 1, 0, count - 4)
    x = at - left
    return left, np.array(
        [
            (x - 1) * (x - 2) * (x - 3) / -6,
            x * (x - 2) * (x - 3) / 2,
            x * (x - 1) * (x - 3) / -2,
            x * (x - 1) * (x - 2) / 6,
        ]
    )


def even(v: np.ndarray, dt: float, interval: float) -> tuple[np.ndarray, np.ndarray]:
    """A trace recorded at every dt from t = 0, at even intervals (ms) as features need it: t [T] ms, values [T]."""
    t = times(len(v), dt)
    if abs(dt - interval) < 1e-12 or not np.isfinite(v).all():
        return t, v
    return resampled(t, v, interval)


@functools.lru_cache(16)
def times(count: int, dt: float) -> np.ndarray:
    """The first multiples of dt, ms."""
    t = np.arange(count) * dt
    t.flags.writeable = False  # shared by all traces of that length
    return t
