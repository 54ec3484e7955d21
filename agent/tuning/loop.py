"""The main job: sample, learn, plan, verify, refit, until enough solutions are confirmed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np

from gbar.agent.learning import PROPOSERS, Agent, Compiling, Forecast, load_or_pretrain, select_batch, target_of
from gbar.agent.learning import stamp as pretraining_stamp
from gbar.agent.tuning import batch_size as pace
from gbar.agent.tuning.design import first_design, wider_design
from gbar.agent.tuning.diagnosis import explore
from gbar.agent.tuning.evaluator import Evaluator
from gbar.agent.tuning.interrupts import was_stopped
from gbar.agent.tuning.session import BEYOND, Kept, Observer, Session, TuneConfig, run_name
from gbar.sim import Archive, Evaluation, Integrator, Problem, Rows, open_pool
from gbar.sim.problem import within

SMALL, QUARTER = 2, 4  # evaluations in the first batches from scratch, at least and as a part of a whole one
TURNS = 12  # batches until they double


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
        _load_or_pretrain(session, archive)
    with _phase(session, observe, "start"):
        opened = open_pool(problem, config.workers, log=log, dask=config.dask)
    with opened as pool:
        archive.hold_to(pool.found.reads_outside)
        session.units, own = pool.found.units, pool.found.own
        evaluator = Evaluator(session, archive, pool, observe)
        try:
            # 1. sample the parameter space with NEURON
            if evaluator.parts_from_before(first_design(session, own)):  # other bounds, or another run has been at work
                evaluator.take_up()
            before, new = session.seconds["simulate"], 0
            for lay_out in (first_design, wider_design):
                points = lay_out(session, own)
                new += len(points) - evaluator.known(points)
                evaluator.simulate(points, ["design"])
            design_s = session.seconds["simulate"] - before
            evaluator.confirm()
            with _phase(session, observe, "fit"):
                pace.settle(session, pool, design_s, new)
            while len(session.solutions) < config.solutions and session.left > 0:
                # 2. learn the response
                with _phase(session, observe, "fit"):
                    agent = _learned(session)
                # 3. let the agent plan on it
                with _phase(session, observe, "plan"):
                    batch, proposers, forecast = _planned(session, agent)
                if evaluator.parts_from_before(batch):  # other things are asked for than before, or more is known
                    evaluator.take_up()
                    continue
                # 4. verify with NEURON; 5. what came out is learned at the next turn
                done = evaluator.simulate(batch, proposers, forecast)
                agent.record_errors(forecast, done)
                if not session.solutions and not session.pretrained:  # which knows where nothing fires
                    agent.adapt_trust_region(*evaluator.progress(len(done)))
                evaluator.note_first_batch(done)
                evaluator.confirm()
            session.status = "solved" if len(session.solutions) >= config.solutions else session.status
            with _phase(session, observe, "diagnose"):
                evaluator.confirm_nearest()
                session.reachability = explore(session, archive, pool)
            session.evaluations = archive.count(session.name)
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
    engine = str(Integrator.of(problem))
    every = archive.rows(keys, engine)
    rows = every.only(within(problem.unit(every.x), BEYOND))
    features = np.where(rows.ok[:, None], rows.features, np.nan)
    target = target_of(problem.measurements)
    tight, run = archive.rows(keys, str(Integrator.of(problem).tight())), run_name(problem, config)
    others, confirmed = (np.array([name != run for name in each.run], bool) for each in (rows, tight))
    x, features = rows.x[others], features[others]
    proposers = [name for name, other in zip(rows.proposer, others, strict=True) if other]
    session = Session(problem, config, keys, target, engine, x, problem.unit(x), features, proposers)
    session.from_other_runs = np.ones(len(x), bool)
    asked = archive.rows([], str(Integrator.of(problem).tight()))  # of other features too
    session.confirmed_before = {x.tobytes() for x, name in zip(asked.x, asked.run, strict=True) if name != run}
    _keep(session, rows, ~others, tight, ~confirmed)
    session.evaluations = archive.count(run) - len(session.kept)  # by another engine
    if str(Integrator.of(problem).tight()) != engine:
        _compare(session, tight, confirmed)
    return session


def _compare(session: Session, confirmed: Rows, others: np.ndarray) -> None:
    """Learn what the searching engine gets wrong from everything that other runs have confirmed."""
    where = {x.tobytes(): index for index, x in enumerate(session.x)}
    both = [
        (where[x.tobytes()], i)
        for i, x in enumerate(confirmed.x)
        if others[i] and x.tobytes() in where and confirmed.ok[i]
    ]
    if both:
        searched, tight = (list(part) for part in zip(*both, strict=True))
        session.compare(session.features[searched], confirmed.features[tight])


def _load_or_pretrain(session: Session, archive: Archive) -> None:
    """Take up what the archive's other runs have taught: kept beside it, or learned from it now and then kept."""
    problem, target, config = session.problem, session.target, session.config.agent
    rows = int(session.from_other_runs.sum())
    if rows < config.pretrain.least:
        session.pretrained_note = (
            f"{rows} evaluations of other runs: fewer than the {config.pretrain.least} worth learning from"
        )
        return
    stamp = pretraining_stamp(problem, session.config.tolerance, session.engine, config.pretrain, config.env)
    u, features = (
        part[: len(session.from_other_runs)][session.from_other_runs] for part in (session.u, session.features)
    )
    session.pretrained, session.pretrained_note = load_or_pretrain(
        archive.path, stamp, u, features, target, session.config.tolerance, config.pretrain, config.env
    )


