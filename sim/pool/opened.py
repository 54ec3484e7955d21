"""Which files outside a model's folder Python opens while the model loads.

NEURON's own opening (xopen, load_file, ropen) does not pass Python: gbar.sim.problem.modelfiles reads those names in
the sources.
"""

import importlib.util
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

OF_THE_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib64", "/bin", "/opt", "/run", "/var/lib")
LIBRARIES = {"site-packages", "dist-packages"}
OURS = Path(__file__).resolve().parents[1]  # what of gbar a worker imports
CLOCK_S = 0.02  # by which the clock of a file system may be late


class Opened:
    """What has been opened for reading, while `on`. A hook cannot be taken out of Python again, only be silent."""

    def __init__(self) -> None:
        self.on = False
        self.paths: dict[str, None] = {}
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or event != "open":
            return
        path, mode, flags = arguments
        writing = any(letter in mode for letter in "wax+") if isinstance(mode, str) else (flags or 0) & os.O_ACCMODE
        if isinstance(path, str | os.PathLike) and not writing:
            with suppress(OSError, ValueError, TypeError):  # what is wrong with it is for the model to find out
                self.paths[os.path.abspath(os.fsdecode(path))] = None


@contextmanager
def outside(folders: Sequence[Path]) -> Iterator[list[str]]:
    """Fill a list, at the end, with the files outside some folders that were read meanwhile, sources for their caches.

    Python's own, what is installed, hidden and what the system has is not the model's, nor what it has just written.
    """
    known = [sys.prefix, sys.base_prefix, sys.exec_prefix, *OF_THE_SYSTEM]
    homes = [folder.resolve() for folder in (*map(Path, known), OURS, *folders)]
    since = time.time() - CLOCK_S
    opened, found = Opened(), list[str]()
    opened.on = True
    try:
        yield found
    finally:
        opened.on = False
        for path in dict.fromkeys(map(_source, opened.paths)):
            file = Path(os.path.realpath(path))
            if not any(file.is_relative_to(home) for home in homes) and _is_models(file, since):
                found.append(str(file))


def _is_models(file: Path, since: float) -> bool:
    """Whether a file could be the model's: none of a library, of somebody's settings, or just written by the model."""
    hidden = any(part.startswith(".") for part in file.parts)
    try:
        return not hidden and not LIBRARIES & set(file.parts) and file.is_file() and file.stat().st_mtime < since
    except OSError:
        return False


def _source(path: str) -> str:
    if not path.endswith(".pyc"):
        return path
    try:
        return importlib.util.source_from_cache(path)
    except ValueError:
        return path
