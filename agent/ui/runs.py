"""Runs as the window sees them: started as `gbar tune` in a process of its own, known by the files of their folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from gbar.agent.result import PROGRESS, Live, Result, is_running, read_live, read_result
from gbar.agent.ui.memory import Memory
from gbar.sim import GbarError, Problem
from gbar.sim.pool import importable


@dataclass(frozen=True)
class Seen:
    """How a run stands, from its files alone."""

    folder: Path
    live: Live | None
    alive: bool
    starting: bool  # a process that has not written anything yet
    said: str  # what the command said last, where the window started it and it has ended

    @property
    def is_over(self) -> bool:
        """Whether there is a result and nobody works on it."""
        return not self.alive and (self.folder / "result.json").is_file()

    @property
    def stopped_early(self) -> bool:
        """Whether it was stopped before it had written anything."""
        return not self.live and self.said.startswith("stopped")  # as every command says it: scripts.terminal.guarded

    def result(self) -> Result | None:
        """What the last session left; None where there is none, or one of another version."""
        try:
            return read_result(self.folder)
        except GbarError:
            return None


class Runs:
    """Starts runs and looks at them. It holds nothing that its files do not say, but for children to be waited for."""

    def __init__(self, memory: Memory):
        self._memory = memory
        self._children: list[subprocess.Popen[bytes]] = []
        self._about: dict[Path, tuple[Path | None, int]] = {}

    def start(self, problem: Problem, out: Path, options: Sequence[str]) -> None:
        """Start `gbar tune` in a folder.

        Raises:
            GbarError: something is at work in it already.
        """
        self.launch("tune", problem, out, options)

    def launch(self, command: str, problem: Problem, out: Path, options: Sequence[str], *, into: str = "--out") -> None:
        """Start a command in a session of its own: it goes on when the window ends.

        Args:
            command: of gbar.
            problem: that it is about.
            out: where it works, which it is told with the option `into`.
            options: its others.

        Raises:
            GbarError: something is at work there already.
        """
        if self.look(out).alive:
            raise GbarError(f"{out.name}: a run is at work in it: stop it first, or give this one another name")
        words = [command, str(problem.path)]
        words += [*options, into, str(out)]
        out.parent.mkdir(parents=True, exist_ok=True)
        with self._memory.log(out).open("wb") as log:
            child = subprocess.Popen(**gbar(words), stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        self._children.append(child)
        try:
            since = psutil.Process(child.pid).create_time()
        except psutil.Error:
            since = time.time()
        of = "" if command != "tune" else str(problem.folder)
        self._memory.start(out, pid=child.pid, process_started=since, command=words, problem=of, at=time.time())

    def interrupt(self, out: Path) -> None:
        """Press Ctrl-C in a command that the window has started and that looks at no steer.json."""
        started = self._memory.started(out)
        if started and is_running(started["pid"], started["process_started"]):
            os.kill(started["pid"], signal.SIGINT)

    def look(self, run: Path) -> Seen:
        """How a run stands."""
        self._children = [child for child in self._children if child.poll() is None]
        live, started = read_live(run), self._memory.started(run)
        ours = bool(started) and is_running(started["pid"], started["process_started"])
        stale = live is None or (ours and live.pid != started["pid"])
        alive = ours or (live is not None and live.alive)
        said = "" if alive or not started else self._last_words(run)
        return Seen(run, None if stale and ours else live, alive, ours and stale, said)

    def of(self, folder: Path, known: Sequence[Path]) -> list[Seen]:
        """The runs of a problem's folder, those at work first, then the newest."""
        started = {
            Path(run) for run, what in self._memory.every_started().items() if what.get("problem") == str(folder)
        }
        mine = [run for run in dict.fromkeys([*known, *started]) if self._is_of(run, folder, started)]
        seen = [self.look(run) for run in mine]
        shown = [one for one in seen if one.alive or one.live or one.is_over or (one.folder in started and one.said)]
        return sorted(shown, key=lambda one: (not one.alive, -stamp(one.folder)))

    def _is_of(self, run: Path, folder: Path, started: set[Path]) -> bool:
        if run in started:
            return True
        return self._problem_of(run) in {folder, folder / "problem.toml"}

    def _problem_of(self, run: Path) -> Path | None:
        """What a run is about; read once for every state of its file."""
        file = next((run / name for name in (PROGRESS, "result.json") if (run / name).is_file()), None)
        if file is None:
            return None
        about, then = self._about.get(run, (None, 0))
        if then != (now := stamp(file)):
            live = read_live(run)
            try:
                about = Path(live.problem_folder if live is not None else read_result(run).problem_folder)
            except GbarError:
                about = None
            self._about[run] = about, now
        return about

    def _last_words(self, run: Path) -> str:
        try:
            lines = self._memory.log(run).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        said = [line for line in lines if line.startswith("gbar: ")]
        return said[-1].removeprefix("gbar: ") if said else ""


def gbar(words: Sequence[str]) -> dict[str, Any]:
    """A command of gbar, as `subprocess` takes it: of this installation, from wherever the window was started."""
    environment = {**os.environ, "PYTHONPATH": importable(), "PYTHONUTF8": "1"}
    return {"args": [sys.executable, "-m", "gbar", *words], "env": environment, "stdin": subprocess.DEVNULL}


def stamp(file: Path) -> int:
    """When a file or folder was last written, ns; 0 where there is none."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def options_of(choices: dict[str, Any]) -> list[str]:
    """The options of `gbar tune` for what was chosen; what is empty is left to its defaults."""
    return [part for name, value in choices.items() if value not in ("", None) for part in (f"--{name}", str(value))]
