"""What tests of archives share: processes that write into one, and what is said where one is refused."""

import os
import subprocess
import sys
from collections.abc import Callable

from gbar.sim import GbarError
from tests.problems import ROOT

# arguments: file, problem, anything where a file may not grow
FULL = """
import resource, sys
import numpy as np
from gbar.sim import Archive, Evaluation, GbarError, load_problem
if sys.argv[3]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
with Archive(sys.argv[1], load_problem(sys.argv[2], measured=False)) as archive:
    for slot in range(100_000):
        try:
            archive.add("r", 0, slot, "design", "cvode atol 0.0001", np.ones(3), Evaluation({"a.x": float(slot)}))
        except GbarError as error:
            print(slot, error)
            break
"""


def started(script: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process of its own that runs a script."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refusal(call: Callable[[], object]) -> str:
    """The one line with which gbar refuses."""
    try:
        call()
    except GbarError as error:
        assert "\n" not in str(error)
        return str(error)
    raise AssertionError("nothing was refused")
