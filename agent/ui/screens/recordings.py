"""Recordings, a part of My measurements: files dropped, sweeps looked at, and measured as `gbar recordings` does."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import Route

from gbar.agent.ui.editing import name_table
from gbar.agent.ui.forms import number
from gbar.agent.ui.jobs import Job
from gbar.agent.ui.live import Line, Plot, packed
from gbar.agent.ui.pages import Form, Visit, action, fragment, render
from gbar.sim import GbarError, Problem, load_problem
from gbar.sim.files import read_json, write_whole
from gbar.sim.recordings import SUFFIXES, Findings, LookedAt, Reading, look, measure_recordings, write

FOLDER = "measurements/recordings"  # in the problem's: no part of the model
CHOICES = "reading.json"  # beside them
SHOWN = 60  # sweeps
PEAK_MS, AFTER_MS = 3.0, 60.0  # after a spike has crossed the threshold: its peak, its trough


@dataclass(frozen=True)
class Choices:
    """How the recordings are read: kept beside them."""

    junction: float = 0.0
    voltage_unit: str = ""
    current_unit: str = ""
    cells: str = "folder"
    no_holding: bool = False
    create: bool = True
    relative: bool = False
    left_out: tuple[str, ...] = ()
    windows: tuple[tuple[str, float, float], ...] = ()

    @property
    def reading(self) -> Reading:
        """The same for the functions that the command calls."""
        units = self.voltage_unit or None, self.current_unit or None
        return Reading(self.junction, *units, self.cells, self.no_holding, left_out=self.left_out, windows=self.windows)


def _folder(problem: Problem) -> Path:
    return problem.folder / FOLDER


def files_of(problem: Problem) -> list[Path]:
    """The recordings that were dropped."""
    folder = _folder(problem)
    return (
        sorted(f for f in folder.glob("*") if f.suffix.lower() in SUFFIXES and f.is_file()) if folder.is_dir() else []
    )


def choices_of(problem: Problem) -> Choices:
    """As they were left."""
    try:
        found = read_json(_folder(problem) / CHOICES)
        found["left_out"] = tuple(found.get("left_out", ()))
        found["windows"] = tuple((str(name), float(a), float(b)) for name, a, b in found.get("windows", ()))
        return Choices(**found)
    except (GbarError, TypeError, ValueError, AttributeError):
        return Choices()


def _keep(problem: Problem, choices: Choices) -> None:
    write_whole(_folder(problem) / CHOICES, json.dumps(choices.__dict__, indent=1) + "\n")


def looked_job(visit: Visit, problem: Problem) -> Job | None:
    """What the sweeps are, read in a thread; None without recordings."""
    files = files_of(problem)
    if not files:
        return None
    choices = choices_of(problem)
    stamp = tuple((file.name, file.stat().st_mtime_ns) for file in files)
    key = ("sweeps", problem.folder, stamp, choices, problem.file.stat().st_mtime_ns)
    return visit.window.jobs.begin(key, "Reading the recordings", lambda: look(problem, files, choices.reading))


def short(name: str) -> str:
    """A sweep's name without its folder."""
    return Path(name).name


def section(visit: Visit) -> str:
    """#recordings."""
    problem = visit.problem
    files, job = files_of(problem), looked_job(visit, problem)
    looked: Sequence[LookedAt] = (job.answer or []) if job else []
    measuring = visit.window.jobs.get(("measure recordings", problem.folder))
    choices = choices_of(problem)
    return render(
        "recordings.html.j2",
        visit=visit,
        files=files,
        job=job,
        sweeps=looked[:SHOWN],
        more=max(0, len(looked) - SHOWN),
        used=sum(not one.reason for one in looked),
        choices=choices,
        moved={short(name) for name, _, _ in choices.windows},
        short=short,
        suffixes=SUFFIXES,
        measuring=measuring,
        said=_said(measuring),
    )


def _said(measuring: Job | None) -> list[str]:
    found: Findings | None = measuring.answer[0] if measuring and measuring.done and measuring.answer else None
    return [found.title(), *found.notes()] if found else []


def _drop(visit: Visit, form: Form) -> str:
    """Keep the files that were dropped. Raises GbarError for what is no recording."""
    problem = visit.problem
    given = [one for one in form.get("files", []) if isinstance(one, UploadFile) and one.filename]
    if not given:
        raise GbarError(f"no file: expected recordings, {', '.join(SUFFIXES)}")
    for one in given:
        name = re.sub(r"[^\w.+() -]", "_", Path(str(one.filename).replace("\\", "/")).name).lstrip(".")
        if Path(name).suffix.lower() not in SUFFIXES:
            raise GbarError(f"{name}: no recording that can be read: expected one of {', '.join(SUFFIXES)}")
        _folder(problem).mkdir(parents=True, exist_ok=True)
        with (_folder(problem) / name).open("wb") as kept:
            shutil.copyfileobj(one.file, kept)
    return section(visit)


