"""The published comparison. JAX, and each peer's package, are loaded by the process of a run that needs them."""

from agent.bench.compare import BUNDLED, Settings, compare, find_tables
from agent.bench.figure import check_figure, draw
from agent.bench.methods import ARMS, METHODS, PEERS
from agent.bench.score import Score, Summary, read_scores, summarise

__all__ = [
    "ARMS",
    "BUNDLED",
    "METHODS",
    "PEERS",
    "Score",
    "Settings",
    "Summary",
    "check_figure",
    "compare",
    "draw",
    "find_tables",
    "read_scores",
    "summarise",
]
