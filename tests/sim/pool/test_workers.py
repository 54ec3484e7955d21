"""Whatever a model does to its process costs that one evaluation, and no result depends on where it was made."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from gbar.sim import Evaluation, GbarError, Integrator, Problem, Workers, load_problem, simulate, with_engine
from gbar.sim.pool.workers import LOADS, tasks
from tests.problems import HH, ROOT, TROUBLE, free, model_of, step_of, toml_of

GONE_WITHIN_S = 10.0

pytestmark = pytest.mark.neuron

FINE, SEGFAULT, EXIT, HANG, MEMORY, HOC_ERROR, NOT_FINITE = range(7)
RIN = "hyperpolarise.ohmic_input_resistance"


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """No test leaves a process behind."""
    yield
    assert ended(psutil.Process().children(recursive=True))


def ended(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=GONE_WITHIN_S)[1]


@pytest.fixture(scope="module")
def trouble() -> Problem:
    return load_problem(TROUBLE, measured=False)


def cell(level: float, g_pas: float = 3e-4) -> np.ndarray:
    return np.array([level, g_pas])


def exact(done: list[Evaluation]) -> list[dict[str, str]]:
    """Every bit of every feature, NaN included."""
    assert [e.status for e in done] == ["ok"] * len(done), [e.reason for e in done]
    return [{name: float(value).hex() for name, value in e.features.items()} for e in done]


def refusal(problem: Problem) -> str:
    with pytest.raises(GbarError) as caught, Workers(problem):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- what a model can do while it is simulated


def test_every_kind_of_trouble_costs_one_evaluation(trouble: Problem) -> None:
    """One batch on two workers, trouble between good cells: each has its reason, the good ones are right."""
    levels = [FINE, SEGFAULT, FINE, EXIT, FINE, HANG, MEMORY, FINE, HOC_ERROR, FINE, NOT_FINITE, FINE]
    xs = [cell(level, g) for level, g in zip(levels, np.geomspace(1e-4, 1e-3, len(levels)), strict=True)]
    with Workers(trouble, 2) as pool:
        yielded = list(pool.run(xs))
        again = dict(pool.run(xs[:1]))
    assert sorted(index for index, _ in yielded) == list(range(len(xs))), "every index once"
    done = dict(yielded)
    assert {i: e.reason for i, e in done.items() if e.status == "failed"} == {
        1: "crashed with SIGSEGV",
        3: "exited with code 3",
        5: "timed out after 3 s",
        6: "grew past the memory limit of 500 MB",
        8: "NEURON: the mechanism gives up",
        10: "NEURON: variable step integrator error",
    }
    assert all(not e.features for e in done.values() if e.status == "failed")
    right = simulate(trouble, [x for x, level in zip(xs, levels, strict=True) if level == FINE])
    assert exact([done[i] for i, level in enumerate(levels) if level == FINE]) == exact(right)
    assert all(e.features[RIN] > 0 for e in right)
    assert exact([again[0]]) == exact([done[0]]), "the pool goes on"


def test_voltage_that_is_not_a_number(trouble: Problem) -> None:
    """With a fixed step NEURON integrates NaN without complaint; where it begins is in the reason."""
    bad, good = simulate(trouble, [cell(NOT_FINITE), cell(FINE)], integrator=Integrator("fixed"))
    assert bad.status == "failed"
    assert re.fullmatch(r"protocol hyperpolarise: the voltage is not finite from 20\.\d+ ms on", bad.reason)
    assert good.status == "ok"


def test_time_is_counted_per_evaluation(trouble: Problem) -> None:
    """A batch that takes longer than the limit for one evaluation is no timeout."""
    limits = trouble.simulation.model_copy(update={"time_limit": 1.0})
    problem = trouble.model_copy(update={"simulation": limits})
    with Workers(problem) as pool:
        start = time.monotonic()
        states = []
        for index, done in pool.run([cell(FINE)] * 4):
            time.sleep(0.4 if index < 3 else 0)  # the caller is slow, too
            states.append(done.status)
        assert time.monotonic() - start > 1.0
    assert states == ["ok"] * 4


def test_the_first_evaluation_has_nothing_left_to_load(trouble: Problem) -> None:
    """A worker is ready when it is: what it would load later counts as the evaluation's time, and as its timeout."""
    with Workers(trouble) as pool:
        first = dict(pool.run([cell(FINE)]))[0].cpu
        later = min(dict(pool.run([cell(FINE)]))[0].cpu for _ in range(5))
    assert first < later + 0.08, "s; eFEL alone takes a tenth"


