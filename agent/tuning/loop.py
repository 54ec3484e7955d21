"""The main job: sample, learn, plan, verify, refit, until enough solutions are confirmed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from gbar.agent.learning import (
    AIMS,
    PROPOSERS,
    Agent,
    Compiling,
    EngineBias,
    Forecast,
    load_or_pretrain,
    select_batch,
)
from gbar.agent.learning import stamp as pretraining_stamp
from gbar.agent.tuning.batch_size import BATCH, new_agent, next_batch, settle
from gbar.agent.tuning.breeding import bred_share
from gbar.agent.tuning.definition import BEYOND, Definition, TuneConfig
from gbar.agent.tuning.design import designs
from gbar.agent.tuning.diagnosis import explore
from gbar.agent.tuning.evaluator import Evaluator, compromises_so_far
from gbar.agent.tuning.fidelity import Misled, check_form, model_itself
from gbar.agent.tuning.findings import Confirmed, Findings, Observations
from gbar.agent.tuning.interrupts import was_stopped
from gbar.agent.tuning.ledger import WRITING, Kept, Ledger, Observer, unseen
from gbar.agent.tuning.live import LiveFiles
from gbar.agent.tuning.outcome import BatchSize, Outcome, Pretraining
from gbar.agent.tuning.schedule import schedule_of
from gbar.agent.tuning.warming import warm_up
from gbar.sim import Archive, Evaluation, Pool, Problem, Rows, open_pool
from gbar.sim.problem import within

ARCHIVE = "archive"  # who proposed what other runs have simulated


class Turn(NamedTuple):
    """What is known after each step of a search."""

    findings: Findings
    batch: BatchSize = BatchSize(BATCH)
    agent: Agent | None = None


def search(
    problem: Problem,
    config: TuneConfig,
    archive: Archive,
    log: Path,
    observe: Observer = unseen,
    live: LiveFiles | None = None,
) -> Outcome:
    """Find parameter sets that reproduce the measurements, each confirmed by NEURON.

    Where a cheaper form of the model is searched on and turns out to mislead, the search goes on on the model itself.

    Args:
        problem: with measurements.
        config: what the user chose.
        archive: every evaluation goes in; what it holds already is learned from.
        log: where NEURON's own output goes.
        observe: called after every evaluation.
        live: tells whoever watches the run's folder, and pauses or stops the search where it is asked to.

    Returns:
        How it ended and what it found. Ctrl-C ends it early with what it has.

    Raises:
        GbarError: the model cannot be built or simulated at all.
    """
    ledger, compiled = Ledger(config.budget, observe, live), Compiling.seconds
    try:
        return _search(Definition.of(problem, config), archive, log, ledger)
    except Misled as error:
        model = Definition.of(model_itself(problem), config)
        outcome = _search(model, archive, log, ledger.again(model))
        return replace(outcome, misled=error, compiled_s=Compiling.seconds - compiled)


def _search(definition: Definition, archive: Archive, log: Path, ledger: Ledger) -> Outcome:
    """Search on the form of the model that the definition says. Raises Misled where that is a cheaper one."""
    problem, config, compiled = definition.problem, definition.config, Compiling.seconds
    findings = _from_other_runs(definition, archive, ledger)
    with ledger.phase("fit", findings):
        pretraining = _pretraining(findings, archive)
    with ledger.phase("start", findings):
        opened = open_pool(problem, config.workers, log=log, dask=config.dask)
    turn, reachability = Turn(findings), None
    compromises: tuple[Confirmed, ...] = ()
    status: Literal["solved", "out of budget", "interrupted"] = "out of budget"
    with opened as pool:
        archive.hold_to(pool.found.reads_outside)
        evaluator = Evaluator(findings.definition, ledger, archive, pool)
        try:
            for later in _turns(turn.findings, evaluator, pretraining, pool):
                turn = later  # what is known when Ctrl-C comes
                ledger.pause()
            with ledger.phase("diagnose", turn.findings):
                findings, compromises = evaluator.conclude(turn.findings)
                turn = turn._replace(findings=findings)
                reachability = explore(turn.findings, turn.agent, archive, pool)
            status = "solved" if len(turn.findings.solutions) >= config.solutions else status
            ledger.tell_of(WRITING, turn.findings)
        except BaseException as error:
            if not was_stopped(error):
                raise
            status, turn = "interrupted", turn._replace(findings=_with_unfinished(turn.findings, archive))
            compromises = compromises_so_far(turn.findings)
        ledger.evaluations = archive.count(findings.definition.name)  # one may have been kept and not yet been counted
    ledger.stop()
    return Outcome(
        status=status,
        findings=turn.findings,
        agent=turn.agent,
        batch=turn.batch,
        pretraining=pretraining,
        compromises=compromises,
        reachability=reachability,
        ledger=ledger,
        units=pool.found.units,
        compiled_s=Compiling.seconds - compiled,
        schedule="greedy" if evaluator.schedule else "whole",
    )


def _turns(findings: Findings, evaluator: Evaluator, pretraining: Pretraining, pool: Pool) -> Iterator[Turn]:
    """The search itself. Yields what is known after each step."""
    config, ledger = findings.definition.config, evaluator.ledger
    # 1. sample the parameter space with NEURON
    warming = warm_up(findings, ledger, pretraining.agent)
    first, *others = designs(pool.found.own)
    if evaluator.parts_from_before(first(findings, ledger.left)):
        findings = evaluator.take_up(findings)  # other bounds, or another run has been at work
    for lay_out in (first, *others):
        findings = evaluator.simulate(findings, lay_out(findings, ledger.left), ["design"])
        yield Turn(findings)
    for later in evaluator.confirm(findings):
        findings = later
        yield Turn(findings)
    check_form(findings)
    with ledger.phase("fit", findings):
        warming.join()
        agent = new_agent(findings, ledger, pretraining.agent, config.seed)
        batch = settle(findings, ledger, pretraining, pool, evaluator.took)
        evaluator.schedule = schedule_of(findings.definition, batch.timing)
    while len(findings.solutions) < config.solutions and ledger.left > 0:
        # 2. learn the response
        with ledger.phase("fit", findings):
            agent.update_surrogate(findings.observations.u, findings.features)
            agent.train_policy(findings.observations.u, findings.features)
        yield Turn(findings, batch, agent)
        # 3. let the agent plan on it
        with ledger.phase("plan", findings):
            size = min(next_batch(batch.size, pretraining, ledger.batch(findings)), ledger.left)
            u, proposers, forecast = _planned(findings, agent, size)
        if evaluator.parts_from_before(u):  # other things are asked for than before, or more is known
            findings = evaluator.take_up(findings)
            yield Turn(findings, batch, agent)
            continue
        # 4. verify with NEURON; 5. what came out is learned at the next turn
        findings = evaluator.simulate(findings, u, proposers, forecast)
        simulated, far = findings.features[-len(u) :], findings.distance
        agent.record_errors(u, forecast, simulated)
        if not findings.solutions and not pretraining.agent:  # which knows where nothing fires
            agent.adapt_trust_region(float(far[-len(u) :].min()), float(far[: -len(u)].min()), forecast, simulated)
        if pretraining.agent:
            findings = evaluator.with_first_batch(findings, simulated)
        for later in evaluator.confirm(findings):
            findings = later
            yield Turn(findings, batch, agent)
        check_form(findings)


def _from_other_runs(definition: Definition, archive: Archive, ledger: Ledger) -> Findings:
    """What the archive holds already. What earlier sessions of this run made is laid out for the loop to come to."""
    problem, keys, run = definition.problem, definition.keys, definition.name
    every = archive.rows(keys, definition.engine, partial=True)
    rows = every.only(within(problem.unit(every.x), BEYOND))
    tight = archive.rows(keys, str(definition.tight), partial=True)  # one that was given up half-way was paid for too
    others, confirmed = (np.array([name != run for name in each.run], bool) for each in (rows, tight))
    x, features = rows.x[others], np.where(rows.ok[:, None], rows.features, np.nan)[others]
    bias = EngineBias.unknown(definition.target, x.shape[1])
    known = Observations(x, problem.unit(x), features, (ARCHIVE,) * len(x), np.zeros(len(x), int))
    findings = Findings(definition, known, bias)
    asked = archive.rows([], str(definition.tight))  # of other features too
    ledger.confirmed_before = {x.tobytes() for x, name in zip(asked.x, asked.run, strict=True) if name != run}
    _keep(definition, ledger, rows, ~others, tight, ~confirmed)
    ledger.evaluations = archive.count(run) - len(ledger.kept)  # by another engine
    return _with_bias(findings, tight, confirmed) if str(definition.tight) != definition.engine else findings


def _with_unfinished(findings: Findings, archive: Archive) -> Findings:
    """With what was kept of a batch that Ctrl-C came into."""
    definition, known = findings.definition, findings.observations
    rows = archive.rows(definition.keys, definition.engine, partial=True)
    before = {x.tobytes() for x in known.x}
    new = [name == definition.name and x.tobytes() not in before for name, x in zip(rows.run, rows.x, strict=True)]
    more = rows.only(np.array(new, bool))
    features, u = np.where(more.ok[:, None], more.features, np.nan), definition.problem.unit(more.x)
    made = findings.history[-1].evaluations if findings.history else 0
    numbers = range(made + 1, made + 1 + len(u))
    return replace(findings, observations=known.added(more.x, u, features, more.proposer, numbers))


def _with_bias(findings: Findings, confirmed: Rows, others: np.ndarray) -> Findings:
    """Learn what the searching engine gets wrong from everything that other runs have confirmed."""
    known = findings.observations
    where = {x.tobytes(): index for index, x in enumerate(known.x)}
    both = [
        (where[x.tobytes()], i)
        for i, x in enumerate(confirmed.x)
        if others[i] and x.tobytes() in where and confirmed.ok[i] and not np.isinf(confirmed.features[i]).any()
    ]
    if not both:
        return findings
    searched, tight = (list(part) for part in zip(*both, strict=True))
    return replace(
        findings, bias=findings.bias.compared(known.u[searched], known.features[searched], confirmed.features[tight])
    )


def _pretraining(findings: Findings, archive: Archive) -> Pretraining:
    """Take up what the archive's other runs have taught: kept beside it, or learned from it now and then kept."""
    definition, known = findings.definition, findings.observations
    tolerance, config = definition.config.tolerance, definition.config.agent
    if len(known) < config.pretrain.least:
        least = config.pretrain.least
        return Pretraining(None, f"{len(known)} evaluations of other runs: fewer than the {least} worth learning from")
    stamp = pretraining_stamp(definition.problem, tolerance, definition.engine, config.pretrain, config.env)
    whole = ~np.isinf(known.features).any(axis=1)
    rows = known.u[whole], known.features[whole], definition.target
    return Pretraining(*load_or_pretrain(archive.path, stamp, *rows, tolerance, config.pretrain, config.env))


