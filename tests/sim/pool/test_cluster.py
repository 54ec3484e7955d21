"""A Dask cluster is one more place to simulate: the same bits, the same outcomes, nothing shared but its address."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from gbar.sim import Evaluation, GbarError, Integrator, Problem, load_problem, open_pool, simulate
from gbar.sim.pool import cluster, modelfolder
from tests.cluster import Loopback
from tests.problems import HH, ROOT, TROUBLE, free, model_of, step_of, toml_of

FINE, SEGFAULT, EXIT, HANG, MEMORY, HOC_ERROR, NOT_FINITE, ABORT = range(8)

pytestmark = pytest.mark.neuron


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache folder of machines elsewhere: what they build is not built for every test."""
    return tmp_path_factory.mktemp("remote")


@pytest.fixture(scope="module")
def loopback(tmp_path_factory: pytest.TempPathFactory, remote: Path) -> Iterator[Loopback]:
    """A scheduler and two workers."""
    made = Loopback(tmp_path_factory.mktemp("dask"), 2, remote)
    yield made
    made.close()


@pytest.fixture(scope="module")
def trouble() -> Problem:
    return load_problem(TROUBLE, measured=False)


def cells(*levels: float) -> list[np.ndarray]:
    return [np.array([level, g]) for level, g in zip(levels, np.geomspace(1e-4, 1e-3, len(levels)), strict=True)]


def exact(done: list[Evaluation]) -> list[dict[str, str]]:
    """Every bit of every feature, NaN included."""
    assert [e.status for e in done] == ["ok"] * len(done), [e.reason for e in done]
    return [{name: float(value).hex() for name, value in e.features.items()} for e in done]


@pytest.mark.parametrize("accuracy", [Integrator(), Integrator("neuron")], ids=str)
def test_the_same_bits_on_any_executor(loopback: Loopback, accuracy: Integrator) -> None:
    """One process, two processes, two Dask workers."""
    problem = load_problem(HH, measured=False)
    count = 24 if accuracy.batched else 6
    x = problem.physical(np.random.default_rng(2).uniform(size=(count, 3)))
    one = exact(simulate(problem, x, integrator=accuracy))
    assert len({str(values) for values in one}) == count
    assert exact(simulate(problem, x, integrator=accuracy, workers=2)) == one
    assert exact(simulate(problem, x, integrator=accuracy, dask=loopback.address)) == one


def test_traces_and_what_was_found_come_back(loopback: Loopback, trouble: Problem) -> None:
    with open_pool(trouble) as pool:
        here, found = dict(pool.run(cells(FINE), traces=True))[0], pool.found
    with open_pool(trouble, dask=loopback.address) as pool:
        there = dict(pool.run(cells(FINE), traces=True))[0]
        assert pool.found == found and pool.count == 2
    assert exact([there]) == exact([here])
    for mine, its in zip(here.traces["hyperpolarise"], there.traces["hyperpolarise"], strict=True):
        np.testing.assert_array_equal(mine, its)


def test_trouble_costs_one_evaluation_and_no_dask_worker(loopback: Loopback, trouble: Problem) -> None:
    before = [process.poll() for process in loopback.workers]
    levels = [FINE, SEGFAULT, FINE, EXIT, MEMORY, HOC_ERROR, ABORT, FINE]
    xs = cells(*levels)
    with open_pool(trouble, dask=loopback.address) as pool:
        done = dict(pool.run(xs))
    assert {i: e.reason for i, e in done.items() if e.status == "failed"} == {
        1: "crashed with SIGSEGV",
        3: "exited with code 3",
        4: "grew past the memory limit of 500 MB",
        5: "NEURON: the mechanism gives up",
        6: "crashed with SIGABRT",
    }
    fine = [i for i, level in enumerate(levels) if level == FINE]
    assert exact([done[i] for i in fine]) == exact(simulate(trouble, [xs[i] for i in fine]))
    assert [process.poll() for process in loopback.workers] == before == [None, None]


