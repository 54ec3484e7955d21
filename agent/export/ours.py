"""What an export may write over: what an export wrote before. Anything else of that name is the user's."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from gbar.sim import GbarError

Known = Callable[[bytes], bool]


def refuse_foreign(file: Path, bluepyopt: frozenset[str] = frozenset()) -> None:
    """Raises GbarError where there is a file of that name that no export has written.

    Args:
        file: that is to be written.
        bluepyopt: the keys that a bluepyopt.json is to have; it has no room for a word of ours.
    """
    if file.is_symlink() or file.exists():
        content = file.read_bytes() if file.is_file() else b""
        known = KNOWN[file.name](content) if file.name in KNOWN else set(_keys(content)) == bluepyopt
        if not known:
            raise GbarError(f"{file}: is there already, and no export wrote it: name another folder with --out")


def refuse_foreign_model(model: Path) -> None:
    """Raises GbarError where a folder is there already, with something in it, and no export of ours beside it."""
    if not model.exists() or (model.is_dir() and not any(model.iterdir())):
        return
    beside = [model.parent / name for name in ("run.py", "solution.hoc", "gbar_measure.py")]
    if not any(file.is_file() and KNOWN[file.name](file.read_bytes()) for file in beside):
        raise GbarError(f"{model}: is there already, and no export made it: name another folder with --out")


def _made_by_gbar(content: bytes) -> bool:
    return bool(re.search(rb"^(//)?\s*Made by gbar |^// (Loads the model in|Hoc cannot load) ", content, re.M))


def _of_parquet(content: bytes) -> bool:
    return content.startswith(b"PAR1") and b"solution" in content and b"max_abs_z" in content


def _keys(content: bytes) -> list[str]:
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        return []
    return list(read) if isinstance(read, dict) else []


KNOWN: dict[str, Known] = {
    "run.py": _made_by_gbar,
    "gbar_measure.py": _made_by_gbar,
    "solution.hoc": _made_by_gbar,
    "parameters.json": lambda content: {"problem", "solution", "provenance"} <= set(_keys(content)),
    "solutions.csv": lambda content: content.startswith(b"solution,") and b",max_abs_z," in content,
    "solutions.parquet": _of_parquet,
    "methods.txt": lambda content: b" with gbar " in content and b"of its measured mean" in content,
}
