"""The process that simulates: started as `python -m sim.worker FD LOG`, fed through one pipe, never imports JAX.

A process of its own rather than a fork or multiprocessing's spawn: it neither inherits nor re-imports the caller's
main module, so it starts in half a second and whatever a model does to it stays in it.
"""

import os
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any


def serve(pipe: Connection) -> None:
    """Build the model once, then answer (index, x, keep_traces) with (index, Evaluation) until the pipe closes."""
    from sim.engine import Engine
    from sim.errors import GbarError
    from sim.evaluation import Evaluation

    problem, accuracy, library = pipe.recv()
    try:
        engine = Engine(problem, accuracy, library)
        pipe.send(("ready", engine.describe()))
    except GbarError as error:
        pipe.send(("refused", str(error)))
        return
    except Exception as error:
        traceback.print_exc()
        pipe.send(("refused", f"the model cannot be loaded: {_one_line(error)}"))
        return
    while True:
        try:
            index, x, keep_traces = pipe.recv()
        except (EOFError, OSError):
            return
        start = time.perf_counter()
        try:
            done = engine.evaluate(x)
        except Exception as error:  # whatever a model raises is an outcome of this evaluation, not the end of a run
            traceback.print_exc()
            done = Evaluation(status="failed", reason=_one_line(error))
        done.seconds = time.perf_counter() - start
        if not keep_traces:
            done.traces = {}
        pipe.send((index, done))


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if type(error).__name__ == "GbarError" else f"{type(error).__name__}: {text}"


def _die_with_parent() -> Any:
    """On Linux a simulation that hangs ends when the parent is killed outright; elsewhere it ends at its next result."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


def main() -> None:
    """Entry: silence NEURON into the log, then serve."""
    _die_with_parent()
    descriptor, log = int(sys.argv[1]), sys.argv[2]
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.environ["NEURON_MODULE_OPTIONS"] = "-nogui"
    serve(Connection(descriptor))
    sys.stdout.flush()
    os._exit(0)  # NEURON's own clean-up can crash after a model that tore down its sections


if __name__ == "__main__":
    main()
