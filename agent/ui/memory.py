"""What the window remembers when it is closed: which models may be loaded, where one was last. In the user's cache."""

import json
import time
from pathlib import Path
from typing import Any

from gbar.sim import GbarError, cache_folder
from gbar.sim.files import read_json, write_whole


class Memory:
    """A few small files; whoever deletes them is asked again."""

    def __init__(self) -> None:
        self._folder = cache_folder() / "window"
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def trusts(self, folder: Path) -> bool:
        """Whether the user has said that the model in a folder may be loaded, which runs its code."""
        return str(folder) in self._read("trusted")

    def trust(self, folder: Path) -> None:
        """The model in this folder may be loaded from now on."""
        self._write("trusted", {**self._read("trusted"), str(folder): time.time()})

    def last(self, roots: tuple[Path, ...]) -> str:
        """The page that was looked at last, as an address; "/" where there was none."""
        return str(self._read("last").get(_together(roots), "/"))

    def at(self, roots: tuple[Path, ...], address: str) -> None:
        """Remember a page."""
        if self.last(roots) != address:
            self._write("last", {**self._read("last"), _together(roots): address})

    def started(self, run: Path) -> dict[str, Any]:
        """What is known of a run that the window has started: pid, process_started, command, problem; or nothing."""
        found: dict[str, Any] = self._read("started").get(str(run), {})
        return found

    def start(self, run: Path, **content: Any) -> None:
        """Remember what was started."""
        self._write("started", {**self._read("started"), str(run): content})

    def every_started(self) -> dict[str, dict[str, Any]]:
        """All of them."""
        return self._read("started")

    def log(self, run: Path) -> Path:
        """Where the command that runs in a folder writes what it says."""
        folder = self._folder / "logs"
        folder.mkdir(exist_ok=True)
        name = "".join(c if c.isalnum() or c in "-_" else "-" for c in str(run))[-120:]
        return folder / f"{name}.log"

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found = read_json(self._folder / f"{name}.json")
        except GbarError:
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, name: str, content: dict[str, Any]) -> None:
        write_whole(self._folder / f"{name}.json", json.dumps(content, indent=1) + "\n")


def _together(roots: tuple[Path, ...]) -> str:
    return " ".join(map(str, roots))
