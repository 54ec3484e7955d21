"""Runs seen and steered through files: what a terminal started the window steers, and the other way round."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from gbar.agent.result import Steer, read_live, read_result, steer
from tests.problems import HH
from tests.window import Opened

pytestmark = pytest.mark.neuron
WIDE = {
    "tolerance": "50",
    "budget": "60",
    "seed": "0",
    "workers": "2",
}  # so wide that nothing is learned


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    here = tmp_path_factory.mktemp("steering")
    shutil.copytree(HH, here / "hh")
    opened = Opened([here / "hh"], here).enter()
    yield opened
    opened.close()


def until(asked: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not asked():
        assert time.monotonic() < end, "it did not come to it in time"
        time.sleep(0.1)


def test_the_window_starts_a_run_and_goes_on_with_other_choices(window: Opened) -> None:
    folder = window.folder
    table = folder / "measurements" / "squid.csv"
    form = {**WIDE, "measurements": str(table), "name": "wide", "solutions": "2", "trust": "1"}
    began = window.ask(f"/running/start?folder={folder}", form)
    assert (began.status, "run=" in began.headers["x-go"]) == (204, True)
    run = folder.parent / "runs" / "wide"
    about = f"folder={folder}&run={run}"
    again = window.ask(f"/running/start?folder={folder}", form)
    assert (again.status, "a run is at work" in again.text) == (422, True)
    until(lambda: "2 of 2 solutions: all found" in window.ask(f"/running/live?{about}").text)
    assert window.ask(f"/running/again?{about}", {"solutions": "3", "tolerance": "50", "budget": "60"}).status == 204
    until(lambda: "3 of 3 solutions: all found" in window.ask(f"/running/live?{about}").text)
    assert len(read_result(run).solutions) == 3


def test_a_run_of_a_terminal_is_seen_and_stopped(window: Opened) -> None:
    folder = window.folder
    run = folder.parent / "runs" / "typed"
    command = [sys.executable, "-m", "gbar", "tune", str(folder), "--out", str(run), "--solutions", "500"]
    typed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: (live := read_live(run)) is not None and live.evaluations > 0)
        assert "typed" in window.ask(f"/running?folder={folder}").text
        stopped = window.ask(f"/running/steer?folder={folder}&run={run}", {"wish": "stop"})
        assert "stopping" in stopped.text
        assert typed.wait(timeout=90) == 130
        live = read_live(run)
        assert live is not None
        assert live.ended == "interrupted"
    finally:
        typed.kill()
        typed.wait()


def test_a_run_is_stopped_while_engines_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(HH, tmp_path / "hh")
    monkeypatch.delenv("GBAR_ENGINE")
    monkeypatch.setenv("GBAR_CACHE", str(tmp_path / "cache"))
    window = Opened([tmp_path / "hh"], tmp_path).enter()
    about = f"folder={window.folder}&run={tmp_path / 'runs' / 'early'}"
    try:
        table = window.folder / "measurements" / "squid.csv"
        form = {**WIDE, "measurements": str(table), "name": "early", "solutions": "1", "trust": "1"}
        assert window.ask(f"/running/start?{about}", form).status == 204
        until(lambda: any("nrnivmodl" in child for child in below(window.process.pid)))
        assert window.ask(f"/running/steer?{about}", {"wish": "pause"}).status == 422
        assert window.ask(f"/running/steer?{about}", {"wish": "stop"}).status == 200
        until(lambda: "Stopped before anything was simulated" in window.ask(f"/running/live?{about}").text, 20)
        assert below(window.process.pid) == []
    finally:
        window.close()


def below(pid: int) -> list[str]:
    """Names of the processes that a process has started, and of theirs."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(child.name())
    return found


def test_a_run_that_cannot_start_says_why(window: Opened) -> None:
    folder = window.folder
    steer(folder.parent / "runs" / "typed", Steer())
    hoc = (folder / "hh.hoc").read_text()
    (folder / "hh.hoc").write_text(hoc.replace("insert hh", "insert nosuch"))
    form = {**WIDE, "measurements": str(folder / "measurements" / "squid.csv"), "name": "broken", "solutions": "1"}
    try:
        assert window.ask(f"/running/start?folder={folder}", form).status == 204
        about = f"folder={folder}&run={folder.parent / 'runs' / 'broken'}"
        until(lambda: "could not start" in window.ask(f"/running/live?{about}").text)
        assert "nosuch" in window.ask(f"/running/live?{about}").text
    finally:
        (folder / "hh.hoc").write_text(hoc)


def test_an_archive_is_filled_and_cells_are_tuned_from_it(window: Opened) -> None:
    folder = window.folder
    assert window.ask(f"/cells/sample?folder={folder}", {"n": "8", "workers": "2"}).status == 200
    until(lambda: "8 evaluations in it" in window.ask(f"/cells/table?folder={folder}").text)
    shutil.copy(folder / "measurements" / "squid.csv", folder / "measurements" / "other.csv")
    form = {"cells": str(folder / "measurements"), "solutions": "1", **WIDE}
    assert window.ask(f"/cells/tune?folder={folder}", form).status == 200

    def both_solved() -> bool:
        return window.ask(f"/cells/table?folder={folder}").text.count("<td>solved</td>") == 2

    until(both_solved)
