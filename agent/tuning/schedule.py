"""Which protocols of a dear evaluation are simulated: first what rejects most for its price, and no more of a parameter
set once it can no longer be among the best.

A greedy filter on a chain of tests, each at a price over its chance to reject (Hellerstein & Stonebraker 1993, SIGMOD:
predicates by rank), with the surrogate's prediction in place of what was not simulated yet.
"""

from dataclasses import dataclass

import numpy as np

from gbar.agent.learning import Forecast, Target, distance, z_scores
from gbar.agent.result import BatchTiming
from gbar.agent.tuning.definition import Definition
from gbar.agent.tuning.findings import Findings
from gbar.sim import Integrator, Problem
from gbar.sim.engine import UNKNOWN

RIVALS = 4  # best evaluations: what cannot come among them is not finished
RECENT = 64  # evaluations that tell how often a protocol rejects
RHEOBASE = 8.0  # runs that a search for a rheobase takes
DEAR_S = 0.5  # of one worker for an evaluation: cheaper ones are simulated whole


@dataclass(frozen=True)
class Schedule:
    """The protocols that can be simulated apart, with what is measured under each and what each costs."""

    groups: tuple[tuple[str, ...], ...]  # [G]
    keys: np.ndarray  # [G, F] bool: whose measurements
    price: np.ndarray  # [G] simulated ms, so that the order is the same on every machine

    @classmethod
    def of(cls, problem: Problem) -> "Schedule":
        """A problem's."""
        curves = {name: curve.steps[0] for name, curve in problem.curves.items()}
        under = [curves.get(m.under, m.under) for m in problem.measurements]
        groups = tuple(problem.groups)
        keys = np.array([[name in names for name in under] for names in groups])
        runs = {name: RHEOBASE if name in problem.rheobases else 1.0 for name in problem.stimuli}
        price = [sum(runs[name] * problem.stimuli[name].total for name in names) for names in groups]
        return cls(groups, keys, np.array(price, float))

    def order(self, findings: Findings, cutoff: float, with_unmeasured: bool = False) -> list[int]:
        """The groups, those first that reject most for their price by what recent evaluations show.

        Those under which nothing is measured come last, or not at all.
        """
        target, features = findings.definition.target, findings.features
        z = z_scores(features, target)
        rejects = []
        for own in self.keys:
            there = [i for i in range(max(0, len(z) - RECENT), len(z)) if not np.isinf(features[i, own]).any()]
            mixed = np.where(own, z[there], z[findings.distance.argmin()])  # the rest as in the best so far
            rejects.append((1.0 + (distance(mixed, target.weight) > cutoff).sum()) / (2.0 + len(there)))
        measured = [bool(own.any()) for own in self.keys]
        order = [int(g) for g in np.argsort(self.price / np.array(rejects), kind="stable")]
        return [g for g in order if measured[g]] + [g for g in order if with_unmeasured and not measured[g]]

    def cutoff(self, findings: Findings) -> float:
        """The distance beyond which a parameter set is not among the best."""
        whole = np.sort(findings.distance[~np.isinf(findings.observations.features).any(axis=1)])
        return float(whole[RIVALS - 1]) if len(whole) >= RIVALS else np.inf


def hopeless(
    features: np.ndarray, target: Target[np.ndarray], forecast: Forecast | None, at: int, cutoff: float
) -> bool:
    """Whether a parameter set is beyond a cutoff even if what was not simulated turns out well.

    Args:
        features: [F] as simulated, NaN where not defined, UNKNOWN where not simulated.
        target: what is to be reproduced.
        forecast: of the batch; the best that may be expected is one SD nearer than its mean.
        at: which of the batch.
        cutoff: a distance.
    """
    rest = np.zeros_like(features)
    if forecast is not None:
        rest = np.maximum(np.abs(forecast.r[at]) - forecast.sd[at], 0.0) * np.sqrt(forecast.p[at])
    z = np.where(features == UNKNOWN, np.sinh(rest), z_scores(features, target))
    return bool(distance(z, target.weight) > cutoff)


def schedule_of(definition: Definition, timing: BatchTiming | None) -> Schedule | None:
    """In which order the protocols of an evaluation are simulated; None: all of them, always.

    Args:
        definition: of the run.
        timing: what was measured when the batch was chosen.
    """
    wanted, engine = definition.config.schedule, Integrator.of(definition.problem)
    if wanted == "auto":
        dear = timing is not None and timing.round_s > DEAR_S and not engine.batched
        wanted = "greedy" if dear else "whole"
    schedule = Schedule.of(definition.problem) if wanted == "greedy" else None
    return schedule if schedule and (schedule.keys.any(axis=1).sum() > 1) else None
