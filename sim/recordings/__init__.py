"""Recordings of real cells to a table of measurements: the same features, computed by the same code as the model's."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import Any

from gbar.sim.errors import GbarError, nearest
from gbar.sim.features import SETTINGS, known_features
from gbar.sim.problem import KINDS, Problem
from gbar.sim.recordings.averages import Average, Values, average, measured, redundant
from gbar.sim.recordings.files import READERS
from gbar.sim.recordings.intake import Good, take_in
from gbar.sim.recordings.kept import Recorded, kept_file, read_kept
from gbar.sim.recordings.looking import LookedAt, look
from gbar.sim.recordings.match import assigned, created, families
from gbar.sim.recordings.reading import Reading
from gbar.sim.recordings.relative import assigned_percentages, created_percentages
from gbar.sim.recordings.sweep import cell_name, count
from gbar.sim.recordings.table import cells_folder, extended, write

AS_THEY_ARE = Reading()

SUFFIXES = tuple(READERS)  # of files that can be read

__all__ = [
    "Average", "Findings", "LookedAt", "Reading", "Recorded", "SUFFIXES", "look", "measure_recordings", "read_kept",
    "write",
]  # fmt: skip


@dataclass(frozen=True)
class Findings:
    """What recordings say about a problem's protocols."""

    rows: list[Average]  # to be written
    omitted: list[Average]  # with the reason why they are not
    refused: list[str]  # sweeps and cells, with the reason
    said: list[str]  # what was converted or subtracted
    unmatched: list[str]  # steps that no protocol of the problem has
    created: dict[str, dict[str, Any]]  # protocols made from them, as problem.toml has them
    sweeps: int
    cells: list[str]
    noted: list[str] = field(default_factory=list)  # of rheobases, and what cells were held at
    by_cell: dict[str, list[Average]] = field(default_factory=dict)  # the same rows for each, where there are several
    used: dict[str, list[Good]] = field(default_factory=dict)  # the sweeps, by protocol

    def title(self) -> str:
        """What was measured, in a line."""
        return f"{len(self.rows)} measurements from {count(self.sweeps, 'sweep')} of {count(len(self.cells), 'cell')}"

    def notes(self) -> list[str]:
        """Everything that a reader of the table should know, a line each."""
        lines = [f"converted: {said}" for said in self.said] + self.noted
        lines += [f"made: protocol.{name} in problem.toml: {_step(keys)}" for name, keys in self.created.items()]
        lines += [f"no protocol has: {step}; --create makes one" for step in self.unmatched]
        lines += [f"refused: {reason}" for reason in self.refused]
        return lines + [f"not measured: {line}" for line in self.left_out()]

    def next_steps(self, problem: str, file: Path) -> list[str]:
        """What was written, and the command that takes it."""
        each = cells_folder(file)
        lines = (
            [f"Written: {each}: a table a cell, for gbar cells {quote(problem)} --cells {quote(str(each))}"]
            if self.by_cell
            else []
        )
        beside = f", and beside it, for the page of a run, {kept_file(file).name}"
        return [*lines, f"Written: {file}{beside}. Next: gbar tune {quote(problem)} --measurements {quote(str(file))}"]

    def left_out(self) -> list[str]:
        """The features that are not in the table, each with its reason and protocols."""
        grouped: dict[tuple[str, str], list[str]] = {}
        for row in self.omitted:
            grouped.setdefault((row.feature, row.omitted), []).append(row.protocol)
        return [f"{feature}: {reason} ({', '.join(names)})" for (feature, reason), names in grouped.items()]

    def document(self) -> dict[str, Any]:
        """All of it as JSON holds it."""
        return {
            "sweeps": self.sweeps,
            "cells": self.cells,
            "rows": _plain(self.rows),
            "by_cell": {cell: _plain(rows) for cell, rows in self.by_cell.items()},
            "converted": self.said,
            "noted": self.noted,
            "created": self.created,
            "unmatched": self.unmatched,
            "refused": self.refused,
            "not_measured": self.left_out(),
        }


def _plain(rows: Sequence[Average]) -> list[dict[str, Any]]:
    return [{key: value for key, value in asdict(row).items() if key != "omitted"} for row in rows]