# ---- the pool


def test_a_run_stopped_early_leaves_nothing_behind(trouble: Problem) -> None:
    """Closing the generator gives up what is under way; the next run gets its own results only."""
    with Workers(trouble, 2) as pool:
        first = pool.run([cell(FINE, 1e-4), cell(HANG), cell(FINE, 2e-4), cell(FINE, 3e-4)])
        next(first)
        first.close()
        done = dict(pool.run([cell(FINE, 9e-4), cell(FINE, 8e-4)]))
    right = simulate(trouble, [cell(FINE, 9e-4), cell(FINE, 8e-4)])
    assert exact([done[0], done[1]]) == exact(right)


def test_what_is_not_done_in_time_is_given_up(trouble: Problem) -> None:
    """A run that may take so many seconds ends then, with what is done; the next one is not disturbed."""
    with Workers(trouble) as pool:
        start = time.monotonic()
        done = dict(pool.run([cell(FINE), cell(HANG), cell(FINE)], within=1.5))
        assert time.monotonic() - start < 2.5
        assert {i: e.status for i, e in done.items()} == {0: "ok"}
        assert dict(pool.run([cell(FINE)]))[0].status == "ok"


def test_closing_ends_hung_workers(trouble: Problem) -> None:
    pool = Workers(trouble, 2)
    run = pool.run([cell(HANG), cell(FINE)])
    next(run)
    workers = psutil.Process().children()
    assert len(workers) == 2
    pool.close()
    assert ended(workers)
    run.close()
    assert not psutil.Process().children()
    with pytest.raises(ValueError, match="closed"):
        next(pool.run([cell(FINE)]))


def test_closing_ends_what_a_model_has_started(write: Callable[..., Path]) -> None:
    starts = "import subprocess\nsubprocess.Popen(['sleep', '300'])\n" + PYTHON_MODEL
    with Workers(python_problem(write, starts)):
        (worker,) = psutil.Process().children()
        started = worker.children()
        assert [process.name() for process in started] == ["sleep"]
    assert ended([worker, *started])


def test_a_worker_killed_between_two_runs_is_replaced(trouble: Problem) -> None:
    with Workers(trouble) as pool:
        before = dict(pool.run([cell(FINE)]))
        (worker,) = psutil.Process().children()
        worker.kill()
        assert ended([worker])
        assert exact([dict(pool.run([cell(FINE)]))[0]]) == exact([before[0]])


SLOW_MODEL = """
import os, pathlib, time
from neuron import h
def build():
    with open(pathlib.Path(__file__).with_name("pids"), "a") as pids:
        print(os.getpid(), file=pids)
    time.sleep(2)
    soma = h.Section(name="soma")
    soma.insert("pas")
    return {"soma": soma}
"""


