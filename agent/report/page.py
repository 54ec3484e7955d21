"""The page itself: what is on it, put together from the run folder by one template."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gbar.agent.report import (
    closeup,
    files,
    firing,
    lead,
    limits,
    pairs,
    search,
    space,
    trust,
    voltages,
    words,
    zbars,
)
from gbar.agent.report.contents import Contents, read_contents
from gbar.sim.files import write_whole

HERE = Path(__file__).parent


class Numbered(Protocol):
    """What is drawn of one solution."""

    @property
    def number(self) -> int: ...


Drawn = TypeVar("Drawn", bound=Numbered)


def write_report(run: Path) -> Path:
    """Write RUN/report.html, one self-contained page, from result.json, predictions.csv and traces.npz in RUN.

    Of a run that is still going, or was ended from outside, from progress.json and live.npz; the page says so.

    The latter two may be absent; what they would show is left out. The stimuli come from the problem's folder, recorded
    sweeps from beside the table of measurements; they are left out when these are gone.

    Returns:
        The page's file.

    Raises:
        GbarError: no run folder, or a file in it is not what gbar writes.
    """
    run = Path(run)
    file = run / "report.html"
    write_whole(file, render(read_contents(run)))
    return file


def render(contents: Contents) -> str:
    """The page as text."""
    template = _environment().get_template("page.html.j2")
    return template.render(
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((HERE / "page.js").read_text(encoding="utf-8")),
        result=contents.result,
        state=contents.state,
        shown=contents.shown,
        measurements=contents.measurements,
        best=contents.best + 1,
        word="solution" if contents.result.solutions else "compromise",
        lead=lead.lead(contents),
        commands=lead.commands(contents),
        chart=zbars.chart(contents),
        plots=voltages.plots(contents),
        drawn=len(voltages.drawn(contents)),
        frame=(voltages.WIDTH, voltages.HEIGHT),
        close_ups=closeup.close_ups(contents),
        rate_curves=firing.rate_curves(contents),
        pairs=pairs.pairs(contents),
        more_pairs=max(0, len(contents.result.compensating) - pairs.MOST),
        files=files.files(contents),
        findings=limits.findings(contents.result),
        strips=space.strips(contents),
        unconstrained=space.unconstrained(contents),
        best_curve=search.best(contents),
        found_curve=search.found(contents),
        makers=search.makers(contents),
        assessments=trust.assessments(contents),
        trust_summary=trust.summary(contents),
        trust_plots=trust.plots(contents),
        trust_size=trust.SIZE,
        trust_levels=(trust.GOOD, trust.USABLE, round(100 * trust.GOOD_COVERAGE), round(100 * trust.USABLE_COVERAGE)),
    )


def _front_last(drawn: Iterable[Drawn], best: int) -> list[Drawn]:
    """What is drawn of each solution, the one in front last: SVG draws that on top."""
    return sorted(drawn, key=lambda one: one.number == best)


FILTERS = {
    "number": words.number,
    "short": words.short,
    "breakable": words.breakable,
    "z": words.z_score,
    "unit": words.unit_of,
    "count": words.count,
    "listed": words.listed,
    "minutes": words.minutes,
    "sort_front": _front_last,
}  # of the templates, and of those that use their parts


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= FILTERS
    return environment