def test_a_worker_that_is_killed_is_done_without(tmp_path: Path, remote: Path, trouble: Problem) -> None:
    """kill -9 of a Dask worker in mid-batch: what it was on is made by the other, and its own process ends with it."""
    made = Loopback(tmp_path, 2, remote)
    try:
        xs = [np.array([FINE, g]) for g in np.geomspace(1e-4, 1e-3, 60)]
        done: dict[int, Evaluation] = {}
        with open_pool(trouble, dask=made.address) as pool:
            doomed = psutil.Process(made.workers[0].pid)
            while not (own := doomed.children(recursive=True)):  # until both have the model
                assert all(e.status == "ok" for _, e in pool.run(xs[:4]))
            flow = pool.run(xs)
            done |= dict(next(flow) for _ in range(6))
            doomed.kill()
            done |= dict(flow)
        assert not psutil.wait_procs(own, timeout=10)[1], "a simulation outlives its Dask worker"
        assert made.workers[0].wait() != 0 and made.workers[1].poll() is None
    finally:
        made.close()
    assert exact([done[i] for i in range(len(xs))]) == exact(simulate(trouble, xs))


def test_a_worker_may_join_later(tmp_path: Path, remote: Path, trouble: Problem) -> None:
    made = Loopback(tmp_path, 0, remote)
    try:
        joins = threading.Timer(2.0, made.add_worker, ["late"])
        joins.start()
        (done,) = simulate(trouble, cells(FINE), dask=made.address)
        joins.join()
    finally:
        made.close()
    assert done.status == "ok"


def test_a_lost_scheduler_ends_the_run_in_one_line(tmp_path: Path, remote: Path, trouble: Problem) -> None:
    made = Loopback(tmp_path, 1, remote)
    try:
        with (
            pytest.raises(GbarError, match="the scheduler is lost: what was finished is kept"),
            open_pool(trouble, dask=made.address) as pool,
        ):
            flow = pool.run(cells(FINE, *[HANG] * 4))
            next(flow)
            made.processes[0].kill()
            list(flow)
    finally:
        made.close()


def test_stopping_early_leaves_nothing_running(loopback: Loopback, trouble: Problem) -> None:
    with open_pool(trouble, dask=loopback.address) as pool:
        flow = pool.run(cells(FINE, FINE, FINE, FINE, FINE, FINE))
        next(flow)
        flow.close()
        assert exact([dict(pool.run(cells(FINE)))[0]]) == exact(simulate(trouble, cells(FINE)))
    workers = [psutil.Process(process.pid) for process in loopback.workers]
    start = time.monotonic()
    while any(worker.children() for worker in workers) and time.monotonic() - start < 10:
        time.sleep(0.1)
    assert not [child.cmdline() for worker in workers for child in worker.children()]


# ---- the model's files


