"""What a run is asked for, and everything it has gathered."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import jax
import numpy as np

from gbar.agent.learning import (
    Agent,
    AgentConfig,
    Forecast,
    Pretrained,
    Target,
    distance,
    engine_bias,
    padded,
    worst,
    z_scores,
)
from gbar.agent.result import BatchTiming, FirstBatch, Progress
from gbar.agent.tuning.reachability import Reachability
from gbar.sim import Evaluation, Problem
from gbar.sim.problem import within

BATCH, GUIDED_BATCH = 8, 8  # evaluations between two fits: where nothing was measured, and with a pretrained agent
SPARE = 32  # evaluations beyond the budget that an agent has room for
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

    def design(self, dimension: int) -> int:
        """Evaluations of a design that is spread out: two a parameter, in whole vectors."""
        return max(LEAST_DESIGN, -(-2 * dimension // WHOLE) * WHOLE)


PARTS = {  # of the wall clock, and what is done in them
    "start": "starting NEURON",
    "simulate": "simulating",
    "fit": "learning",
    "plan": "planning",
    "diagnose": "looking at what is in the way",
    "total": "",
}


@dataclass
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
class Kept:
    """What an earlier session of this run has simulated."""

    x: np.ndarray  # [D]
    done: Evaluation  # without traces
    batch: int
    proposer: str
    number: int  # which of the run's evaluations


@dataclass
class Session:
    """Everything a run has gathered; `tune` fills it and a result is made from it."""

    problem: Problem
    config: TuneConfig
    keys: list[str]  # "protocol.feature" of every measurement
    target: Target[np.ndarray]
    engine: str
    x: np.ndarray  # [N, D] NEURON's units, as simulated
    u: np.ndarray  # [N, D] unit cube
    features: np.ndarray  # [N, F] by the searching engine, NaN where not defined
    proposers: list[str]
    searched: np.ndarray = field(init=False)  # [n, F] cells that the confirming engine has simulated too
    confirmed: np.ndarray = field(init=False)  # [n, F] what it said
    bias: np.ndarray = field(init=False)  # [F]
    from_other_runs: np.ndarray = field(default_factory=lambda: np.empty(0, bool))  # [N at the start] another run's
    evaluations: int = 0  # made for this run, earlier sessions of it included
    failures: Counter[str] = field(default_factory=Counter)
    solutions: list[Confirmed] = field(default_factory=list)
    first_solution_at: int | None = None
    batch: int = BATCH  # evaluations between two fits; agent.tuning.batch_size chooses it after the design
    pace: BatchTiming | None = None  # what that was chosen from; None where the user or a pretrained agent decides
    kept: dict[tuple[bytes, bool], Kept] = field(default_factory=dict)  # by earlier sessions; not come to again yet
    batches: int = 0  # made by earlier sessions of this run and not gone through again
    batch_before: int | None = None  # evaluations between two fits, as an earlier session had it
    confirmations: int = 0  # made for this run, earlier sessions of it included
    confirmed_before: set[bytes] = field(default_factory=set)  # x that have been paid for
    rejected: set[bytes] = field(default_factory=set)  # looked like solutions until confirmed
    predictions: list[Predicted] = field(default_factory=list)
    history: list[Progress] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    compiled_s: float = 0.0  # of the learning and planning, spent by JAX on compiling
    phase: str = "starting"  # what is being done, for whoever waits
    nearest: list[Confirmed] = field(default_factory=list)  # where nothing was found
    reachability: Reachability | None = None  # where nothing was found: what the model can do
    agent: Agent | None = None
    pretrained: Pretrained | None = None  # what the archive had taught before this run
    pretrained_note: str = ""  # why there is none, or why it was learned anew; empty where a kept one was used
    first: FirstBatch | None = None  # what the pretrained agent alone was worth
    units: dict[str, str] = field(default_factory=dict)  # of the parameters, as NEURON has them
    status: Literal["solved", "out of budget", "interrupted"] = "out of budget"

    def __post_init__(self) -> None:
        self.searched = self.confirmed = np.empty((0, len(self.keys)))
        self.bias = np.zeros(len(self.keys))

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add the time spent inside to a part of the wall clock."""
        start, self.phase = time.perf_counter(), PARTS[what]
        try:
            yield
        finally:
            self.seconds[what] += time.perf_counter() - start

    @property
    def name(self) -> str:
        """What the run's rows are called in the archive."""
        return run_name(self.problem, self.config)

    def new_agent(self, key: jax.Array) -> Agent:
        """An agent that knows what was pretrained, with room for all that the budget allows and a diagnosis asks."""
        rows = padded(len(self.u) + self.left + SPARE)
        return Agent(key, self.u.shape[1], self.target, self.config.tolerance, rows, self.config.agent, self.pretrained)

    @property
    def left(self) -> int:
        """Evaluations still in the budget."""
        return self.config.budget - self.evaluations

    @property
    def best(self) -> float:
        """The smallest largest |z| of any evaluation; infinite while every one has an undefined feature."""
        return float(self.worst.min(initial=np.inf))

    @property
    def bias_corrected(self) -> np.ndarray:  # [N, F]
        """Features as the confirming engine would probably have given them: see agent.learning.bias."""
        corrected: np.ndarray = self.features + self.bias
        return corrected

    @property
    def z(self) -> np.ndarray:  # [N, F]
        return z_scores(self.bias_corrected, self.target)

    @property
    def inside(self) -> np.ndarray:  # [N] bool
        """Which evaluations may be solutions: a row made with wider bounds teaches, and is no more than that."""
        return within(self.u)

    @property
    def worst(self) -> np.ndarray:  # [N]
        """The largest |z| of every evaluation, infinite where a feature is not defined and outside the bounds."""
        return np.where(self.inside, worst(self.z), np.inf)

    @property
    def distance(self) -> np.ndarray:  # [N]
        """How far every evaluation is from the measurements, infinite outside the bounds."""
        return np.where(self.inside, distance(self.z), np.inf)

    def compare(self, searched: np.ndarray, confirmed: np.ndarray) -> None:
        """Learn from cells [n, F] that both engines have simulated."""
        self.searched = np.concatenate([self.searched, searched])
        self.confirmed = np.concatenate([self.confirmed, confirmed])
        self.bias = engine_bias(self.searched, self.confirmed, self.target)


Observer = Callable[[Session], None]


def run_name(problem: Problem, config: TuneConfig) -> str:
    """What this run's rows are called in an archive: a resumed run finds its own, another run's are its own too."""
    table = problem.measurements_file.name if problem.measurements_file else "none"
    content = json.dumps([m.model_dump() for m in problem.measurements])  # two cells' tables may have the same name
    mark = hashlib.sha256(content.encode()).hexdigest()[:8]
    return f"tune {table} {mark} seed {config.seed} tolerance {config.tolerance:g}"
