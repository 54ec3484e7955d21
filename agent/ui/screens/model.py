"""My model: choose a folder, see what could be loaded, load it, and see what it holds and what is wrong."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import Response
from tomlkit import TOMLDocument

from gbar.agent.ui import anatomy
from gbar.agent.ui.editing import edit, keep_if_it_loads
from gbar.agent.ui.forms import number
from gbar.agent.ui.jobs import Job
from gbar.agent.ui.pages import Form, Screen, Visit, action, fragment, go, render
from gbar.agent.ui.runs import stamp
from gbar.agent.ui.screens.consent import check_consent
from gbar.sim import GbarError, Problem, load_problem
from gbar.sim.setup import (
    ModelCandidate,
    Outline,
    begin,
    bundled,
    copy_bundled,
    find_candidates,
    find_celsius,
    find_mechanisms,
    notes,
    outline,
    tried,
)


def _body(visit: Visit) -> str:
    if visit.folder is None:
        return _choosing(visit)
    if not (visit.folder / "problem.toml").is_file():
        return _beginning(visit)
    problem, error = visit.loaded
    text = (visit.folder / "problem.toml").read_text(encoding="utf-8", errors="replace")
    return render("model.html.j2", visit=visit, problem=problem, error=error, text=text, state=state(visit))


def _choosing(visit: Visit) -> str:
    places = visit.window.places
    problems = [(places.named(folder), visit.link("model", folder=folder)) for folder in places.problems()]
    others = [(places.named(folder), visit.link("model", folder=folder)) for folder in places.candidates()]
    return render(
        "choosing.html.j2", visit=visit, problems=problems, others=others, examples=bundled(), roots=places.roots
    )


@dataclass(frozen=True)
class Loadable:
    """A file that could be loaded, and what it holds."""

    load: str
    template: str
    words: str


def _beginning(visit: Visit) -> str:
    """A folder without a problem.toml: what could be loaded."""
    folder = visit.folder
    assert folder is not None
    found = [Loadable(c.load, c.template or "", _holds(folder, c)) for c in find_candidates(folder)]
    said = find_celsius(folder)
    return render(
        "beginning.html.j2",
        visit=visit,
        found=found,
        mechanisms=find_mechanisms(folder),
        celsius=said,
        job=visit.window.jobs.get(("begin", folder)),
    )


def _holds(folder: Path, candidate: ModelCandidate) -> str:
    """A candidate in words."""
    suffix = Path(candidate.load.partition(":")[0]).suffix.lower()
    if candidate.template:
        return f"template {candidate.template}"
    if suffix == ".py":
        return "a Python function or class that makes a cell"
    return "a traced morphology, without channels" if suffix in {".swc", ".asc"} else "a hoc file that makes sections"


def _begin(visit: Visit, form: Form) -> str:
    """What `gbar init` does, with the file that was chosen."""
    folder = visit.folder
    if folder is None:
        raise GbarError("no folder is chosen")
    check_consent(visit, form)
    load, _, template = str(form.get("load", "")).partition("|")
    celsius = number(form.get("celsius"), "temperature")
    visit.window.jobs.begin(
        ("begin", folder),
        "Building the mechanisms, loading the model and trying what makes it fire",
        lambda: begin(folder, load or None, template or None, celsius),
        again=True,
    )
    return _wait_for_begin(visit)


def _wait_for_begin(visit: Visit) -> str:
    return render("begun.html.j2", visit=visit, job=visit.window.jobs.get(("begin", visit.folder)))


def _begun(visit: Visit) -> str | Response:
    if visit.folder and (visit.folder / "problem.toml").is_file():
        job = visit.window.jobs.get(("begin", visit.folder))
        if job is None or job.done:
            return go(visit.link("model"))
    return _wait_for_begin(visit)


# --- a problem: what it holds


def outline_job(visit: Visit, problem: Problem) -> Job | None:
    """What a look at the model finds: begun where the user has said that it may be loaded; None where not."""
    if not visit.trusted:
        return None
    key = ("outline", problem.folder, problem.identity())
    return visit.window.jobs.begin(key, "Loading the model", lambda: outline(problem))


def outlined(visit: Visit, problem: Problem) -> Outline | None:
    """What was found, if it was; nobody waits."""
    job = outline_job(visit, problem)
    found: Outline | None = job.answer if job is not None and job.done else None
    return found


def state(visit: Visit) -> str:
    """#holds: what the model holds, as soon as it is known."""
    problem, _ = visit.loaded
    if problem is None:
        return ""
    job = outline_job(visit, problem)
    found: Outline | None = job.answer if job else None
    checking: Job | None = None
    if found is not None:
        key = ("check", problem.folder, problem.identity(), _stamp(problem))
        checking = visit.window.jobs.begin(key, "Trying the parameters, and engines", lambda: _checked(problem.folder))
    return render(
        "holds.html.j2",
        visit=visit,
        problem=problem,
        job=job,
        found=found,
        tree=anatomy.tree(found) if found else None,
        shape=anatomy.shape(found) if found else None,
        groups=anatomy.groups(found) if found else [],
        checking=checking,
    )


def _stamp(problem: Problem) -> tuple[int, int]:
    """When problem.toml and the table were changed: a check is about both."""
    table = problem.measurements_file
    return stamp(problem.file), stamp(table) if table else 0


def _checked(folder: Path) -> tuple[list[str], str]:
    """What `gbar check` says: notes, and the engine."""
    problem = load_problem(folder, measured=False)
    found = tried(problem)
    engine = f"{found.choice.engine}: {found.choice.why}" if found.choice else ""
    return list(notes(problem, found)), engine


def _load(visit: Visit, form: Form) -> str:
    check_consent(visit, form)
    return state(visit)


def _save(visit: Visit, form: Form) -> Response:
    """problem.toml as text: kept only where it can be read as a problem."""
    assert visit.folder is not None
    file = visit.folder / "problem.toml"
    keep_if_it_loads(file, str(form.get("text", "")).replace("\r\n", "\n"))
    return go(visit.link("model"))


def _warm(visit: Visit, form: Form) -> Response:
    """Another temperature, another start."""
    given = {key: number(form.get(key), key) for key in ("celsius", "v_init")}

    def change(document: TOMLDocument) -> None:
        model: Any = document["model"]
        for key, value in given.items():
            if value is not None and float(model[key]) != value:
                model[key] = value

    edit(visit.problem, change)
    return go(visit.link("model"))


def _example(visit: Visit, form: Form) -> Response:
    """A bundled problem, copied into the first folder."""
    into = visit.window.places.roots[0]
    return go(visit.link("model", folder=copy_bundled(str(form.get("name")), into)))


MODEL = Screen(
    "model",
    "My model",
    _body,
    [
        action("/model/begin", _begin),
        fragment("/model/begun", _begun),
        action("/model/load", _load),
        fragment("/model/holds", state),
        action("/model/save", _save),
        action("/model/warm", _warm),
        action("/model/example", _example),
    ],
)
