"""Many evaluations at once: copies of the user's cell in one process, advanced together in fixed steps.

Each copy has its own parameters and its own currents. What costs NEURON its time a step (walking over mechanisms one
instance at a time) is shared by all copies, and CoreNEURON does several of them in one instruction. Runs in a worker.
"""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sim import cell, mechanisms, protocols, response
from sim.engine import describe
from sim.errors import GbarError
from sim.evaluation import LANES, Accuracy, Evaluation
from sim.kinds import MAIN, Rheobase, Step, Stimulus
from sim.places import point_processes_of
from sim.problem import Problem
from sim.ranged import Ranged
from sim.search import RheobaseSearch

MARGIN = 2  # steps before a stimulus that its run starts, so that no rounding of t can cut into it
LOOKS = (0.1, 0.2, 0.5, 1.0, 1.1, 1.3)  # shares of a stimulus after which a search for a rheobase looks who has fired
SPIKE_MS = 10.0  # after a pulse, in which its spike is over
OVER = 0.5  # share of a depolarisation that is left when no spike is to come any more

Currents = Sequence[float | None]  # nA for each copy; None where it has none
Recorded = dict[str, np.ndarray]  # recording -> values [T] at every step from t = 0


class Copy(NamedTuple):
    """One of the cells."""

    cell: cell.Cell
    bound: cell.Bound


class Settled(NamedTuple):
    """A state that protocols which inject nothing before it start from."""

    state: Any  # h.SaveState
    recorded: list[Recorded]  # of each copy, until then