def _keep(
    definition: Definition, ledger: Ledger, searched: Rows, ours: np.ndarray, confirmed: Rows, ours_too: np.ndarray
) -> None:
    """Lay out what earlier sessions of this run have made: the loop comes to it again, in the same order."""
    where = [
        [i for i in np.flatnonzero(own) if (rows.proposer[i] == "confirm") == confirming]
        for rows, own, confirming in ((searched, ours, False), (confirmed, ours_too, True))
    ]
    made, held = searched.batch[where[0]], confirmed.batch[where[1]]
    for rows, indices, confirming in ((searched, where[0], False), (confirmed, where[1], True)):
        for count, i in enumerate(indices, start=1):
            features = dict(zip(definition.keys, map(float, rows.features[i]), strict=True))
            status = "ok" if rows.ok[i] else "failed"
            done = Evaluation(features, status=status, reason=rows.reason[i], seconds=float(rows.seconds[i]))
            before = made < rows.batch[i] if confirming else held <= rows.batch[i]  # a batch is confirmed as the next
            kept = Kept(rows.x[i], done, int(rows.batch[i]), rows.proposer[i], count + int(before.sum()))
            ledger.kept[rows.x[i].tobytes(), confirming] = kept


def _planned(findings: Findings, agent: Agent, size: int) -> tuple[np.ndarray, list[str], Forecast]:
    """The next batch [B, D], who proposed each, and what is expected of it."""
    config, u = findings.definition.config, findings.observations.u
    proposals = agent.plan(u, findings.features)
    draw = np.random.default_rng([config.seed, len(u)])
    taken = findings.taken
    plan, far = config.agent.plan, findings.best > config.agent.plan.near * config.tolerance
    aim = (1 + findings.planned) % AIMS if far and agent.pretrained is None and not len(taken) else None
    bred = int(size * bred_share(findings) + draw.random()) if aim is not None else 0
    proposals = agent.refine(proposals, aim, taken)
    asked = (proposals, size, config.tolerance, taken, u, plan.apart, aim)
    chosen = select_batch(draw, *asked, findings.definition.target, bred)
    forecast = agent.forecast(proposals.only(chosen))
    return proposals.u[chosen], [PROPOSERS[i] for i in proposals.proposer[chosen]], forecast
