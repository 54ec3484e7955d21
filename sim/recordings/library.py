"""Libraries that read foreign formats: asked for only when such a file is met."""

import importlib
from typing import Any

from gbar.sim.errors import GbarError


class MissingLibrary(GbarError):
    """A library that is not installed: no fault of the file."""


def library(module: str) -> Any:
    """A library that only recordings need.

    Raises:
        MissingLibrary: it is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingLibrary(
            f"reading this file needs {module.partition('.')[0]}: install it with pip install 'gbar[recordings]'"
        ) from None
