"""The application: screens and their routes, static files, the live connection, all behind the guard."""

from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gbar.agent.report import TEMPLATES
from gbar.agent.ui.pages import ENVIRONMENT, HERE, Window, page
from gbar.agent.ui.screens import SCREENS
from gbar.agent.ui.security import Guard, Keys


def application(window: Window, keys: Keys) -> Guard:
    """Everything that the server answers with."""
    screens = [page(SCREENS, screen) for screen in SCREENS]
    own = [route for screen in SCREENS for route in screen.routes]
    static = Mount("/static", StaticFiles(directory=HERE / "static"))
    ENVIRONMENT.globals["known"] = {screen.key for screen in SCREENS}
    app = Starlette(routes=[Route("/", _home), *screens, *own, Route("/static/page.css", _style), static])
    app.state.window = window
    return Guard(app, keys)


async def _home(request: Request) -> Response:
    window: Window = request.app.state.window
    return RedirectResponse(await run_in_threadpool(_first, window), 303)


def _first(window: Window) -> str:
    """Where one was last; else the only model that there is, or all of them."""
    last = window.memory.last(window.places.roots)
    if last.startswith("/") and last != "/":
        return last
    known = [*window.places.problems(), *window.places.candidates()]
    return f"/model?{urlencode({'folder': str(known[0])})}" if len(known) == 1 else "/model"


async def _style(request: Request) -> Response:
    return FileResponse(TEMPLATES / "page.css", media_type="text/css")  # of the report: one look
