"""Take it away: a solution as files that need no gbar, the command that repeats the run, a paragraph for a paper."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from starlette.responses import FileResponse, Response

from gbar.agent.export import export_methods, export_solution, export_table, methods
from gbar.agent.report import commands
from gbar.agent.ui.forms import chosen
from gbar.agent.ui.jobs import Job
from gbar.agent.ui.pages import Form, Screen, Visit, action, fragment, render
from gbar.agent.ui.screens.answer import contents_of, needs_sets
from gbar.agent.ui.screens.consent import check_consent
from gbar.sim import GbarError


@dataclass(frozen=True)
class Offer:
    """A form that a solution can be had in."""

    form: str
    title: str
    words: str
    every: bool = False  # of all solutions, not of one


OFFERS = [
    Offer("hoc", "NEURON, hoc", "Your model with the parameters set; nrngui shows a RunControl, stimuli and voltage."),
    Offer("python", "Python", "A script that needs neuron and efel alone, and prints the measured table again."),
    Offer("bluepyopt", "BluePyOpt", "Its fixed parameters, as JSON."),
    Offer("json", "JSON", "Parameters with places and bounds, features beside measurements."),
    Offer("csv", "Spreadsheet", "All of them: parameters, features and z.", True),
    Offer("methods", "Methods", "The paragraph below, as a text file.", True),
]  # fmt: skip


def _body(visit: Visit) -> str:
    contents = contents_of(visit)
    count = len(contents.shown)
    solutions = bool(contents.result.solutions)
    number = chosen(visit.query.get("number"), count, contents.best + 1)
    return render(
        "take.html.j2",
        visit=visit,
        number=number if solutions else 0,
        count=count if solutions else 0,
        offers=[offer for offer in OFFERS if solutions or not offer.every],
        commands=commands(contents),
        paragraph="" if contents.state else methods(contents.result),
        going=contents.state,
        run=contents.run,
    )


def _take(visit: Visit, form: Form) -> str:
    """Write the files; hoc asks the model where its places are, in a process of its own."""
    contents, to = contents_of(visit), str(form.get("to", ""))
    offer = next((offer for offer in OFFERS if offer.form == to), None)
    if offer is None:
        raise GbarError(f"'{to}': no form that a solution can be had in")
    if to == "hoc":
        check_consent(visit, form)
    run, text = contents.run, str(form.get("number", "0"))
    number = int(text) if text.isdigit() else 0

    def work() -> list[Path]:
        if to == "methods":
            return export_methods(run)
        return export_table(run, "csv") if to == "csv" else export_solution(run, number, cast(Any, to))

    key = f"{to} {0 if offer.every else number}"
    visit.window.jobs.begin(("take", run, key), f"Writing {offer.title}", work, again=True)
    return _taken(visit, key)


def _taken(visit: Visit, key: str) -> str:
    """#taken: where the files are."""
    run = contents_of(visit).run
    job: Job | None = visit.window.jobs.get(("take", run, key))
    if job is None:
        raise GbarError("this was asked of a server that has ended: ask again")
    files = [(file, file.relative_to(run).as_posix()) for file in job.answer or []]
    return render("taken.html.j2", visit=visit, job=job, key=key, files=files, run=run)


def _file(visit: Visit) -> str | Response:
    """One of a run's files, to be saved."""
    run = contents_of(visit).run
    file = (run / str(visit.query.get("file", ""))).resolve()
    if not file.is_relative_to((run / "solutions").resolve()) or not file.is_file():
        raise GbarError("no such file among the solutions of this run")
    return FileResponse(file, filename=file.name, media_type="application/octet-stream")


TAKE = Screen(
    "take",
    "Take it away",
    _body,
    [
        action("/take/write", _take),
        fragment("/take/taken", lambda visit: _taken(visit, visit.query.get("key", ""))),
        fragment("/take/file", _file),
    ],
    group="answer",
    ready=needs_sets,
)
