"""How much of a batch is bred: a bandit between planning and breeding."""

from dataclasses import replace

import numpy as np

from gbar.agent.learning import PARENTS
from gbar.agent.tuning.breeding import bred_share
from gbar.agent.tuning.findings import Findings
from tests.agent.tuning.test_design import known


def made(*batches: tuple[str, int, float]) -> Findings:
    """A run that knows 8 cells of its design at a distance of about 2, and then so many by each at another."""
    names = ["design"] * 8
    scale = [2.0 + 0.01 * n for n in range(8)]
    for proposer, count, far in batches:
        names += [proposer] * count
        scale += [far - 0.01 * n for n in range(count)]
    findings = known(np.full((len(names), 3), 0.5), np.empty((len(names), 8)))
    target = findings.definition.target
    features = target.mean + target.sd * np.sinh(scale)[:, None]
    return replace(findings, observations=replace(findings.observations, features=features, proposers=tuple(names)))


def test_nothing_is_bred_while_planning_does_well() -> None:
    assert bred_share(made()) == 0.0
    assert bred_share(made(("gradient", 8, 1.0))) == 0.0
    assert bred_share(made(("gradient", 2, 3.0), ("policy", 3, 1.0))) == 0.0


def test_more_is_bred_the_better_it_does() -> None:
    failing = bred_share(made(("gradient", 8, 3.0)))
    assert 0.0 < failing < bred_share(made(("gradient", 8, 3.0), ("bred", 4, 1.0)))
    assert bred_share(made(("gradient", 8, 3.0), ("bred", 4, 3.5))) < failing


def test_planning_is_believed_again_when_it_does_well() -> None:
    assert bred_share(made(("gradient", 12, 3.0), ("gradient", 14, 1.0))) == 0.0
    assert PARENTS < 8, "or the design would not fill the places of the best"