def test_a_model_reaches_a_machine_that_cannot_see_it(
    loopback: Loopback, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of any name, and MOD files beside the folder; nothing of them is left when the worker unpacks them."""
    folder = write("cell", **{"model/cell.py": MODEL, "model/size of soma": "42", "model/problem.toml": TOML})
    shutil.copytree(TROUBLE / "mod", folder / "mod")
    problem = load_problem(folder / "model", measured=False)
    packed = modelfolder.pack(problem)
    assert sorted(packed["files"]) == ["mod/trouble.mod", "model/cell.py", "model/problem.toml", "model/size of soma"]
    assert packed["folder"] == "model" and str(folder) not in packed["problem"]
    monkeypatch.setattr(modelfolder, "pack", lambda problem: packed)
    hidden = folder.rename(folder.with_name("hidden"))
    monkeypatch.setattr(modelfolder, "Watch", lambda problem: type("", (), {"check": lambda self: None})())
    with open_pool(problem, dask=loopback.address) as pool:
        assert pool.found.parameters["L"].value == 42.0
        assert dict(pool.run([np.array([40.0])]))[0].status == "ok"
    assert hidden.is_dir() and not folder.exists()


MODEL = """
from neuron import h

def build():
    soma = h.Section(name="soma")
    soma.insert("pas")
    soma.insert("trouble")
    soma.L = float(open("size of soma").read())
    return {"soma": soma}
"""
TOML = toml_of(
    model_of("cell.py:build", mechanisms=["../mod"], celsius=25, v_init=-70), free("L", "soma.L", 10, 100), step_of()
)


@pytest.mark.parametrize("name", ["hh", "motoneuron"])
def test_an_unpacked_problem_is_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path))
    problem = load_problem(ROOT / "models" / name)
    packed = modelfolder.pack(problem)
    assert modelfolder.unpack(packed | {"files": None}) is None
    there = modelfolder.unpack(packed)
    assert there is not None and there.folder.is_relative_to(tmp_path)
    assert there.identity() == problem.identity() and there.measurements == problem.measurements
    own = {"folder", "file", "measurements_file"}
    assert there.model_dump(exclude=own) == problem.model_dump(exclude=own)
    assert there.model.model_fields_set == problem.model.model_fields_set
    assert modelfolder.unpack(packed | {"files": None}) == there, "once is enough"
    assert modelfolder.pack(there)["digest"] == packed["digest"]


def test_a_folder_that_is_no_model_is_not_sent(trouble: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelfolder, "PACKED_LIMIT_MB", 0.001)
    with pytest.raises(GbarError, match=r"holds more than 0\.001 MB"):
        modelfolder.pack(trouble)


# ---- what is refused


def test_a_model_that_does_not_load_there(loopback: Loopback, write: Callable[..., Path]) -> None:
    folder = write("cell", **{"cell.py": "def build():\n    return 1 / 0\n", "problem.toml": TOML, "m/x": ""})
    toml = (folder / "problem.toml").read_text().replace('mechanisms = ["../mod"]\n', "")
    (folder / "problem.toml").write_text(toml)
    with pytest.raises(GbarError, match=r"Dask worker tcp://.*: the model cannot be loaded: ZeroDivisionError"):
        simulate(load_problem(folder, measured=False), [np.array([40.0])], dask=loopback.address)


def test_other_versions_are_refused(loopback: Loopback, trouble: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same result needs the same programs."""
    monkeypatch.setattr(cluster, "versions", lambda: {**real, "efel": "0.0.1"}) if (
        real := cluster.versions()
    ) else None
    with pytest.raises(GbarError, match=r"Dask worker tcp://.*: has efel .* where efel 0\.0\.1 is needed"):
        simulate(trouble, cells(FINE), dask=loopback.address)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "127.0.0.1:99999999"])
def test_no_scheduler(trouble: Problem, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_LIMIT_S", 1.0)
    with pytest.raises(GbarError, match="no Dask scheduler answers there") as caught:
        simulate(trouble, cells(FINE), dask=address)
    assert address in str(caught.value) and "\n" not in str(caught.value)


def test_what_never_answers_is_not_waited_for() -> None:
    with pytest.raises(TimeoutError):
        cluster._within(0.1, threading.Event().wait)
    with pytest.raises(ZeroDivisionError):
        cluster._within(5.0, divmod, 1, 0)
    assert cluster._within(5.0, divmod, 7, 2) == (3, 1)


def test_no_worker(tmp_path: Path, remote: Path, trouble: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "JOIN_LIMIT_S", 0.5)
    made = Loopback(tmp_path, 0, remote)
    try:
        with pytest.raises(GbarError, match=r"no worker has joined within 0\.5 s: start some with `dask worker tcp"):
            simulate(trouble, cells(FINE), dask=made.address)
    finally:
        made.close()


def test_forgotten_processes_end(trouble: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on a Dask worker, here: a process that nobody asks for is ended after a while."""
    monkeypatch.setattr(cluster, "IDLE_S", 0.5)
    monkeypatch.setattr(cluster, "_sweeper", [])
    packed = modelfolder.pack(trouble) | {"versions": cluster.versions()}
    before = psutil.Process().children()
    answer = cluster.evaluate(packed, np.array(cells(FINE)), False, vars(Integrator()))
    assert answer["done"][0]["status"] == "ok"
    (process,) = set(psutil.Process().children()) - set(before)
    assert not psutil.wait_procs([process], timeout=10)[1]
    assert not any(cluster._idle.values())
