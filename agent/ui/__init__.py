"""The window: `gbar ui`, a page served to this machine alone. No logic of tuning: it reads and writes the files that
the commands read and write, starts `gbar tune` as a process, and asks the same functions as the commands.

A screen is a module in `screens/` with one `Screen(key, title, body, routes, group, ready, scripts)`, listed in
`screens/__init__.py`:

- `body(visit)` makes the HTML of its <main>, most often `render("NAME.html.j2", visit=visit, …)` with a template in
  `templates/`. A `Visit` has the folder, its problem, its runs and `run_seen`, read from files anew at every request;
  `visit.link("screen", "action")` makes addresses.
- `routes` are its own below /key/: `fragment(path, answer)` for GET, `action(path, answer)` for a form that is posted.
  Both answer with a piece of HTML, or with `go(address)`. A GbarError becomes one line beside the form.
- `ready(visit)` says why it is of no use yet ("" where it is); `group` is where it stands in the navigation.
- `scripts` are files of its own in `static/`. Without any, `static/window.js` does it: `<form data-into="#id">` is
  posted and replaces #id by the answer (`data-auto` posts on every change); what has `data-every="1000"` and
  `data-from="ADDRESS"` beside its id asks for itself again; `<div class="traces" data-traces="ADDRESS">` draws what
  `live.packed` packs (with "traces.js"). There is no inline script and no style attribute: the
  Content-Security-Policy refuses both.
- Work that takes longer than a click goes to `window.jobs.begin(key, words, function)`; pages ask until it is done.
- /live?run=RUN is a WebSocket: text is a fragment for #live, binary is traces (see `live.py`, `static/traces.js`).
"""

from collections.abc import Sequence
from pathlib import Path

__all__ = ["open_window"]

NEEDED = {"starlette", "uvicorn", "websockets", "python_multipart", "tomlkit"}


def open_window(folders: Sequence[Path], port: int = 0, browser: bool = True) -> None:
    """Serve the window until Ctrl-C.

    Raises:
        GbarError: the extra is not installed, no such folder, or the port is taken.
    """
    from gbar.sim import GbarError

    try:
        import python_multipart  # noqa: F401
        import tomlkit  # noqa: F401
        import websockets  # noqa: F401

        from gbar.agent.ui.server import serve
    except ImportError as error:
        if str(error.name).partition(".")[0] in NEEDED:
            raise GbarError("the window needs a few packages more: pip install 'gbar[ui]'") from None
        raise
    serve(folders, port, browser)
