"""The bar that somebody sees who waits."""

import os
import pty
import re
import subprocess
import sys

BAR = """
from gbar.agent.tuning.ledger import Status
from gbar.agent.tuning.progress import show_progress
with show_progress(3) as watch:
    watch(Status("learning", 0, 500, 0, 0, float("inf")))
    watch(Status("simulating", 450, 500, 9, 2, 1.25))
"""


def at_a_terminal(script: str) -> str:
    """What a script writes to stderr, which is a terminal of 200 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
    done = subprocess.run([sys.executable, "-c", script], stderr=theirs, env=environment, timeout=120)
    os.close(theirs)
    said = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0, said
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)


def test_the_bar_counts_solutions_and_names_the_phase() -> None:
    """Not the budget, of which nine tenths are gone here."""
    said = at_a_terminal(BAR)
    assert "0/3 solutions" in said and "choosing an engine" in said  # at once
    last = said.rstrip().splitlines()[-1]
    assert "2/3 solutions" in last and "simulating: best |z| 1.25, 450 of at most 500 evaluations" in last
