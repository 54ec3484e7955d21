"""The process that simulates: started as `python -m gbar.sim.pool.worker PIPE LIFE LOG`, fed through one
pipe, never imports JAX.

A process of its own rather than a fork or multiprocessing's spawn: it neither inherits nor re-imports the caller's
main module, so it starts in half a second and whatever a model does to it stays in it.
"""

import io
import os
import sys
import time
import traceback
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from gbar.sim.pool.life import die_with_parent

LOG_LIMIT = 10_000_000  # bytes


def serve(pipe: Connection) -> None:
    """Build the model, then answer (task, xs [n, D], traces, integrator, protocols) by (task, n Evaluations).

    An evaluation that raises is an outcome of its own where it was alone; where it was simulated together with others,
    nobody knows whose it is: the answer is then (task, reason), and the caller asks for fewer at once.
    """
    from gbar.sim.engine import load_engine
    from gbar.sim.errors import GbarError
    from gbar.sim.pool.opened import outside

    problem, setup = pipe.recv()
    sys.argv = [str(problem.folder / problem.model.load.partition(":")[0])]  # the model is no program of ours
    try:
        with outside([problem.folder, *problem.mechanism_folders]) as read:
            engine = load_engine(problem, setup)
        pipe.send(("ready", replace(engine.describe(), reads_outside=read)))
    except GbarError as error:
        pipe.send(("refused", str(error)))
        return
    except Exception as error:
        traceback.print_exc()
        pipe.send(("refused", f"the model cannot be loaded: {_one_line(error)}"))
        return
    while True:
        try:
            task, xs, keep_traces, integrator, protocols = pipe.recv()
        except (EOFError, OSError):
            return
        _trim_log()
        start, cpu = time.perf_counter(), time.process_time()
        try:
            done = engine.evaluate(xs, integrator, protocols)
        except Exception as error:  # whatever a model raises is an outcome, not the end of a run
            traceback.print_exc()
            pipe.send((task, _one_line(error)))
            continue
        seconds, cpu = (time.perf_counter() - start) / len(xs), (time.process_time() - cpu) / len(xs)
        for evaluation in done:
            evaluation.seconds, evaluation.cpu = seconds, cpu
            evaluation.traces = evaluation.traces if keep_traces else {}
        pipe.send((task, done))


def _trim_log() -> None:
    """Begin the log anew when it has grown long: a model or an engine may say something at every evaluation."""
    if os.fstat(1).st_size > LOG_LIMIT:
        os.ftruncate(1, 0)  # all who write into it append


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if "hoc_execerror: " in text:
        return f"NEURON: {text.rpartition('hoc_execerror: ')[2]}"
    return text if type(error).__name__ == "GbarError" else f"{type(error).__name__}: {text}"


class _Log(io.FileIO):
    """What a model prints; that a disk is full is no fault of the model's."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content) or 0
        except OSError:
            return len(content)


def main() -> None:
    """Entry: silence NEURON into the log, then serve."""
    descriptor, life, log = map(int, sys.argv[1:])
    die_with_parent(life)
    for number in (1, 2):
        os.dup2(log, number)
    # unbuffered, or what a model prints through Python is lost with a worker that is killed
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(_Log(number, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
        for number in (1, 2)
    )
    os.environ["NEURON_MODULE_OPTIONS"] = "-nogui"
    serve(Connection(descriptor))
    sys.stdout.flush()
    os._exit(0)  # NEURON's own clean-up can crash after a model that tore down its sections


if __name__ == "__main__":
    main()
