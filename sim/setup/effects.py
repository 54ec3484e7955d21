"""Which parameters act at all: each is changed once, in a short simulation, and every voltage of the cell compared."""

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from gbar.sim.engine import ModelInfo
from gbar.sim.errors import GbarError
from gbar.sim.pool import START_LIMIT_S, Workers, ask, elsewhere
from gbar.sim.problem import Problem
from gbar.sim.setup.choice import Choice, choose_engine
from gbar.sim.setup.reuse import with_process

STEP = 0.1  # of a parameter's range
CLAMP_MV, CLAMPED_MS, TOTAL_MS, SAMPLE_MS = 20.0, 4.0, 10.0, 1.0  # depolarised until every gate has moved, then let go
DT_MS = 0.025
SAME_MV = 1e-9
SHORT_S = 20.0  # for the short simulations of all parameters
MOVED = 0.5  # SDs that a measurement moves by with twice the delay, where the cell had not settled
SAME_TIME_MS = 0.2
VALUES_S = 10.0  # for what is measured, in the model as it is, and twice as long with twice the delay
PROTOCOLS_S = 30.0  # for the protocols of those that moved nothing in them


@dataclass(frozen=True)
class Effects:
    """What a worker finds in a model, and which of its parameters act."""

    model: ModelInfo
    inert: list[str]  # parameters that change nothing
    untried: list[str]  # those that there was no time for
    values: dict[str, float] = field(default_factory=dict)  # what is measured, in the model as it is, in bounds
    # SDs by which twice the delay moves what is measured, see `_unsettled`; None: no time to find out
    unsettled: dict[str, float | None] | None = field(default_factory=dict)
    choice: Choice | None = None  # the engine that is to simulate the model, where it was asked for

    def as_json(self) -> dict[str, Any]:
        """One flat object for programs."""
        said: dict[str, Any] = {"inert": self.inert, "untried": self.untried, "unsettled": self.unsettled}
        if self.choice:
            said |= {"engine": self.choice.engine, "engine_why": self.choice.why, "process": self.choice.process}
        return asdict(self.model) | said


def tried(problem: Problem) -> Effects:
    """What `looked_at` finds, and the engine that is to simulate the model. Raises GbarError as it does."""
    found = looked_at(problem)
    return replace(found, choice=choose_engine(problem)[1])


def looked_at(problem: Problem) -> Effects:
    """What a worker finds in the model, which parameters change nothing, and what the model does as it is.

    A parameter acts if it moves a voltage of the cell in a short simulation, or any trace under the protocols. Both
    have a limit in seconds, so that a large model takes no longer than a small one.

    Raises:
        GbarError: the model cannot be built or loaded.
    """
    with ThreadPoolExecutor(2) as beside:  # while a worker loads the model, another process tries the parameters
        short, later_values = beside.submit(_moved, problem), beside.submit(_later, problem)
        with Workers(with_process(problem, "each"), 1) as pool:  # what acts through a table, say, acts in a fresh one
            values = _values(problem, pool) if problem.measurements else {}
            still, untried = short.result()
            inert, later = _inert(problem, pool, still) if still else ([], [])
        unsettled = _unsettled(problem, values, later_values.result())
    later = sorted(untried + later)
    return Effects(pool.found, [problem.names[i] for i in inert], [problem.names[i] for i in later], values, unsettled)


def _values(problem: Problem, pool: Workers, within: float = VALUES_S) -> dict[str, float]:
    """Features of the model as it is; none where it takes long."""
    base, _ = _points(problem, pool.found.own)
    done = dict(pool.run([base], within=within))
    return done[0].features if 0 in done and done[0].status == "ok" else {}


def _later(problem: Problem) -> dict[str, float]:
    """The same with every delay twice as long; none where it takes long, or cannot be."""
    if not problem.measurements:
        return {}
    protocols = {name: stimulus.later(stimulus.delay) for name, stimulus in problem.stimuli.items()}
    changed = problem.model_copy(update={"protocol": {**problem.protocol, **protocols}})
    with Workers(with_process(changed, "each"), 1) as pool:
        return _values(changed, pool, 2 * VALUES_S)


def _unsettled(problem: Problem, values: dict[str, float], later: dict[str, float]) -> dict[str, float | None] | None:
    """By how many SDs each measurement moves, where by MOVED or more; None where it is defined only once.

    None instead of all that where one of the two is not known.
    """
    found: dict[str, float | None] = {}
    if problem.measurements and not (values and later):
        return None
    for m in problem.measurements:
        before, after = values[m.key], later[m.key]
        delay = problem.stimuli[m.under].delay if m.under in problem.stimuli else math.inf
        if math.isclose(after - before, delay, abs_tol=SAME_TIME_MS):  # the time of an event, from the beginning
            continue
        if math.isnan(before) != math.isnan(after):
            found[m.key] = None
        elif abs(after - before) >= MOVED * m.sd:
            found[m.key] = (after - before) / m.sd
    return found