def _keep(session: Session, searched: Rows, ours: np.ndarray, confirmed: Rows, ours_too: np.ndarray) -> None:
    """Lay out what earlier sessions of this run have made: the loop comes to it again, in the same order."""
    made = searched.batch[ours]
    for rows, own, confirming in ((searched, ours, False), (confirmed, ours_too, True)):
        for count, i in enumerate(np.flatnonzero(own), start=1):
            features = dict(zip(session.keys, map(float, rows.features[i]), strict=True))
            status = "ok" if rows.ok[i] else "failed"
            done = Evaluation(features, status=status, reason=rows.reason[i], seconds=float(rows.seconds[i]))
            if confirming == (rows.proposer[i] == "confirm"):
                number = count + (int((made < rows.batch[i]).sum()) if confirming else 0)
                kept = Kept(rows.x[i], done, int(rows.batch[i]), rows.proposer[i], number)
                session.kept[rows.x[i].tobytes(), confirming] = kept
    if (made > 1).any():
        session.batch_before = int((made == 1).sum()) or None


def _learned(session: Session) -> Agent:
    """The session's agent, refitted to all evaluations."""
    agent = session.agent or session.new_agent(jax.random.key(session.config.seed))
    agent.update_surrogate(session.u, session.bias_corrected)
    agent.train_policy(session.u, session.bias_corrected)
    session.agent = agent  # not before: Ctrl-C may come between, and half an agent cannot be asked
    return agent


def _planned(session: Session, agent: Agent) -> tuple[np.ndarray, list[str], Forecast]:
    """The next batch [B, D], who proposed each, and what is expected of it."""
    config = session.config
    proposals = agent.plan(session.u, session.bias_corrected)
    draw = np.random.default_rng([config.seed, len(session.u)])
    taken = np.array([solution.u for solution in session.solutions]).reshape(-1, session.u.shape[1])
    size = min(_batch_size(session), session.left)
    chosen = select_batch(
        draw, proposals, size, config.tolerance, agent.noise(), taken, session.u, config.agent.plan.apart
    )
    forecast = agent.forecast(proposals.r[:, chosen], proposals.p[:, chosen])
    return proposals.u[chosen], [PROPOSERS[i] for i in proposals.proposer[chosen]], forecast


def _batch_size(session: Session) -> int:
    """Evaluations before the next fit. From scratch the first are few: each teaches more than it costs to think.

    Also where the batch was asked for: one that a run chose can be given back, and repeats it.
    """
    if session.pretrained:
        return session.batch
    done = session.batches + len(session.history)
    return min(session.batch, max(SMALL, session.batch // QUARTER) << (done // TURNS))
