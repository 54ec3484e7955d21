"""One row a run: what the comparison keeps, reads back and sums up."""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gbar.scripts.bench.progress import Reached, Stage, stages
from gbar.sim import GbarError
from gbar.sim.files import as_csv, write_whole


class Score(NamedTuple):
    """One run of one method on one cell. Times are wall clock from the start of a process of its own."""

    problem: str
    cell: str
    method: str
    seed: int
    tolerance: float
    budget: int
    workers: int
    engine: str  # while searching
    solved: bool
    evaluations: int  # to the first confirmed solution, confirmations and whole batches included; else the budget
    largest_batch: int  # evaluations asked for at once
    simulate_s: float
    think_s: float  # everything else: starting, fitting, planning, compiling; the optimiser itself
    total_s: float
    reason: str  # why it is not solved
    rmse_over_sd: float | None  # gbar's predictions before their simulation: error of the later half, median feature
    coverage_90: float | None  # share of their 90 % intervals that held
    progress: tuple[Reached, ...] = ()  # in a CSV as JSON: a list each, in the order of Reached
    archived: int = 0  # evaluations of other runs that it began with

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two rows the same run."""
        return (*self[: Score._fields.index("engine")], self.archived)


KINDS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: lambda text: text == "True",
    float | None: lambda text: float(text) if text else None,
    tuple[Reached, ...]: lambda text: tuple(Reached(*one) for one in json.loads(text or "[]")),
}
PROGRESS = Score._fields.index("progress")
BEFORE = (Score._fields[:PROGRESS], Score._fields[:-1])  # a CSV's columns before: without progress, without archives


def read_scores(file: Path) -> list[Score]:
    """The rows of a CSV of the comparison; none where there is no file. Half a row at the end (a crash) is left out.

    Raises:
        GbarError: another kind of file.
    """
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
    is_foreign = text.rfind("\n") < 0 and not ",".join(Score._fields).startswith(text)
    if tuple(reader.fieldnames or Score._fields) not in (*BEFORE, Score._fields) or is_foreign:
        raise GbarError(f"--out {file}: has other columns than this version's comparison: name another file")
    try:
        return [
            Score(**{name: KINDS[Score.__annotations__[name]](value) for name, value in row.items()}) for row in reader
        ]
    except (TypeError, ValueError, KeyError) as error:
        raise GbarError(f"--out {file}: is damaged ({error}): name another file, or mend it") from None


def append(file: Path, score: Score) -> None:
    """Add a row, whole: one write, after whatever a crash has left of the last one is cut off. A file with fewer
    columns is written anew with all of them."""
    file.resolve().parent.mkdir(parents=True, exist_ok=True)
    before = tuple(",".join(columns) + "\n" for columns in BEFORE)
    if file.exists() and file.read_text(encoding="utf-8").startswith(before):
        older = read_scores(file)
        write_whole(file, as_csv([Score._fields, *map(_plain, older)]))
    with file.open("ab+") as stream:
        stream.seek(0)
        whole = stream.read().rfind(b"\n") + 1
        stream.truncate(whole)
        stream.write(as_csv([Score._fields, _plain(score)] if whole == 0 else [_plain(score)]).encode())
        stream.flush()
        os.fsync(stream.fileno())


def _plain(score: Score) -> tuple[Any, ...]:
    return (*score[:PROGRESS], json.dumps(score.progress), *score[PROGRESS + 1 :])


class Summary(NamedTuple):
    """One method on one problem, over all cells and seeds; an unsolved run counts at its whole budget."""

    problem: str
    method: str
    runs: int
    solved: int
    median_evaluations: float
    worst_evaluations: int
    median_simulate_s: float
    median_think_s: float
    median_total_s: float
    median_rmse_over_sd: float | None  # None for methods that predict no features
    median_coverage_90: float | None
    reached: list[Stage]  # after 100, 200, 400 and 800 evaluations


def summarise(scores: Iterable[Score]) -> list[Summary]:
    """A row a problem and method, fewest evaluations first within a problem."""
    groups: dict[tuple[str, str], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.problem, score.method), []).append(score)
    rows = [
        Summary(
            *names,
            runs=len(runs),
            solved=sum(run.solved for run in runs),
            median_evaluations=float(np.median([run.evaluations for run in runs])),
            worst_evaluations=max(run.evaluations for run in runs),
            median_simulate_s=_median(runs, "simulate_s") or 0.0,
            median_think_s=_median(runs, "think_s") or 0.0,
            median_total_s=_median(runs, "total_s") or 0.0,
            median_rmse_over_sd=_median(runs, "rmse_over_sd"),
            median_coverage_90=_median(runs, "coverage_90"),
            reached=stages(run.progress for run in runs),
        )
        for names, runs in groups.items()
    ]
    problems = list(dict.fromkeys(row.problem for row in rows))
    return sorted(rows, key=lambda row: (problems.index(row.problem), row.median_evaluations, row.median_total_s))


def _median(runs: Iterable[Score], part: str) -> float | None:
    """Of the runs that have it."""
    known = [value for run in runs if (value := getattr(run, part)) is not None]
    return float(np.median(known)) if known else None