def loading(folder: Path, count: int) -> list[psutil.Process]:
    """The workers that have begun to load a SLOW_MODEL, once there are `count`."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pids = (folder / "pids").read_text().split() if (folder / "pids").exists() else []
        if len(pids) >= count:
            return [psutil.Process(int(pid)) for pid in pids if psutil.pid_exists(int(pid))]
        time.sleep(0.02)
    raise AssertionError("they never began")


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_killed_while_it_loads_is_replaced(write: Callable[..., Path], ending: signal.Signals) -> None:
    problem = python_problem(write, SLOW_MODEL)
    killer = threading.Thread(target=lambda: loading(problem.folder, 1)[0].send_signal(ending))
    killer.start()
    (done,) = simulate(problem, [np.array([3e-4])])
    killer.join()
    assert done.status == "ok"
    assert len((problem.folder / "pids").read_text().split()) == 2


def test_a_replacement_killed_while_it_loads_is_replaced(write: Callable[..., Path]) -> None:
    """As the issue was seen: a worker is killed, and then the one that took its place, before it was ready."""
    problem = python_problem(write, SLOW_MODEL)
    with Workers(problem) as pool:
        (first,) = loading(problem.folder, 1)
        first.kill()
        killer = threading.Thread(target=lambda: loading(problem.folder, 2)[-1].kill())
        killer.start()
        assert dict(pool.run([np.array([3e-4])]))[0].status == "ok"
        killer.join()


def test_a_model_that_is_killed_whenever_it_loads(write: Callable[..., Path]) -> None:
    """Such as by the system, for its memory: an end after a few."""
    message = refusal(python_problem(write, "import os\ndef build(): os.kill(os.getpid(), 9)\n"))
    assert message.startswith(f"loading the model crashed with SIGKILL, {LOADS} times in a row: by somebody, or by")


ORPHAN = """
import os, sys
from gbar.sim import Workers, load_problem
Workers(load_problem(sys.argv[1], measured=False), 2)
"""
ORPHAN_SURVEY = """
import sys
from gbar.sim.pool import ask
from gbar.sim.setup.survey import look
model = {"load": "cell.py:build", "celsius": 25, "v_init": -70}
ask(look, {"folder": sys.argv[1], "model": model, "library": None}, 60)
"""


@pytest.mark.parametrize("script", [ORPHAN, ORPHAN_SURVEY], ids=["workers", "survey"])
@pytest.mark.parametrize("after", [0.0, None])
def test_nothing_outlives_a_parent_killed_at_once(write: Callable[..., Path], script: str, after: float | None) -> None:
    """Also in the first second of a worker, before it can be told: a model that never ends would go on for ever."""
    problem = python_problem(write, SLOW_MODEL.replace("time.sleep(2)", "while True: pass"))
    parent = subprocess.Popen([sys.executable, "-c", script, str(problem.folder)], cwd=ROOT)
    watched = psutil.Process(parent.pid)
    while not watched.children():
        time.sleep(0.005)
    if after is None:
        loading(problem.folder, 1)
    time.sleep(after or 0.0)
    children = watched.children(recursive=True)
    parent.kill()
    parent.wait()
    assert children and ended(children)


def test_no_temporary_folder_stays_when_the_parent_is_killed(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = python_problem(write, SLOW_MODEL)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN, str(problem.folder)], cwd=ROOT, stderr=subprocess.PIPE)
    children = loading(problem.folder, 1)
    parent.kill()
    assert parent.communicate()[1] == b"", "a worker talks to the terminal"
    assert ended(children)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_workers_outlive_the_thread_that_started_them(trouble: Problem) -> None:
    """Who plans while simulations run starts and replaces workers in passing threads."""
    pools: list[Workers] = []
    thread = threading.Thread(target=lambda: pools.append(Workers(trouble)))
    thread.start()
    thread.join()
    (worker,) = psutil.Process().children()
    time.sleep(0.3)
    assert worker.status() != psutil.STATUS_ZOMBIE
    with pools[0] as pool:
        assert dict(pool.run([cell(FINE)]))[0].status == "ok"
    assert ended([worker])


def test_an_empty_batch(trouble: Problem) -> None:
    assert simulate(trouble, []) == []


def test_traces_are_kept_on_request(trouble: Problem) -> None:
    (without,) = simulate(trouble, [cell(FINE)])
    (kept,) = simulate(trouble, [cell(FINE)], traces=True)
    assert without.traces == {}
    t, v = kept.traces["hyperpolarise"]
    assert len(t) == len(v) and t[-1] == pytest.approx(120.0, abs=0.05)
    assert v.min() == pytest.approx(kept.features["hyperpolarise.minimum_voltage"], abs=1e-6)


# ---- the same answer everywhere


def every_kind(write: Callable[..., Path]) -> Problem:
    """The squid axon under every kind of protocol, one of them with a setting of its own."""
    toml = (HH / "problem.toml").read_text()
    place = 'at = "axon(0.5)"\nrecord = "axon(0.5).v"\ndelay = 20.0\n'
    toml += f'\n[protocol.pulse]\nkind = "pulse"\namplitude = 20.0\n{place}duration = 1.0\ntotal = 60.0\n'
    toml += f'\n[protocol.recruit]\nkind = "rheobase"\n{place}duration = 20.0\ntotal = 60.0\n'
    toml += f'\n[protocol.more]\nkind = "step"\namplitude = 4.0\n{place}duration = 80.0\ntotal = 100.0\n'
    toml += 'efel.Threshold = -30.0\n\n[protocol.gain]\nkind = "fi"\nsteps = ["fire", "more"]\n'
    folder = write("hh", **{"problem.toml": toml, "hh.hoc": (HH / "hh.hoc").read_text()})
    return load_problem(folder, measured=False)


def test_results_do_not_depend_on_the_workers(write: Callable[..., Path]) -> None:
    """Bit for bit: one worker or two, this order or the other, a fresh process or one that has done other work."""
    problem = every_kind(write)
    xs = list(problem.physical(np.random.default_rng(1).uniform(size=(5, 3))))
    one = exact(simulate(problem, xs))
    assert len({tuple(values.items()) for values in one}) == len(xs)
    kinds = {name.partition(".")[0] for values in one for name, value in values.items() if value != "nan"}
    assert kinds == {"hyperpolarise", "fire", "pulse", "recruit", "more", "gain"}
    assert exact(simulate(problem, xs, workers=2)) == one
    assert exact(simulate(problem, xs[::-1]))[::-1] == one
    assert exact(simulate(problem, xs[-1:])) == one[-1:]


def test_accuracies_do_not_colour_each_other(write: Callable[..., Path]) -> None:
    """One worker asked for one accuracy after another gives each the bits that a pool of its own gives."""
    problem = every_kind(write)
    xs = [problem.physical(np.full(3, 0.4))]
    accuracies = [
        Integrator(),
        Integrator(atol=1e-6),
        Integrator("fixed"),
        Integrator(),
        Integrator("fixed", dt=0.05),
        Integrator(),
    ]
    with Workers(problem) as pool:
        mixed = [exact([dict(pool.run(xs, integrator=accuracy))[0]]) for accuracy in accuracies]
    alone = {accuracy: exact(simulate(problem, xs, integrator=accuracy)) for accuracy in set(accuracies)}
    assert len({str(found) for found in alone.values()}) == 4
    assert mixed == [alone[accuracy] for accuracy in accuracies]


def test_tighter_accuracy_converges(write: Callable[..., Path]) -> None:
    """CVODE and the fixed step meet where both are accurate: the two engines simulate one model."""
    problem = every_kind(write)
    middle = [problem.physical(np.full(3, 0.5))]
    exactly = (Integrator().tight(), Integrator("fixed", dt=0.005))
    cvode, fixed = (simulate(problem, middle, integrator=one)[0].features for one in exactly)
    assert cvode["fire.Spikecount"] == fixed["fire.Spikecount"] > 5
    assert cvode["pulse.AP_height"] == pytest.approx(fixed["pulse.AP_height"], abs=0.2)
    assert cvode["recruit.rheobase"] == pytest.approx(fixed["recruit.rheobase"], abs=0.06)
    assert cvode["hyperpolarise.voltage_base"] == pytest.approx(fixed["hyperpolarise.voltage_base"], abs=1e-3)
    default = simulate(problem, middle)[0].features
    assert default["pulse.AP_height"] == pytest.approx(cvode["pulse.AP_height"], abs=0.2)


# ---- what a worker is


PYTHON_MODEL = """
import json, os, sys
from neuron import h

