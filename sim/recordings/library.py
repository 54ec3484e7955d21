"""Libraries that read foreign formats: asked for only when such a file is met."""

import importlib
from typing import Any

from gbar.sim.errors import GbarError


def library(module: str) -> Any:
    """A library that only recordings need.

    Raises:
        GbarError: it is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise GbarError(
            f"reading this file needs {module.partition('.')[0]}: install it with pip install 'gbar[recordings]'"
        ) from None
