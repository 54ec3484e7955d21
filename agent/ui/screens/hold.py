"""Will it hold?: a solution under other conditions, and beside measurements that were held out."""

import itertools
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gbar.agent.report import Tick, around, words
from gbar.agent.result import Condition, Hold, read_hold
from gbar.agent.ui.drawing import ZBars, z_bars
from gbar.agent.ui.forms import chosen
from gbar.agent.ui.jobs import Job
from gbar.agent.ui.pages import Form, Screen, Visit, action, fragment, render
from gbar.agent.ui.runs import gbar
from gbar.agent.ui.screens.answer import contents_of, needs_sets
from gbar.agent.ui.screens.consent import check_consent
from gbar.agent.ui.tables import folders_of, tables_in
from gbar.sim import GbarError


@dataclass(frozen=True)
class Sensitivity:
    """What a parameter does to a solution."""

    parameter: str
    cells: list[tuple[str, bool]]  # largest |z| and whether it holds, for each change


@dataclass(frozen=True)
class Curve:
    """Rate against current: places in %."""

    points: list[tuple[float, float]]
    lines: list[tuple[float, float, float, float]]  # between them
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True)
class Shown:
    """What was found, in words."""

    found: Hold
    lead: str
    plain: list[tuple[Condition, str, bool]]  # condition, largest |z|, whether it holds
    changes: list[str]
    sensitivities: list[Sensitivity]
    curve: Curve | None
    bars: ZBars | None
    kept_out: str  # name of the table


def _shown(run: Path, number: int) -> Shown | None:
    found = read_hold(run, number)
    if found is None:
        return None
    single = [c for c in found.conditions if c.group == "parameter"]
    changes = list(dict.fromkeys(c.change for c in single))
    names = list(dict.fromkeys(c.what for c in single))
    of = {(c.what, c.change): (_worst(c), found.holds(c)) for c in single}
    others = [(c, _worst(c), found.holds(c)) for c in found.conditions if c.group != "parameter"]
    kept = sum(found.holds(c) for c in found.conditions[1:])
    bars = None
    if found.held_out:
        rows = found.held_out
        z = {row.found.feature: row.found.z for row in rows}
        bars = z_bars(
            [row.measured for row in rows], z, {r.found.feature: r.found.value for r in rows}, found.tolerance
        )
    return Shown(
        found,
        f"Holds under {kept} of {words.count(len(found.conditions) - 1, 'change')}",
        others,
        changes,
        [Sensitivity(name, [of[name, change] for change in changes]) for name in names],
        _curve(found),
        bars,
        Path(found.held_out_file).name,
    )


def _worst(condition: Condition) -> str:
    if condition.failed:
        return condition.failed
    return f"{condition.furthest} not defined" if condition.max_abs_z is None else f"{condition.max_abs_z:.2f}"


def _curve(found: Hold) -> Curve | None:
    if not found.curve:
        return None
    x = around([0.0, *(point.current for point in found.curve)], 0.02)
    y = around([0.0, *(point.rate for point in found.curve)], upright=True)
    points = [(x.at(p.current), y.at(p.rate)) for p in found.curve]
    lines = [(*a, *b) for a, b in itertools.pairwise(points)]
    return Curve(points, lines, x.ticks(5), y.ticks(4))


def _number(visit: Visit, text: object) -> int:
    contents = contents_of(visit)
    return chosen(text, len(contents.shown), contents.best + 1)


def _job(visit: Visit, number: int) -> Job | None:
    return visit.window.jobs.get(("hold", contents_of(visit).run, number))


def _part(visit: Visit, number: int) -> str:
    """#held: what was found of a solution, or that it is being looked at."""
    contents = contents_of(visit)
    job = _job(visit, number)
    return render("held.html.j2", visit=visit, number=number, job=job, shown=_shown(contents.run, number))


def _body(visit: Visit) -> str:
    contents = contents_of(visit)
    number = _number(visit, visit.query.get("number"))
    return render(
        "hold.html.j2",
        visit=visit,
        number=number,
        count=len(contents.shown),
        tables=_tables(visit, contents.result.measurements_file),
        going=contents.state,
        held=_part(visit, number),
        word="Solution" if contents.result.solutions else "Compromise",
    )


def _tables(visit: Visit, used: str) -> list[tuple[str, str]]:
    """Tables of the folder that the run did not know."""
    problem = visit.problem
    kept = [f for folder in folders_of(problem) for f in tables_in(folder) if str(f) != used]
    return [(str(f), f.relative_to(problem.folder).as_posix()) for f in kept[:40]]


def _begin(visit: Visit, form: Form) -> str:
    """Have it simulated: by `gbar verify --hold` in a process of its own, which leaves a file in the run's folder."""
    check_consent(visit, form)
    contents, number = contents_of(visit), _number(visit, form.get("number"))
    if contents.state:
        raise GbarError("the run is not over: wait for it, or stop it")
    words = ["verify", str(contents.run), "--hold", str(number)]
    if table := str(form.get("held_out") or ""):
        words += ["--held-out", str(visit.window.places.inside(table))]

    def work() -> None:
        done = subprocess.run(**gbar(words), capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"gbar verify ended with {done.returncode}"]
            raise GbarError(said[-1].removeprefix("gbar: "))

    count = 4 * len(contents.result.parameters)
    visit.window.jobs.begin(
        ("hold", contents.run, number), f"NEURON simulates {count} changes of parameters, and more", work, again=True
    )
    return _part(visit, number)


HOLD = Screen(
    "hold",
    "Will it hold?",
    _body,
    [
        action("/hold/begin", _begin),
        fragment("/hold/part", lambda visit: _part(visit, _number(visit, visit.query.get("number")))),
    ],
    group="answer",
    ready=needs_sets,
)
