"""Evaluations on a Dask cluster, each in gbar's own isolated process there: no model ever costs a Dask worker.

Plain values travel: text, bytes, numbers, arrays. Dask packs and unpacks them in its own protocol, which is built on
pickle; whoever can reach a scheduler can run code on its workers, so a cluster is a matter of trust (docs/cluster.md).
"""

import contextlib
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from gbar.sim.engine import Evaluation, ModelInfo
from gbar.sim.errors import GbarError
from gbar.sim.pool import modelfolder
from gbar.sim.pool.workers import Workers, tasks
from gbar.sim.problem import LANES, Integrator, Problem

CONNECT_LIMIT_S = 20.0  # for the scheduler to answer
START_LOOP_S = 15.0  # for distributed's event loop, to which it gives ten seconds itself
LEAVE_LIMIT_S = 10.0  # for the workers to be told, and for the connection to be closed
MAX_PORT = 65535
JOIN_LIMIT_S = 3600.0  # for a first worker to join: batch systems let jobs wait
RETRIES = 2  # of a task that failed for reasons of its machine, elsewhere
IDLE_S = 120.0  # after which a process that nobody asks for anything is ended


class Cluster:
    """A pool like `Workers`, made of the workers of a Dask scheduler, which may come and go.

    Use as a context manager. `found` is what the first worker found in the model.

    Raises:
        GbarError: from the constructor, when `distributed` is missing here, no scheduler answers, no worker joins, a
            worker has other versions, the mechanisms do not build there, or the model cannot be loaded.
    """

    def __init__(self, problem: Problem, address: str, integrator: Integrator | None = None):
        self.problem, self.address = problem, address
        self.integrator = integrator or Integrator.of(problem)
        self._packed = modelfolder.pack(problem) | {"versions": versions()}
        self._light = self._packed | {"files": None}
        self._watch = modelfolder.Watch(problem)
        self._client = _client(address)
        try:
            self._wait_for_workers()
            self.found = self._describe()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, ending what this pool has started there; the cluster itself goes on."""
        with contextlib.suppress(Exception):  # it may be gone
            _within(LEAVE_LIMIT_S, self._client.run, dismiss, self._packed["digest"], on_error="ignore")
        with contextlib.suppress(Exception):
            _within(LEAVE_LIMIT_S, self._client.close, timeout=5)

    @property
    def count(self) -> int:
        """How many evaluations the cluster's workers make side by side at present."""
        return max(1, int(sum(self._client.nthreads().values())))

    @property
    def at_once(self) -> int:
        """See `Workers.at_once`."""
        return self.count * (LANES if self.integrator.batched else 1)

    def run(
        self,
        xs: Sequence[np.ndarray],
        traces: bool = False,
        integrator: Integrator | None = None,
        protocols: Sequence[str] | None = None,
    ) -> Iterator[tuple[int, Evaluation]]:
        """Evaluate parameter vectors; see `Workers.run`.

        A task whose worker is lost is given to another one, by Dask, up to its `allowed-failures` (3). What loses more
        workers than that counts as failed.

        Raises:
            GbarError: also when the model's files have changed, or the scheduler is lost.
        """
        import distributed

        self._watch.check()
        asked = vars(integrator or self.integrator)
        how = traces, asked, protocols
        given = {self._give(xs, task, how): task for task in tasks(len(xs), self.count, Integrator(**asked))}
        completed: Any = distributed.as_completed  # which is not typed
        flow = completed(list(given), loop=self._client.loop)
        try:
            for future in flow:
                task = given.pop(future)
                for part, answer in self._parts(task, self._answer(future)):
                    if "done" in answer:
                        yield from zip(part, (Evaluation(**values) for values in answer["done"]), strict=True)
                    else:
                        again = self._give(xs, part, how, with_files="missing" in answer)
                        given[again] = part
                        flow.add(again)
        finally:
            if given:  # the caller stopped listening
                with contextlib.suppress(Exception):
                    self._client.cancel(list(given), force=True)

    @staticmethod
    def _parts(task: list[int], answer: dict[str, Any]) -> list[tuple[list[int], dict[str, Any]]]:
        """What to do with an answer: take it, or ask again for all of a task or, where workers died on it, halves."""
        if "lost" not in answer:
            return [(task, answer)]
        if len(task) > 1:
            half = len(task) // 2
            return [(task[:half], {}), (task[half:], {})]
        return [(task, {"done": [vars(Evaluation(status="failed", reason=answer["lost"]))]})]

    def _give(
        self,
        xs: Sequence[np.ndarray],
        task: list[int],
        how: tuple[bool, dict[str, Any], Sequence[str] | None],
        with_files: bool = False,
    ) -> Any:
        packed = self._packed if with_files else self._light
        x = np.array([xs[i] for i in task], float)
        key = f"gbar-{self.problem.name}-{uuid.uuid4().hex}"
        return self._client.submit(evaluate, packed, x, *how, key=key, pure=False, retries=RETRIES)

    def _answer(self, future: Any) -> dict[str, Any]:
        """What came of a task: {"done"}, {"missing"} or {"lost": reason}.

        Raises:
            GbarError: a worker cannot do it at all, or the scheduler is gone.
        """
        from distributed import KilledWorker

        try:
            answer: dict[str, Any] = future.result()
        except KilledWorker as error:
            return {"lost": f"every one of {error.allowed_failures + 1} Dask workers that were on it was lost"}
        except Exception as error:
            if "Cancelled" in type(error).__name__:
                raise GbarError(
                    f"--dask {self.address}: the scheduler is lost: what was finished is kept; start again to go on"
                ) from None
            raise GbarError(
                f"--dask {self.address}: a worker cannot simulate: {type(error).__name__}: {_cause(error)} "
                "(gbar must be installed, in the same versions, for the scheduler and every worker)"
            ) from None
        finally:
            future.release()
        if "refused" in answer:
            raise GbarError(answer["refused"])
        return answer

    def _wait_for_workers(self) -> None:
        start = time.monotonic()
        while not self._client.nthreads():
            if time.monotonic() - start > JOIN_LIMIT_S:
                raise GbarError(
                    f"--dask {self.address}: no worker has joined within {JOIN_LIMIT_S:g} s: start some with "
                    f"`dask worker {self.address} --nthreads 1`"
                )
            time.sleep(0.2)

    def _describe(self) -> ModelInfo:
        future = self._client.submit(
            describe, self._packed, vars(self.integrator), key=f"gbar-{uuid.uuid4().hex}", pure=False, retries=RETRIES
        )
        answer = self._answer(future)
        if "lost" in answer:
            raise GbarError(f"--dask {self.address}: loading the model: {answer['lost']}")
        return ModelInfo.of(answer["found"])