def build():
    soma = h.Section(name="soma")
    soma.insert("pas")
    seen = {"argv": sys.orig_argv, "jax": "jax" in sys.modules, "main": sys.modules["__main__"].__name__}
    seen["main"] = getattr(sys.modules["__main__"], "__file__", "")
    seen["folder"] = os.getcwd()
    with open(os.environ["GBAR_TEST_SEEN"], "w") as stream:
        json.dump({**seen, "modules": sorted(sys.modules)}, stream)
    return {"soma": soma}
"""
PYTHON_TOML = toml_of(
    model_of("cell.py:build", celsius=25, v_init=-70), free("g_pas", "soma.g_pas", 1e-4, 1e-3), step_of()
)


def python_problem(write: Callable[..., Path], model: str = PYTHON_MODEL, toml: str = PYTHON_TOML) -> Problem:
    folder = write("cell", **{"cell.py": model, "problem.toml": toml})
    os.environ["GBAR_TEST_SEEN"] = str(folder / "seen.json")
    return load_problem(folder, measured=False)


def test_workers_are_fresh_interpreters_without_jax(write: Callable[..., Path]) -> None:
    """Started, not forked: nothing of this process is in them; only the sim side of gbar is; the folder stays clean."""
    import json

    problem = python_problem(write, "import helper\n" + PYTHON_MODEL)
    (problem.folder / "helper.py").write_text("")
    with Workers(problem):
        (worker,) = psutil.Process().children()
        assert worker.cmdline()[:4] == [sys.executable, "-u", "-m", "gbar.sim.pool.worker"]
    seen = json.loads((problem.folder / "seen.json").read_text())
    assert seen["main"].endswith("sim/pool/worker.py")
    packages = {name.partition(".")[0] for name in seen["modules"]}
    assert {"gbar", "neuron", "helper"} <= packages
    assert not packages & {"jax", "jaxlib", "flax", "optax", "pytest", "_pytest"}
    assert not {"gbar.surrogate", "gbar.agent", "gbar.scripts"} & set(seen["modules"])
    assert "scipy" not in packages, "it takes longer to load than everything else, and few evaluations need all of it"
    assert seen["folder"] == str(problem.folder)
    assert sorted(file.name for file in problem.folder.iterdir()) == [
        "cell.py",
        "helper.py",
        "problem.toml",
        "seen.json",
    ]


def test_the_parent_imports_neither_neuron_nor_jax(fresh: Callable[..., list[str]]) -> None:
    script = """
