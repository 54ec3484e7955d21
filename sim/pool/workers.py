"""Engines in isolated processes: a crash, hang or runaway memory in a model never reaches the parent.

What ends a worker costs the one evaluation it was on, which is recorded with its reason; a new worker takes its place.
Where several were simulated together, halves of them are tried again until it is known which one it was.
"""

import contextlib
import fcntl
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from gbar.sim import mechanisms
from gbar.sim.engine import Evaluation, ModelInfo
from gbar.sim.errors import GbarError, MachineError
from gbar.sim.pool.isolated import START_LIMIT_S, neuron_environment
from gbar.sim.pool.modelfolder import Watch
from gbar.sim.pool.prepared import prepared
from gbar.sim.problem import LANES, Integrator, Problem

COPIES = 64  # of a cell in one process at most: more are no faster (docs/simulation.md)
LAST_WORDS = 100_000  # bytes of a log that are searched for them
TWICE = " (a mechanism is loaded twice: if the model loads a library by itself, leave out model.mechanisms)"
TOO_BIG = "grew past the memory limit of {:g} MB"
KILLED = {"crashed with SIGKILL", "crashed with SIGTERM"}  # by somebody, or by the system when memory is short
LOADS = 3  # times in a row that a worker may end while it loads the model
CHECK_S = 0.1  # between two looks at time and memory
SLOWER = 5.0  # how many times slower than all before a batch may be before halves of it are tried
PATIENCE_S = 5.0  # that a batch may take in any case


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    pipe: Connection
    life: socket.socket  # open as long as the worker is wanted
    memory: psutil.Process
    ready: bool = False
    used: bool = False  # whether it has been given anything
    task: list[int] | None = None  # the evaluations it is on
    since: float = 0.0


Crew = list[_Worker]