def measure_recordings(
    problem: Problem,
    paths: Sequence[Path],
    reading: Reading = AS_THEY_ARE,
    wanted: Sequence[str] = (),
    sd_floor: float = 0.02,
    create: bool = False,
    relative: bool = False,
) -> Findings:
    """Measure recorded sweeps under a problem's protocols.

    Args:
        problem: its protocols say what is looked for.
        paths: files, or folders of them.
        reading: units, junction potential, and what a cell is.
        wanted: features; none for the usual ones of each protocol, "all" for all that gbar computes unasked.
        sd_floor: share of the mean that an SD is at least.
        create: make protocols from recorded steps that the problem does not have.
        relative: make protocols that are percentages of each cell's own rheobase, from all steps.

    Raises:
        GbarError: a file cannot be read or believed, no sweep is good, or none has a step of the problem's.
    """
    known = {name for kind in KINDS for name in known_features(kind)} | {"all"}
    for feature in wanted:
        if feature not in known:
            raise GbarError(f"--feature {feature}: no such feature{nearest(feature, known)}")
    if not 0 <= sd_floor < 1:
        raise GbarError(f"--sd-floor {sd_floor:g}: expected a share of the mean from 0 to 1, such as 0.02")
    threshold = float({**SETTINGS, **problem.efel}["Threshold"])
    intake = take_in(paths, reading, threshold)
    shares = assigned_percentages(problem, intake.good, threshold)
    if relative:
        shares = created_percentages(problem, intake.good, shares, threshold)
        problem = extended(problem, shares.content)
    sweeps, left = assigned(problem, intake.good)
    in_shares = {one.sweep.name for used in shares.sweeps.values() for one in used}
    made, made_sweeps = created([one for one in left if one.sweep.name not in in_shares], problem)
    unmatched = [f"{_step(keys)}, {count(len(made_sweeps[name]), 'sweep')}" for name, keys in made.items()]
    if create and made:
        problem = extended(problem, made)
        sweeps |= made_sweeps
    else:
        made = {}
    sweeps |= shares.sweeps
    families_at = {name: families(problem, name, intake.good, threshold).values() for name in problem.rheobases}
    at_rheobase = {name: [one.sweep for one in cells] for name, cells in families_at.items() if cells}
    values = measured(problem, sweeps, intake.good, wanted)
    found = [average(one, sd_floor) for one in values]
    if not wanted:
        told = redundant(problem, [one for one, row in zip(values, found, strict=True) if not row.omitted])
        values = [one for one in values if (one.protocol, one.feature) not in told]
        found = [replace(row, omitted=row.omitted or told.get((row.protocol, row.feature), "")) for row in found]
    rows = [row for row in found if not row.omitted]
    if not rows:
        why = f": {found[0].protocol}.{found[0].feature}: {found[0].omitted}" if found else ""
        more = f" and {len(unmatched) - 3} others" if len(unmatched) > 3 else ""
        hint = f" (recorded: {'; '.join(unmatched[:3])}{more}): --create makes protocols of them" if unmatched else ""
        raise GbarError(f"nothing to measure under the problem's protocols{why}{hint}")
    return Findings(
        rows,
        [row for row in found if row.omitted],
        intake.refused,
        intake.said,
        [] if create else unmatched,
        shares.content | made,
        len(intake.good),
        sorted({cell_name(one.sweep.cell) for one in intake.good}),
        shares.said,
        _by_cell(values, sd_floor),
        at_rheobase | sweeps,
    )


def _by_cell(values: Sequence[Values], sd_floor: float) -> dict[str, list[Average]]:
    """Each cell's own rows, where there are several; a cell is called by as much of its path as tells it apart."""
    cells = sorted({cell for one in values for cell in one.of})
    if len(cells) < 2:
        return {}
    depth = 1
    while len({"/".join(Path(cell).parts[-depth:]) for cell in cells}) < len(cells):
        depth += 1
    found = {}
    for cell in cells:
        rows = [average(one.of_cell(cell), sd_floor) for one in values if cell in one.of]
        if kept := [row for row in rows if not row.omitted]:
            found["/".join(Path(cell).parts[-depth:])] = kept
    return found


def _step(content: dict[str, Any]) -> str:
    holding = f" on {content['holding']:g} nA" if "holding" in content else ""
    amplitude = f"{content['amplitude']:g} nA" if "amplitude" in content else content["kind"]
    if "percent" in content:
        amplitude = f"{content['percent']:g} % of {content['relative_to']}"
    return f"{amplitude}{holding}, {content['duration']:g} ms"
