"""What an agent thinks with is compiled while NEURON simulates the design: neither waits for the other."""

from threading import Thread

import numpy as np

from gbar.agent.learning import Agent, Pretrained
from gbar.agent.tuning.batch_size import new_agent
from gbar.agent.tuning.findings import Findings
from gbar.agent.tuning.ledger import Ledger

ROWS = 12  # made up, to think about


def warm_up(findings: Findings, ledger: Ledger, pretrained: Pretrained | None) -> Thread:
    """Start to compile; to be joined before an agent is made. One that is pretrained has no design to wait for."""
    thread = Thread(target=lambda: None)
    if pretrained is None and findings.definition.config.agent.planner in ("auto", "gradient"):
        thread = Thread(target=_think, args=(new_agent(findings, ledger, None, 0),))
    thread.start()
    return thread


def _think(agent: Agent) -> None:
    draw, target = np.random.default_rng(0), agent.target
    u = draw.random((ROWS, agent.dimension))
    features = target.mean + target.sd * draw.standard_normal((ROWS, len(target.mean)))
    try:
        for _ in range(2):  # a later fit begins where the last one ended
            agent.update_surrogate(u, features)
            agent.plan(u, features)
    except Exception:  # it comes again where the search thinks, and is told there
        return