def _client(address: str) -> Any:
    """A connection to a scheduler. Raises GbarError."""
    try:
        from distributed import Client
    except ImportError:
        raise GbarError("--dask needs the package distributed: pip install 'gbar[dask]'") from None
    port = address.rpartition(":")[2]
    try:
        if port.isdigit() and int(port) > MAX_PORT:  # of which the system would take the last 16 bits
            raise ValueError(f"there is no port {port}: the highest is {MAX_PORT}")
        kept: dict[str, Any] = {"timeout": CONNECT_LIMIT_S, "set_as_default": False}
        try:
            return _within(2 * CONNECT_LIMIT_S + START_LOOP_S, Client, address, **kept)
        except AssertionError:  # its event loop had not started: on a busy machine, distributed does not wait for it
            return _within(2 * CONNECT_LIMIT_S + START_LOOP_S, Client, address, **kept)
    except (OSError, TimeoutError, ValueError, AssertionError) as error:
        raise GbarError(
            f"--dask {address}: no Dask scheduler answers there ({_cause(error)}): "
            "expected an address such as tcp://HOST:8786, which `dask scheduler` prints"
        ) from None


def _within(seconds: float, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a call returns or raises. distributed waits for ever where its event loop is stuck: TimeoutError instead."""
    came: Future[Any] = Future()

    def answer() -> None:
        try:
            came.set_result(call(*arguments, **options))
        except BaseException as error:
            came.set_exception(error)

    threading.Thread(target=answer, daemon=True).start()
    return came.result(timeout=seconds)


def _cause(error: BaseException) -> str:
    """The words of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def versions() -> dict[str, str]:
    """What has to be the same everywhere for results to be."""
    return {name: metadata.version(name) for name in ("gbar", "neuron", "efel", "numpy")} | {
        "python": ".".join(platform.python_version_tuple()[:2])
    }


# ---- what runs on a Dask worker, where this module is imported by name

_idle: dict[str, list[tuple[float, Workers]]] = {}  # digest of a problem -> since when, an isolated process each
_lock = threading.Lock()
_sweeper: list[threading.Thread] = []


def describe(packed: dict[str, Any], integrator: dict[str, Any]) -> dict[str, Any]:
    """{"found": what is in the model}, or {"refused": why it cannot be loaded on this worker}."""
    try:
        with _process(packed, Integrator(**integrator)) as pool:
            return {"found": asdict(pool.found)} if pool else {"refused": "the model's files did not arrive"}
    except GbarError as error:
        return {"refused": _from_here(error)}


def evaluate(
    packed: dict[str, Any],
    x: np.ndarray,
    traces: bool,
    integrator: dict[str, Any],
    protocols: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Evaluate one task.

    Args:
        packed: from `modelfolder.pack`, with "versions"; its "files" may be None.
        x: [n, D] in NEURON's units.
        traces: whether to send voltage traces back.
        integrator: the fields of an Integrator.
        protocols: see `Workers.run`.

    Returns:
        {"done": fields of n Evaluations}, {"missing": True} where the files are needed and were not given, or
        {"refused": why this worker cannot do it}.
    """
    try:
        asked = Integrator(**integrator)
        with _process(packed, asked) as pool:
            if pool is None:
                return {"missing": True}
            done = dict(pool.run(list(x), traces, asked, protocols=protocols))
            return {"done": [vars(done[i]) for i in range(len(x))]}
    except GbarError as error:
        return {"refused": _from_here(error)}


def dismiss(digest: str) -> None:
    """End the idle processes of a problem."""
    with _lock:
        ended = _idle.pop(digest, [])
    for _, pool in ended:
        pool.close()


@contextlib.contextmanager
def _process(packed: dict[str, Any], integrator: Integrator) -> Iterator[Workers | None]:
    """An isolated process with the model loaded, kept for the next task; None where the model's files are missing.

    Raises:
        GbarError: other versions here, or whatever keeps the model from being built and loaded.
    """
    if packed["versions"] != versions():
        differ = [f"{name} {here}" for name, here in versions().items() if packed["versions"].get(name) != here]
        wanted = [f"{name} {packed['versions'].get(name)}" for name in (word.split()[0] for word in differ)]
        raise GbarError(f"has {', '.join(differ)} where {', '.join(wanted)} is needed for the same results")
    with _lock:
        kept = _idle.get(packed["digest"])
        pool = kept.pop()[1] if kept else None
    if pool is None:
        problem = modelfolder.unpack(packed)
        if problem is None:
            yield None
            return
        pool = Workers(problem, 1, integrator)
    try:
        yield pool
    except BaseException:
        pool.close()
        raise
    with _lock:
        _idle.setdefault(packed["digest"], []).append((time.monotonic(), pool))
        if not _sweeper:
            _sweeper.append(threading.Thread(target=_sweep, daemon=True))
            _sweeper[0].start()


def _sweep() -> None:
    """End processes that nobody has asked for a while: whoever began them may have been killed."""
    while True:
        time.sleep(IDLE_S / 4)
        with _lock:
            old = [
                (digest, one) for digest, each in _idle.items() for one in each if time.monotonic() - one[0] > IDLE_S
            ]
            for digest, one in old:
                _idle[digest].remove(one)
        for _, (_, pool) in old:
            pool.close()


def _from_here(error: GbarError) -> str:
    from distributed import get_worker

    with contextlib.suppress(ValueError):
        return f"Dask worker {get_worker().address}: {error}"
    return str(error)