import json, sys
from gbar import sim
problem = sim.load_problem(sys.argv[1], measured=False)
assert sim.simulate(problem, [problem.physical([0.5, 0.5, 0.5])])[0].status == "ok"
print(json.dumps([name for name in ("neuron", "jax", "efel", "hoc") if name in sys.modules]))
"""
    assert set(fresh(script, HH)) <= {"efel"}


def test_a_library_in_the_users_folder_is_not_picked_up(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NEURON loads x86_64/ of where it is started: neither the model's folder nor the caller's may be that."""
    problem = python_problem(write)
    for name in ("x86_64", "arm64", "aarch64"):
        (problem.folder / name).mkdir()
        for library in ("libnrnmech.so", ".libs/libnrnmech.so"):
            (problem.folder / name / library).parent.mkdir(exist_ok=True)
            (problem.folder / name / library).write_bytes(b"\x7fELF foreign")
    monkeypatch.chdir(problem.folder)
    (done,) = simulate(problem, [np.array([3e-4])])
    assert done.status == "ok", done.reason


def test_relative_files_of_a_model(write: Callable[..., Path]) -> None:
    reads = PYTHON_MODEL.replace(
        '    return {"soma"', '    soma.L = float(open("size.dat").read())\n    return {"soma"'
    )
    problem = python_problem(
        write, reads, PYTHON_TOML.replace("soma.g_pas", "soma.L").replace("[0.0001, 0.001]", "[1, 99]")
    )
    (problem.folder / "size.dat").write_text("42")
    with Workers(problem) as pool:
        assert pool.found.parameters["g_pas"].value == 42.0
        assert pool.found.parameters["g_pas"].unit == "um"


def test_a_factor_has_no_unit_of_the_place(write: Callable[..., Path]) -> None:
    factor = PYTHON_TOML.replace("bounds", 'mode = "scale"\nunit = "%s"\nbounds')
    model = (
        'from neuron import h\ndef build():\n    soma = h.Section(name="soma")\n    soma.insert("pas")\n    return soma'
    )
    with Workers(python_problem(write, model, factor % "")) as pool:
        assert pool.found.parameters["g_pas"].unit == "× model"
    assert "has no unit: leave unit out" in refusal(python_problem(write, model, factor % "nA"))


# ---- models that do not load


def hoc_problem(write: Callable[..., Path], hoc: str, *replaced: tuple[str, str]) -> Problem:
    toml = PYTHON_TOML.replace("cell.py:build", "cell.hoc")
    for old, new in replaced:
        assert old in toml
        toml = toml.replace(old, new)
    return load_problem(write("cell", **{"cell.hoc": hoc, "problem.toml": toml}), measured=False)


HOC = "create soma, axon\nforall insert pas\n"
TEMPLATE = ("celsius", 'template = "Cel"\ncelsius')

