"""How many evaluations to make between two fits: chosen once for a model, from what simulating and thinking take."""

import hashlib
import math
import time
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from pydantic import ValidationError

from gbar.agent.learning import Agent, Pretrained, padded
from gbar.agent.result import BatchTiming
from gbar.agent.tuning.definition import Definition
from gbar.agent.tuning.findings import Findings
from gbar.agent.tuning.ledger import Ledger
from gbar.agent.tuning.outcome import BatchSize, Pretraining
from gbar.sim import Integrator, Pool, cache_folder, processor
from gbar.sim.files import write_whole
from gbar.sim.problem import LANES

BATCH, GUIDED_BATCH = 8, 8  # evaluations between two fits: where nothing was measured, and with a pretrained agent
TIMED = 4  # evaluations at least that time a model, by their median: a worker's first one is slow
SPARE = 32  # evaluations beyond the budget that an agent has room for
TURNS = 12  # batches of single evaluations, and then until they double
SIZES = (4, 8, 16, 32, 64, 128)
WASTE = 0.7  # the evaluations a run needs after its design grow with the batch to this power (docs/agent.md)
SLACK = 1.3  # times the least wall clock that a run may take for the sake of fewer evaluations


class Took(NamedTuple):
    """What one evaluation took."""

    distance: float  # of its cell from the measurements
    seconds: float  # of a worker, its share of those simulated together with it


def new_agent(findings: Findings, ledger: Ledger, pretrained: Pretrained | None, seed: int) -> Agent:
    """An agent that knows what was pretrained, with room for all that the budget allows and a diagnosis asks.

    Earlier sessions of the run may have made more than the budget allows now.
    """
    definition, dimension = findings.definition, findings.observations.u.shape[1]
    ahead, config = max(ledger.left, len(ledger.kept)), definition.config
    rows = padded(len(findings.observations) + ahead + SPARE)
    key, believed = jax.random.key(seed), definition.problem.believed()
    return Agent(key, dimension, definition.target, config.tolerance, rows, config.agent, pretrained, believed)


def choose_batch(think_s: float, round_s: float, at_once: int) -> int:
    """The smallest batch with which a run takes hardly more wall clock than with any other.

    The later ones of a batch are chosen blindly: a run of batches of B needs about B**WASTE evaluations, which is
    B**(WASTE - 1) batches, and each takes thinking and as many rounds of simulating as B evaluations need.

    Args:
        think_s: fitting and planning of one batch.
        round_s: simulating one round, full or not.
        at_once: evaluations in a round: one a worker, or a whole vector of the processor.

    Raises:
        ValueError: a time below zero, or nothing at once.
    """
    if min(think_s, round_s) < 0 or at_once < 1:
        raise ValueError("expected times of at least 0 s, and at least one evaluation at once")
    sizes: tuple[int, ...] = SIZES if at_once <= SIZES[-1] else (*SIZES, at_once)
    if at_once % LANES == 0:  # a part of a vector takes as long as the whole
        sizes = tuple(size for size in sizes if size >= LANES)
    seconds = {size: size ** (WASTE - 1) * (think_s + math.ceil(size / at_once) * round_s) for size in sizes}
    return next(size for size in sizes if seconds[size] <= SLACK * min(seconds.values()))


def settle(findings: Findings, ledger: Ledger, pretraining: Pretraining, pool: Pool, took: list[Took]) -> BatchSize:
    """Choose a run's batch, unless its user has; what was measured once is remembered, so a seed stays a seed.

    Args:
        findings: after the design.
        ledger: knows how an earlier session went.
        pretraining: a pretrained agent needs no choice.
        pool: what simulates.
        took: the design's evaluations. The nearer half tells: a search goes where they are, and a cell that does what
            was measured can take ten times as long as a silent one.
    """
    asked = findings.definition.config.batch
    if asked or pretraining.agent:
        return BatchSize(asked or GUIDED_BATCH)
    file = _file(findings.definition)
    timing = _remembered(file)
    if timing is None:
        if len(took) < TIMED:  # the rest was another run's
            return BatchSize(BATCH)
        lanes = LANES if Integrator.of(findings.definition.problem).batched else 1
        think_s, round_s = _thinking_s(findings, ledger), lanes * _nearer_s(took)
        size = choose_batch(think_s, round_s, pool.at_once)
        timing = BatchTiming(batch=size, think_s=round(think_s, 4), round_s=round(round_s, 4), at_once=pool.at_once)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, timing.model_dump_json(indent=1) + "\n")
    return BatchSize(timing.batch, timing)


def _nearer_s(took: list[Took]) -> float:
    nearer = sorted(took)[: max(TIMED, len(took) // 2)]
    return float(np.median([each.seconds for each in nearer]))


def next_batch(whole: int, pretraining: Pretraining, made: int) -> int:
    """Evaluations before the next fit. From scratch the first are single ones: each teaches more than it costs
    to think.

    Not so where a whole batch is large: many workers wait for it, or someone asked for so much at once. A batch that a
    run chose can be given back, and repeats it.

    Args:
        whole: the run's batch.
        made: batches so far.
    """
    if pretraining.agent or whole > BATCH:
        return whole
    return min(whole, 1 << (made // TURNS))


def _thinking_s(findings: Findings, ledger: Ledger) -> float:
    """Fitting and planning of one batch, with everything compiled: the second batch of an agent made for this alone."""
    agent, u, seconds = new_agent(findings, ledger, None, 0), findings.observations.u, 0.0
    for _ in range(2):
        start = time.perf_counter()
        agent.update_surrogate(u, findings.features)
        agent.train_policy(u, findings.features)
        agent.refine(agent.plan(u, findings.features), None, u[:0])
        seconds = time.perf_counter() - start
    return seconds


def _file(definition: Definition) -> Path:
    """What remembers the choice for a model and its engine; not for its workers, which must not change an answer."""
    asked = (definition.problem.identity(), definition.keys, definition.engine)
    content = str((*asked, definition.config.agent, metadata.version("gbar"), metadata.version("jax"), processor()))
    return cache_folder() / "paces" / f"{hashlib.sha256(content.encode()).hexdigest()[:24]}.json"


def _remembered(file: Path) -> BatchTiming | None:
    try:
        return BatchTiming.model_validate_json(file.read_text())
    except (OSError, ValidationError):
        return None
