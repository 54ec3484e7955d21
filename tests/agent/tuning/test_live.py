"""A run told and steered through the files of its folder, whoever watches."""

import os
import threading
import time
from pathlib import Path

import psutil
import pytest

from gbar.agent import read_result, tune
from gbar.agent.result import Steer, is_running, read_live, read_live_traces, steer
from gbar.agent.tuning import TuneConfig
from gbar.agent.tuning.ledger import Status
from gbar.sim import load_problem
from tests.problems import HH

CONFIG = TuneConfig(budget=40, solutions=3, tolerance=50.0)  # so wide that the design meets it: nothing is learned


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stopped when it had made a few evaluations."""
    folder = tmp_path_factory.mktemp("live") / "run"
    seen: list[str] = []

    def watch(status: Status) -> None:
        live = read_live(folder)
        assert live is not None
        seen.append(live.phase)
        assert live.alive
        if status.evaluations >= 4:
            steer(folder, Steer(stop=True))

    result = tune(load_problem(HH), CONFIG, folder, observe=watch)
    assert result.status == "interrupted"
    assert {"starting", "starting NEURON"} <= {*seen}
    return folder


@pytest.mark.neuron
def test_a_stop_is_ctrl_c(run: Path) -> None:
    live, result = read_live(run), read_result(run)
    assert live is not None
    assert (live.ended, live.alive, result.status) == ("interrupted", False, "interrupted")
    assert result.evaluations == live.evaluations < 20
    assert live.measurements == result.measurements


@pytest.mark.neuron
def test_a_stop_of_an_earlier_session_stops_no_later_one_and_a_pause_is_waited_for(run: Path) -> None:
    waited: list[float] = []

    def go_on() -> None:
        steer(run, Steer(pause=True))
        for _ in range(400):
            time.sleep(0.05)
            live = read_live(run)
            if live is not None and live.phase == "paused":
                waited.append(live.evaluations)
                time.sleep(0.5)
                again = read_live(run)
                assert again is not None
                waited.append(again.evaluations)
                break
        steer(run, Steer())

    began: list[threading.Thread] = []

    def watch(status: Status) -> None:
        if not began:
            began.append(threading.Thread(target=go_on))
            began[0].start()

    (run / "steer.json").touch()
    time.sleep(0.05)
    stamp = time.time() - 3600
    os.utime(run / "steer.json", (stamp, stamp))  # as an earlier session has left it
    result = tune(load_problem(HH), CONFIG, run, observe=watch)
    began[0].join()
    assert result.status == "solved"
    assert len(waited) == 2
    assert waited[0] == waited[1]


@pytest.mark.neuron
def test_at_the_end_it_says_what_the_result_says(run: Path) -> None:
    live, result = read_live(run), read_result(run)
    assert live is not None
    assert (live.ended, live.evaluations) == ("solved", result.evaluations)
    assert [s.parameters for s in live.solutions] == [s.parameters for s in result.solutions]
    assert live.nearest is not None
    assert live.nearest.max_abs_z == min(s.max_abs_z or 9 for s in result.solutions)
    assert [feature.key for feature in live.features] == [m.key for m in result.measurements]
    for feature in live.features:
        assert feature.best is not None
        assert feature.best <= min(abs(s.z[feature.key] or 0.0) for s in result.solutions) + 0.3  # by the other engine
    assert not (run / "live.npz").exists()
    assert set(read_live_traces(run)["fire"]) == {"01", "02", "03"}


def test_a_process_is_known_by_when_it_began() -> None:
    own = psutil.Process().create_time()
    assert is_running(os.getpid(), own)
    assert not is_running(os.getpid(), own - 60)
    assert not is_running(2**22 + 1, own)