NOT_LOADED = {  # the hoc, what is replaced in the toml, what the message must hold
    "syntax error": (HOC + "x = = 3\n", [], ["cell.hoc", "syntax error", "line 3", "x = = 3"]),
    "undefined name": (HOC + "soma.nonsense = 3\n", [], ["nonsense", "line 3"]),
    "missing file": (HOC + '{xopen("not_there.hoc")}\n', [], ["not_there.hoc"]),
    "missing template": ("begintemplate Cell\nendtemplate Cell\n", [TEMPLATE], ["'Cel'", "'Cell'"]),
    "quits": (HOC + "quit()\n", [], ["loading the model exited with code 0"]),
    "no such section": (HOC, [("soma.g_pas", "some.g_pas")], ["'some'", "'soma'"]),
    "no such variable": (HOC, [("soma.g_pas", "soma.g_pass")], ["'g_pass'", "'g_pas'"]),
    "no such place": (HOC, [("amplitude", 'at = "axn(0.5)"\namplitude')], ["'axn'", "'axon'"]),
    "no such recording": (HOC, [("amplitude", 'record = "dend(0.5).v"\namplitude')], ["'dend'", "soma"]),
    "wrong unit": (HOC, [("bounds", 'unit = "mS/cm2"\nbounds')], ["'g_pas'", "'mS/cm2'", "'S/cm2'"]),
}


@pytest.mark.parametrize("case", NOT_LOADED)
def test_hoc_that_does_not_load(write: Callable[..., Path], case: str) -> None:
    hoc, replaced, wanted = NOT_LOADED[case]
    message = refusal(hoc_problem(write, hoc, *replaced))
    for part in wanted:
        assert part in message, message


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("def build(:\n", ["SyntaxError", "cell.py"]),
        ("def build():\n    return 1 / 0\n", ["ZeroDivisionError: division by zero"]),
        ("import not_there\ndef build(): pass\n", ["ModuleNotFoundError", "not_there"]),
        ("def bild(): pass\n", ["no function 'build'", "'bild'"]),
        ("def build(): pass\n", ["cell.py:build made no section"]),
        ("import os\ndef build(): os.abort()\n", ["loading the model crashed with SIGABRT"]),
        ("import sys\ndef build(): sys.exit(4)\n", ["loading the model exited with code 4"]),
        ("def build():\n    x = []\n    while True: x.append(bytearray(4000000))\n", ["the memory limit of 300 MB"]),
    ],
    ids=["syntax", "exception", "import", "function", "nothing", "abort", "exit", "memory"],
)
def test_python_that_does_not_load(write: Callable[..., Path], model: str, wanted: list[str]) -> None:
    toml = PYTHON_TOML + "\n[simulation]\nmemory_limit = 300\n"
    message = refusal(python_problem(write, model, toml))
    for part in wanted:
        assert part in message, message


def test_a_model_that_never_finishes_loading(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbar.sim.pool.workers.START_LIMIT_S", 2.0)
    toml = PYTHON_TOML + "\n[simulation]\ntime_limit = 1\n"
    message = refusal(python_problem(write, "import time\ndef build(): time.sleep(300)\n", toml))
    assert "not loaded within 2 s" in message


def test_neurons_chatter_goes_to_the_log(
    write: Callable[..., Path], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # with which it would in any case
    problem = hoc_problem(write, HOC + 'print "a model that talks"\n')
    log = problem.folder / "neuron.log"
    simulate(problem, [np.array([3e-4])], log=log)
    assert "a model that talks" in log.read_text()
    assert capfd.readouterr() == ("", "")


def test_a_mechanism_of_a_name_that_neuron_has(write: Callable[..., Path]) -> None:
    """NEURON would end the process over it: it is said before that, with the file."""
    mod = "NEURON { SUFFIX hh NONSPECIFIC_CURRENT i }\nASSIGNED { i (mA/cm2) }\nBREAKPOINT { i = 0 }\n"
    write("cell", **{"mod/hh.mod": mod})
    problem = hoc_problem(write, HOC, ("celsius", 'mechanisms = ["mod"]\ncelsius'))
    assert "hh.mod: SUFFIX hh is a mechanism of NEURON's own: give this one another name" in refusal(problem)


def test_what_the_model_folder_holds_afterwards(tmp_path: Path) -> None:
    shutil.copytree(TROUBLE, tmp_path / "trouble")
    before = sorted(tmp_path.rglob("*"))
    simulate(load_problem(tmp_path / "trouble", measured=False), [cell(FINE), cell(SEGFAULT)])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("engine", ["coreneuron dt 0.025", "cvode atol 0.0001"])
def test_a_batch_that_is_known_already_asks_for_nothing(engine: str) -> None:
    assert tasks(0, 2, Integrator.of(with_engine(load_problem(HH), engine))) == []
