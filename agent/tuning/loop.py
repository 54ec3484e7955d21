"""The main job: sample, learn, plan, verify, refit, until enough solutions are confirmed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np

from gbar.agent.learning import PROPOSERS, Compiling, Forecast, Mind, choose, goal_of, recall
from gbar.agent.learning import stamp as memories_stamp
from gbar.agent.tuning import batch_size as pace
from gbar.agent.tuning.diagnosis import explore
from gbar.agent.tuning.evaluator import Lab
from gbar.agent.tuning.interrupts import was_stopped
from gbar.agent.tuning.session import BEYOND, Observer, Session, TuneConfig, run_name
from gbar.sim import Accuracy, Archive, Problem, Rows, design, open_pool
from gbar.sim.problem import within


def search(
    problem: Problem, config: TuneConfig, archive: Archive, log: Path, observe: Observer = lambda session: None
) -> Session:
    """Find parameter sets that reproduce the measurements, each confirmed by NEURON.

    Args:
        problem: with measurements.
        config: what the user chose.
        archive: every evaluation goes in; what it holds already is learned from.
        log: where NEURON's own output goes.
        observe: called after every evaluation.

    Returns:
        The session; `status` says how it ended. Ctrl-C ends it early with what it has.

    Raises:
        GbarError: the model cannot be built or simulated at all.
    """
    start, compiled = time.perf_counter(), Compiling.seconds
    session = _open(problem, config, archive)
    with _phase(session, observe, "fit"):
        _recall(session, archive)
    with _phase(session, observe, "start"):
        opened = open_pool(problem, config.workers, log=log, dask=config.dask)
    with opened as pool:
        archive.hold_to(pool.found.reads_outside)
        session.units = pool.found.units
        lab = Lab(session, archive, pool, observe)
        try:
            lab.confirm_again()
            # 1. sample the parameter space with NEURON
            points, before = _design(session), session.seconds["simulate"]
            lab.simulate(points, ["design"])
            design_s = session.seconds["simulate"] - before
            lab.confirm()
            with _phase(session, observe, "fit"):
                pace.settle(session, pool, design_s, len(points))
            while len(session.solutions) < config.solutions and session.left > 0:
                # 2. learn the response
                with _phase(session, observe, "fit"):
                    mind = _learned(session)
                # 3. let the agent plan on it
                with _phase(session, observe, "plan"):
                    batch, proposers, forecast = _planned(session, mind)
                # 4. verify with NEURON; 5. what came out is learned at the next turn
                done = lab.simulate(batch, proposers, forecast)
                mind.learn_from(forecast, done)
                if not session.solutions and not session.memory:  # which knows where nothing fires
                    mind.trust(*lab.progress(len(done)))
                lab.note_first_batch(done)
                lab.confirm()
            session.status = "solved" if len(session.solutions) >= config.solutions else session.status
            with _phase(session, observe, "diagnose"):
                lab.confirm_nearest()
                session.reach = explore(session, archive, pool)
        except BaseException as error:
            if not was_stopped(error):
                raise
            session.status = "interrupted"
            session.evaluations = archive.count(session.name)  # one may have been kept and not yet been counted
    session.seconds["total"] = time.perf_counter() - start
    session.compiled_s = Compiling.seconds - compiled
    return session


@contextmanager
def _phase(session: Session, observe: Observer, part: str) -> Iterator[None]:
    """A part of the wall clock that whoever waits is told of when it begins."""
    with session.timed(part):
        observe(session)
        yield


def _open(problem: Problem, config: TuneConfig, archive: Archive) -> Session:
    """A session that knows everything the archive holds."""
    keys = [m.key for m in problem.measurements]
    engine = str(Accuracy.of(problem))
    every = archive.rows(keys, engine)
    rows = every.only(within(problem.unit(every.x), BEYOND))
    features = np.where(rows.ok[:, None], rows.features, np.nan)
    goal = goal_of(problem.measurements, config.tolerance)
    session = Session(problem, config, keys, goal, engine, rows.x, problem.unit(rows.x), features, list(rows.proposer))
    session.foreign = np.array([run != run_name(problem, config) for run in rows.run], bool)
    session.evaluations = archive.count(run_name(problem, config))
    tight = str(Accuracy.of(problem).tight())
    _resume(session, every, archive.rows([], tight))
    if tight != engine:
        _compare(session, archive.rows(keys, tight))
    return session


def _compare(session: Session, confirmed: Rows) -> None:
    """Learn what the searching engine gets wrong from everything that any run has confirmed."""
    where = {x.tobytes(): index for index, x in enumerate(session.x)}
    both = [(where[x.tobytes()], i) for i, x in enumerate(confirmed.x) if x.tobytes() in where and confirmed.ok[i]]
    if both:
        searched, tight = (list(part) for part in zip(*both, strict=True))
        session.compare(session.features[searched], confirmed.features[tight])


def _recall(session: Session, archive: Archive) -> None:
    """Take up what the archive's other runs have taught: kept beside it, or learned from it now and then kept."""
    problem, goal, mind = session.problem, session.goal, session.config.mind
    rows = int(session.foreign.sum())
    if rows < mind.memory.least:
        session.memory_note = (
            f"{rows} evaluations of other runs: fewer than the {mind.memory.least} worth learning from"
        )
        return
    stamp = memories_stamp(problem, goal, session.engine, mind.memory, mind.env)
    u, features = (part[: len(session.foreign)][session.foreign] for part in (session.u, session.features))
    session.memory, session.memory_note = recall(archive.path, stamp, u, features, goal, mind.memory, mind.env)


