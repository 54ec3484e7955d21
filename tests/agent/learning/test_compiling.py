"""Nothing compiles twice in a run: an agent's sizes are fixed when it is made."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gbar.agent.learning.actor_critic import learn
from gbar.agent.learning.agent import Agent
from gbar.agent.learning.planner import assess, descend, roll_out
from gbar.agent.learning.target import Target
from gbar.agent.tuning.definition import TuneConfig
from gbar.agent.tuning.ledger import Status
from gbar.agent.tuning.loop import search
from gbar.sim import Archive, load_problem
from gbar.surrogate.training import train
from tests.problems import HH
from tests.synthetic import AGENT, MEAN, ROWS, SD, response

JITTED = {"train": train, "learn": learn, "roll_out": roll_out, "descend": descend, "assess": assess}


def sizes() -> dict[str, int]:
    return {name: function._cache_size() for name, function in JITTED.items()}  # type: ignore[attr-defined]


def new(before: dict[str, int]) -> dict[str, int]:
    return {name: size - before[name] for name, size in sizes().items()}


def test_the_counter_counts(compiled: Any) -> None:
    """A second shape is a second program; the same shape is none, also for a plain jnp operation in a loop."""
    start = compiled()
    for size in (611, 611, 613):
        jnp.sum(jnp.asarray(np.ones(size)) * 2.0).block_until_ready()
    assert compiled() - start >= 4
    start = compiled()
    jnp.sum(jnp.asarray(np.ones(613)) * 2.0).block_until_ready()
    assert compiled() - start == 0


def think(agent: Agent, count: int) -> None:
    u = np.random.default_rng(0).random((count, 3))
    agent.update_surrogate(u, response(u))
    agent.train_policy(u, response(u))
    proposals = agent.plan(u, response(u))
    few = proposals.u[:4]
    agent.record_errors(few, agent.forecast(proposals.only(np.arange(4))), response(few))


def test_a_growing_archive_compiles_nothing(compiled: Any) -> None:
    """Each function at most once (another test may have had the same sizes); and a change of size would be seen."""
    before = sizes()
    agent = Agent(jax.random.key(0), 3, Target(MEAN, SD), 2.0, ROWS, AGENT)
    think(agent, 16)
    assert all(count <= 1 for count in new(before).values())
    think(agent, 33)
    settled, all_there = compiled(), sizes()
    for count in (34, 50, 77, 128):
        think(agent, count)
    assert compiled() == settled
    assert sizes() == all_there
    larger = Agent(jax.random.key(0), 3, Target(MEAN, SD), 2.0, ROWS + 3, AGENT)
    think(larger, 16)
    assert new(all_there) == {**dict.fromkeys(JITTED, 0), "train": 1}
    assert compiled() > settled


@pytest.mark.neuron
@pytest.mark.slow
def test_a_run_compiles_each_function_once(compiled: Any, tmp_path: Path) -> None:
    """On models/hh, over at least four planned batches, some of which bring solutions."""
    problem, before = load_problem(HH), sizes()
    at_batch: list[int] = []

    def observe(status: Status) -> None:
        while len(at_batch) <= status.batches:
            at_batch.append(compiled())

    config = TuneConfig(budget=120, solutions=50, workers=2, agent=AGENT)
    with Archive(tmp_path / "archive.sqlite", problem) as archive:
        findings = search(problem, config, archive, tmp_path / "neuron.log", observe).findings
    designed = sum(record.proposers.keys() == {"design"} for record in findings.history)
    assert len(findings.history) >= designed + 5
    assert all(count <= 1 for count in new(before).values())
    assert all(sizes().values())
    assert findings.solutions
    planned = np.diff(at_batch[designed + 1 :])  # the first one compiles what no test before it had
    assert len(planned) >= 4 and not planned.any()
