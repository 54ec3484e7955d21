"""My measurements: a table that is typed, pasted, or measured from recordings; kept as the CSV that commands read."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

from gbar.agent.ui import glossary
from gbar.agent.ui.editing import name_table
from gbar.agent.ui.forms import checked_name
from gbar.agent.ui.pages import Form, Screen, Visit, action, go, needs_problem, render
from gbar.agent.ui.screens import recordings
from gbar.agent.ui.tables import tables_of
from gbar.sim import GbarError, Problem
from gbar.sim.features import catalogue, known_features
from gbar.sim.files import write_whole
from gbar.sim.problem import (
    DEMANDS,
    ReadRow,
    ResponseKey,
    TypedRow,
    doubts,
    editable,
    pasted,
    read_rows,
    rewritten,
    sd_floor,
)

FIELDS = TypedRow._fields[:-1]  # but for the line


@dataclass(frozen=True)
class ShownRow:
    """A row of the form, and what gbar makes of it."""

    typed: TypedRow
    error: str
    said: str  # how it was read, and what a modeller would ask


USUAL = {  # what a lab measures, by what the stimulus does
    "hyperpolarise": ("voltage_base", "ohmic_input_resistance", "time_constant", "sag_ratio1", "membrane_capacitance"),
    "rheobase": ("rheobase", "AP_begin_voltage", "voltage_base"),
    "pulse": (
        "AP_amplitude_from_voltagebase",
        "AP_duration_half_width",
        "AHP_depth",
        "AHP_half_decay_time",
        "AHP_duration",
    ),
    "depolarise": ("mean_frequency", "time_to_first_spike", "inv_first_ISI", "inv_last_ISI", "AP_height", "ISI_CV"),
    "fi": ("f_I_gain",),
}


@dataclass(frozen=True)
class Offer:
    """A feature that could be measured under a protocol."""

    protocol: str
    word: glossary.Word
    own: str  # the model's own value, from a row that is there as a comment
    usual: bool
    line: int


def _table_of(visit: Visit, problem: Problem) -> Path | None:
    """The table that is edited: the one named in the address, else the problem's own, else the first."""
    named = visit.query.get("table")
    if named:
        return visit.window.places.inside(named)
    own = problem.measurements_file
    if own is not None and own.is_file():
        return own
    return next(iter(tables_of(problem)), None)


def _body(visit: Visit) -> str:
    problem = visit.problem
    table = _table_of(visit, problem)
    found, error = None, ""
    try:
        found = editable(table) if table is not None else None
    except GbarError as wrong:
        error = str(wrong)
    rows = found.rows if found else []
    return render(
        "measurements.html.j2",
        visit=visit,
        problem=problem,
        table=table,
        tables=tables_of(problem),
        error=error,
        form=_form(visit, problem, table, rows, read_rows(rows, problem)),
        recordings=recordings.section(visit),
    )


def _form(
    visit: Visit,
    problem: Problem,
    table: Path | None,
    rows: Sequence[TypedRow],
    read: Sequence[ReadRow],
    said: str = "",
) -> str:
    """#table: the rows as they are typed, what is made of them, and what else could be measured."""
    shown = [
        ShownRow(row, "" if row.is_empty and not row.line else one.error, _said(one))
        for row, one in zip(rows, read, strict=True)
    ]
    try:
        found = editable(table) if table is not None and table.is_file() else None
    except GbarError:
        found = None
    return render(
        "table.html.j2",
        visit=visit,
        problem=problem,
        table=table,
        plain=found is None or found.plain,
        rows=shown,
        demands=[name for name in DEMANDS if any(getattr(row, name) for row in rows)],
        said=said,
        digest=_digest(table),
        wrong=sum(bool(row.error) for row in shown),
        offers=_offers(problem, rows, found.suggested if found else []),
        features={name: _known(problem, name) for name in problem.responses},
        saved_as=_target(problem, table).name,
    )


def _known(problem: Problem, response: str) -> list[str]:
    protocol = problem.protocol[ResponseKey.parse(response).protocol]
    return sorted(known_features(protocol.kind, problem.variable(response)))


def _said(one: ReadRow) -> str:
    """Beside a row: how it was read, and what is doubtful in it."""
    m = one.measurement
    if m is None:
        return ""
    floor = sd_floor(m.unit).recorded
    tiny = (
        f"an SD of {m.sd:g} is less than electrodes leave open ({floor:g} {m.unit}): is it a SEM?"
        if m.sd < floor
        else ""
    )
    return "; ".join(part for part in (m.said, doubts(m), tiny) if part)


