"""Files written whole, files read with care, and the folder where gbar keeps what it has built.

Whoever writes, writes beside the file under a name that nobody can guess, follows no link, and moves it into place.
"""

import csv
import io
import json
import math
import os
import shutil
import stat
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gbar.sim.errors import GbarError

LARGEST_TEXT = 20_000_000  # bytes of a problem.toml or a table: what is larger is something else
LARGEST_ARRAYS = 4_000_000_000  # bytes that a file of arrays may unpack to


def write_whole(file: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash, never finds half of it."""
    with beside(file, content) as new:
        new.replace(file)


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV, a line each, with the same ends everywhere."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


@contextmanager
def beside(file: Path, content: str | bytes = b"") -> Iterator[Path]:
    """A new file with `content` in the folder of `file`, gone at the end unless it was moved there."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem[:40]}.", suffix=file.suffix)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        os.chmod(name, 0o666 & ~_umask())  # as any other new file
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


@contextmanager
def folder_in_place(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, moved there whole when what is inside succeeds; gone where it does not.

    Where another process was faster, its folder stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        yield work
        try:
            work.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


# --- reading


def read_text(file: Path, what: str = "text") -> str:
    """The text of a file of the user's: UTF-8, with or without a mark of byte order.

    Args:
        what: it should be, for messages.

    Raises:
        GbarError: it cannot be read, is no text, or is larger than such a file can be.
    """
    try:
        size = file.stat().st_size
        if size > LARGEST_TEXT:
            raise GbarError(f"{file}: {size / 1e6:.0f} MB: expected a text file of at most {LARGEST_TEXT / 1e6:.0f} MB")
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise GbarError(f"{file}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise GbarError(f"{file}: not valid {what}: expected UTF-8, {_short(error)}") from None


def read_toml(file: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises GbarError."""
    text = read_text(file, "TOML")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of 5,000 digits, and brackets 1,000 deep
        raise GbarError(f"{file}: not valid TOML: {_short(error)}") from None


def read_json(file: Path, *, finite: bool = True) -> Any:
    """The content of a JSON file. Raises GbarError.

    Args:
        finite: refuse numbers that are none at once; else whoever reads on says where they stand.
    """
    text = read_text(file, "JSON")
    try:
        return json.loads(text, parse_float=_finite, parse_constant=_finite) if finite else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GbarError(f"{file}: not valid JSON: {_short(error)}") from None


def _finite(number: str) -> float:
    """JSON has no NaN; and 1e400 is no number that a computer has."""
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number} is no finite number")
    return value


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, read without running anything that is in it.

    Raises:
        GbarError: there is none, or it is damaged, whatever the damage.
    """
    try:
        held = io.BytesIO(file.read_bytes())
        with np.load(held, allow_pickle=False) as kept:
            if not isinstance(kept, np.lib.npyio.NpzFile):
                raise ValueError("expected several arrays in a zip archive")
            if kept.zip is not None and sum(int(part.file_size) for part in kept.zip.infolist()) > LARGEST_ARRAYS:
                raise ValueError("it unpacks to more than a file of arrays can hold")
            return {name: np.asarray(kept[name]) for name in kept.files}
    except FileNotFoundError:
        raise GbarError(f"{file}: no such file") from None
    except Exception as error:  # a flipped byte reaches numpy, zipfile, zlib, struct or Python's own parser
        raise GbarError(f"{file}: is damaged: {_short(error)}") from None


def packed_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The content of an .npz file with these arrays, compressed."""
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)  # type: ignore[arg-type]
    return held.getvalue()


def _short(error: BaseException) -> str:
    """What an exception says, or what it is where it says nothing, or too much for a line."""
    if isinstance(error, RecursionError):
        return "brackets nested too deep"
    said = " ".join(str(error).split())
    return f"{said[:200]} …" if len(said) > 200 else said or type(error).__name__


# --- the cache


def cache_folder() -> Path:
    """Where built mechanisms are kept: $GBAR_CACHE, else the user's cache folder. Made, readable by its owner alone.

    Returns:
        An absolute path: what is started in another folder finds the same one.

    Raises:
        GbarError: it cannot be made, or others can write there: what is loaded from it would be anybody's.
    """
    folder = _base().absolute() / "gbar"
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        _check_private(folder)
    except OSError as error:
        raise GbarError(f"{folder}: cannot be made ({error.strerror}): set GBAR_CACHE to a folder of yours") from None
    return folder


def check_own(file: Path) -> None:
    """Refuse a file of the cache that others can write, or whose folders they can. Raises GbarError."""
    top = cache_folder()
    for path in (file, *file.parents):
        if path == top or top not in path.parents:
            return
        _check_private(path)


def _base() -> Path:
    given = os.environ.get("GBAR_CACHE") or os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(given).expanduser() if given else Path.home() / ".cache"
    except RuntimeError:  # no home, or another user's
        raise GbarError("no home folder to keep built mechanisms in: set GBAR_CACHE to a folder of yours") from None


def _check_private(folder: Path) -> None:
    """Refuse a folder that somebody else owns or can write: built libraries are loaded from it. Raises GbarError."""
    for path in {folder, folder.resolve()}:  # a link may be somebody's too
        found = os.lstat(path)
        if found.st_uid not in {0, os.getuid()}:
            raise GbarError(
                f"{path}: belongs to another user, and code is loaded from it: set GBAR_CACHE to a folder of yours"
            )
        if not stat.S_ISLNK(found.st_mode) and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise GbarError(
                f"{path}: others can write there, and code is loaded from it: delete it, or chmod -R go-w it if you "
                "know what is in it"
            )
