"""What every screen is made of: a visit to a folder, a screen, the frame around it, and how forms are answered."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from gbar.agent.report import FILTERS, TEMPLATES
from gbar.agent.ui.jobs import Jobs
from gbar.agent.ui.memory import Memory
from gbar.agent.ui.places import Places
from gbar.agent.ui.runs import Runs, Seen
from gbar.sim import GbarError, Problem, load_problem

HERE = Path(__file__).parent
Form = Mapping[str, Any]


@dataclass(frozen=True)
class Window:
    """The server's own: nothing in it that is lost when it ends, but for work under way."""

    places: Places
    memory: Memory
    runs: Runs
    jobs: Jobs = field(default_factory=Jobs)


@dataclass(frozen=True)
class Visit:
    """One request: the problem's folder and the run that it is about. Everything is read from files anew."""

    window: Window
    folder: Path | None
    run: Path | None
    query: Mapping[str, str]
    screen: str = ""

    @cached_property
    def loaded(self) -> tuple[Problem | None, str]:
        """The problem, or why there is none."""
        if self.folder is None:
            return None, "no folder is chosen"
        if not (self.folder / "problem.toml").is_file():
            return None, ""
        try:
            return load_problem(self.folder, measured=False), ""
        except GbarError as error:
            return None, str(error)

    @property
    def trusted(self) -> bool:
        """Whether the user has said that the model in this folder may be loaded."""
        return self.folder is not None and self.window.memory.trusts(self.folder)

    def again(self) -> "Visit":
        """The same after a file has changed."""
        return replace(self)

    @property
    def problem(self) -> Problem:
        """The problem. Raises GbarError where there is none."""
        problem, why = self.loaded
        if problem is None:
            raise GbarError(why or "no problem.toml in this folder yet: choose the model first")
        return problem

    @cached_property
    def seen(self) -> list[Seen]:
        """The runs of this folder, those at work first."""
        return self.window.runs.of(self.folder, self.window.places.runs()) if self.folder else []

    @cached_property
    def run_seen(self) -> Seen | None:
        """The run that is looked at: the one named in the address, else the first."""
        if self.run is not None:
            return self.window.runs.look(self.run)
        return self.seen[0] if self.seen else None

    def link(self, screen: str, action: str = "", **more: object) -> str:
        """The address of a screen, or of one of its actions, for this folder and run."""
        about = {"folder": self.folder, "run": self.run, **more}
        text = urlencode({key: str(value) for key, value in about.items() if value not in (None, "")})
        return f"/{screen}{'/' + action if action else ''}" + (f"?{text}" if text else "")


@dataclass(frozen=True)
class Screen:
    """One screen. `body` makes the HTML of its <main> from a visit; `routes` are its own, below /key/."""

    key: str
    title: str
    body: Callable[[Visit], str]
    routes: Sequence[BaseRoute] = ()
    group: Literal["set up", "run", "answer"] = "set up"
    ready: Callable[[Visit], str] = lambda visit: ""  # why it is of no use yet, else ""
    scripts: Sequence[str] = ()  # of its own, in static/


def render(template: str, /, **context: Any) -> Markup:
    """A template as text."""
    return Markup(ENVIRONMENT.get_template(template).render(**context))


def window_of(request: HTTPConnection) -> Window:
    """The server's own."""
    found: Window = request.app.state.window
    return found


def visit_of(request: Request) -> Visit:
    """What a request is about. Raises GbarError for a place outside the folders given at the start."""
    window, query = window_of(request), request.query_params
    folder, run = query.get("folder"), query.get("run")
    return Visit(
        window,
        window.places.inside(folder) if folder else None,
        window.places.inside(run) if run else None,
        query,
        request.url.path.strip("/").partition("/")[0],
    )


def fragment(path: str, answer: Callable[[Visit], str | Response]) -> Route:
    """A route that answers with a piece of a page."""

    async def handle(request: Request) -> Response:
        return await run_in_threadpool(_answered, lambda: answer(visit_of(request)))

    return Route(path, handle, methods=["GET"])


def action(path: str, answer: Callable[[Visit, Form], str | Response]) -> Route:
    """A route that does something with a form, and answers with a piece of a page, or leads elsewhere (`go`)."""

    async def handle(request: Request) -> Response:
        async with request.form(max_files=500, max_part_size=20_000_000) as form:
            given: dict[str, Any] = {}
            for key in form:
                values = form.getlist(key)
                given[key] = values if isinstance(values[0], UploadFile) or key.endswith("[]") else values[-1]
            return await run_in_threadpool(_answered, lambda: answer(visit_of(request), given))

    return Route(path, handle, methods=["POST"])


def _answered(answer: Callable[[], str | Response]) -> Response:
    try:
        found = answer()
    except GbarError as error:
        return HTMLResponse(render("problem.html.j2", error=str(error)), 422)
    except Exception as error:  # ours: said on the page, and where the window was started
        traceback.print_exc()
        said = f"The window failed at this ({type(error).__name__}: {error}). Runs are not touched by it."
        return HTMLResponse(render("problem.html.j2", error=said), 500)
    return found if isinstance(found, Response) else HTMLResponse(found)


def go(address: str) -> Response:
    """Lead the page that asked to another address."""
    return Response(status_code=204, headers={"x-go": address})


def page(screens: Sequence[Screen], screen: Screen) -> Route:
    """The whole page of a screen."""

    def whole(visit: Visit) -> str:
        window = visit.window
        window.memory.at(window.places.roots, visit.link(visit.screen))
        try:
            body = screen.body(visit)
        except GbarError as error:
            body = render("problem.html.j2", error=str(error))
        shown = [(other, other.ready(visit)) for other in screens]
        name = window.places.named(visit.folder) if visit.folder else ""
        return render("frame.html.j2", visit=visit, screen=screen, screens=shown, body=body, name=name)

    return fragment(f"/{screen.key}", whole)


def needs_problem(visit: Visit) -> str:
    """For `ready`: a screen that is of use once there is a problem.toml that can be read."""
    problem, why = visit.loaded
    return "" if problem is not None else "choose a model first" if not why else "problem.toml cannot be read"


def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(HERE / "templates"), FileSystemLoader(TEMPLATES)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment


ENVIRONMENT = _environment()
