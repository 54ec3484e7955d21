"""Compiling beside the design."""

import threading
from collections.abc import Callable

import numpy as np
import pytest

from gbar.agent.tuning.batch_size import new_agent
from gbar.agent.tuning.definition import TuneConfig
from gbar.agent.tuning.ledger import Ledger
from gbar.agent.tuning.warming import warm_up
from tests.agent.tuning.test_design import known
from tests.synthetic import AGENT

PLANS = AGENT._replace(planner="auto")


def test_nothing_is_left_to_compile(compiled: Callable[[], int]) -> None:
    findings, ledger = known(np.empty((0, 3)), np.empty((0, 8)), config=TuneConfig(agent=PLANS)), Ledger(57)
    warm_up(findings, ledger, None).join()
    warmed = compiled()
    agent, draw = new_agent(findings, ledger, None, 7), np.random.default_rng(1)
    for count in (10, 11, 13):
        u = draw.random((count, 3))
        features = agent.target.mean * draw.uniform(0.8, 1.2, (count, 8))
        agent.update_surrogate(u, features)
        proposals = agent.plan(u, features)
        for aim in (None, 0, 2):
            agent.forecast(agent.refine(proposals, aim, u[:0]).only(np.arange(1)))
    assert warmed > 0 and compiled() == warmed


def test_a_planner_that_is_trained_is_not_begun_with(compiled: Callable[[], int]) -> None:
    """Its training takes longer than the design."""
    config = TuneConfig(agent=AGENT._replace(planner="policy"))
    before = compiled()
    warm_up(known(np.empty((0, 3)), np.empty((0, 8)), config=config), Ledger(59), None).join()
    assert compiled() == before


def test_what_fails_fails_where_the_search_thinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a thread that nobody looks at."""
    loud: list[object] = []
    monkeypatch.setattr(threading, "excepthook", loud.append)
    broken = PLANS._replace(plan=PLANS.plan._replace(descent="many"))  # type: ignore[arg-type]
    findings, ledger = known(np.empty((0, 3)), np.empty((0, 8)), config=TuneConfig(agent=broken)), Ledger(61)
    warm_up(findings, ledger, None).join()
    assert not loud
    agent, u = new_agent(findings, ledger, None, 0), np.random.default_rng(0).random((12, 3))
    features = np.tile(agent.target.mean, (12, 1))
    agent.update_surrogate(u, features)
    with pytest.raises(TypeError):
        agent.plan(u, features)