class Batch:
    """Copies of the user's cell in this process, as many as a call needs.

    Raises:
        GbarError: the model cannot be loaded or copied, or a parameter or protocol names something that is not in it.
    """

    def __init__(self, problem: Problem, library: str | None, core: str | None, ranged: Sequence[Ranged] = ()):
        from neuron import h

        self.problem, self._core, self._ranged = problem, core is not None, ranged
        if problem.model.init is not None:
            raise GbarError(
                "model.init starts one cell, not many together: leave it out, or take an engine for single cells"
            )
        calls = [statement for parameter in problem.parameter for statement in parameter.apply]
        if ranged and calls:
            raise GbarError(f"'{calls[0]}' may read '{ranged[0].variable}', which has one value for the whole process")
        if library:
            mechanisms.load(Path(library))
        if core is not None:
            os.environ["CORENEURONLIB"] = core  # read when CoreNEURON first runs
        self.copies: list[Copy] = []
        self._grow()
        first = self.copies[0]
        self.found = describe(problem, first.cell, first.bound)
        for _, protocol in response.stimulated(problem):
            protocols.place(first.cell, protocol, 0.0).close()
        if first.bound.process_wide:
            name = next(iter(first.bound.process_wide))
            raise GbarError(f"parameter '{name}' has one value for the whole process, so copies cannot differ in it")
        self._parallel = h.ParallelContext()
        try:
            self._grow()
        except GbarError as error:  # a flat hoc, say, whose file makes its sections once
            said = str(error).partition(": if ")[0]  # the usual fix that follows is for a first one
            raise GbarError(f"a second copy of the cell cannot be made ({said})") from None

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
        wanted = -(-len(xs) // LANES) * LANES
        while len(self.copies) < wanted:
            self._grow()
        del self.copies[wanted:]
        for copy, x in zip(self.copies, itertools.cycle(xs), strict=False):
            copy.bound.assign(x)
        self._engage()
        settled, measuring = self._settle(accuracy), 0.0
        done = [Evaluation() for _ in xs]
        amplitudes: list[dict[str, float | None]] = [{} for _ in xs]
        rheobases: list[dict[str, float | None]] = [{} for _ in xs]
        for name, searched in response.searched(self.problem):
            found = self._rheobase(name, searched, settled.get(name), accuracy, len(xs))
            for own, current in zip(rheobases, found, strict=True):
                own[name] = current
        for name, protocol in response.stimulated(self.problem):
            currents = [response.amplitude(self.problem, name, own) for own in rheobases]
            recorded = self._respond(protocol, currents, settled.get(name), accuracy)
            simulated = time.process_time()
            for i, evaluation in enumerate(done):
                amplitudes[i][name] = currents[i]
                self._measure(evaluation, name, currents[i], recorded[i], accuracy)
            measuring += time.process_time() - simulated
        for evaluation, own in zip(done, amplitudes, strict=True):
            evaluation.measuring = measuring / len(xs)
            if evaluation.status == "ok":
                evaluation.features |= response.finish(self.problem, evaluation.features, own)
        return done

    def _grow(self) -> None:
        with _following(self._ranged):
            made = cell.build(self.problem.folder, self.problem.model)
        made.ranged = {each.variable: _places(made.sections, each) for each in self._ranged}
        self.copies.append(Copy(made, cell.Bound(made, self.problem.parameter)))

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

    def _engage(self) -> None:
        """Let NEURON or CoreNEURON take the steps; a model may have changed either setting when it was loaded."""
        from neuron import coreneuron, h

        h.CVode().cache_efficient(1)
        coreneuron.enable, coreneuron.verbose = self._core, 0
        self._parallel.set_maxstep(10)

    def _start(self, accuracy: Accuracy) -> None:
        model = self.problem.model
        protocols.initialise(model.celsius, model.v_init, vars(accuracy))

    def _settle(self, accuracy: Accuracy) -> dict[str, Settled]:
        """Run all copies without a stimulus, and keep the state in which each protocol starts."""
        from neuron import h

        stimulated = list(response.stimulated(self.problem))
        steps = {name: int(protocol.quiet_until / accuracy.dt + 1e-6) - MARGIN for name, protocol in stimulated}
        if max(steps.values()) <= 0:
            return {}
        kinds = {_recorded(p): p for name, p in stimulated if steps[name] > 0}  # one recording serves several protocols
        placed = {key: [protocols.place(c.cell, p, 0.0) for c in self.copies] for key, p in kinds.items()}
        states: dict[int, Any] = {}
        self._start(accuracy)
        for count in sorted(count for count in set(steps.values()) if count > 0):
            self._parallel.psolve(count * accuracy.dt)
            states[count] = h.SaveState()
            states[count].save()
        traces = {key: [_values(p) for p in each] for key, each in placed.items()}
        return {
            name: Settled(
                states[steps[name]],
                [{key: v[: steps[name] + 1] for key, v in one.items()} for one in traces[_recorded(protocol)]],
            )
            for name, protocol in stimulated
            if steps[name] in states
        }

    def _respond(
        self, protocol: Stimulus, currents: Currents, settled: Settled | None, accuracy: Accuracy
    ) -> list[Recorded]:
        """What the first copies, each at its own current, recorded at every dt from t = 0; the others repeat them."""
        from neuron import h

        phases = _phases(protocol) if settled is not None else [(protocol.total, 1)]
        placed = self._begin(protocol, currents, settled, accuracy)
        taken = [1]  # samples recorded at the end of each phase; the first is of the start
        for until, steps in phases:
            h.dt = accuracy.dt / steps
            self._parallel.psolve(until)
            taken.append(int(placed[0].t.size()))
        recorded = [_values(p) for p in placed[: len(currents)]]
        if settled is None:
            return recorded
        parts = [
            (first - 1, last, steps) for first, last, (_, steps) in zip(taken[:-1], taken[1:], phases, strict=True)
        ]
        return [
            {key: _joined(before[key], v, parts) for key, v in one.items()}
            for before, one in zip(settled.recorded, recorded, strict=False)
        ]

    def _begin(
        self, protocol: Stimulus, currents: Currents, settled: Settled | None, accuracy: Accuracy
    ) -> list[protocols.Placed]:
        """Put a protocol on all copies, each at its own current, in the state in which the protocol starts."""
        from neuron import h

        placed = [
            protocols.place(copy.cell, protocol, current or 0.0)
            for copy, current in zip(self.copies, itertools.cycle(currents), strict=False)
        ]
        self._start(accuracy)
        h.secondorder = protocols.order(protocol)
        if settled is not None:
            settled.state.restore()
        return placed

    def _rheobase(
        self, name: str, protocol: Rheobase, settled: Settled | None, accuracy: Accuracy, count: int
    ) -> list[float | None]:
        """Bisect all copies together; a run ends as soon as every copy that is asked has fired or will not any more.

        The first current, at which a cell must be silent, is tried to the end: then no later spike is the cell's own.
        """
        threshold = float(self.problem.efel_settings(name)["Threshold"])
        searches = [RheobaseSearch(*protocol.bounds, protocol.precision) for _ in range(count)]
        looks = [protocol.delay + share * protocol.duration for share in LOOKS]
        looks = [until for until in looks if until < protocol.total] + [protocol.total]
        placed: list[protocols.Placed] = []
        while any(search.current is not None for search in searches):
            tried = [search.current for search in searches]
            placed.clear()  # before the next start: NEURON would notice the loss of a stimulus after it
            placed = self._begin(protocol, tried, settled, accuracy)
            asked, fired = {i for i, current in enumerate(tried) if current is not None}, set[int]()
            for until in looks:
                self._parallel.psolve(until)
                fired |= {i for i in asked if _fired(placed[i], protocol, threshold)}
                over = {i for i in asked if searches[i].tried > 0 and _over(placed[i], protocol)}
                asked -= fired | over
                if not asked:
                    break
            for i, search in enumerate(searches):
                if tried[i] is not None:
                    search.fired(i in fired)
        return [search.found for search in searches]


def _places(listed: Sequence[Any], each: Ranged) -> list[tuple[Any, str]]:
    """Where a GLOBAL that has become RANGE lives in some sections, with the GLOBAL's value put there."""
    from neuron import h

    if each.point:
        owners = point_processes_of(list(listed), each.mechanism)
    else:
        owners = [segment for section in listed if section.has_membrane(each.mechanism) for segment in section]
    for owner in owners:
        setattr(owner, each.attribute, getattr(h, each.variable))
    return [(owner, each.attribute) for owner in owners]


@contextlib.contextmanager
def _following(ranged: Sequence[Ranged]) -> Iterator[None]:
    """What the model's own code initialises while it builds a cell sees the GLOBALs that it has set."""
    from neuron import h

    handler = h.FInitializeHandler(3, lambda: [_places(list(h.allsec()), each) for each in ranged]) if ranged else None
    try:
        yield
    finally:
        del handler


def _phases(protocol: Stimulus) -> list[tuple[float, int]]:
    """Until when (ms), and into how many steps, a dt is cut: a brief strong pulse leaves the time of its spike, and so
    its slope on eFEL's grid, to fractions of one (docs/simulation.md)."""
    spike = protocol.delay + protocol.duration + SPIKE_MS
    if isinstance(protocol, Step) and protocol.kind == "pulse" and spike < protocol.total:
        return [(spike, 4), (protocol.total, 1)]
    return [(protocol.total, 1)]


def _joined(before: np.ndarray, v: np.ndarray, parts: list[tuple[int, int, int]]) -> np.ndarray:
    """A recording from t = 0 at every dt: what was settled, then the parts (first, last, steps in a dt) of a run.

    A run's first sample was taken before the state was restored; what was settled ends with the right one.
    """
    return np.concatenate([before, *(v[first + steps : last : steps] for first, last, steps in parts)])


def _recorded(protocol: Stimulus) -> str:
    """What a protocol records: protocols that record the same share the recording of their settling."""
    return str({MAIN: protocol.record, **protocol.recordings})


def _fired(placed: protocols.Placed, protocol: Rheobase, threshold: float) -> bool:
    return protocols.crossed(placed.t, placed.recorded[MAIN], protocol.delay, threshold)


def _over(placed: protocols.Placed, protocol: Rheobase) -> bool:
    """Whether the stimulus has ended without a spike and most of its depolarisation is gone."""
    t, v = np.array(placed.t), np.array(placed.recorded[MAIN])
    end = protocol.delay + protocol.duration
    if t[-1] <= end:
        return False
    rest, last = v[min(1, len(v) - 1)], v[t <= end][-1]
    return bool(v[-1] < rest + OVER * (last - rest) and v[-1] < v[-2])


def _values(placed: protocols.Placed) -> Recorded:
    return {name: np.array(vector) for name, vector in placed.recorded.items()}


def _even(v: np.ndarray, dt: float, interval: float) -> tuple[np.ndarray, np.ndarray]:
    """A trace recorded at every dt from t = 0, at even intervals (ms) as features need it: t [T] ms, values [T]."""
    t = np.arange(len(v)) * dt
    if abs(dt - interval) < 1e-12 or not np.isfinite(v).all():
        return t, v
    return protocols.resampled(t, v, interval)
