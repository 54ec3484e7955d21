"""Running: start, watch and steer a run. What is shown comes from its folder, whoever has started it."""

import time
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from gbar.agent.report import words
from gbar.agent.result import LIVE, PROGRESS, STEER, Live, Steer, read_live_traces, read_steer, steer
from gbar.agent.ui.drawing import ZBars, front, of_one, plots, with_recorded, z_bars
from gbar.agent.ui.forms import checked_name
from gbar.agent.ui.jobs import Job
from gbar.agent.ui.live import follow, packed
from gbar.agent.ui.pages import Form, Screen, Visit, action, fragment, go, needs_problem, render, window_of
from gbar.agent.ui.runs import Seen, options_of, stamp
from gbar.agent.ui.screens.consent import check_consent
from gbar.agent.ui.tables import tables_of
from gbar.sim import GbarError, load_problem
from gbar.sim.problem import read_measurements
from gbar.sim.setup import Once, simulate_once

ENDED = {"solved": "all found", "interrupted": "stopped"}
STOP_S = 300.0  # that a run may take to stop: the evaluations under way, and writing
NEAREST_S = 15.0  # between two simulations of the nearest set for who looks


@dataclass(frozen=True)
class Shown:
    """How a run stands, in words."""

    seen: Seen
    live: Live
    lead: str
    detail: str
    share: float  # of the budget, %
    bars: ZBars
    pause: bool
    stop: bool
    best_text: str

    @property
    def failed(self) -> int:
        """Evaluations that failed."""
        return sum(self.live.failures.values())


def shown(seen: Seen) -> Shown | None:
    """What a run's files say; None while there are none."""
    live = seen.live
    if live is None:
        return None
    wish = read_steer(seen.folder, live.process_started) if seen.alive else Steer()
    near = live.nearest
    bars = z_bars(
        live.measurements, near.z if near else {}, near.features if near else {}, live.tolerance, live.features
    )
    return Shown(
        seen, live, _lead(seen, live, wish), _detail(seen, live), min(100.0, 100 * live.evaluations / live.budget),
        bars, wish.pause, wish.stop, "" if near is None or near.max_abs_z is None else f"{near.max_abs_z:.2f}",
    )  # fmt: skip


def _lead(seen: Seen, live: Live, wish: Steer) -> str:
    count = len(live.solutions)
    found = f"{count} of {words.count(live.wanted, 'solution')}"
    if seen.alive:
        doing = "stopping" if wish.stop else live.phase if not wish.pause or live.phase == "paused" else "pausing"
        return f"{found}: {doing}"
    if live.ended is None:
        return f"{found}: the run was ended from outside"
    if live.ended == "out of budget" and not count:
        return "No solution within the budget"
    return f"{found}: {ENDED.get(live.ended, live.ended)}"


def _detail(seen: Seen, live: Live) -> str:
    took = (time.time() if seen.alive else live.updated) - live.started
    text = f"{live.evaluations:,} of at most {words.count(live.budget, 'evaluation')} in {words.minutes(took)}"
    if seen.alive and live.evaluations > 8 and took > 5:
        left = (live.budget - live.evaluations) * took / live.evaluations
        text += f"; at this pace the budget lasts {words.minutes(left)} more"
    if not seen.alive and live.ended is None:
        text += "; everything simulated is kept: go on with it below"
    return text


def _body(visit: Visit) -> str:
    seen = visit.run_seen
    over = seen is None or not seen.alive
    return render(
        "running.html.j2",
        visit=visit,
        seen=seen,
        runs=visit.seen,
        live=live_fragment(visit) if seen else "",
        start=_start_form(visit) if over else None,
    )


@dataclass(frozen=True)
class StartForm:
    """What a new run is started with, filled in."""

    tables: list[tuple[str, str]]  # path, name
    chosen: str
    name: str
    solutions: int
    tolerance: float
    budget: int
    seed: int
    workers: int
    why_not: str  # why nothing can be started yet


def _start_form(visit: Visit) -> StartForm:
    problem = visit.problem
    tables = tables_of(problem)
    chosen = visit.query.get("table") or (str(problem.measurements_file) if problem.measurements_file else "")
    why = "" if problem.measurements or len(tables) > 0 else "there are no measurements yet: enter them first"
    if chosen and not why:
        try:
            why = "" if read_measurements(Path(chosen), problem, may_be_empty=True) else "the table has no rows yet"
        except GbarError as error:
            why = str(error)
    live = visit.run_seen.live if visit.run_seen else None
    stem = Path(chosen).stem if chosen else ""
    assert visit.folder is not None
    return StartForm(
        [(str(table), table.relative_to(visit.folder).as_posix()) for table in tables],
        chosen,
        f"{problem.name}-{stem}" if stem else problem.name,
        live.wanted if live else 10,
        live.tolerance if live else 2.0,
        live.budget if live else 2000,
        live.seed if live else 0,
        live.workers if live else 2,
        why,
    )


def _start(visit: Visit, form: Form) -> Response:
    """Start a run; one that the folder has goes on."""
    problem = visit.problem
    assert visit.folder is not None
    check_consent(visit, form)
    table = visit.window.places.inside(str(form["measurements"])) if form.get("measurements") else None
    load_problem(problem.file, table)  # what is wrong is said here, not in a log
    out = visit.window.places.runs_root / checked_name(form.get("name") or problem.name)
    given = {key: form.get(key) for key in ("solutions", "tolerance", "budget", "seed", "workers")}
    if table != problem.measurements_file:
        given["measurements"] = str(table)
    visit.window.runs.start(problem, out, options_of(given))
    return go(visit.link("running", run=out))


