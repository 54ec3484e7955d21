"""Engines in isolated processes: a crash, hang or runaway memory in a model never reaches the parent.

What ends a worker costs the one evaluation it was on, which is recorded with its reason; a new worker takes its place.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from sim import mechanisms
from sim.errors import GbarError
from sim.evaluation import Accuracy, Evaluation
from sim.problem import Problem

START_LIMIT_S = 120.0  # for a model to load
MEMORY_CHECK_S = 0.1


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    pipe: Connection
    memory: psutil.Process
    ready: bool = False
    index: int | None = None  # the evaluation it is on
    since: float = 0.0


class Workers:
    """A pool of `count` processes, each with the problem's model loaded at one accuracy.

    Use as a context manager. `found` is what the first worker found in the model.

    Raises:
        GbarError: from the constructor, when the mechanisms do not build or the model cannot be loaded.
    """

    def __init__(self, problem: Problem, count: int = 1, accuracy: Accuracy | None = None, log: Path | None = None):
        self.problem, self.count = problem, count
        self.accuracy = accuracy or Accuracy.of(problem)
        self.log = log.resolve() if log else Path(os.devnull)
        folders = [problem.folder / folder for folder in problem.model.mechanisms]
        library = mechanisms.build(folders)
        self._library = str(library) if library else None
        self._workers: list[_Worker] = []
        self.found: dict[str, Any] = {}
        try:
            self._workers = [self._start() for _ in range(count)]
            self._await_ready(self._workers[0])
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End every worker, whatever it is doing."""
        for worker in self._workers:
            self._end(worker)
        self._workers = []

    def run(self, xs: Sequence[np.ndarray], traces: bool = False) -> Iterator[tuple[int, Evaluation]]:
        """Evaluate parameter vectors.

        Args:
            xs: B vectors [D] in NEURON's units.
            traces: whether evaluations keep their voltage traces.

        Yields:
            (index into xs, its evaluation), as they finish; every index once.
        """
        waiting = list(range(len(xs)))[::-1]
        unfinished = len(xs)
        try:
            while unfinished:
                for slot, worker in enumerate(self._workers):
                    if worker.index is None and waiting:
                        self._workers[slot] = worker = self._alive(worker)
                        worker.index, worker.since = waiting.pop(), time.monotonic()
                        with contextlib.suppress(OSError):  # a worker that has just died is noticed below
                            worker.pipe.send((worker.index, np.asarray(xs[worker.index], float), traces))
                for slot, worker in enumerate(self._workers):
                    done = self._collect(worker)
                    if done is None:
                        continue
                    index, worker.index = worker.index, None
                    if done.status == "failed":  # the state a failure leaves behind must not colour the next evaluation
                        self._end(worker)
                        self._workers[slot] = self._start()
                    unfinished -= 1
                    assert index is not None
                    yield index, done
                wait([w.pipe for w in self._workers if w.index is not None] or [], timeout=MEMORY_CHECK_S)
        finally:
            for slot, worker in enumerate(self._workers):  # the caller stopped listening: nothing stale may come later
                if worker.index is not None:
                    self._end(worker)
                    self._workers[slot] = self._start()

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "NEURON_MODULE_OPTIONS": "-nogui", "OMP_NUM_THREADS": "1"}
        root = str(Path(__file__).resolve().parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
        process = subprocess.Popen(
            [sys.executable, "-m", "sim.worker", str(theirs.fileno()), str(self.log)],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the parent's to handle
            cwd=mechanisms.neutral_folder(),  # NEURON loads whatever x86_64/ it finds where it starts
            env=environment,
        )
        theirs.close()
        pipe = Connection(ours.detach())
        worker = _Worker(process, pipe, psutil.Process(process.pid), since=time.monotonic())
        with contextlib.suppress(OSError):
            pipe.send((self.problem, self.accuracy, self._library))
        return worker

    def _await_ready(self, worker: _Worker) -> None:
        """Wait until a worker has loaded the model, or raise what it says."""
        limit = max(START_LIMIT_S, self.problem.simulation.time_limit)
        if not worker.pipe.poll(max(0.0, worker.since + limit - time.monotonic())):
            raise GbarError(f"the model was not loaded within {limit:g} s: does it start a run or wait for input?")
        try:
            word, content = worker.pipe.recv()
        except (EOFError, OSError):
            raise GbarError(f"loading the model {self._ending(worker)}: NEURON's last words are in {self.log}") from None
        if word == "refused":
            raise GbarError(content)
        worker.ready, self.found = True, content

    def _alive(self, worker: _Worker) -> _Worker:
        """The worker, ready for work: what died between two evaluations is replaced."""
        if worker.process.poll() is not None:
            self._end(worker)
            worker = self._start()
        if not worker.ready:
            self._await_ready(worker)
        return worker

    def _collect(self, worker: _Worker) -> Evaluation | None:
        """The outcome of what a worker is on, or None while it has none."""
        if worker.index is None:
            return None
        seconds = time.monotonic() - worker.since
        try:
            if worker.pipe.poll():
                index, done = worker.pipe.recv()
                assert index == worker.index
                return done
        except (EOFError, OSError):
            return Evaluation(status="failed", reason=self._ending(worker), seconds=seconds)
        limits = self.problem.simulation
        if seconds > limits.time_limit:
            return Evaluation(status="failed", reason=f"timed out after {limits.time_limit:g} s", seconds=seconds)
        with contextlib.suppress(psutil.Error):
            if worker.memory.memory_info().rss > limits.memory_limit * 1e6:
                reason = f"grew past the memory limit of {limits.memory_limit:g} MB"
                return Evaluation(status="failed", reason=reason, seconds=seconds)
        return None

    @staticmethod
    def _ending(worker: _Worker) -> str:
        """How a worker that closed its pipe ended."""
        try:
            code = worker.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        if code < 0:
            return f"crashed with {signal.Signals(-code).name}"
        return f"exited with code {code}"

    @staticmethod
    def _end(worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.kill()
        worker.process.wait()
