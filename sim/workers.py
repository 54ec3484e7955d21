"""Engines in isolated processes: a crash, hang or runaway memory in a model never reaches the parent.

What ends a worker costs the one evaluation it was on, which is recorded with its reason; a new worker takes its place.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
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
LAST_WORDS = 100_000  # bytes of a log that are searched for them
TWICE = " (a mechanism is loaded twice: if the model loads a library by itself, leave out model.mechanisms)"
TOO_BIG = "grew past the memory limit of {:g} MB"
CHECK_S = 0.1  # between two looks at time and memory


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    pipe: Connection
    life: socket.socket  # open as long as the worker is wanted
    memory: psutil.Process
    ready: bool = False
    index: int | None = None  # the evaluation it is on
    since: float = 0.0


class Workers:
    """A pool of `count` processes, each with the problem's model loaded.

    Use as a context manager. `found` is what the first worker found in the model.

    Raises:
        GbarError: from the constructor, when the mechanisms do not build or the model cannot be loaded.
    """

    def __init__(self, problem: Problem, count: int = 1, accuracy: Accuracy | None = None, log: Path | None = None):
        self.problem, self.count = problem, count
        self.accuracy = accuracy or Accuracy.of(problem)
        folders = [problem.folder / folder for folder in problem.model.mechanisms]
        library = mechanisms.build(folders)
        self._library = str(library) if library else None
        self._scratch = tempfile.TemporaryDirectory(prefix="gbar-")
        self.log = log.resolve() if log else Path(self._scratch.name) / "neuron.log"
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self._workers: list[_Worker] = []
        self.found: dict[str, Any] = {}
        try:
            for _ in range(count):
                self._workers.append(self._start())
            while not self._ready(0):
                wait([self._workers[0].pipe], timeout=CHECK_S)
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
        self._scratch.cleanup()

    def run(
        self, xs: Sequence[np.ndarray], traces: bool = False, accuracy: Accuracy | None = None
    ) -> Iterator[tuple[int, Evaluation]]:
        """Evaluate parameter vectors.

        Args:
            xs: B vectors [D] in NEURON's units.
            traces: whether evaluations keep their voltage traces.
            accuracy: another than the pool's own.

        Yields:
            (index into xs, its evaluation), as they finish; every index once.
        """
        if not self._workers:
            raise ValueError("these workers are closed")
        waiting = list(range(len(xs)))[::-1]
        unfinished = len(xs)
        try:
            while unfinished:
                for slot, worker in enumerate(self._workers):
                    if waiting and worker.index is None and self._ready(slot):
                        worker.index, worker.since = waiting.pop(), time.monotonic()
                        with contextlib.suppress(OSError):  # a worker that has just died is noticed below
                            worker.pipe.send(
                                (worker.index, np.asarray(xs[worker.index], float), traces, accuracy or self.accuracy)
                            )
                for slot, worker in enumerate(self._workers):
                    done = self._collect(worker)
                    if done is None:
                        continue
                    index, worker.index = worker.index, None
                    if done.status == "failed":  # the state a failure leaves behind must not colour the next evaluation
                        self._replace(slot)
                    unfinished -= 1
                    assert index is not None
                    yield index, done
                busy = [w.pipe for w in self._workers if w.index is not None or (waiting and not w.ready)]
                if unfinished:
                    wait(busy, timeout=CHECK_S)
        finally:
            for slot, worker in enumerate(self._workers):  # the caller stopped listening: nothing stale may come later
                if worker.index is not None:
                    self._replace(slot)

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        life, its_life = socket.socketpair()
        environment = {**os.environ, "NEURON_MODULE_OPTIONS": "-nogui", "OMP_NUM_THREADS": "1"}
        environment["PWD"] = str(mechanisms.neutral_folder())  # what NEURON believes before it asks the system
        root = str(Path(__file__).resolve().parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH", "")]))
        process = subprocess.Popen(
            [sys.executable, "-m", "sim.worker", str(theirs.fileno()), str(its_life.fileno()), str(self.log)],
            pass_fds=[theirs.fileno(), its_life.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the parent's to handle
            cwd=environment["PWD"],  # NEURON loads whatever x86_64/ it finds where it starts
            env=environment,
        )
        theirs.close()
        its_life.close()
        pipe = Connection(ours.detach())
        worker = _Worker(process, pipe, life, psutil.Process(process.pid), since=time.monotonic())
        with contextlib.suppress(OSError):
            pipe.send((self.problem, self._library))
        return worker

    def _replace(self, slot: int) -> None:
        self._end(self._workers[slot])
        self._workers[slot] = self._start()

    def _ready(self, slot: int) -> bool:
        """Whether the worker in a slot has loaded the model; one that died between two evaluations is replaced.

        Raises:
            GbarError: what the worker or NEURON says is wrong with the model.
        """
        worker = self._workers[slot]
        if worker.ready and worker.process.poll() is not None:
            self._replace(slot)
            return False
        if worker.ready or not worker.pipe.poll():
            self._check_loading(worker)
            return worker.ready
        try:
            word, content = worker.pipe.recv()
        except (EOFError, OSError):
            raise GbarError(f"loading the model {self._ending(worker)}{self._last_words()}") from None
        if word == "refused":
            complaint, by_neuron, _ = content.partition(": NEURON: ")
            said = complaint + self._last_words() if by_neuron else content
            raise GbarError(f"{said}{TWICE if 'name already exists' in said else ''}")
        worker.ready, self.found = True, content
        return True

    def _check_loading(self, worker: _Worker) -> None:
        limit = max(START_LIMIT_S, self.problem.simulation.time_limit)
        if not worker.ready and time.monotonic() - worker.since > limit:
            raise GbarError(f"the model was not loaded within {limit:g} s: does it start a run or wait for input?")
        if not worker.ready and self._too_big(worker):
            raise GbarError(f"loading the model {TOO_BIG.format(self.problem.simulation.memory_limit)}")

    def _too_big(self, worker: _Worker) -> bool:
        try:
            return bool(worker.memory.memory_info().rss > self.problem.simulation.memory_limit * 1e6)
        except psutil.Error:  # it has just ended
            return False

    def _last_words(self) -> str:
        """What NEURON wrote when a model did not load: its first complaint with the place, else its last line."""
        try:
            with self.log.open("rb") as stream:
                stream.seek(self._log_start)
                lines = [line.strip() for line in stream.read(LAST_WORDS).decode(errors="replace").splitlines()]
        except OSError:
            return ""
        complaint = next((i for i, line in enumerate(lines) if line.startswith("NEURON: ")), None)
        said = lines[complaint : complaint + 3] if complaint is not None else [line for line in lines if line][-1:]
        return f": {' '.join(said)}" if said else ""

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
        if self._too_big(worker):
            return Evaluation(status="failed", reason=TOO_BIG.format(limits.memory_limit), seconds=seconds)
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
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.process.pid, signal.SIGKILL)  # with what the model itself has started
        worker.process.wait()
        worker.life.close()