def _offers(problem: Problem, rows: Sequence[TypedRow], suggested: Sequence[TypedRow]) -> list[Offer]:
    """What is usually measured under each protocol and is not in the table; with the model's own value where known."""
    taken = {(row.protocol, row.feature) for row in rows}
    there = {(row.protocol, row.feature): row for row in suggested}
    found = []
    for name in problem.responses:
        key = ResponseKey.parse(name)
        stimulus = problem.stimuli.get(key.protocol)
        kind, variable = problem.protocol[key.protocol].kind, problem.variable(name)
        sign = stimulus.sign if stimulus else 0.0
        catalogued = catalogue(kind, sign, variable)
        role = kind if kind in USUAL else "hyperpolarise" if sign < 0 else "depolarise"
        mine = [feature for protocol, feature in there if protocol == name]
        for feature in dict.fromkeys([*mine, *(f for f in catalogued if f in glossary.WORDS)]):
            if (name, feature) not in taken:
                row = there.get((name, feature))
                own = row.mean if row and row.mean != "MEAN" else ""
                usual = row is not None or feature in USUAL[role]
                found.append(Offer(name, glossary.word(feature, variable), own, usual, row.line if row else 0))
    return found


def _digest(table: Path | None) -> str:
    """What the file was when the form was made: somebody else may write it meanwhile."""
    return hashlib.sha256(table.read_bytes()).hexdigest()[:16] if table is not None and table.is_file() else "none"


def _typed(form: Form) -> list[TypedRow]:
    columns = [form.get(f"{name}[]", []) for name in FIELDS]
    lines = form.get("line[]", [])
    return [
        TypedRow(**dict(zip(FIELDS, map(str, cells), strict=True)), line=int(line))
        for *cells, line in zip(*columns, lines, strict=True)
    ]


def _edit(visit: Visit, form: Form) -> str:
    """Add, take out, paste, save: the whole form comes and goes; only saving writes."""
    problem = visit.problem
    table = _table_of(visit, problem)
    rows = _typed(form)
    op, _, which = str(form.get("op", "save")).partition(":")
    said = ""
    if op == "add":
        rows.append(TypedRow(protocol=rows[-1].protocol if rows else ""))
    elif op == "remove":
        del rows[int(which)]
    elif op == "paste":
        rows = [row for row in rows if not row.is_empty or row.line] + pasted(str(form.get("pasted", "")))
    elif op == "use":
        protocol, feature, line = which.split("|")
        unit = problem.unit_of(f"{protocol}.{feature}") or ""
        rows = [row for row in rows if not row.is_empty or row.line]
        rows.append(TypedRow(protocol, feature, unit=unit.replace("MΩ", "MOhm"), line=int(line)))
    else:
        return _save(visit, problem, table, rows, str(form.get("digest", "")))
    return _form(visit, problem, table, rows, read_rows(rows, problem), said)


def _save(visit: Visit, problem: Problem, table: Path | None, rows: list[TypedRow], digest: str) -> str:
    rows = [row for row in rows if not row.is_empty]
    read = read_rows(rows, problem)
    wrong = sum(bool(one.error) for one in read)
    if wrong:
        return _form(visit, problem, table, rows, read, f"Not saved yet: {wrong} to mend, marked below.")
    if _digest(table) != digest:
        raise GbarError("the table was written by something else meanwhile: reload the page, and enter this again")
    target = _target(problem, table)
    source = table if table == target and target.is_file() else None
    write_whole(target, rewritten(source, rows, problem))
    if problem.measurements_file is None or (table == problem.measurements_file and table != target):
        name_table(problem, target)
    fresh = editable(target).rows
    count = f"{len(fresh)} measurement{'s' * (len(fresh) != 1)}"
    return _form(visit, problem, target, fresh, read_rows(fresh, problem), f"Saved: {count} in {target.name}.")


def _target(problem: Problem, table: Path | None) -> Path:
    """Where the table is written: in its place, or as a CSV beside one that rows cannot be written into."""
    if table is None:
        return problem.folder / "measurements.csv"
    try:
        if not table.is_file() or editable(table).plain:
            return table
    except GbarError:
        pass
    return table.with_name(f"{table.stem}-edited.csv")


def _new(visit: Visit, form: Form) -> Response:
    """Another table, for another cell."""
    problem = visit.problem
    file = problem.folder / "measurements" / f"{checked_name(form.get('name')).removesuffix('.csv')}.csv"
    if file.exists():
        raise GbarError(f"{file.name} is there already: open it above, or give this one another name")
    file.parent.mkdir(exist_ok=True)
    write_whole(file, "protocol,feature,mean,sd,unit\n")
    return go(visit.link("measurements", table=file))


MEASUREMENTS = Screen(
    "measurements",
    "My measurements",
    _body,
    [
        action("/measurements/edit", _edit),
        action("/measurements/new", _new),
        *recordings.ROUTES,
    ],
    ready=needs_problem,
    scripts=("traces.js", "recordings.js"),
)
