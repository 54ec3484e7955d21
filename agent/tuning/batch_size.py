"""How many evaluations to make between two fits: chosen once for a model, from what simulating and thinking take."""

import hashlib
import math
import time
from importlib import metadata
from pathlib import Path

import jax
from pydantic import ValidationError

from gbar.agent.result import BatchTiming
from gbar.agent.tuning.session import GUIDED_BATCH, Session
from gbar.sim import Pool, cache_folder, processor
from gbar.sim.files import write_whole

SIZES = (4, 8, 16, 32, 64, 128)
WASTE = 0.7  # the evaluations a run needs after its design grow with the batch to this power (docs/agent.md)
SLACK = 1.3  # times the least wall clock that a run may take for the sake of fewer evaluations


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
    sizes = SIZES if at_once <= SIZES[-1] else (*SIZES, at_once)
    seconds = {size: size ** (WASTE - 1) * (think_s + math.ceil(size / at_once) * round_s) for size in sizes}
    return next(size for size in sizes if seconds[size] <= SLACK * min(seconds.values()))


def settle(session: Session, pool: Pool, design_s: float, designed: int) -> None:
    """Choose the session's batch, unless the user has; what was measured once is remembered, so a seed stays a seed.

    Args:
        session: after the design, without an agent yet.
        pool: what simulates.
        design_s: how long it took `designed` evaluations.
    """
    if session.config.batch or session.pretrained:
        session.batch = session.config.batch or GUIDED_BATCH
        return
    file = _file(session)
    session.pace = _remembered(file)
    if session.pace is None:
        if not designed:  # all of it was in the archive
            session.batch = session.batch_before or session.batch
            return
        think_s, round_s = _thinking_s(session), design_s / math.ceil(designed / pool.at_once)
        batch = choose_batch(think_s, round_s, pool.at_once)
        session.pace = BatchTiming(
            batch=batch, think_s=round(think_s, 4), round_s=round(round_s, 4), at_once=pool.at_once
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, session.pace.model_dump_json(indent=1) + "\n")
    session.batch = session.pace.batch


def _thinking_s(session: Session) -> float:
    """Fitting and planning of one batch, with everything compiled: the second batch of an agent made for this alone."""
    agent, seconds = session.new_agent(jax.random.key(0)), 0.0
    for _ in range(2):
        start = time.perf_counter()
        agent.update_surrogate(session.u, session.bias_corrected)
        agent.train_policy(session.u, session.bias_corrected)
        agent.plan(session.u, session.bias_corrected)
        seconds = time.perf_counter() - start
    return seconds


def _file(session: Session) -> Path:
    """What remembers the choice for a model and its engine; not for its workers, which must not change an answer."""
    asked = (session.problem.identity(), session.keys, session.engine)
    content = str((*asked, session.config.agent, metadata.version("gbar"), metadata.version("jax"), processor()))
    return cache_folder() / "paces" / f"{hashlib.sha256(content.encode()).hexdigest()[:24]}.json"


def _remembered(file: Path) -> BatchTiming | None:
    try:
        return BatchTiming.model_validate_json(file.read_text())
    except (OSError, ValidationError):
        return None
