"""Many evaluations at once: copies of the user's cell in one process, advanced together in fixed steps.

Each copy has its own parameters and its own currents. What costs NEURON its time a step (walking over mechanisms one
instance at a time) is shared by all copies, and CoreNEURON does several of them in one instruction. Runs in a worker.
"""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gbar.sim import cell, mechanisms
from gbar.sim.cell import ROUNDS, Reused, RheobaseSearch, crossed, initialise, order, place, point_processes_of
from gbar.sim.engine import response
from gbar.sim.engine.electrodes import Currents, Electrodes, recordings_of
from gbar.sim.engine.evaluation import Evaluation
from gbar.sim.engine.modelinfo import ModelInfo
from gbar.sim.engine.single import describe
from gbar.sim.engine.steps import COARSE, MARGIN, Phase, even, finer, joined, phases_of, times
from gbar.sim.errors import GbarError
from gbar.sim.mechanisms import GlobalToRange
from gbar.sim.problem import LANES, MAIN, Integrator, Problem, ResponseKey, Rheobase, Stimulus

LOOKS = (0.2, 1.1, 1.3)  # shares of a stimulus after which a search for a rheobase looks who has fired
RAISED = 4  # times that a rheobase found in coarse steps may be raised
OVER = 0.5  # share of a depolarisation that is left when no spike is to come any more

Recorded = dict[str, np.ndarray]  # recording -> values [T] at every step from t = 0


class Copy(NamedTuple):
    """One of the cells."""

    cell: cell.Cell
    binding: Reused


class Settled(NamedTuple):
    """A state that protocols which inject nothing before it start from."""

    state: Any  # h.SaveState
    before: list[Recorded]  # of each copy, until then
    onwards: list[Recorded]  # the same and what a cell without a stimulus does next


