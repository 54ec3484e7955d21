"""What a run knows at one moment: values that the loop passes on, each made from the one before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gbar.agent.learning import EngineBias, Forecast, rank, worst, z_scores
from gbar.agent.result import FirstBatch, Progress
from gbar.agent.tuning.definition import Definition
from gbar.sim import Evaluation
from gbar.sim.problem import within


@dataclass(frozen=True)
class Observations:
    """Everything simulated by the searching engine that a run learns from, rows of other runs included."""

    x: np.ndarray  # [N, D] NEURON's units
    u: np.ndarray  # [N, D] unit cube
    features: np.ndarray  # [N, F] NaN where not defined
    proposers: tuple[str, ...]  # [N]
    numbers: np.ndarray  # [N] which of the run's evaluations, confirmations counted; 0 for another run's

    def __len__(self) -> int:
        return len(self.x)

    def added(
        self, x: np.ndarray, u: np.ndarray, features: np.ndarray, proposers: list[str], numbers: Sequence[int]
    ) -> "Observations":
        """These and B more: [B, D], [B, D], [B, F], [B] and [B]."""
        both = zip((self.x, self.u, self.features), (x, u, features), strict=True)
        x, u, features = (np.concatenate(pair) for pair in both)
        return Observations(x, u, features, (*self.proposers, *proposers), np.array([*self.numbers, *numbers], int))

    @property
    def inside(self) -> np.ndarray:  # [N] bool
        """Which may be solutions: a row made with wider bounds teaches, and is no more than that."""
        return within(self.u)


@dataclass(frozen=True)
class Confirmed:
    """A parameter set simulated at the confirming accuracy."""

    u: np.ndarray  # [D] unit cube
    x: np.ndarray  # [D] NEURON's units
    done: Evaluation
    z: np.ndarray  # [F]
    proposer: str
    evaluation: int


@dataclass(frozen=True)
class Predicted:
    """What was expected of one evaluation, and what came out."""

    evaluation: int
    batch: int
    proposer: str
    forecast: Forecast  # of this evaluation alone: [F] each
    features: np.ndarray  # [F] simulated


@dataclass(frozen=True)
class Findings:
    """What a run knows: its observations, what its engine gets wrong, and what was confirmed."""

    definition: Definition
    observations: Observations
    bias: EngineBias
    solutions: tuple[Confirmed, ...] = ()
    rejected: frozenset[bytes] = frozenset()  # u that looked like solutions until they were confirmed
    first_solution_at: int | None = None
    first_batch: FirstBatch | None = None  # what a pretrained agent alone was worth
    predictions: tuple[Predicted, ...] = ()
    history: tuple[Progress, ...] = ()  # a batch each

    @cached_property
    def taken(self) -> np.ndarray:  # [S, D]
        """Where the solutions lie in the unit cube: others must differ from them."""
        return np.array([solution.u for solution in self.solutions]).reshape(-1, self.observations.u.shape[1])

    @cached_property
    def features(self) -> np.ndarray:  # [N, F]
        """Features as the confirming engine would probably have given them: see agent.learning.bias."""
        return self.bias.corrected(self.observations.u, self.observations.features)

    @cached_property
    def worst(self) -> np.ndarray:  # [N]
        """The largest |z| of every evaluation, infinite where a feature is not defined and outside the bounds."""
        return np.where(self.observations.inside, worst(z_scores(self.features, self.definition.target)), np.inf)

    @cached_property
    def distance(self) -> np.ndarray:  # [N]
        """How far every evaluation is from the measurements, see `rank`; infinite outside the bounds."""
        definition = self.definition
        far = rank(self.features, definition.target, definition.config.tolerance)
        return np.where(self.observations.inside, far, np.inf)

    @cached_property
    def nearest_z(self) -> tuple[tuple[str, float], ...]:
        """The z of every measurement in the nearest evaluation, NaN where not defined; nothing before the first."""
        if not len(self.observations):
            return ()
        nearest = int(np.lexsort((self.distance, self.worst))[0])
        z = z_scores(self.features[nearest], self.definition.target)
        return tuple(zip(self.definition.keys, map(float, z), strict=True))

    @property
    def best(self) -> float:
        """The smallest largest |z| of any evaluation; infinite while every one has an undefined feature."""
        return float(self.worst.min(initial=np.inf))

    @property
    def planned(self) -> int:
        """How many batches the agent has planned: those of the design are none of them."""
        return sum("design" not in batch.proposers for batch in self.history)

    def noted(self, record: Progress) -> "Findings":
        """With the record of one more batch."""
        return replace(self, history=(*self.history, record))

    def amended(self, evaluations: int) -> "Findings":
        """With the last batch's record as confirmations have left it."""
        if not self.history:
            return self
        changed = {"solutions": len(self.solutions), "evaluations": evaluations}
        return replace(self, history=(*self.history[:-1], self.history[-1].model_copy(update=changed)))
