"""What a run is asked for. Nothing of it changes while the run lasts."""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from gbar.agent.learning import AgentConfig, Target, target_of
from gbar.sim import Integrator, Measurement, Problem

BEYOND = 1.0  # ranges outside the bounds up to which an archived row still teaches; what lies further says little
LEAST_DESIGN, WHOLE = 16, 8  # evaluations before the first fit, and their multiples: whole vectors of a processor


class TuneConfig(NamedTuple):
    """What a user may choose about a run."""

    budget: int = 2000  # evaluations, confirmations included
    solutions: int = 10  # to stop at
    tolerance: float = 2.0
    seed: int = 0
    workers: int = 2
    batch: int | None = None  # evaluations between two fits; None: see agent.tuning.batch_size
    agent: AgentConfig = AgentConfig()
    dask: str | None = None  # address of a scheduler whose workers simulate, instead of processes on this machine
    schedule: Literal["auto", "whole", "greedy"] = "auto"  # protocols of an evaluation: see agent.tuning.schedule

    def design(self, dimension: int) -> int:
        """Evaluations of a design that is spread out: two a parameter, in whole vectors."""
        return max(LEAST_DESIGN, -(-2 * dimension // WHOLE) * WHOLE)


@dataclass(frozen=True)
class Definition:
    """A problem, what its user chose, and what follows from them."""

    problem: Problem
    config: TuneConfig
    keys: list[str]  # [F] "protocol.feature" of every measurement
    target: Target[np.ndarray]
    engine: str  # that searches

    @classmethod
    def of(cls, problem: Problem, config: TuneConfig) -> "Definition":
        """A problem whose engine is known."""
        keys = [m.key for m in problem.measurements]
        return cls(problem, config, keys, target_of(problem.measurements), str(Integrator.of(problem)))

    @property
    def tight(self) -> Integrator:
        """What every solution is confirmed at."""
        return Integrator.of(self.problem).tight()

    @property
    def cheaper(self) -> bool:
        """Whether the search is on a cheaper form of the model, and the model itself only confirms."""
        return Integrator.of(self.problem).cheaper_form

    @property
    def name(self) -> str:
        """What the run's rows are called in the archive."""
        return run_name(self.problem, self.config)


def run_name(problem: Problem, config: TuneConfig) -> str:
    """What this run's rows are called in an archive: a resumed run finds its own, another run's are its own too."""
    table = problem.measurements_file.name if problem.measurements_file else "none"
    # two cells' tables may have the same name; what no row says does not name the run
    content = json.dumps([m.model_dump(exclude=_unsaid(m)) for m in problem.measurements])
    mark = hashlib.sha256(content.encode()).hexdigest()[:8]
    return f"tune {table} {mark} seed {config.seed} tolerance {config.tolerance:g}"


def _unsaid(measurement: Measurement) -> set[str]:
    plain = {"weight": 1.0, "must_hold": False}
    return {name for name, value in plain.items() if getattr(measurement, name) == value}
