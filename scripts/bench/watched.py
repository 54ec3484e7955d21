"""What watching a run costs: the browser's memory and processor time, and the window's own."""

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlencode

import psutil

from gbar.agent.result import read_live
from gbar.sim import GbarError, Problem

MB, LOOK_S = 1e6, 10.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Look(NamedTuple):
    """How a run that is watched stands, and what watching it has cost so far."""

    evaluations: int
    solutions: int
    page_mb: float  # memory that only the browser's largest process, the page's, holds
    browser_mb: float  # the same of all of the browser's processes
    script_mb: float  # of it what the page's script holds
    browser_percent: float  # of a core since the page was opened, all of the browser's processes
    window_percent: float  # of a core, the window's server


def watch(problem: Problem, out: Path, options: list[str]) -> Iterator[Look]:
    """Start a run as a user does, open its page in a headless Chromium, and look until it has ended.

    Args:
        problem: to tune.
        out: the run's folder.
        options: of `gbar tune`.

    Raises:
        GbarError: Chromium or Playwright is missing, or the run did not start.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None:
        raise GbarError("watching needs Chromium and Playwright: apt-get install chromium; pip install playwright")
    command = [sys.executable, "-m", "gbar"]
    with contextlib.ExitStack() as opened:
        said = opened.enter_context(tempfile.TemporaryFile("w+"))  # a pipe that nobody reads fills up
        run = opened.enter_context(_ending([*command, "tune", str(problem.path), "--out", str(out), *options], said))
        while read_live(out) is None:
            if run.poll() is not None:
                said.seek(0)
                raise GbarError(said.read().strip().removeprefix("gbar: "))
            time.sleep(0.2)
        window = opened.enter_context(_ending([*command, "ui", str(problem.folder), str(out), "--no-browser"]))
        address = _address(window)
        started = opened.enter_context(sync_playwright())
        args = ["--headless", "--no-sandbox", "--disable-gpu"]
        before = {child.pid for child in psutil.Process().children(recursive=True)}
        shown = started.chromium.launch(executable_path=browser, args=args).new_page()
        shown.goto(address)
        there = urlencode({"folder": str(problem.folder), "run": str(out)})
        shown.goto(f"{address.partition('/?')[0]}/running?{there}")
        shown.wait_for_selector("#lead")
        new = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
        began, spent = time.monotonic(), (_seconds(new), _seconds([psutil.Process(window.pid)]))
        while run.poll() is None:
            shown.wait_for_timeout(1000 * LOOK_S)
            live, passed = read_live(out), time.monotonic() - began
            held = [_own_mb(process) for process in new]
            heap = shown.evaluate("performance.memory ? performance.memory.usedJSHeapSize : 0") / MB
            used = _seconds(new) - spent[0], _seconds([psutil.Process(window.pid)]) - spent[1]
            if live is not None:
                yield Look(
                    live.evaluations, len(live.solutions), max(held), sum(held), heap,
                    100 * used[0] / passed, 100 * used[1] / passed,
                )  # fmt: skip


@contextlib.contextmanager
def _ending(command: list[str], said: IO[str] | int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with what it was started for."""
    process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _address(window: subprocess.Popen[str]) -> str:
    line = window.stdout.readline() if window.stdout else ""
    found = re.search(r"http://127\S+", line)
    if found is None:
        raise GbarError(f"the window did not open: {line.strip()}")
    return found[0]


def _own_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().uss / MB)
    except psutil.Error:
        return 0.0


def _seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total
