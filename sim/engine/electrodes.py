"""Stimuli and recordings on many copies of a cell, left in place from one run to the next."""

import itertools
from collections.abc import Sequence
from typing import Any

from gbar.sim.cell import Cell, Placed, place, recorder, segment, step
from gbar.sim.problem import MAIN, Rheobase, Step, Stimulus

Currents = Sequence[float | None]  # nA for each copy; None where it has none
Recordings = tuple[tuple[str, str], ...]  # (recording, place), the main one first


class Electrodes:
    """The electrodes of all copies.

    To make a stimulus and a recording for every copy takes as long as to simulate some milliseconds. So protocols that
    inject a square current in the same place share an electrode, and those that record the same share a recording.
    Whatever else a protocol is made of is put on the cells for its run and taken off before the next.
    """

    def __init__(self, cells: Sequence[Cell]):
        from neuron import h

        self.cells = list(cells)
        self.t = h.Vector().record(h._ref_t)  # ms, of every step; the copies share their time
        self._squares: dict[str, list[Any]] = {}  # where -> an IClamp for each copy
        self._recorded: dict[Recordings, list[dict[str, Any]]] = {}  # what -> recording -> Vector, for each copy
        self._passing: list[Placed] = []

    def put(self, protocol: Stimulus, currents: Currents) -> list[dict[str, Any]]:
        """Put a protocol on all copies, each at its own current, and all other protocols out of action.

        Args:
            protocol: what to put on.
            currents: nA, taken in turn.

        Returns:
            For each copy: recording -> Vector.
        """
        self.rest()
        amplitudes = [current or 0.0 for current, _ in zip(itertools.cycle(currents), self.cells, strict=False)]
        if not isinstance(protocol, Step | Rheobase) or protocol.holding != 0.0:
            pairs = zip(self.cells, amplitudes, strict=True)
            self._passing = [place(cell, protocol, amplitude) for cell, amplitude in pairs]
            return [placed.recorded for placed in self._passing]
        if protocol.at not in self._squares:
            self._squares[protocol.at] = [step(segment(cell, protocol.at), protocol, 0.0)[0] for cell in self.cells]
        for clamp, amplitude in zip(self._squares[protocol.at], amplitudes, strict=True):
            clamp.amp, clamp.delay, clamp.dur = amplitude, protocol.delay, protocol.duration
        return self.recorded(protocol)

    def rest(self) -> None:
        """Leave all copies without a stimulus. To be called before a start: NEURON notices a lost one after it."""
        for placed in self._passing:
            placed.close()
        self._passing = []
        for clamp in itertools.chain(*self._squares.values()):
            clamp.amp = 0.0

    def recorded(self, protocol: Stimulus) -> list[dict[str, Any]]:
        """What a protocol records, for each copy: recording -> Vector."""
        key = recordings_of(protocol)
        if key not in self._recorded:
            self._recorded[key] = [{name: recorder(cell, [], what, 0.0) for name, what in key} for cell in self.cells]
        return self._recorded[key]


def recordings_of(protocol: Stimulus) -> Recordings:
    """What a protocol records."""
    return (MAIN, protocol.record), *protocol.recordings.items()