def _choose(visit: Visit, form: Form) -> str:
    """Leave a sweep out, move its step, say how files are read."""
    problem = visit.problem
    now = choices_of(problem).__dict__
    op, name = str(form.get("op", "reading")), str(form.get("sweep", ""))
    if op == "use":
        out = set(now["left_out"])
        now["left_out"] = tuple(sorted(out - {name} if name in out else out | {name}))
    elif op in {"window", "as found"}:
        others = [one for one in now["windows"] if one[0] != name]
        moved = [(name, *(number(form.get(end), end) or 0.0 for end in ("start", "end")))] if op == "window" else []
        now["windows"] = (*others, *moved)
    else:
        now |= {key: str(form.get(key, "")) for key in ("voltage_unit", "current_unit", "cells")}
        now |= {key: bool(form.get(key)) for key in ("no_holding", "create", "relative")}
        now["junction"] = number(form.get("junction"), "junction") or 0.0
    _keep(problem, Choices(**now))
    return section(visit)


def _measure(visit: Visit, form: Form) -> str:
    """What `gbar recordings` does: features into a table, steps that no protocol has into problem.toml."""
    problem, folder = visit.problem, visit.problem.folder
    choices, files = choices_of(problem), files_of(problem)

    def work() -> Any:
        fresh = load_problem(folder, measured=False)
        found = measure_recordings(fresh, files, choices.reading, create=choices.create, relative=choices.relative)
        table = _free(folder / "measurements")
        write(found, fresh, table)
        if not fresh.measurements:
            name_table(load_problem(folder, measured=False), table)
        return found, table

    visit.window.jobs.begin(("measure recordings", folder), "Measuring", work, again=True)
    return section(visit)


def _free(folder: Path) -> Path:
    number = 1
    while (folder / f"recordings{'' if number == 1 else f'-{number}'}.csv").exists():
        number += 1
    return folder / f"recordings{'' if number == 1 else f'-{number}'}.csv"


def _sweep(visit: Visit) -> Response:
    """One sweep's voltage, its step and its spikes."""
    problem = visit.problem
    job, name = looked_job(visit, problem), visit.query.get("sweep", "")
    one = next((one for one in (job.answer or []) if short(one.name) == name), None) if job else None
    if one is None or one.sweep is None:
        return Response(packed([]), media_type="application/octet-stream")
    step, sweep = one.step, one.sweep
    marks = _marks(one) if step else []
    plot = Plot(
        short(one.name),
        "mV",
        (step.start, step.end) if step else None,
        "" if step is None else f"{step.amplitude:.3g} nA on {step.holding:.3g} nA".replace("-", "−"),
        [Line("recorded", "other" if one.reason else "best", sweep.t, sweep.v)],
        marks=marks,
        movable=step is not None,
    )
    return Response(packed([plot]), media_type="application/octet-stream")


def _marks(one: LookedAt) -> list[tuple[float, float, str]]:
    """Where features are read off: rest, spike peaks and the trough after the first, or else the end of the step."""
    sweep, step = one.sweep, one.step
    assert sweep is not None
    assert step is not None
    t, v = sweep.t, sweep.v

    def mean(start: float, end: float) -> tuple[float, float]:
        inside = (t >= start) & (t < end)
        return (start + end) / 2, float(v[inside].mean()) if inside.any() else float("nan")

    found = [(*mean(0.9 * step.start, step.start), "rest")]
    for at in one.spikes:
        near = np.flatnonzero((t >= at) & (t < at + PEAK_MS))
        peak = near[int(np.argmax(v[near]))]
        found.append((float(t[peak]), float(v[peak]), "peak"))
    if not one.spikes:
        found.append((*mean(step.end - 0.1 * step.duration, step.end), "end of the step"))
    else:
        until = one.spikes[1] if len(one.spikes) > 1 else one.spikes[0] + AFTER_MS
        after = np.flatnonzero((t > found[1][0]) & (t < until))
        if len(after):
            trough = after[int(np.argmin(v[after]))]
            found.append((float(t[trough]), float(v[trough]), "trough"))
    return [mark for mark in found if np.isfinite(mark[1])]


ROUTES: list[Route] = [
    fragment("/measurements/recordings", section),
    fragment("/measurements/sweep", _sweep),
    action("/measurements/drop", _drop),
    action("/measurements/choose", _choose),
    action("/measurements/measure", _measure),
]
