"""Whether a process may simulate one evaluation after the other, or whether what one leaves behind colours the next."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from gbar.sim.engine import Evaluation
from gbar.sim.errors import GbarError
from gbar.sim.pool import KILLED, Workers
from gbar.sim.problem import Integrator, Problem

SAME = 1e-6  # of a feature's value

Process = Literal["kept", "each"]


class Difference(NamedTuple):
    """A feature of one parameter vector in two processes."""

    key: str
    fresh: float
    other: float

    def __str__(self) -> str:
        return f"{self.key} is {self.fresh:.6g} in a fresh process and {self.other:.6g}"


class Reuse(NamedTuple):
    """What was found."""

    process: Process
    why: str  # empty where nothing is to be said
    fresh: dict[int, Evaluation]  # the vectors that were simulated in a fresh process
    passing: bool = False  # whether a process was killed meanwhile, so that it may be otherwise another time


def with_process(problem: Problem, process: Process) -> Problem:
    """The problem with a process for all evaluations ("kept") or one for each."""
    return problem.model_copy(update={"simulation": problem.simulation.model_copy(update={"process": process})})


def compare(
    problem: Problem, integrator: Integrator, pair: Sequence[np.ndarray], within: float, log: Path | None = None
) -> Reuse:
    """Simulate two parameter vectors in both orders, each order in a process of its own.

    Args:
        problem: whose `simulation.process` is not looked at.
        integrator: of an engine for single cells.
        pair: two vectors [D] in NEURON's units.
        within: seconds for both of them; nothing is compared where they take longer.
        log: where NEURON's own output goes.

    Raises:
        GbarError: the model cannot be loaded, or is another cell every time that it is built.
    """
    problem = with_process(problem, "kept")
    first, second = _beside(problem, integrator, pair, [(0, 1), (1, 0)], within, log)
    fresh = {i: done[i] for i, done in ((0, first), (1, second)) if i in done}
    if len(first) < 2 or len(second) < 2:
        why = f"two evaluations take longer than {within:g} s: a used process was not compared with a fresh one"
        return Reuse("kept", why, fresh)
    if any(done.reason in KILLED for part in (first, second) for done in part.values()):
        why = "a process was killed: a used one was not compared with a fresh one"
        return Reuse("kept", why, fresh, passing=True)
    used = next((d for i, other in ((0, second), (1, first)) for d in differences(fresh[i], other[i])), None)
    if used is None:
        return Reuse("kept", "", fresh)
    again = _beside(problem, integrator, pair, [(0,), (1,)], within, log)
    drawn = next((d for i in (0, 1) if i in again[i] for d in differences(fresh[i], again[i][i])), None)
    if drawn is not None:
        raise GbarError(
            f"the model is another cell every time that it is built: {drawn} in the next: give whatever it draws at "
            'random a seed (numpy.random.seed(1) in its file), or process = "kept" in [simulation] to go on regardless'
        )
    return Reuse("each", f"a process for each, because {used} after another evaluation", fresh)


def _beside(
    problem: Problem,
    integrator: Integrator,
    pair: Sequence[np.ndarray],
    orders: Sequence[tuple[int, ...]],
    within: float,
    log: Path | None,
) -> list[dict[int, Evaluation]]:
    """The evaluations of each order, made by one worker."""

    def one(order: tuple[int, ...]) -> dict[int, Evaluation]:
        with Workers(problem, 1, integrator, log) as pool:
            done = pool.run([pair[i] for i in order], within=within)
            return {order[k]: evaluation for k, evaluation in done}

    with ThreadPoolExecutor(len(orders)) as beside:
        return list(beside.map(one, orders))


def differences(one: Evaluation, other: Evaluation) -> Iterator[Difference]:
    """The features that are not the same in two evaluations of one parameter vector."""
    if one.status != other.status:
        yield Difference("the number of failures", float(one.status != "ok"), float(other.status != "ok"))
    elif one.status == "ok":
        for key, a in one.features.items():
            b = other.features.get(key, math.nan)
            same = math.isclose(a, b, rel_tol=SAME, abs_tol=1e-9) or (math.isnan(a) and math.isnan(b))
            if not same:
                yield Difference(key, a, b)
