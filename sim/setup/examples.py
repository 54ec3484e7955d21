"""The bundled problems, for a user to copy."""

import shutil
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from tempfile import TemporaryDirectory

from gbar.sim.errors import GbarError, nearest

LEFT_OUT = ("runs", "x86_64", "arm64", "aarch64", "__pycache__", "__init__.py", ".*", "*.pyc", "*.sqlite*")


def bundled() -> dict[str, str]:
    """Name -> what the first line of its problem.toml says."""
    return {
        folder.name: (folder / "problem.toml").read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        for folder in sorted(_models().iterdir(), key=lambda folder: folder.name)
        if (folder / "problem.toml").is_file()
    }


def copy_bundled(name: str, into: Path) -> Path:
    """Copy a bundled problem to INTO/NAME, which must not exist.

    Raises:
        GbarError: an unknown name, something that is there already, or a folder that cannot be written.
    """
    if name not in bundled():
        raise GbarError(f"no bundled problem '{name}'{nearest(name, bundled())}")
    target = into / name
    if target.exists() or target.is_symlink():
        raise GbarError(f"{target} is there already, and nothing is overwritten: move it away, or go to another folder")
    try:
        with resources.as_file(_models() / name) as folder, TemporaryDirectory(prefix=".gbar-", dir=into) as temporary:
            whole = Path(temporary) / name  # moved into place when all of it is there
            ignore = shutil.ignore_patterns(*LEFT_OUT)
            shutil.copytree(folder, whole, ignore=ignore, copy_function=shutil.copyfile)
            whole.rename(target)
    except OSError as error:
        raise GbarError(f"{target}: cannot be written ({error.strerror or error})") from None
    return target


def _models() -> Traversable:
    return resources.files("gbar.models")
