"""How much of a batch is bred: nothing while planning does well, else as it has done less well than breeding."""

import numpy as np

from gbar.agent.learning import PARENTS, PROPOSERS
from gbar.agent.tuning.findings import Findings

RECENT = 16  # planned evaluations that say how well each does
TRUSTED = 2.0  # successes that planning begins with; breeding begins with BORN of one evaluation
BORN = 0.25
WELL = 0.5  # share of planned evaluations that become one of the best, from which on nothing is bred


def bred_share(findings: Findings) -> float:
    """The share of the next batch that breeding gets: a two-armed bandit, by what became one of the best lately."""
    planned, bred = _successes(findings)
    plan = (sum(planned[-RECENT:]) + TRUSTED) / (len(planned[-RECENT:]) + TRUSTED)
    breed = (sum(bred[-RECENT:]) + BORN) / (len(bred[-RECENT:]) + 1.0)
    return 0.0 if plan >= WELL else breed / (breed + plan)


def _successes(findings: Findings) -> tuple[list[bool], list[bool]]:
    """Of each planned and of each bred evaluation, whether it was one of the best cells when it was made."""
    proposers, far = findings.observations.proposers, findings.distance
    best = np.full(PARENTS, np.inf)
    made: tuple[list[bool], list[bool]] = ([], [])
    for proposer, distance in zip(proposers, far, strict=True):
        if proposer in PROPOSERS:
            made[proposer == "bred"].append(bool(distance < best[-1]))
        best = np.sort(np.append(best, distance))[:PARENTS]
    return made
