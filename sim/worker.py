"""The process that simulates: started as `python -m sim.worker FD LIFE LOG`, fed through one pipe, never imports JAX.

A process of its own rather than a fork or multiprocessing's spawn: it neither inherits nor re-imports the caller's
main module, so it starts in half a second and whatever a model does to it stays in it.
"""

import fcntl
import os
import sys
import time
import traceback
from multiprocessing.connection import Connection


def serve(pipe: Connection) -> None:
    """Build the model, then answer (index, x, traces, accuracy) by (index, Evaluation) until the pipe closes."""
    from sim.engine import Engine
    from sim.errors import GbarError
    from sim.evaluation import Evaluation

    sys.dont_write_bytecode = True  # nothing of ours in the user's folder
    problem, library = pipe.recv()
    try:
        engine = Engine(problem, library)
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
            index, x, keep_traces, accuracy = pipe.recv()
        except (EOFError, OSError):
            return
        start = time.perf_counter()
        try:
            done = engine.evaluate(x, accuracy)
        except Exception as error:  # whatever a model raises is an outcome of this evaluation, not the end of a run
            traceback.print_exc()
            done = Evaluation(status="failed", reason=_one_line(error))
        done.seconds = time.perf_counter() - start
        if not keep_traces:
            done.traces = {}
        pipe.send((index, done))


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if "hoc_execerror: " in text:
        return f"NEURON: {text.rpartition('hoc_execerror: ')[2]}"
    return text if type(error).__name__ == "GbarError" else f"{type(error).__name__}: {text}"


def _die_with_parent(life: int) -> None:
    """On Linux a simulation that hangs ends when the parent is killed outright; elsewhere at its next result.

    Nothing is ever sent through `life`: the kernel's SIGIO, which ends a process, says that its other end is gone.
    Linux' own signal for a parent's death will not do: it comes when the thread ends that started the worker.
    """
    if sys.platform == "linux":
        fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


def main() -> None:
    """Entry: silence NEURON into the log, then serve."""
    descriptor, life, log = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _die_with_parent(life)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.environ["NEURON_MODULE_OPTIONS"] = "-nogui"
    serve(Connection(descriptor))
    sys.stdout.flush()
    os._exit(0)  # NEURON's own clean-up can crash after a model that tore down its sections


if __name__ == "__main__":
    main()
