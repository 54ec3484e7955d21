"""The user's model folder as content: noticed when it changes under a run, packed for machines that cannot see it."""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gbar.sim.errors import GbarError
from gbar.sim.files import cache_folder, folder_in_place
from gbar.sim.problem import TABLES, Problem, file_digest, file_stamp, files_in

WAY_OUT = (
    "what was simulated is kept; put it back to go on, or begin again with another --archive and --out; "
    "a file that the model writes itself is named in [model] outputs"
)
PACKED_LIMIT_MB = 200.0  # a folder larger than this holds more than a model


class Watch:
    """The files that decide a simulation, as they were when this was made."""

    def __init__(self, problem: Problem):
        self._name = problem.name
        self._files: dict[Path, tuple[tuple[int, ...], str]] = {}
        self.add(problem.model_files().files.values())

    def add(self, files: Iterable[Path]) -> None:
        """Watch more files, as they are now."""
        self._files = {file: (file_stamp(file), file_digest(file)) for file in files} | self._files

    def check(self) -> None:
        """Notice a change. Files that are new are none: a model may write some of its own when it is loaded.

        Raises:
            GbarError: a file is gone or has other content.
        """
        for file, (before, content) in self._files.items():
            if not file.is_file():
                raise GbarError(f"{file}: is gone since this run of {self._name} began: {WAY_OUT}")
            now = file_stamp(file)
            if now != before:
                if file_digest(file) != content:
                    raise GbarError(f"{file}: has changed since this run of {self._name} began: {WAY_OUT}")
                self._files[file] = now, content


def pack(problem: Problem) -> dict[str, Any]:
    """A problem with every file in its folder and its mechanisms' folders, as plain values: text and bytes.

    A model may read files of any name, so none is left out but those of runs, builds and measurements.

    Returns:
        {"digest", "problem": JSON, "folder": where the problem's folder is among the files, "files": {path: bytes}}.

    Raises:
        GbarError: there is more than a model could be.
    """
    folders = [folder.resolve() for folder in (problem.folder, *problem.mechanism_folders)]
    root, files, size = Path(os.path.commonpath(folders)), dict[str, bytes](), 0
    for file in sorted({file for folder in folders for file in _packable(folder)}):
        size += file.stat().st_size
        if size > PACKED_LIMIT_MB * 1e6:
            raise GbarError(
                f"{root}: holds more than {PACKED_LIMIT_MB:g} MB, too much to send to other machines: "
                "move what is not part of the model to another folder"
            )
        with contextlib.suppress(PermissionError):  # what nobody may read, the model does not read either
            files[file.relative_to(root).as_posix()] = file.read_bytes()
    here = {"folder": Path("."), "file": Path(problem.file.name), "measurements_file": None}  # nothing of this machine
    content = problem.model_copy(update=here).model_dump_json(exclude_unset=True)
    folder = folders[0].relative_to(root).as_posix()
    digest = hashlib.sha256(f"{content}\0{folder}".encode())
    for name, data in files.items():
        digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
    return {"digest": digest.hexdigest()[:20], "problem": content, "folder": folder, "files": files}


def _packable(folder: Path) -> Iterator[Path]:
    for file in files_in(folder):
        if file.name not in TABLES and not file.name.startswith("."):
            yield file


def unpack(packed: dict[str, Any]) -> Problem | None:
    """The problem of a parcel, its files in the cache folder of this machine, written there once.

    Returns:
        None where they are not there and the parcel has none ("files" is None): ask for one that has.
    """
    target = cache_folder() / "models" / packed["digest"]
    if not target.is_dir():
        if packed["files"] is None:
            return None
        with folder_in_place(target) as work:
            for name, data in packed["files"].items():
                file = work / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
    problem = Problem.model_validate_json(packed["problem"])
    folder = (target / packed["folder"]).resolve()
    return problem.model_copy(update={"folder": folder, "file": folder / problem.file})