def _moved(problem: Problem) -> tuple[list[int], list[int]]:
    """The parameters that move nothing in a short simulation, and those that there was no time for.

    Where there cannot be such a simulation, no parameter moves anything in it.
    """
    read = {"protocol": {"__all__": {"times", "currents"}}}  # from files: nobody may write them
    content = elsewhere.packed(problem, problem=problem.model_dump(mode="json", exclude=read), within=SHORT_S)
    try:
        again, *moved = ask(spreads, content, START_LIMIT_S + problem.simulation.time_limit)
    except GbarError:  # a model that cannot run in fixed steps, say: its own protocols decide
        return list(range(len(problem.names))), []
    if again is None:
        return [], list(range(len(problem.names)))
    still = [i for i, by in enumerate(moved) if by is not None and by <= max(SAME_MV, 10 * again)]
    return still, [i for i, by in enumerate(moved) if by is None]


def _inert(problem: Problem, pool: Workers, suspects: list[int]) -> tuple[list[int], list[int]]:
    """Of the suspects, those that change nothing under the protocols, and those that there was no time for."""
    base, changed = _points(problem, pool.found.own)
    done = dict(pool.run([base, *changed[suspects]], traces=True, within=PROTOCOLS_S))
    if 0 not in done or done[0].status != "ok":
        return [], suspects  # nothing to compare with
    tried = {i: done[k] for k, i in enumerate(suspects, start=1) if k in done}
    return [i for i, one in tried.items() if _same(done[0], one)], [i for i in suspects if i not in tried]


def _points(problem: Problem, own: Sequence[float] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The model's own values inside the bounds [D], and the same with one parameter changed in each row [D, D]."""
    unit = problem.nearest(np.asarray(own))
    rows = np.tile(unit, (len(unit), 1))
    np.fill_diagonal(rows, np.where(unit < 0.5, unit + STEP, unit - STEP))
    return problem.physical(unit), problem.physical(rows)


def _same(one: Any, other: Any) -> bool:
    if one.status != "ok" or other.status != "ok":
        return False  # to fail is to act
    same = all(np.array_equal(one.traces[name][1], other.traces[name][1]) for name in one.traces.keys() & other.traces)
    return same and one.traces.keys() == other.traces.keys() and str(one.features) == str(other.features)


def spreads(content: dict[str, Any]) -> list[float | None]:
    """The other process: how far (mV) voltages are from those of a first run: in a second one, and with each change.

    None for what was not simulated `within` so many seconds.
    """
    from gbar.sim.cell import Reused

    problem, cell = Problem.model_validate(content["problem"]), elsewhere.built(content)
    binding = Reused(cell, problem.parameter, problem.model.init is not None or problem.model.advance is not None)
    own = [at[0] if at else p.middle for p, at in zip(problem.parameter, binding.own(), strict=True)]
    base, changed = _points(problem, own)
    end = time.monotonic() + content["within"]
    first = _response(problem, cell, binding, base)
    found: list[float | None] = []
    for x in (base, *changed):
        if time.monotonic() > end:
            found.append(None)
            continue
        here = _response(problem, cell, binding, x)
        distance = float(np.max(np.abs(here - first))) if here.shape == first.shape else math.inf
        found.append(distance if np.isfinite(distance) else 1e9)
    return found


def _response(problem: Problem, cell: Any, binding: Any, x: np.ndarray) -> np.ndarray:
    """Every segment's voltage and the clamp's current, every millisecond, while the soma is clamped and after."""
    from neuron import h

    from gbar.sim.cell import initialise, integrate, own_code, soma, working_folder

    model, integrator = problem.model, {"engine": "fixed", "dt": DT_MS, "advance": problem.model.advance}

    def start() -> None:
        with working_folder(problem.folder), own_code(cell):
            initialise(model.celsius, model.v_init, integrator, model.init)

    binding.assign(x)
    binding.settle(start)
    clamp = h.SEClamp(soma(cell)(0.5))
    clamp.dur1, clamp.amp1, clamp.rs = CLAMPED_MS, CLAMP_MV, 1.0
    start()
    seen = []
    for until in np.arange(SAMPLE_MS, TOTAL_MS + SAMPLE_MS / 2, SAMPLE_MS):
        integrate(until, integrator)
        seen += [clamp.i, *(segment.v for section in cell.sections for segment in section)]
    return np.array(seen)
