"""What this process makes on disk, so that it can take it back while nobody has put anything into it.

gbar deletes nothing else: what was there before stays, and so does whatever holds something.
"""

import contextlib
import errno
import itertools
import os
from pathlib import Path

from gbar.sim.errors import GbarError

LONGEST = 100  # bytes of a name: other words are put before and after it, and file systems take 255


class Made:
    """The folders and files that this process has made, in order."""

    def __init__(self) -> None:
        self._made: list[tuple[Path, int]] = []  # with the number that the disk knows it by

    def folder(self, path: Path) -> None:
        """Make a folder, and those above it that are missing. Raises OSError, with all taken back."""
        try:
            missing = list(itertools.takewhile(lambda folder: not folder.exists(), (path, *path.parents)))
            for folder in reversed(missing):
                with contextlib.suppress(FileExistsError):  # another process was faster: it is that one's
                    folder.mkdir()
                    self._made.append((folder, folder.stat().st_ino))
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        except OSError:
            self.take_back()
            raise

    def file(self, path: Path) -> bool:
        """Make an empty file and return True; return False where there is something of that name. Raises OSError."""
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            return False
        self._made.append((path, path.stat().st_ino))
        return True

    def take_back(self, *but: Path) -> None:
        """Remove the files that were made, but for some, and the folders that are empty then."""
        for path, number in reversed(self._made):
            with contextlib.suppress(OSError):  # it is gone, is not empty, or is not ours to remove
                if path not in but and path.lstat().st_ino == number:
                    path.rmdir() if path.is_dir() else path.unlink()


def resolved(path: Path | str, option: str) -> Path:
    """Where a path leads, without `..` and links: before anything is made, or `missing/..` would be made on the way.

    Raises:
        GbarError: it leads nowhere; named by the option that it was given with.
    """
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a NUL, a name that is too long
        raise GbarError(f"{option} {str(path)!r}: expected the path of a file or folder: {error}") from None


def check_name(name: str) -> str:
    """Refuse what cannot be the name of one folder or file.

    Raises:
        ValueError: with what is wrong.
    """
    odd = next((letter for letter in name if letter in "/\\" or not letter.isprintable()), None)
    if odd is not None:
        raise ValueError(f"{name!r}: expected a name without {odd!r}: files and folders are called by it")
    if not name.strip() or set(name) == {"."} or len(os.fsencode(name)) > LONGEST:
        raise ValueError(f"{name!r}: expected a name of 1 to {LONGEST} letters: files and folders are called by it")
    return name


def as_name(text: str) -> str:
    """The nearest to a text that `check_name` lets pass."""
    plain = "".join(letter if letter.isprintable() and letter not in "/\\" else "_" for letter in text).strip(". ")
    while len(os.fsencode(plain)) > LONGEST:
        plain = plain[:-1]
    return plain or "model"
