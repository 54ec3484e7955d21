"""Loading the user's model unchanged: hoc templates, flat hoc, Python functions and classes.

The functions take plain arguments, because an exported script carries their source. Each returns what was made: the
object through which the model's names are found, the Python module where there is one, and the sections of this cell.
`hold` puts back what [model] says of temperature and voltage: a file that has just run may have set others, and what is
called next may read them.
"""

import atexit
import contextlib
import functools
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neuron import h

from gbar.sim.errors import GbarError, nearest


@contextlib.contextmanager
def working_folder(folder: Path) -> Iterator[None]:
    """Models read files relative to their own folder."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def arguments_of(file: Path) -> Iterator[None]:
    """A model that looks at its command line sees the one of its own file, without arguments."""
    before = sys.argv
    sys.argv = [str(file)]
    try:
        yield
    finally:
        sys.argv = before


def sections_since(before: Any) -> list[Any]:
    """The sections that are there now and not in `before`, in NEURON's order.

    Raises:
        GbarError: one of those before is gone.
    """
    now = list(h.allsec())
    if set(before) - set(now):
        raise GbarError("loading the model deletes every section there is: a process can hold one copy of it")
    return [section for section in now if section not in before]


def load_template(folder: Path, model: Any, hold: Callable[[], None]) -> tuple[Any, Any, list[Any]]:
    """Load a hoc file and make one object of its template. Raises GbarError."""
    for file in (*model.requires, model.load):
        hold()
        _load_hoc(folder, file)
    if not hasattr(h, model.template):
        known = re.findall(r"begintemplate\s+(\w+)", (folder / model.load).read_text(errors="replace"))
        raise GbarError(
            f"{model.load} defines no template '{model.template}': expected the name after begintemplate"
            f"{nearest(model.template, known)}"
        )
    hold()
    before = set(h.allsec())  # a file may make a cell of its own at its end
    made = getattr(h, model.template)(*model.arguments)
    return made, None, sections_since(before)


def load_flat(folder: Path, model: Any, hold: Callable[[], None]) -> tuple[Any, Any, list[Any]]:
    """Load a hoc file that makes sections by itself. Raises GbarError."""
    before = set(h.allsec())
    for file in (*model.requires, model.load):
        hold()
        _load_hoc(folder, file)
    hold()
    for statement in model.setup:
        run_hoc(statement, "model.setup")
    return h, None, sections_since(before)


def run_hoc(statement: str, where: str) -> None:
    """Run one hoc statement. Raises GbarError."""
    if not h(statement):
        raise GbarError(f"{where}: NEURON cannot run '{statement}': its own message is in the log")


def _load_hoc(folder: Path, file: str) -> None:
    own = folder / file  # anything else is of NEURON's own library
    if not h.load_file(os.fsencode(own if own.is_file() else file)):  # text would have to be ASCII
        raise GbarError(f"{file}: NEURON cannot load it: its own message is in the log")


@functools.cache
def ascii_alias(folder: Path) -> Path:
    """The folder by a path that NEURON takes as text: itself, or where it has other letters another way to it.

    A Python model gives NEURON paths made from its own `__file__`.
    """
    if str(folder).isascii():
        return folder
    # Linux has one that is gone with the process, however it ends
    held = Path(f"/proc/{os.getpid()}/fd/{os.open(folder, os.O_RDONLY)}")
    if held.is_dir():
        return held
    made = Path(tempfile.mkdtemp(prefix="gbar-", dir="/tmp"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    link = made / "model"
    link.symlink_to(folder, target_is_directory=True)
    return link


def load_python(folder: Path, model: Any, hold: Callable[[], None]) -> tuple[Any, Any, list[Any]]:
    """Import a Python file and call the function or class it names. Raises GbarError."""
    file, _, function = model.load.partition(":")
    before = set(h.allsec())
    folder = ascii_alias(folder)
    module = _imported(folder / file, folder)
    if not callable(getattr(module, function, None)):
        names = [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]
        raise GbarError(f"{file} defines no function '{function}'{nearest(function, names)}")
    hold()
    made = getattr(module, function)(*model.arguments)
    return (module if made is None else made), module, sections_since(before)


def _imported(file: Path, folder: Path) -> Any:
    """The module of a Python file, run once a process, whatever else is called the same."""
    for name in (file.stem, f"{file.stem}_of_the_model"):
        known = sys.modules.get(name)
        if known is not None and getattr(known, "__file__", None) == str(file):
            return known
        if known is None:
            break
    sys.path[:0] = [str(folder), *([str(file.parent)] if file.parent != folder else [])]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise GbarError(f"{file.name}: Python cannot load it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as an import would; dataclasses in it need it
    spec.loader.exec_module(module)
    return module