def _of(visit: Visit) -> Seen:
    seen = visit.run_seen
    if seen is None:
        raise GbarError("there is no run here yet")
    return seen


def _steer(visit: Visit, form: Form) -> str:
    """Pause, go on, stop."""
    seen, wish = _of(visit), str(form.get("wish"))
    if not seen.alive:
        raise GbarError("the run has ended already")
    if seen.starting and wish == "stop":
        visit.window.runs.interrupt(seen.folder)  # it does not look at its folder yet
        return live_fragment(visit)
    if seen.starting:
        raise GbarError("the run is only starting: in a moment")
    steer(seen.folder, Steer(pause=wish == "pause", stop=wish == "stop"))
    return live_fragment(visit)


def _again(visit: Visit, form: Form) -> Response:
    """Stop the run, and start it again in its folder with another tolerance, budget or number of solutions."""
    seen = _of(visit)
    live = seen.live
    if live is None:
        raise GbarError("the run is only starting: in a moment")
    problem, window = visit.problem, visit.window
    given = {key: form.get(key) for key in ("solutions", "tolerance", "budget")}
    check_consent(visit, form)
    table = window.places.inside(live.measurements_file)
    given |= {"seed": live.seed, "workers": live.workers, "measurements": table}
    if float(given["tolerance"] or 1) <= 0:
        raise GbarError("tolerance: expected more than 0 SD")

    def restart() -> None:
        if window.runs.look(seen.folder).alive:
            steer(seen.folder, Steer(stop=True))
        until = time.monotonic() + STOP_S
        while window.runs.look(seen.folder).alive:
            if time.monotonic() > until:
                raise GbarError(f"the run did not stop within {STOP_S:g} s")
            time.sleep(0.2)
        window.runs.start(problem, seen.folder, options_of(given))

    window.jobs.begin(("again", seen.folder), "stopping, to go on with the changes", restart, again=True)
    return go(visit.link("running", run=seen.folder))


def live_fragment(visit: Visit) -> str:
    """#live: everything of a run that changes."""
    seen = _of(visit)
    job = visit.window.jobs.get(("again", seen.folder))
    return render("live.html.j2", visit=visit, seen=seen, shown=shown(seen), job=job)


def traces(visit: Visit) -> bytes:
    """The best voltages so far, as one message."""
    seen = _of(visit)
    live, (problem, _) = seen.live, visit.loaded
    if live is None:
        return packed([])
    kept = read_live_traces(seen.folder)
    job = visit.window.jobs.get(("nearest", seen.folder))
    if not kept and job and job.answer:
        kept = of_one(job.answer.traces)
    found = plots(problem, kept, front(live.solutions), live.measurements)
    with suppress(GbarError):  # a table that lies elsewhere
        found = with_recorded(found, visit.window.places.inside(live.measurements_file))
    return packed(found)


def nearest_simulated(visit: Visit) -> Job | None:
    """The nearest set of a run that keeps no voltages yet, simulated once for who looks.

    A batched engine computes features without them, and until a set is confirmed there would be nothing to see.
    """
    seen, jobs = _of(visit), visit.window.jobs
    about = ("nearest", seen.folder)
    job, near = jobs.get(about), seen.live.nearest if seen.live else None
    if near is None or not seen.alive or not visit.trusted or stamp(seen.folder / LIVE):
        return job
    if job is None or (job.done and not job.error and job.seconds > NEAREST_S):
        before: Once | None = job.answer if job else None
        problem, _ = visit.loaded
        if problem is not None and (before is None or before.parameters != near.parameters):
            job = jobs.begin(about, "Simulating", lambda: simulate_once(problem, near.parameters), again=True)
            job.answer = job.answer or before  # what is seen stays until there is something newer
    return job


async def _socket(socket: WebSocket) -> None:
    """/live?folder=…&run=…"""
    window, query = window_of(socket), socket.query_params
    try:
        folder, run = window.places.inside(query.get("folder", "")), window.places.inside(query.get("run", ""))
    except GbarError:
        await socket.close(1008)
        return

    def visit() -> Visit:
        return Visit(window, folder, run, {"run": str(run)}, "running")

    def sign() -> tuple[Hashable, Hashable]:
        seen = window.runs.look(run)
        of_files = tuple(stamp(run / file) for file in (PROGRESS, STEER, "result.json"))
        job, near = window.jobs.get(("again", run)), nearest_simulated(visit())
        of_voltages = stamp(run / LIVE) or stamp(run / "traces.npz") or (near and near.done and near.since)
        return (of_files, seen.alive, seen.starting, job and job.done), of_voltages

    await follow(socket, sign, lambda: live_fragment(visit()), lambda: traces(visit()))


RUNNING = Screen(
    "running",
    "Running",
    _body,
    [
        WebSocketRoute("/live", _socket),
        fragment("/running/live", live_fragment),
        action("/running/start", _start),
        action("/running/steer", _steer),
        action("/running/again", _again),
    ],
    group="run",
    ready=needs_problem,
    scripts=("traces.js", "running.js"),
)