class Batch:
    """Copies of the user's cell in this process, as many as a call needs.

    Raises:
        GbarError: the model cannot be loaded or copied, or a parameter or protocol names something that is not in it.
    """

    def __init__(
        self,
        problem: Problem,
        library: str | None,
        core: str | None,
        ranged: Sequence[GlobalToRange] = (),
        segments: int | None = None,
    ):
        from neuron import h

        self.problem, self._core, self._ranged, self._segments = problem, core is not None, ranged, segments
        if problem.model.init is not None:
            raise GbarError(
                "model.init starts one cell, not many together: leave it out, or take an engine for single cells"
            )
        if problem.model.advance is not None:
            raise GbarError("model.advance moves one cell, not many together: take an engine for single cells")
        self._calls = [statement for parameter in problem.parameter for statement in parameter.apply]
        if ranged and self._calls:
            raise GbarError(
                f"'{self._calls[0]}' may read '{ranged[0].variable}', which has one value for the whole process"
            )
        if library:
            mechanisms.load(Path(library))
        if core is not None:
            os.environ["CORENEURONLIB"] = core  # read when CoreNEURON first runs
        self.copies: list[Copy] = []
        self._grow()
        first = self.copies[0]
        self._electrodes = Electrodes([first.cell])
        self.found = describe(problem, first.cell, first.binding)
        for protocol in problem.stimuli.values():
            place(first.cell, protocol, 0.0).close()
        if first.binding.process_wide:
            name = next(iter(first.binding.process_wide))
            raise GbarError(f"parameter '{name}' has one value for the whole process, so copies cannot differ in it")
        self._parallel = h.ParallelContext()
        try:
            self._grow()
        except GbarError as error:  # a flat hoc, say, whose file makes its sections once
            said = str(error).partition(": if ")[0]  # the usual fix that follows is for a first one
            raise GbarError(f"a second copy of the cell cannot be made ({said})") from None

    def describe(self) -> ModelInfo:
        """What was found in the model; see `sim.engine.single.describe`."""
        return self.found

    def evaluate(
        self, xs: np.ndarray, integrator: Integrator, protocols: Sequence[str] | None = None
    ) -> list[Evaluation]:  # xs [n, D] in NEURON's units
        """Set the parameters of n copies, run every protocol on all of them, compute every feature.

        The number of copies is rounded up to whole vectors of the processor: an instance in an incomplete one would be
        computed by other instructions, whose last digit differs. Arguments: see `sim.engine.single.Single.evaluate`.

        Raises:
            RuntimeError: NEURON gave up. A voltage that is not finite fails its own evaluation only.
        """
        wanted = -(-len(xs) // LANES) * LANES
        while len(self.copies) < wanted:
            self._grow()
        del self.copies[wanted:]
        self._set(xs, integrator)
        self._engage()
        stimuli = {n: p for n, p in self.problem.stimuli.items() if protocols is None or n in protocols}
        settled, measuring = self._settle(integrator, stimuli), 0.0
        done = [Evaluation() for _ in xs]
        amplitudes: list[dict[str, float | None]] = [{} for _ in xs]
        rheobases: list[dict[str, float | None]] = [{} for _ in xs]
        at_rheobase: dict[str, list[Recorded]] = {}
        for name, rheobase in self.problem.rheobases.items():
            if name not in stimuli:
                continue
            found, at_rheobase[name] = self._rheobase(name, rheobase, settled.get(name), integrator, len(xs))
            for own, current in zip(rheobases, found, strict=True):
                own[name] = current
        for name, protocol in stimuli.items():
            currents = [response.amplitude(self.problem, name, own) for own in rheobases]
            if name in at_rheobase:
                recorded = at_rheobase.pop(name)
            else:
                recorded = self._respond(name, protocol, currents, settled.get(name), integrator)
            simulated = time.process_time()
            for i, evaluation in enumerate(done):
                amplitudes[i][name] = currents[i]
                self._measure(evaluation, name, currents[i], recorded[i], integrator)
            measuring += time.process_time() - simulated
        for evaluation, own in zip(done, amplitudes, strict=True):
            evaluation.measuring = measuring / len(xs)
            if evaluation.status == "ok":
                evaluation.features |= response.finish(self.problem, evaluation.features, own)
        return done

    def _set(self, xs: np.ndarray, integrator: Integrator) -> None:
        """Set the parameters of all copies; again where a start of a simulation changes their sections or segments."""
        if self._calls:  # the model's own code may make sections and segments anew, and meets no electrode of ours
            self._electrodes = Electrodes([])
        for copy, x in zip(self.copies, itertools.cycle(xs), strict=False):
            copy.binding.assign(x)
        for _ in range(ROUNDS):
            self._start(integrator)
            moved = [copy for copy in self.copies if copy.binding.find()]
            cells = [copy.cell for copy in self.copies]
            if moved or self._electrodes.cells != cells:
                self._electrodes = Electrodes(cells)
            if not moved:
                return
            for copy in moved:
                copy.binding.set()
        raise GbarError("the cell's sections, segments or mechanisms change at every start of a simulation")

    def _grow(self) -> None:
        with _following(self._ranged):
            made = cell.build(self.problem.folder, self.problem.model, self._segments)
        made.ranged = {each.variable: _places(made.sections, each) for each in self._ranged}
        self.copies.append(Copy(made, Reused(made, self.problem.parameter)))

    def _measure(
        self, evaluation: Evaluation, name: str, current: float | None, recorded: Recorded, integrator: Integrator
    ) -> None:
        """Put one protocol's features and traces into an evaluation."""
        if evaluation.status != "ok":
            return
        interval = float(self.problem.efel_settings(name)["interp_step"])
        traces = {} if current is None else {key: even(v, integrator.dt, interval) for key, v in recorded.items()}
        try:
            evaluation.features |= response.measure_protocol(self.problem, name, traces, current)
        except GbarError as error:
            evaluation.status, evaluation.reason, evaluation.features = "failed", str(error), {}
        evaluation.traces |= {str(ResponseKey(name, recording)): trace for recording, trace in traces.items()}

    def _engage(self) -> None:
        """Let NEURON or CoreNEURON take the steps; a model may have changed either setting when it was loaded."""
        from neuron import coreneuron, h

        h.CVode().cache_efficient(1)
        coreneuron.enable, coreneuron.verbose = self._core, 0
        self._parallel.set_maxstep(10)

    def _start(self, integrator: Integrator) -> None:
        model = self.problem.model
        initialise(model.celsius, model.v_init, vars(integrator))

    def _settle(self, integrator: Integrator, stimuli: Mapping[str, Stimulus]) -> dict[str, Settled]:
        """Run all copies without a stimulus, and keep the state in which each of the protocols starts."""
        from neuron import h

        driven, coarse = list(stimuli.items()), COARSE * integrator.dt
        counts = {name: int(p.quiet_until / coarse + 1e-6) - MARGIN // COARSE for name, p in driven}
        if max(counts.values()) <= 0:
            return {}
        kinds = {recordings_of(p): p for name, p in driven if counts[name] > 0}
        self._electrodes.rest()
        recorded = {key: self._electrodes.recorded(p) for key, p in kinds.items()}
        states: dict[int, Any] = {}
        self._start(integrator)
        h.dt = coarse
        for count in sorted(count for count in set(counts.values()) if count > 0):
            self._parallel.psolve(count * coarse)
            states[count] = h.SaveState()
            states[count].save()
        until = max(
            [p.total for name, p in self.problem.rheobases.items() if name in stimuli and p.bounds[0] == 0], default=0.0
        )
        if until > (max(states) + 0.5) * coarse:  # psolve refuses to go nowhere
            self._parallel.psolve(until)
        traces = {
            key: [{name: finer(v, COARSE) for name, v in _values(one).items()} for one in each]
            for key, each in recorded.items()
        }
        return {
            name: Settled(
                states[counts[name]],
                [{key: v[: COARSE * counts[name] + 1] for key, v in one.items()} for one in traces[recordings_of(p)]],
                traces[recordings_of(p)],
            )
            for name, p in driven
            if counts[name] in states
        }

    def _respond(
        self, name: str, protocol: Stimulus, currents: Currents, settled: Settled | None, integrator: Integrator
    ) -> list[Recorded]:
        """What the first copies, each at its own current, recorded at every dt from t = 0; the others repeat them."""
        from neuron import h

        until = response.watched_until(self.problem, name)
        phases = phases_of(protocol, until, integrator.dt) if settled is not None else [Phase(until, 1)]
        vectors = self._begin(protocol, currents, settled, integrator)
        taken = [1]  # samples recorded at the end of each phase; the first is of the start
        for phase in phases:
            h.dt = integrator.dt * phase.step
            self._parallel.psolve(phase.until)
            taken.append(int(self._electrodes.t.size()))
        recorded = [_values(one) for one in vectors[: len(currents)]]
        if settled is None:
            return recorded
        parts = [(first - 1, last, each.step) for first, last, each in zip(taken, taken[1:], phases, strict=False)]
        return [
            {key: joined(before[key], v, parts) for key, v in one.items()}
            for before, one in zip(settled.before, recorded, strict=False)
        ]

    def _begin(
        self, protocol: Stimulus, currents: Currents, settled: Settled | None, integrator: Integrator
    ) -> list[dict[str, Any]]:
        """Put a protocol on all copies, each at its own current, in the state in which the protocol starts."""
        from neuron import h

        vectors = self._electrodes.put(protocol, currents)
        self._start(integrator)
        h.secondorder = order(protocol)
        if settled is not None:
            settled.state.restore()
        return vectors

    def _rheobase(
        self, name: str, protocol: Rheobase, settled: Settled | None, integrator: Integrator, count: int
    ) -> tuple[list[float | None], list[Recorded]]:
        """The rheobase of the first copies, and what they recorded at it.

        The search is made in coarse steps; a cell that does not fire at its rheobase in fine ones is taken to the next
        current that the search could have found, a few times.
        """
        threshold = float(self.problem.efel_settings(name)["Threshold"])
        searches = [RheobaseSearch(*protocol.bounds, protocol.precision) for _ in range(count)]
        if settled is not None and protocol.bounds[0] == 0:  # what a cell does without a stimulus is known
            for search, one in zip(searches, settled.onwards, strict=False):
                search.fired(_fired(one[MAIN], protocol, threshold, integrator.dt))
        while any(search.current is not None for search in searches):
            fired = self._probe(protocol, searches, threshold, settled, integrator)
            for search, answer in zip(searches, fired, strict=True):
                if search.current is not None:
                    search.fired(answer)
        found = [search.found for search in searches]
        for _ in range(RAISED):
            recorded = self._respond(name, protocol, found, settled, integrator)
            silent = [
                i
                for i, current in enumerate(found)
                if current is not None and not _fired(recorded[i][MAIN], protocol, threshold, integrator.dt)
            ]
            if not silent:
                break
            found = [searches[i].above(at) if i in silent and at is not None else at for i, at in enumerate(found)]
        else:
            found = [None if i in silent else current for i, current in enumerate(found)]
        return found, recorded

    def _probe(
        self,
        protocol: Rheobase,
        searches: Sequence[RheobaseSearch],
        threshold: float,
        settled: Settled | None,
        integrator: Integrator,
    ) -> list[bool]:
        """Which copies fire at the currents that their searches ask for.

        The run ends as soon as every copy that is asked has fired or will not any more. The first current, at which a
        cell must be silent, is tried to the end: then no later spike is the cell's own.
        """
        from neuron import h

        looks = [protocol.delay + share * protocol.duration for share in LOOKS]
        vectors = self._begin(protocol, [search.current for search in searches], settled, integrator)
        h.dt = COARSE * integrator.dt
        asked, fired = {i for i, search in enumerate(searches) if search.current is not None}, set[int]()
        for until in [*(until for until in looks if until < protocol.total), protocol.total]:
            self._parallel.psolve(until)
            t = np.asarray(self._electrodes.t)  # as_numpy leaks what it returns
            v = {i: np.asarray(vectors[i][MAIN]) for i in asked}
            fired |= {i for i in asked if crossed(t, v[i], protocol.delay, threshold)}
            asked -= fired | {i for i in asked if searches[i].tried > 0 and _over(t, v[i], protocol)}
            if not asked:
                break
        return [i in fired for i in range(len(searches))]


def _places(listed: Sequence[Any], each: GlobalToRange) -> list[tuple[Any, str]]:
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
def _following(ranged: Sequence[GlobalToRange]) -> Iterator[None]:
    """What the model's own code initialises while it builds a cell sees the GLOBALs that it has set."""
    from neuron import h

    handler = h.FInitializeHandler(3, lambda: [_places(list(h.allsec()), each) for each in ranged]) if ranged else None
    try:
        yield
    finally:
        del handler


def _fired(v: np.ndarray, protocol: Rheobase, threshold: float, dt: float) -> bool:
    """Whether a voltage recorded at every dt from t = 0 has a spike that the stimulus may have made."""
    return crossed(times(len(v), dt), v, protocol.delay, threshold)


def _over(t: np.ndarray, v: np.ndarray, protocol: Rheobase) -> bool:
    """Whether the stimulus has ended without a spike and most of its depolarisation is gone."""
    end = protocol.delay + protocol.duration
    if t[-1] <= end:
        return False
    rest, last = v[min(1, len(v) - 1)], v[t <= end][-1]
    return bool(v[-1] < rest + OVER * (last - rest) and v[-1] < v[-2])


def _values(vectors: Mapping[str, Any]) -> Recorded:
    return {name: np.array(vector) for name, vector in vectors.items()}
