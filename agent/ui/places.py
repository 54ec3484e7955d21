"""Which folders the window may look into: those given at its start, and what is in them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gbar.agent.result import PROGRESS
from gbar.sim import GbarError

DEEP, MOST = 4, 400  # folders below a root that are looked through, and how many
SKIPPED = {"x86_64", "arm64", "aarch64", "__pycache__", "node_modules", "solutions"}
SOURCES = {".hoc", ".mod", ".swc", ".asc", ".ses"}


class Places:
    """The roots, and every path held to them. Runs are where the commands keep theirs, in runs/."""

    def __init__(self, roots: Sequence[Path], runs: Path = Path("runs")):
        self.roots = tuple(dict.fromkeys(Path(root).resolve() for root in roots))
        self.runs_root = runs.resolve()

    def inside(self, path: str | Path) -> Path:
        """A path without links, if it is in one of the roots.

        Raises:
            GbarError: it is outside, or leads there.
        """
        try:
            found = Path(path).resolve()
        except (OSError, RuntimeError, ValueError):  # a link to itself, a NUL
            raise GbarError("no such place: expected one in the folders that gbar ui was given") from None
        if not any(found.is_relative_to(root) for root in (*self.roots, self.runs_root)):
            raise GbarError(f"{found.name or found}: outside the folders that gbar ui was given: name its folder there")
        return found

    def named(self, folder: Path) -> str:
        """A folder in as few words as tell where it is."""
        root = next((root for root in self.roots if folder.is_relative_to(root)), None)
        if root is None or folder == root:
            return folder.name
        return f"{root.name}/{folder.relative_to(root).as_posix()}"

    def folders(self, *also: Path) -> Iterator[Path]:
        """The folders in and below the roots, links not followed."""
        count = 0
        for root in dict.fromkeys((*self.roots, *also)):
            for here, names, _ in os.walk(root):
                depth = len(Path(here).relative_to(root).parts)
                names[:] = (
                    sorted(n for n in names if not n.startswith(".") and n not in SKIPPED) if depth < DEEP else []
                )
                count += 1
                if count > MOST:
                    return
                yield Path(here)

    def problems(self) -> list[Path]:
        """The folders with a problem.toml."""
        return [folder for folder in self.folders() if (folder / "problem.toml").is_file()]

    def candidates(self) -> list[Path]:
        """The folders that hold a model's files and no problem.toml, and are no part of a problem."""
        problems, found = self.problems(), list[Path]()
        for folder in self.folders():
            if any(folder.is_relative_to(other) for other in [*problems, *found]) or (folder / PROGRESS).exists():
                continue
            if any(entry.suffix.lower() in SOURCES for entry in folder.iterdir() if entry.is_file()):
                found.append(folder)
        return found

    def runs(self) -> list[Path]:
        """The run folders, the newest first."""
        every = dict.fromkeys(self.folders(self.runs_root))
        found = [f for f in every if (f / PROGRESS).is_file() or (f / "result.json").is_file()]
        return sorted(found, key=lambda folder: -folder.stat().st_mtime)
