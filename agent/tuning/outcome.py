"""What a finished or interrupted search leaves; a result is made from it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from gbar.agent.learning import Agent, Pretrained
from gbar.agent.result import BatchTiming
from gbar.agent.tuning.definition import Definition
from gbar.agent.tuning.fidelity import Misled
from gbar.agent.tuning.findings import Confirmed, Findings
from gbar.agent.tuning.ledger import Ledger
from gbar.agent.tuning.reachability import Reachability


class Pretraining(NamedTuple):
    """What the archive had taught before this run."""

    agent: Pretrained | None
    note: str  # why there is none, or why it was learned anew; empty where a kept one was used


class BatchSize(NamedTuple):
    """Evaluations between two fits."""

    size: int
    timing: BatchTiming | None = None  # what it was chosen from; None where the user or a pretrained agent decides


@dataclass(frozen=True)
class Outcome:
    """How a search ended, and all that it found."""

    status: Literal["solved", "out of budget", "interrupted"]
    findings: Findings
    agent: Agent | None  # as it was when the last batch was planned; None: never learned
    batch: BatchSize
    pretraining: Pretraining
    compromises: tuple[Confirmed, ...]  # where nothing was found
    reachability: Reachability | None  # where nothing was found: what the model can do
    ledger: Ledger
    units: dict[str, str]  # of the parameters, as NEURON has them
    compiled_s: float  # of the learning and planning, spent by JAX on compiling
    schedule: Literal["whole", "greedy"] = "whole"  # of an evaluation's protocols
    misled: Misled | None = None  # by a cheaper form of the model, which the search has left

    @property
    def definition(self) -> Definition:
        """What was asked for."""
        return self.findings.definition

    @property
    def shown(self) -> tuple[Confirmed, ...]:
        """The solutions, or else the compromises."""
        return self.findings.solutions or self.compromises
