"""What may change: which parameters are free and between which bounds; and one try, beside what was measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from gbar.agent.report import Axis, words
from gbar.agent.result import Measured
from gbar.agent.ui.drawing import NO_SOLUTION, of_one, plots, with_recorded, z_bars
from gbar.agent.ui.editing import aside, keep_if_it_loads, put_aside, take_up
from gbar.agent.ui.forms import needed, number
from gbar.agent.ui.jobs import Job
from gbar.agent.ui.live import packed
from gbar.agent.ui.pages import Form, Screen, Visit, action, fragment, needs_problem, render
from gbar.agent.ui.screens.consent import check_consent
from gbar.agent.ui.screens.model import outline_job, outlined
from gbar.sim import GbarError, Parameter, Problem, load_problem
from gbar.sim.setup import Once, simulate_once

BEYOND = 10.0  # times that a log slider reaches past bounds and the model's own value
STEPS = 1000
SOON_S = 2.5  # that the page waits for the model's own values


@dataclass(frozen=True)
class Row:
    """One parameter of the form."""

    name: str
    places: str
    unit: str
    scale: str
    free: bool
    low: str
    high: str
    own: str
    ends: tuple[float, float]  # of the slider
    at_low: int  # of STEPS
    at_high: int
    at_own: float | None  # % across
    outside: bool  # whether the model's own value is beyond the bounds
    middle: str

    @property
    def band(self) -> tuple[float, float]:
        """Left and width of the bounds, in %."""
        return self.at_low * 100 / STEPS, (self.at_high - self.at_low) * 100 / STEPS


def rows_of(problem: Problem, own: Mapping[str, tuple[float, float] | None]) -> list[Row]:
    """The free parameters, then those that are put aside as comments."""
    found = [_row(p, own.get(p.name), True) for p in problem.parameter]
    names = {p.name for p in problem.parameter}
    for table in aside(problem.file.read_text(encoding="utf-8")):
        if table["name"] not in names:
            try:
                found.append(_row(Parameter.model_validate(table), None, False))
            except ValueError:  # a comment of another time
                continue
    return found


def _row(p: Parameter, own: tuple[float, float] | None, free: bool) -> Row:
    low, high = p.bounds
    log = p.scale == "log"
    known = [*([own[0]] if own and (own[0] > 0 or not log) else []), low, high]
    if log:
        ends = min(known) / BEYOND, max(known) * BEYOND
    else:
        span = max(known) - min(known)
        ends = min(known) - span, max(known) + span

    axis = Axis(*ends, log)
    value = None if own is None else own[0] if own[0] == own[1] else None
    shown = "" if own is None else words.number(own[0]) if value is not None else f"{own[0]:.3g} … {own[1]:.3g}"
    placed = own[0] if own and (own[0] > 0 or not log) else None
    return Row(
        p.name,
        ", ".join(p.set) or "through others",
        p.unit_of_value(p.unit or ""),
        p.scale,
        free,
        f"{low:g}",
        f"{high:g}",
        shown,
        ends,
        round(STEPS * axis.at(low) / 100),
        round(STEPS * axis.at(high) / 100),
        None if placed is None else axis.at(placed),
        value is not None and not low <= value <= high,
        f"{value:.6g}" if value is not None else "",
    )


def _body(visit: Visit) -> str:
    problem = visit.problem
    job = outline_job(visit, problem)
    if job is not None:
        job.wait(SOON_S)
    return render(
        "change.html.j2",
        visit=visit,
        rows=rows_of(problem, _own(visit, problem)),
        waiting=job is not None and not job.done,
        steps=STEPS,
        said="",
        going=visit.run_seen if visit.run_seen and visit.run_seen.alive else None,
        measured=bool(problem.measurements),
    )


def _own(visit: Visit, problem: Problem) -> Mapping[str, tuple[float, float] | None]:
    found = outlined(visit, problem)
    return found.own if found else {}


def _save(visit: Visit, form: Form) -> str | Response:
    """Which are free, and their bounds, into problem.toml."""
    problem = visit.problem
    text = problem.file.read_text(encoding="utf-8")
    free = {p.name: p for p in problem.parameter}
    rows = rows_of(problem, {})
    wanted = {row.name for row in rows if form.get(f"on[{row.name}]")}
    if not wanted:
        raise GbarError("nothing is free: tick at least one parameter")
    for row in rows:
        if row.name in wanted and row.name not in free:
            text = take_up(text, row.name)
        if row.name not in wanted and row.name in free:
            text = put_aside(text, row.name)
    bounds = {}
    for row in rows:
        if row.name in wanted:
            ends = [f"{end}[{row.name}]" for end in ("low", "high")]
            bounds[row.name] = [needed(form.get(end), end) for end in ends]
    keep_if_it_loads(problem.file, _with_bounds(text, bounds))
    fresh = visit.again()
    return render(
        "parameters.html.j2",
        visit=fresh,
        rows=rows_of(fresh.problem, _own(fresh, fresh.problem)),
        steps=STEPS,
        said=f"Saved: {len(wanted)} free.",
        going=visit.run_seen if visit.run_seen and visit.run_seen.alive else None,
        measured=bool(problem.measurements),
    )


def _with_bounds(text: str, bounds: Mapping[str, list[float]]) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    tables: Any = document["parameter"]
    for table in tables:
        new = bounds.get(str(table["name"]))
        if new is not None and [float(value) for value in table["bounds"]] != new:
            table["bounds"] = new
    return tomlkit.dumps(document)


# --- one try


def _try(visit: Visit, form: Form) -> str:
    """Simulate once with the values of the form; those left empty are the model's own."""
    check_consent(visit, form)
    problem = visit.problem
    typed = {name: number(form.get(f"try[{name}]"), f"try[{name}]") for name in problem.names}
    values = {name: value for name, value in typed.items() if value is not None}
    return _tried(visit, _key(values), values)


