"""The user's model, copied unchanged so that an export stands alone."""

import os
import shutil
from pathlib import Path

from gbar.sim import GbarError, Problem
from gbar.sim.mechanisms import SOURCES, declared
from gbar.sim.problem import MODEL_SOURCES, NO_MODEL, RESULTS, Waveform, model_files

COPIED_LIMIT_MB = 50.0


def copy_model(problem: Problem, to: Path) -> list[str]:
    """Copy what decides a simulation: no measurements, no runs, nothing built.

    Returns:
        The folders of MOD files, relative to the copy.

    Raises:
        GbarError: the model's own file lies outside the problem's folder.
    """
    if elsewhere := problem.model_files().outside:
        raise GbarError(
            f"{problem.folder}: the model opens {elsewhere[0]}: an export holds that folder only, so put the file in it"
        )
    for file in filter(_worth_copying, model_files(problem.folder)):
        _copy(file, to / file.relative_to(problem.folder.resolve()))
    for protocol in problem.protocol.values():
        if isinstance(protocol, Waveform):
            _copy(problem.folder / protocol.file, to / protocol.file)
    mechanisms: list[str] = []
    for name in problem.model.mechanisms:
        source = (problem.folder / name).resolve()
        target = _inside(source, problem.folder.resolve()) or f"mechanisms_{len(mechanisms) + 1}"
        for file in filter(_worth_copying, model_files(source)):
            _copy(file, to / target / file.relative_to(source))
        for file in source.iterdir():
            if file.suffix in SOURCES:
                _copy(file, to / target / file.name)
        mechanisms.append(target)
    load = problem.model.load.partition(":")[0]
    if _inside(problem.folder / load, problem.folder) is None or not (to / load).is_file():
        raise GbarError(
            f"model.load: '{load}' is not in {problem.folder}: an export holds that folder only, so put the model in it"
        )
    return mechanisms


def refuse_inside(out: Path, problem: Problem) -> None:
    """An export among the model's own files would become part of the model.

    Raises:
        GbarError: `out` is in a folder of the model where gbar looks for model files.
    """
    for folder in (problem.folder, *problem.mechanism_folders):
        inside = _inside(out, folder.resolve())
        if inside is None:
            continue
        path = folder.resolve()
        for part in Path(inside).parts:
            path /= part
            if part in NO_MODEL or part.startswith(".") or any((path / name).exists() for name in RESULTS):
                break
        else:
            raise GbarError(f"{out}: lies among the model's files, and would change the model: name another folder")


def mechanism_name(problem: Problem) -> str | None:
    """A name that NEURON knows once the model's MOD files are loaded; None where there is nothing to load."""
    for folder in problem.mechanism_folders:
        for file in sorted(folder.glob("*.mod")):
            if found := declared(file.read_text(errors="replace")):
                return found[1]
    return None


def _inside(path: Path, folder: Path) -> str | None:
    relative = os.path.relpath(path.resolve(), folder.resolve())
    return None if relative.startswith("..") else Path(relative).as_posix()


def _worth_copying(file: Path) -> bool:
    """Sources in any case; of all else what is small enough to be a model's own, not data that lie beside it."""
    return file.suffix.lower() in MODEL_SOURCES or file.stat().st_size <= COPIED_LIMIT_MB * 1e6


def _copy(file: Path, to: Path) -> None:
    """Copy unless it is there already: nothing is newer than what was built from it without reason."""
    if to.is_file() and to.read_bytes() == file.read_bytes():
        return
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)
