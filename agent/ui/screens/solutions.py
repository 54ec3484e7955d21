"""Solutions: which there are, how they differ, and what becomes of one when a parameter is moved."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gbar.agent.report import (
    FRAME,
    Axis,
    Contents,
    Strip,
    families,
    pairs,
    plots,
    strips,
    words,
)
from gbar.agent.result import Range
from gbar.agent.ui.drawing import ZBars, z_bars
from gbar.agent.ui.forms import chosen
from gbar.agent.ui.jobs import Job
from gbar.agent.ui.pages import Form, Screen, Visit, action, fragment, render
from gbar.agent.ui.screens.answer import contents_of, needs_sets
from gbar.agent.ui.screens.consent import check_consent
from gbar.sim import GbarError, load_problem
from gbar.sim.setup import Once, simulate_once

STEPS = 1000  # of a slider
ROW = 34  # px of a parameter in the plot of all sets
WIDTH = 1000  # of that plot, in path units
TOLERANCES = 1.5  # that its first axis spans


@dataclass(frozen=True)
class Through:
    """A parameter set in the plot of all: where it crosses each axis, in %."""

    number: int
    at: str  # numbers, a comma between them
    path: str


@dataclass(frozen=True)
class SetRow:
    """A parameter set in the table."""

    number: int
    worst: float | None
    worst_text: str
    family: int
    warnings: str
    values: list[tuple[float, str]]  # of each parameter, and as printed


@dataclass(frozen=True)
class Slider:
    """A parameter that can be moved."""

    name: str
    unit: str
    at: int  # of STEPS
    value: str
    low: str
    high: str
    ends: tuple[float, float]
    log: bool


def _body(visit: Visit) -> str:
    contents = contents_of(visit)
    result, best = contents.result, contents.best + 1
    groups = families(contents)
    of = {number: k for k, group in enumerate(groups, start=1) for number in group.numbers}
    word = "solution" if result.solutions else "compromise"
    if not contents.state:
        _stand_in(visit, contents)  # learned while somebody reads
    return render(
        "solutions.html.j2",
        visit=visit,
        contents=contents,
        result=result,
        word=word,
        best=best,
        rows=[_row(contents, number, of) for number in range(1, len(contents.shown) + 1)],
        groups=groups,
        lines=_lines(contents),
        strips=strips(contents),
        height=ROW * (1 + len(result.parameters)),
        width=WIDTH,
        row=ROW,
        plots=plots(contents),
        frame=FRAME,
        pairs=pairs(contents),
        compared=_compared(visit, {}),
        sliders=_sliders_part(visit, best),
    )


def _row(contents: Contents, number: int, of: Mapping[int, int]) -> SetRow:
    one, result = contents.shown[number - 1], contents.result
    odd = [warning for warning in result.warnings if number in warning.sets]
    values = [(one.parameters[p.name], words.number(one.parameters[p.name])) for p in result.parameters]
    worst = one.max_abs_z
    said = "; ".join(w.kind + " under " + w.protocol for w in odd)
    return SetRow(number, worst, "–" if worst is None else f"{worst:.2f}", of.get(number, 1), said, values)


def _lines(contents: Contents) -> list[Through]:
    """Each set through the axes from above: its largest |z|, then every parameter over its range."""
    found, drawn = [], strips(contents)
    for number, one in enumerate(contents.shown, start=1):
        reach = TOLERANCES * contents.result.tolerance
        first = 100.0 if one.max_abs_z is None else Axis(0.0, reach).clipped(one.max_abs_z)
        at = [round(first, 2), *(_mark(strip, number) for strip in drawn)]
        points = [f"{round(a * WIDTH / 100)} {ROW * k + ROW // 2}" for k, a in enumerate(at)]
        found.append(Through(number, ",".join(map(str, at)), "M" + "L".join(points)))
    return found


def _mark(strip: Strip, number: int) -> float:
    return strip.marks[number - 1].at


# --- two beside one another


@dataclass(frozen=True)
class Beside:
    """A parameter of two sets."""

    name: str
    unit: str
    first: str
    second: str
    apart: float  # % of the range


def _compared(visit: Visit, form: Form) -> str:
    """#compared: two sets beside one another; unless chosen, the one in front and the furthest from it."""
    contents = contents_of(visit)
    count, best = len(contents.shown), contents.best + 1
    if count < 2:
        return ""
    drawn = strips(contents)

    def apart(a: int, b: int) -> float:
        return float(np.hypot.reduce([_mark(s, a) - _mark(s, b) for s in drawn]))

    first = chosen(form.get("first"), count, best)
    second = chosen(form.get("second"), count, max(range(1, count + 1), key=lambda n: apart(first, n)))
    a, b = contents.shown[first - 1], contents.shown[second - 1]
    result = contents.result
    rows = [
        Beside(
            p.name, words.unit_of(p.unit), words.number(a.parameters[p.name]), words.number(b.parameters[p.name]),
            round(abs(_mark(strip, first) - _mark(strip, second)), 1),
        )
        for p, strip in zip(result.parameters, drawn, strict=True)
    ]  # fmt: skip
    bars = [z_bars(contents.measurements, one.z, one.features, result.tolerance) for one in (a, b)]
    return render(
        "compared.html.j2", visit=visit, first=first, second=second, count=count,
        rows=sorted(rows, key=lambda row: -row.apart), pairs=list(zip(bars[0].rows, bars[1].rows, strict=True)),
        bars=bars[0],
    )  # fmt: skip


