"""The view that somebody sees who waits, and nobody else."""

import os
import pty
import re
import subprocess
import sys
from contextlib import suppress

VIEW = """
import time
from gbar.agent.tuning.ledger import Status
from gbar.agent.tuning.progress import show_progress
measurements = [(f"a_protocol_with_a_long_name_{k}.and_a_feature_with_a_name_that_is_longer", k / 4) for k in range(20)]
far = (("step.rheobase", -7.5), ("step.sag_ratio1", float("nan")), *measurements)
with show_progress(3) as watch:
    time.sleep(0.4)
    watch(Status("learning", 0, 500, 0, 0, float("inf")))
    time.sleep(0.4)
    watch(Status("simulating", 450, 500, 9, 2, 1.25, 2.0, far, (("time limit of 60 s", 3), ("not finite", 1))))
    time.sleep(0.4)
print("end")
"""


def at_a_terminal(script: str, columns: int) -> str:
    """What a script writes to stderr, which is a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "40", "TERM": "xterm"}
    child = subprocess.Popen([sys.executable, "-c", script], stderr=theirs, stdout=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    said = b""
    with suppress(OSError):  # how a terminal says that nobody writes any more
        while part := os.read(ours, 4096):
            said += part
    os.close(ours)
    assert child.wait(timeout=120) == 0, said
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode())


def test_the_view_says_how_far_a_run_has_come() -> None:
    """Solutions, phase, budget, failures, and each measurement in the nearest evaluation, the furthest first."""
    said = at_a_terminal(VIEW, 80)
    assert "0/3 solutions" in said and "choosing an engine" in said  # at once
    last = said[said.rindex("2/3 solutions") :]
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", last) if line.strip()]
    assert "simulating" in lines[0]
    assert lines[1] == "best |z| 1.25 (wanted 2), 450 of at most 500 evaluations"
    assert lines[2] == "4 failed: 3 time limit of 60 s, and 1 other reason"
    assert lines[3].startswith("step.sag_ratio1") and "not defined" in lines[3]
    assert lines[4].startswith("step.rheobase") and "-7.50" in lines[4]
    assert lines[-1].strip() == "and 8 more, 8 of them met"
    assert max(map(len, lines)) <= 80


def test_nothing_is_said_where_nobody_looks() -> None:
    done = subprocess.run([sys.executable, "-c", VIEW], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)