def _key(values: Mapping[str, float]) -> str:
    return ",".join(f"{name}={value:.9g}" for name, value in sorted(values.items()))


def _tried(visit: Visit, key: str, values: Mapping[str, float] | None = None) -> str:
    """#tried: what came out, or that it is being simulated."""
    problem = visit.problem
    job = _job(visit, problem, key, values)
    if job is None:
        return render("tried.html.j2", visit=visit, job=None, bars=None, key="")
    once: Once | None = job.answer
    bars = None
    if once is not None:
        live = visit.run_seen.live if visit.run_seen else None
        measured = [Measured.of(m) for m in problem.measurements]
        bars = z_bars(measured, once.z, once.values, live.tolerance if live else 2.0)
    return render("tried.html.j2", visit=visit, job=job, bars=bars, key=key)


def _job(visit: Visit, problem: Problem, key: str, values: Mapping[str, float] | None) -> Job | None:
    about = ("try", problem.folder, problem.identity(), str(problem.measurements), key)
    if values is None:
        return visit.window.jobs.get(about)
    folder = problem.folder
    return visit.window.jobs.begin(
        about, "Simulating", lambda: simulate_once(load_problem(folder, measured=False), values)
    )


def _traces(visit: Visit) -> Response:
    """What the try recorded."""
    problem = visit.problem
    job = _job(visit, problem, visit.query.get("key", ""), None)
    once: Once | None = job.answer if job else None
    drawn = of_one(once.traces if once else {})
    measured = [Measured.of(m) for m in problem.measurements]
    found = plots(problem, drawn, NO_SOLUTION, measured, "this try")
    found = with_recorded(found, problem.measurements_file) if problem.measurements_file else found
    return Response(packed(found), media_type="application/octet-stream")


CHANGE = Screen(
    "change",
    "What may change",
    _body,
    [
        action("/change/save", _save),
        action("/change/try", _try),
        fragment("/change/tried", lambda visit: _tried(visit, visit.query.get("key", ""))),
        fragment("/change/traces", _traces),
    ],
    ready=needs_problem,
    scripts=("traces.js", "change.js"),
)