# --- one that is moved


def _sliders_part(visit: Visit, number: int) -> str:
    """#sliders: a slider for each parameter, set to one of the sets."""
    contents = contents_of(visit)
    if not contents.shown:
        return ""
    number = chosen(number, len(contents.shown), 1)
    values = contents.shown[number - 1].parameters
    sliders = [_slider(p, values[p.name]) for p in contents.result.parameters]
    return render(
        "sliders.html.j2",
        visit=visit,
        number=number,
        count=len(contents.shown),
        sliders=sliders,
        steps=STEPS,
        expected=_expected(visit, {}, number),
        going=bool(contents.state),
    )


def _slider(p: Range, value: float) -> Slider:
    place = round(STEPS * Axis(p.low, p.high, p.scale == "log").clipped(value) / 100)
    unit = words.unit_of(p.unit)
    ends = p.low, p.high
    low, high = map(words.short, ends)
    return Slider(p.name, unit, place, words.number(value), low, high, ends, p.scale == "log")


def _values(contents: Contents, form: Form, number: int) -> dict[str, float]:
    """What the sliders say; those that were not moved are the set's own to the last digit."""
    own = contents.shown[number - 1].parameters
    found = {}
    for p in contents.result.parameters:
        text = str(form.get(f"at[{p.name}]", ""))
        step = int(text) if text.isdigit() else None
        if step is None or step == _slider(p, own[p.name]).at:
            found[p.name] = own[p.name]
            continue
        share = min(step, STEPS) / STEPS
        found[p.name] = p.low * (p.high / p.low) ** share if p.scale == "log" else p.low + share * (p.high - p.low)
    return found


def _stand_in(visit: Visit, contents: Contents) -> Job:
    """The run's surrogate, learned once for the server."""
    run, result = contents.run, contents.result

    def learn() -> object:
        from gbar.agent.tuning import StandIn  # loads JAX

        return StandIn(run, result)

    return visit.window.jobs.begin(("stand-in", run, result.evaluations), "Learning from the run's archive", learn)


def _expected(visit: Visit, form: Form, number: int) -> str:
    """#expected: what the surrogate says of the values that the sliders have."""
    contents = contents_of(visit)
    if contents.state:
        return render("expected.html.j2", visit=visit, job=None, bars=None, spans={}, number=number, took=0.0, odd=[])
    job = _stand_in(visit, contents)
    bars: ZBars | None = None
    spans: dict[str, tuple[float, float]] = {}
    odd: list[str] = []
    start = time.perf_counter()
    if job.done and not job.error:
        values = _values(contents, form, number)
        rows = job.answer.expect(np.array([values[name] for name in job.answer.problem.names]))
        result = contents.result
        z = {one.key: one.z for one in rows}
        bars = z_bars(contents.measurements, z, {one.key: one.value for one in rows}, result.tolerance)
        spans = {one.key: (bars.at(one.low), bars.at(one.high)) for one in rows}
        odd = [one.key for one in rows if one.defined < 0.5]
    took = 1e3 * (time.perf_counter() - start)
    return render("expected.html.j2", visit=visit, job=job, bars=bars, spans=spans, number=number, took=took, odd=odd)


def _moved(visit: Visit, form: Form) -> str:
    return _expected(visit, form, chosen(form.get("number"), len(contents_of(visit).shown), 1))


def _simulate(visit: Visit, form: Form) -> str:
    """Ask NEURON for the values that the sliders have."""
    check_consent(visit, form)
    contents = contents_of(visit)
    values = _values(contents, form, chosen(form.get("number"), len(contents.shown), 1))
    folder, table = Path(contents.result.problem_folder), contents.result.measurements_file
    key = ",".join(f"{name}={value:.9g}" for name, value in values.items())
    visit.window.jobs.begin(
        ("moved", contents.run, key), "NEURON simulates", lambda: simulate_once(load_problem(folder, table), values)
    )
    return _simulated(visit, key)


def _simulated(visit: Visit, key: str) -> str:
    """#simulated: what NEURON says, or that it is at work."""
    contents = contents_of(visit)
    job = visit.window.jobs.get(("moved", contents.run, key))
    if job is None:
        raise GbarError("this was asked of a server that has ended: move a slider again")
    bars = None
    once: Once | None = job.answer
    if once is not None:
        bars = z_bars(contents.measurements, once.z, once.values, contents.result.tolerance)
    return render("simulated.html.j2", visit=visit, job=job, bars=bars, key=key)


SOLUTIONS = Screen(
    "solutions",
    "Solutions",
    _body,
    [
        action("/solutions/compared", _compared),
        action(
            "/solutions/sliders",
            lambda visit, form: _sliders_part(visit, chosen(form.get("number"), len(contents_of(visit).shown), 1)),
        ),
        fragment("/solutions/expected", lambda visit: _moved(visit, visit.query)),
        action("/solutions/expected", _moved),
        action("/solutions/simulate", _simulate),
        fragment("/solutions/simulated", lambda visit: _simulated(visit, visit.query.get("key", ""))),
    ],
    group="answer",
    ready=needs_sets,
    scripts=("solutions.js",),
)
