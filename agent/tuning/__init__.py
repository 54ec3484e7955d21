"""The loop that samples, learns, plans, verifies and refits; what it passes on, and what comes out of it."""

from gbar.agent.tuning.cells import CellSummary, overall, tune_cells
from gbar.agent.tuning.definition import TuneConfig
from gbar.agent.tuning.hold import hold
from gbar.agent.tuning.ledger import Observer, Status
from gbar.agent.tuning.loop import search
from gbar.agent.tuning.outcome import Outcome
from gbar.agent.tuning.progress import show_progress
from gbar.agent.tuning.run import tune_into
from gbar.agent.tuning.said import accuracies
from gbar.agent.tuning.standin import Expected, StandIn
from gbar.agent.tuning.verify import Verification, verify_run

__all__ = [
    "CellSummary",
    "Expected",
    "Observer",
    "Outcome",
    "StandIn",
    "Status",
    "TuneConfig",
    "Verification",
    "accuracies",
    "hold",
    "overall",
    "search",
    "show_progress",
    "tune_cells",
    "tune_into",
    "verify_run",
]
