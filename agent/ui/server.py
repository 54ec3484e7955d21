"""Opening the window: a port of this machine, an address that works once, and a server until Ctrl-C."""

import socket
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import uvicorn

from gbar.agent.ui.app import application
from gbar.agent.ui.memory import Memory
from gbar.agent.ui.pages import Window
from gbar.agent.ui.places import Places
from gbar.agent.ui.runs import Runs
from gbar.agent.ui.security import Keys
from gbar.sim import GbarError


def said(text: str) -> None:
    """A line that is read at once, by a program too: the address is what opens the window."""
    print(text, flush=True)


def serve(folders: Sequence[Path], port: int = 0, browser: bool = True, say: Callable[[str], None] = said) -> None:
    """Serve the window to this machine until Ctrl-C; runs that it has started go on then.

    Args:
        folders: all that it may look into.
        port: 0 for any that is free.
        browser: whether to open one.
        say: called with the address when it can be opened.

    Raises:
        GbarError: no such folder, or a port that is taken.
    """
    for folder in folders:
        if not folder.is_dir():
            raise GbarError(f"no folder at {folder}: expected folders with models, or with runs")
    memory = Memory()
    with _listening(port) as listening:
        keys = Keys(listening.getsockname()[1])
        window = Window(Places(folders), memory, Runs(memory))
        config = uvicorn.Config(
            application(window, keys), log_level="warning", lifespan="off", ws="websockets-sansio", access_log=False,
            server_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        with suppress(KeyboardInterrupt):  # how a window is closed, from the moment that somebody knows of it
            say(f"The window: {keys.address}")
            say("It works once, in one browser. Ctrl-C here closes the window; runs go on.")
            if browser:
                webbrowser.open(keys.address)
            uvicorn.Server(config).run(sockets=[listening])


def _listening(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the port of a window that was closed just now
    try:
        found.bind(("127.0.0.1", port))
    except OSError as error:
        found.close()
        raise GbarError(
            f"--port {port}: {error.strerror}: name another, or leave it out for one that is free"
        ) from None
    found.listen(128)
    return found
