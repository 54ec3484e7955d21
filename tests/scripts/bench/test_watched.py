"""What watching a run costs: a run, its window and a browser, started and ended."""

import shutil
from pathlib import Path

import psutil
import pytest

from gbar.scripts.bench.watched import BROWSERS, watch
from gbar.sim import GbarError, load_problem
from tests.problems import HH

pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytestmark = [
    pytest.mark.neuron,
    pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="needs Chromium: apt-get install chromium"),
]


def test_a_run_is_watched_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbar.scripts.bench.watched.LOOK_S", 2.0)
    looks = list(watch(load_problem(HH), tmp_path / "run", ["--solutions=1", "--tolerance=3"]))
    assert looks[-1].solutions == 1 and looks[-1].evaluations > 0
    assert all(0 < look.page_mb <= look.browser_mb < 1000 and 0 < look.script_mb < 100 for look in looks)
    assert all(0 < look.browser_percent < 400 and 0 < look.window_percent < 400 for look in looks)
    assert not any("chromium" in child.name() for child in psutil.Process().children(recursive=True))


def test_a_run_that_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(GbarError, match="budget"):
        list(watch(load_problem(HH), tmp_path / "run", ["--budget=0"]))
