"""Protocols: what is put in and recorded, drawn; changed, added and taken out in problem.toml."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from tomlkit import TOMLDocument

from gbar.agent.report import words
from gbar.agent.ui.editing import edit
from gbar.agent.ui.forms import needed
from gbar.agent.ui.pages import Form, Screen, Visit, action, fragment, needs_problem, render
from gbar.agent.ui.screens.consent import check_consent
from gbar.agent.ui.stimuli import HEIGHT, WIDTH, Drawn, drawn
from gbar.sim import GbarError, Problem, load_problem
from gbar.sim.problem import KINDS, Stimulus, unit_in
from gbar.sim.setup import seconds_each

KEYS = (  # that have a field, in this order
    "amplitude", "relative_to", "percent", "holding", "first", "sd", "tau", "width", "frequency", "voltage", "tail",
    "weight", "tau1", "tau2", "e", "bounds", "precision", "delay", "duration", "total", "at", "record", "file", "scale",
    "steps",
)  # fmt: skip
WORDS = {"at", "record", "file", "relative_to"}
LISTS = {"bounds", "steps"}
NEW: dict[str, dict[str, Any]] = {
    "step": {"amplitude": 0.1, "delay": 300.0, "duration": 500.0, "total": 900.0},
    "pulse": {"amplitude": 1.0, "delay": 300.0, "duration": 1.0, "total": 600.0},
    "ramp": {"amplitude": 0.5, "delay": 300.0, "duration": 1000.0, "total": 1400.0},
    "rheobase": {"bounds": [0.0, 2.0], "precision": 0.01, "delay": 300.0, "duration": 50.0, "total": 450.0},
    "train": {"amplitude": 1.0, "width": 1.0, "frequency": 20.0, "delay": 300.0, "duration": 500.0, "total": 900.0},
}


@dataclass(frozen=True)
class Field:
    """One key of a protocol."""

    key: str
    value: str
    unit: str
    words: str


@dataclass(frozen=True)
class Card:
    """One protocol."""

    name: str
    kind: str
    words: str
    picture: Drawn | None
    recorded: str
    fields: list[Field]
    measured: list[str]
    seconds: str


def _cards(problem: Problem, seconds: Mapping[str, float]) -> list[Card]:
    found = []
    for name, protocol in problem.protocol.items():
        stimulus = protocol if isinstance(protocol, Stimulus) else None
        said = words.signed(stimulus.brief) if stimulus else f"relates {', '.join(getattr(protocol, 'steps', ()))}"
        found.append(
            Card(
                name,
                protocol.kind,
                said,
                drawn(stimulus) if stimulus else None,
                stimulus.record if stimulus else "",
                _fields(protocol),
                [m.feature for m in problem.measurements if m.under == name],
                f"{seconds[name]:.2g} s" if name in seconds else "",
            )
        )
    return found


def _fields(protocol: BaseModel) -> list[Field]:
    found = []
    for key in KEYS:
        if key not in type(protocol).model_fields:
            continue
        value = getattr(protocol, key)
        text = "" if value is None else ", ".join(map(_plain, value)) if key in LISTS else _plain(value)
        schema = type(protocol).model_json_schema()["properties"][key]
        unit = unit_in(schema)
        found.append(Field(key, text, unit, str(schema.get("description", "")).replace("`", "")))
    return found


def _plain(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _about(problem: Problem) -> tuple[str, ...]:
    """What the work of timing protocols is known by."""
    return "seconds", str(problem.folder), problem.identity()


def _body(visit: Visit) -> str:
    return render("protocols.html.j2", visit=visit, cards=cards(visit), kinds=list(NEW))


def cards(visit: Visit, said: str = "") -> str:
    """#cards."""
    problem = visit.problem
    job = visit.window.jobs.get(_about(problem))
    seconds = job.answer if job and job.done and job.answer else {}
    return render(
        "cards.html.j2",
        visit=visit,
        cards=_cards(problem, seconds),
        job=job,
        total=sum(seconds.values()),
        said=said,
        box=(WIDTH, HEIGHT),
    )


def _save(visit: Visit, form: Form) -> str:
    problem, name = visit.problem, str(form.get("name"))
    protocol = problem.protocol.get(name)
    if protocol is None:
        raise GbarError(f"no protocol '{name}': reload the page")
    changed: dict[str, Any] = {}
    for field in _fields(protocol):
        text = str(form.get(field.key, "")).strip()
        if text != field.value:
            changed[field.key] = _value(field.key, text)

    def change(document: TOMLDocument) -> None:
        tables: Any = document["protocol"]
        table = tables[name]
        for key, value in changed.items():
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value

    if changed:
        edit(problem, change)
    return cards(visit.again(), f"Saved: {name}.")


def _value(key: str, text: str) -> Any:
    if not text:
        return None
    if key in WORDS:
        return text
    parts = [part.strip() for part in re.split(r"[,;]\s+|[,;](?=\D)|…", text)] if key in LISTS else [text]
    if key == "steps":
        return parts
    numbers = [needed(part, key) for part in parts]
    return numbers if key in LISTS else numbers[0]


def _add(visit: Visit, form: Form) -> str:
    problem = visit.problem
    name, kind = str(form.get("name", "")).strip(), str(form.get("kind"))
    if not re.fullmatch(r"\w+", name):
        raise GbarError(f"'{name}': expected a name of letters and digits, such as fire_150")
    if name in problem.protocol:
        raise GbarError(f"{name} is there already: give this one another name")
    if kind not in KINDS or kind not in NEW:
        raise GbarError(f"no kind '{kind}'")
    other = next(iter(problem.stimuli.values()), None)
    site = {} if other is None else {"at": other.at, "record": other.record}
    site = {key: value for key, value in site.items() if value != Stimulus.model_fields[key].default}

    def change(document: TOMLDocument) -> None:
        import tomlkit

        table = tomlkit.table()
        for key, value in {"kind": kind, **site, **NEW[kind]}.items():
            table[key] = value
        tables: Any = document["protocol"]
        tables[name] = table

    edit(problem, change)
    return cards(visit.again(), f"Added: {name}. Put in what was injected on the rig.")


def _remove(visit: Visit, form: Form) -> str:
    problem, name = visit.problem, str(form.get("name"))

    def change(document: TOMLDocument) -> None:
        tables: Any = document["protocol"]
        del tables[name]

    if name in problem.protocol:
        edit(problem, change)
    return cards(visit.again(), f"Taken out: {name}.")


def _time(visit: Visit, form: Form) -> str:
    """Simulate each protocol alone, to see what it costs."""
    check_consent(visit, form)
    problem, folder = visit.problem, visit.problem.folder
    visit.window.jobs.begin(
        _about(problem),
        "Simulating each protocol once",
        lambda: seconds_each(load_problem(folder, measured=False)),
        again=True,
    )
    return cards(visit)


PROTOCOLS = Screen(
    "protocols",
    "Protocols",
    _body,
    [
        fragment("/protocols/cards", cards),
        action("/protocols/save", _save),
        action("/protocols/add", _add),
        action("/protocols/remove", _remove),
        action("/protocols/time", _time),
    ],
    ready=needs_problem,
)