def tasks(count: int, workers: int, integrator: Integrator, copies: int = COPIES) -> list[list[int]]:
    """Share out `count` evaluations: one at a time, or in batches for an engine that simulates many together.

    A batch is a share for each worker, in whole vectors of the processor and no larger than `copies`.
    """
    size = min(copies, -(-max(1, count) // (workers * LANES)) * LANES) if integrator.batched else 1
    return [list(range(first, min(first + size, count))) for first in range(0, count, size)]


class Workers:
    """A pool of `count` processes, each with the problem's model loaded.

    Use as a context manager. `found` is what the first worker found in the model. A second crew of as many processes is
    started when something is asked for with an integrator that the first one's engine does not have.

    Raises:
        GbarError: from the constructor, when the mechanisms do not build or the model cannot be loaded.
    """

    def __init__(self, problem: Problem, count: int = 1, integrator: Integrator | None = None, log: Path | None = None):
        self.problem, self.count = problem, count
        self.integrator = integrator or Integrator.of(problem)
        self.copies = COPIES  # in one batch at most
        self._watch = Watch(problem)
        # a temporary file has no name: nothing stays, whatever ends this process
        self._log = log.open("ab+") if log else tempfile.TemporaryFile()  # noqa: SIM115
        fcntl.fcntl(self._log, fcntl.F_SETFL, fcntl.fcntl(self._log, fcntl.F_GETFL) | os.O_APPEND)
        self._log_start = os.fstat(self._log.fileno()).st_size
        self._crews: dict[mechanisms.Setup, Crew] = {}
        self._lost = 0  # workers that have ended while they loaded the model, since one was ready
        self._seconds = 0.0  # the longest that an evaluation of a whole task has taken so far
        self._found: ModelInfo | None = None
        try:
            setup, crew = self._crew(self.integrator)
            while not self._ready(setup, 0):
                wait([crew[0].pipe], timeout=CHECK_S)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def found(self) -> ModelInfo:
        """What a worker found in the model."""
        assert self._found is not None, "the pool is made when the first worker is ready"
        return self._found

    @property
    def at_once(self) -> int:
        """Evaluations that take as long as one: one a process, or a whole vector of the processor."""
        return self.count * (LANES if self.integrator.batched else 1)

    def close(self) -> None:
        """End every worker, whatever it is doing."""
        for worker in (worker for crew in self._crews.values() for worker in crew):
            self._end(worker)
        self._crews = {}
        self._log.close()

    def run(
        self,
        xs: Sequence[np.ndarray],
        traces: bool = False,
        integrator: Integrator | None = None,
        within: float = math.inf,
        protocols: Sequence[str] | None = None,
    ) -> Iterator[tuple[int, Evaluation]]:
        """Evaluate parameter vectors.

        Args:
            xs: B vectors [D] in NEURON's units.
            traces: whether evaluations keep their voltage traces.
            integrator: another than the pool's own.
            within: seconds for all of them; what is not done by then is given up.
            protocols: whole groups (see `Problem.groups`) to simulate; None: all.

        Yields:
            (index into xs, its evaluation), as they finish; every index once, but for those given up.

        Raises:
            GbarError: the model's files have changed since the pool was opened, or it can no longer be loaded.
        """
        if not self._crews:
            raise ValueError("these workers are closed")
        self._watch.check()
        integrator = integrator or self.integrator
        setup, crew = self._crew(integrator)
        waiting = deque(tasks(len(xs), self.count, integrator, self.copies))
        unfinished, killed, end = len(xs), set[int](), time.monotonic() + within
        try:
            while unfinished and time.monotonic() < end:
                for slot, worker in enumerate(crew):
                    if waiting and worker.task is None and self._ready(setup, slot):
                        if worker.used and self.problem.simulation.process == "each":
                            self._replace(setup, slot)
                            continue
                        self._give(crew[slot], waiting.popleft(), xs, (traces, integrator, protocols))
                for slot, worker in enumerate(crew):
                    outcome = self._collect(worker)
                    if outcome is None:
                        continue
                    task, worker.task = worker.task, None
                    assert task is not None
                    if isinstance(outcome, Evaluation) and len(task) > 1:  # whose fault it was, only smaller tasks tell
                        waiting.extendleft([task[len(task) // 2 :], task[: len(task) // 2]])
                        self._replace(setup, slot)
                        continue
                    if isinstance(outcome, Evaluation) and outcome.reason in KILLED and task[0] not in killed:
                        killed.add(task[0])  # not twice by chance
                        waiting.appendleft(task)
                        self._replace(setup, slot)
                        continue
                    done = [outcome] if isinstance(outcome, Evaluation) else outcome
                    if any(evaluation.status == "failed" for evaluation in done):
                        self._replace(setup, slot)  # what a failure leaves behind must not colour the next evaluation
                    unfinished -= len(task)
                    yield from zip(task, done, strict=True)
                busy = [w.pipe for w in crew if w.task is not None or (waiting and not w.ready)]
                if unfinished:
                    wait(busy, timeout=CHECK_S)
        finally:
            for slot, worker in enumerate(crew):  # the caller stopped listening: nothing stale may come later
                if worker.task is not None and self._crews:
                    self._replace(setup, slot)

    def _crew(self, integrator: Integrator) -> tuple[mechanisms.Setup, Crew]:
        """The workers for an integrator, started when it is first asked for."""
        setup = prepared(self.problem, integrator)
        if setup not in self._crews:
            crew: Crew = []
            self._crews[setup] = crew
            for _ in range(self.count):
                crew.append(self._start(setup))
        return setup, self._crews[setup]

    @staticmethod
    def _give(worker: _Worker, task: list[int], xs: Sequence[np.ndarray], how: tuple[Any, ...]) -> None:
        worker.task, worker.since, worker.used = task, time.monotonic(), True
        with contextlib.suppress(OSError):  # a worker that has just died is noticed when its outcome is collected
            worker.pipe.send((task, np.array([xs[i] for i in task], float), *how))

    def _start(self, setup: mechanisms.Setup) -> _Worker:
        ours, theirs = socket.socketpair()
        life, its_life = socket.socketpair()
        environment = {**neuron_environment(), "OMP_NUM_THREADS": "1"}
        passed = [theirs.fileno(), its_life.fileno(), self._log.fileno()]
        try:
            process = subprocess.Popen(
                # unbuffered, or what a model prints through Python is lost with a worker that is killed
                [sys.executable, "-u", "-m", "gbar.sim.pool.worker", *map(str, passed)],
                pass_fds=passed,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the parent's to handle
                cwd=environment["PWD"],  # NEURON loads whatever x86_64/ it finds where it starts
                env=environment,
            )
        except OSError as error:
            raise MachineError(
                f"no process to simulate in can be started ({error.strerror}): try fewer --workers, or a higher limit"
            ) from None
        finally:
            theirs.close()
            its_life.close()
        pipe = Connection(ours.detach())
        worker = _Worker(process, pipe, life, psutil.Process(process.pid), since=time.monotonic())
        with contextlib.suppress(OSError):
            pipe.send((self.problem, setup))
        return worker

    def _replace(self, setup: mechanisms.Setup, slot: int) -> None:
        crew = self._crews[setup]
        self._end(crew[slot])
        crew[slot] = self._start(setup)

    def _ready(self, setup: mechanisms.Setup, slot: int) -> bool:
        """Whether the worker in a slot has loaded the model; one that died between two evaluations is replaced.

        Raises:
            GbarError: what the worker or NEURON says is wrong with the model.
        """
        worker = self._crews[setup][slot]
        if worker.ready and worker.process.poll() is not None:
            self._replace(setup, slot)
            return False
        if worker.ready or not worker.pipe.poll():
            self._check_loading(worker)
            return worker.ready
        try:
            word, content = worker.pipe.recv()
        except (EOFError, OSError):
            self._lost_loading(setup, slot)
            return False
        if word == "refused":
            complaint, by_neuron, _ = content.partition(": NEURON: ")
            said = complaint + self._last_words() if by_neuron else content
            raise GbarError(f"{said}{TWICE if 'name already exists' in said else ''}")
        worker.ready, self._found, self._lost = True, content, 0
        self._watch.add(Path(file) for file in content.reads_outside)
        return True

    def _lost_loading(self, setup: mechanisms.Setup, slot: int) -> None:
        """Replace a worker that has ended while it loaded the model, where others have loaded it or it was killed.

        Raises:
            GbarError: it is the model's fault, or has happened too often.
        """
        ending = self._ending(self._crews[setup][slot])
        self._lost += 1
        if self._lost < LOADS and (self._found or ending in KILLED):
            self._replace(setup, slot)
            return
        often = f", {self._lost} times in a row" if self._lost > 1 else ""
        short = ": by somebody, or by the system because memory is short" if ending in KILLED else self._last_words()
        raise (MachineError if ending in KILLED else GbarError)(f"loading the model {ending}{often}{short}")

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
        said = os.pread(self._log.fileno(), LAST_WORDS, self._log_start).decode(errors="replace")
        lines = [line.strip() for line in said.splitlines()]
        complaint = next((i for i, line in enumerate(lines) if line.startswith("NEURON: ")), None)
        words = lines[complaint : complaint + 3] if complaint is not None else [line for line in lines if line][-1:]
        return f": {' '.join(words)}" if words else ""

    def _collect(self, worker: _Worker) -> list[Evaluation] | Evaluation | None:
        """What came of a worker's task: one evaluation stands for all of it where it failed; None while it runs."""
        if worker.task is None:
            return None
        seconds = time.monotonic() - worker.since
        try:
            if worker.pipe.poll():
                task, done = worker.pipe.recv()
                assert task == worker.task
                if isinstance(done, str):
                    return Evaluation(status="failed", reason=done, seconds=seconds)
                self._seconds = max(self._seconds, seconds / len(task))
                return list(done)
        except (EOFError, OSError):
            return Evaluation(status="failed", reason=self._ending(worker), seconds=seconds)
        limits = self.problem.simulation
        if seconds > self._time_limit(worker.task):
            return Evaluation(status="failed", reason=f"timed out after {limits.time_limit:g} s", seconds=seconds)
        if self._too_big(worker):
            return Evaluation(status="failed", reason=TOO_BIG.format(limits.memory_limit), seconds=seconds)
        return None

    def _time_limit(self, task: list[int]) -> float:
        """Seconds for a task: an evaluation's own limit, where it is alone.

        Too long for many only means that halves of them are tried, so it need not be as long as the slowest could take:
        as many times longer than what has been seen as is out of the ordinary, and one evaluation's while nothing has.
        """
        limit = self.problem.simulation.time_limit
        if len(task) == 1 or not self._seconds:
            return limit
        lanes = -(-len(task) // LANES) * LANES
        return max(min(PATIENCE_S, limit), SLOWER * lanes * self._seconds)

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