def _resume(session: Session, searched: Rows, confirmed: Rows) -> None:
    """Take up what earlier sessions of this run have done, and what any run has confirmed."""
    run = run_name(session.problem, session.config)
    own = [np.array([name == run for name in rows.run], bool) for rows in (searched, confirmed)]
    for rows, ours in zip((searched, confirmed), own, strict=True):
        session.failures.update(rows.reason[i] for i in np.flatnonzero(ours & ~rows.ok))
        session.batches = max([session.batches, *(int(batch) + 1 for batch in rows.batch[ours])])
    session.confirmed_before = {x.tobytes() for x in confirmed.x}
    session.confirmations = int(own[1].sum())
    searched_before = [int((searched.batch[own[0]] < batch).sum()) for batch in confirmed.batch[own[1]]]
    session.reconfirm = [
        (x.tobytes(), before + number)
        for number, (x, before) in enumerate(zip(confirmed.x[own[1]], searched_before, strict=True), start=1)
    ]


def _design(session: Session) -> np.ndarray:
    """The space-filling points still missing before the first fit, [n, D] in the unit cube."""
    dimension = len(session.problem.names)
    wanted = session.config.design(dimension)
    known = {x.tobytes() for x in session.x}
    points = design(dimension, wanted, session.config.seed)
    new = [u for u, x in zip(points, session.problem.physical(points), strict=True) if x.tobytes() not in known]
    missing = max(0, min(wanted - int(session.inside.sum()), session.left))
    return np.array(new[:missing]).reshape(-1, dimension)


def _learned(session: Session) -> Mind:
    """The session's mind, refitted to all evaluations."""
    mind = session.mind or session.new_mind(jax.random.key(session.config.seed))
    mind.refit(session.u, session.judged)
    mind.practise(session.u, session.judged)
    session.mind = mind  # not before: Ctrl-C may come between, and half a mind cannot be asked
    return mind


def _planned(session: Session, mind: Mind) -> tuple[np.ndarray, list[str], Forecast]:
    """The next batch [B, D], who proposed each, and what is expected of it."""
    config = session.config
    pool = mind.plan(session.u, session.judged)
    draw = np.random.default_rng([config.seed, len(session.u)])
    taken = np.array([solution.u for solution in session.solutions]).reshape(-1, session.u.shape[1])
    size = min(session.batch, session.left)
    chosen = choose(draw, pool, size, config.tolerance, mind.noise(), taken, session.u, config.mind.plan.apart)
    forecast = mind.forecast(pool.r[:, chosen], pool.p[:, chosen])
    return pool.u[chosen], [PROPOSERS[i] for i in pool.proposer[chosen]], forecast
