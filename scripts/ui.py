"""gbar ui: the window."""

from pathlib import Path
from typing import Annotated

import typer

from gbar.scripts.interrupts import as_process
from gbar.scripts.terminal import guarded

Folders = Annotated[list[Path] | None, typer.Argument(metavar="[FOLDER …]", help="With models or runs. Default: here.")]


@guarded
def ui(
    folders: Folders = None,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Default: one that is free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", metavar="", help="Only print the address.")] = False,
) -> None:
    """Open the window in a browser: set up a model, enter measurements, tune and watch, take the solutions along.

    It is served to this machine alone, and looks into nothing but FOLDER and runs/. Ctrl-C closes it; runs go on.

    Exit codes: 0 closed, 2 bad input.
    """
    from gbar.agent.ui import open_window

    open_window(folders or [Path()], port, not no_browser)


if __name__ == "__main__":
    as_process(lambda: typer.run(ui))
