"""One question asked of NEURON in a process of its own: whatever a model does at load, the caller goes on."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gbar
from gbar.sim import mechanisms
from gbar.sim.errors import GbarError
from gbar.sim.files import cache_folder

START_LIMIT_S = 120.0  # for a model to load


def importable() -> str:
    """$PYTHONPATH for a process that has to import this gbar: first the folder that holds it, then what was there."""
    holder = Path(gbar.__file__).resolve().parent.parent
    return os.pathsep.join(filter(None, [str(holder), os.environ.get("PYTHONPATH", "")]))


def neuron_environment() -> dict[str, str]:
    """What a process that runs NEURON is started with, in `mechanisms.neutral_folder`."""
    return {
        **os.environ,
        "NEURON_MODULE_OPTIONS": "-nogui",
        "PWD": str(mechanisms.neutral_folder()),  # what NEURON believes before it asks the system
        "PYTHONPATH": importable(),
        "PYTHONUTF8": "1",  # whatever the locale: paths and what is printed have letters of every kind
        "GBAR_CACHE": str(cache_folder().parent),  # absolute: it starts in another folder
    }


def ask(function: Callable[[Any], Any], content: Any, limit_s: float) -> Any:
    """Call a function with one argument in a fresh interpreter, with NEURON quiet and nothing loaded.

    Args:
        function: of a module's own; it takes and returns what JSON can hold, and loads NEURON itself.
        content: its argument.
        limit_s: for everything, starting included.

    Raises:
        GbarError: what the function raises as such; or why it gave no answer, with its last words.
    """
    named = f"{function.__module__}:{function.__name__}"
    ours, life = socket.socketpair()  # its end of it tells the other process that this one has ended
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gbar.sim.pool.answering", named, str(life.fileno())],
            pass_fds=[life.fileno()],
            input=json.dumps(content),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=limit_s,
            cwd=mechanisms.neutral_folder(),  # NEURON loads whatever x86_64/ it finds where it starts
            env=neuron_environment(),
        )
    except subprocess.TimeoutExpired:
        raise GbarError(f"no answer within {limit_s:g} s: does the model start a run or wait for input?") from None
    finally:
        ours.close()
        life.close()
    if not done.stdout:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        complaint = next((i for i, line in enumerate(said) if line.startswith("NEURON: ")), None)
        words = said[complaint : complaint + 3] if complaint is not None else said[-1:]
        raise GbarError(" ".join(words) or f"the process ended with code {done.returncode} and said nothing")
    kind, answer = json.loads(done.stdout)
    if kind == "refused":
        raise GbarError(answer)
    return answer
