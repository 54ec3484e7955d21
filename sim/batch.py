"""Many evaluations at once: copies of the user's cell in one process, advanced together in fixed steps.

Each copy has its own parameters and its own currents. What costs NEURON its time a step (walking over mechanisms one
instance at a time) is shared by all copies, and CoreNEURON does several of them in one instruction. Runs in a worker.
"""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sim import cell, mechanisms, protocols, response
from sim.engine import describe
from sim.errors import GbarError
from sim.evaluation import LANES, Accuracy, Evaluation
from sim.kinds import Rheobase, Stimulus
from sim.problem import Problem
from sim.search import RheobaseSearch

Currents = Sequence[float | None]  # nA for each copy; None where it has none
Recorded = dict[str, np.ndarray]  # recording -> values [T] at every step from t = 0


class Copy(NamedTuple):
    """One of the cells."""

    cell: Any
    bound: cell.Bound


class Settled(NamedTuple):
    """A state that protocols which inject nothing before it start from."""

    until: float  # ms
    state: Any  # h.SaveState
    steps: int  # recorded until then, t = 0 included
    recorded: list[Recorded]  # of each copy, until then


class Batch:
    """Copies of the user's cell in this process, as many as a call needs.

    Raises:
        GbarError: the model cannot be loaded or copied, or a parameter or protocol names something that is not in it.
    """

    def __init__(self, problem: Problem, library: str | None, core: str | None):
        from neuron import h

        self.problem = problem
        if library:
            mechanisms.load(Path(library))
        self.copies: list[Copy] = []
        self._grow()
        self.found = describe(problem, self.copies[0].cell, self.copies[0].bound)
        for _, protocol in response.stimulated(problem):
            protocols.place(self.copies[0].cell, protocol, 0.0).close()
        self._parallel = h.ParallelContext()
        self._core = core is not None
        if core is not None:
            os.environ["CORENEURONLIB"] = core  # read when CoreNEURON first runs

    def describe(self) -> dict[str, Any]:
        """What was found in the model; see `sim.engine.describe`."""
        return self.found

    def evaluate(self, xs: np.ndarray, accuracy: Accuracy) -> list[Evaluation]:  # xs [n, D] in NEURON's units
        """Set the parameters of n copies, run every protocol on all of them, compute every feature.

        The number of copies is rounded up to whole vectors of the processor: an instance in an incomplete one would be
        computed by other instructions, whose last digit differs.

        Raises:
            RuntimeError: NEURON gave up. A voltage that is not finite fails its own evaluation only.
        """
        while len(self.copies) < -(-len(xs) // LANES) * LANES:
            self._grow()
        del self.copies[-(-len(xs) // LANES) * LANES :]
        for copy, x in zip(self.copies, itertools.cycle(xs), strict=False):
            copy.bound.assign(x)
        self._prepare(accuracy)
        settled = self._settle(accuracy)
        done = [Evaluation() for _ in xs]
        amplitudes: list[dict[str, float | None]] = [{} for _ in xs]
        for name, protocol in response.stimulated(self.problem):
            currents, recorded = self._respond(name, protocol, settled, accuracy, len(xs))
            for i, evaluation in enumerate(done):
                amplitudes[i][name] = currents[i]
                self._measure(evaluation, name, currents[i], recorded[i], accuracy)
        for evaluation, own in zip(done, amplitudes, strict=True):
            if evaluation.status == "ok":
                evaluation.features |= response.finish(self.problem, evaluation.features, own)
        return done

    def _measure(
        self, evaluation: Evaluation, name: str, current: float | None, recorded: Recorded, accuracy: Accuracy
    ) -> None:
        """Put one protocol's features and traces into an evaluation."""
        if evaluation.status != "ok":
            return
        interval = float(self.problem.efel_settings(name)["interp_step"])
        traces = {} if current is None else {key: _even(v, accuracy.dt, interval) for key, v in recorded.items()}
        try:
            evaluation.features |= response.measure_protocol(self.problem, name, traces, current)
        except GbarError as error:
            evaluation.status, evaluation.reason, evaluation.features = "failed", str(error), {}
        evaluation.traces |= {response.named(name, recording): trace for recording, trace in traces.items()}

    def _grow(self) -> None:
        made = cell.build(self.problem.folder, self.problem.model)
        self.copies.append(Copy(made, cell.Bound(made, self.problem.parameter)))

    def _prepare(self, accuracy: Accuracy) -> None:
        """Set NEURON's globals: a model may have set any of them when it was loaded."""
        from neuron import coreneuron, h

        cvode = h.CVode()
        cvode.active(0)
        cvode.cache_efficient(1)
        coreneuron.enable, coreneuron.verbose = self._core, 0
        h.dt, h.secondorder, h.steps_per_ms = accuracy.dt, 2, 1 / accuracy.dt
        h.celsius = self.problem.model.celsius
        self._parallel.set_maxstep(10)

    def _start(self) -> None:
        from neuron import h

        h.finitialize(self.problem.model.v_init)

    def _settle(self, accuracy: Accuracy) -> dict[str, Settled]:
        """Run all copies without a stimulus, and keep the state in which each protocol starts."""
        from neuron import h

        quiet = {name: protocol.quiet_until - accuracy.dt for name, protocol in response.stimulated(self.problem)}
        times = sorted({until for until in quiet.values() if until > accuracy.dt})
        if not times:
            return {}
        kinds = {_recorded(protocol): protocol for _, protocol in response.stimulated(self.problem)}
        placed = {key: [protocols.place(c.cell, p, 0.0) for c in self.copies] for key, p in kinds.items()}
        states: dict[float, tuple[Any, int]] = {}
        self._start()
        for until in times:
            self._parallel.psolve(until)
            state = h.SaveState()
            state.save()
            states[until] = state, round(h.t / accuracy.dt) + 1
        traces = {key: [_values(p) for p in each] for key, each in placed.items()}
        settled = {}
        for name, protocol in response.stimulated(self.problem):
            if quiet[name] in states:
                state, steps = states[quiet[name]]
                recorded = [{key: v[:steps] for key, v in one.items()} for one in traces[_recorded(protocol)]]
                settled[name] = Settled(quiet[name], state, steps, recorded)
        return settled

    def _respond(
        self, name: str, protocol: Stimulus, settled: dict[str, Settled], accuracy: Accuracy, count: int
    ) -> tuple[list[float | None], list[Recorded]]:
        """The currents of the first `count` copies under a protocol, and what was recorded at them."""
        if isinstance(protocol, Rheobase):
            return self._rheobase(name, protocol, settled.get(name), count, accuracy.dt)
        current = response.amplitude(protocol)
        return [current] * count, self._simulate(protocol, [current] * len(self.copies), settled.get(name), count)

    def _simulate(self, protocol: Stimulus, currents: Currents, settled: Settled | None, count: int) -> list[Recorded]:
        """One run of a protocol on all copies; what the first `count` recorded, from t = 0."""
        placed = [
            protocols.place(copy.cell, protocol, current or 0.0)
            for copy, current in zip(self.copies, currents, strict=True)
        ]
        self._start()
        if settled is not None:
            settled.state.restore()
        self._parallel.psolve(protocol.total)
        recorded = [_values(p) for p in placed[:count]]
        if settled is None:
            return recorded
        return [  # a recording's first sample was taken before the state was restored
            {key: np.concatenate([before[key], v[1:]]) for key, v in one.items()}
            for before, one in zip(settled.recorded, recorded, strict=False)
        ]

    def _rheobase(
        self, name: str, protocol: Rheobase, settled: Settled | None, count: int, dt: float
    ) -> tuple[list[float | None], list[Recorded]]:
        """Bisect all copies together. The trace at the current found is the last that fired."""
        threshold = self.problem.efel_settings(name)["Threshold"]
        searches = [RheobaseSearch(*protocol.bounds, protocol.precision) for _ in range(count)]
        fired: list[Recorded] = [{} for _ in range(count)]
        while any(search.current is not None for search in searches):
            tried = [search.current for search in searches]
            currents = list(itertools.islice(itertools.cycle(tried), len(self.copies)))
            for i, recorded in enumerate(self._simulate(protocol, currents, settled, count)):
                if tried[i] is None:
                    continue
                v = recorded[response.RECORD]
                answer = protocols.crossed(np.arange(len(v)) * dt, v, protocol.delay, threshold)
                fired[i] = recorded if answer else fired[i]
                searches[i].fired(answer)
        return [search.found for search in searches], fired


def _recorded(protocol: Stimulus) -> str:
    """What a protocol records: protocols that record the same share the recording of their settling."""
    return protocol.record


def _values(placed: protocols.Placed) -> Recorded:
    return {name: np.array(vector) for name, vector in placed.recorded.items()}


def _even(v: np.ndarray, dt: float, interval: float) -> tuple[np.ndarray, np.ndarray]:
    """A trace recorded at every step from t = 0, at even intervals (ms) as features need it: t [T] ms, values [T]."""
    t = np.arange(len(v)) * dt
    if abs(dt - interval) < 1e-12 or not np.isfinite(v).all():
        return t, v
    return protocols.resampled(t, v, interval)
