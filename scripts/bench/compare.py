"""The published comparison: the same cell, score, budget, workers and seeds for every method, in turn."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import gbar
from gbar.scripts.bench.methods import PEERS, choose_methods
from gbar.scripts.bench.once import Run, RunOutcome, known_of, score_of
from gbar.scripts.bench.score import Score, append, read_scores
from gbar.sim import GbarError, Problem, choose_engine, load_problem
from gbar.sim.errors import nearest
from gbar.sim.pool import importable

MODELS = (Path(gbar.__file__).parent / "models").resolve()
BUNDLED = (MODELS / "hh", MODELS / "motoneuron")


class Settings(NamedTuple):
    """What all runs share."""

    tolerance: float = 1.0
    budget: int = 2000
    workers: int = 2
    time_limit: float = 3600.0  # s for one run; one that takes longer is unsolved
    archive: Path | None = None  # that every run begins with a copy of


def find_tables(path: Path, folder: Path | None = None, only: Sequence[str] = ()) -> list[Path]:
    """The tables of a problem: those in `folder`, or in the problem's measurements/cells (measurements/NAME for
    NAME.toml), or where there are none its own one; or those of them that are named.

    Raises:
        GbarError: no problem, no tables, or none of that name.
    """
    problem = load_problem(path, measured=False)
    beside = "cells" if problem.file.name == "problem.toml" else problem.file.stem
    source = folder or problem.folder / "measurements" / beside
    if folder is None and not source.is_dir():
        table = load_problem(path).measurements_file
        files = [table] if table else []
    else:
        files = sorted(file for file in source.glob("*.csv") if file.stem != "hidden")
    found = {file.stem: file for file in files}
    for name in only:
        if name not in found:
            raise GbarError(f"{source}: no table '{name}'{nearest(name, found)}")
    if not found:
        raise GbarError(f"{source}: no tables of measurements: expected CSV files, or another folder with --cells")
    return [file for name, file in found.items() if not only or name in only]


def compare(
    cells: Sequence[tuple[Path, Path]], methods: Sequence[str], seeds: Sequence[int], out: Path, settings: Settings
) -> Iterator[Score]:
    """Run every method on every cell with every seed; rows already in the CSV `out` are kept and not run again.

    Methods take turns on each cell and seed, so that whatever else the machine does meets all of them alike.

    Args:
        cells: (problem folder or toml, table of measurements) of each.
        methods: names or groups, see scripts.bench.methods.
        seeds: of the methods.
        out: where rows are kept.
        settings: what all runs share.

    Yields:
        Every row asked for, old ones included.

    Raises:
        GbarError: a name, package, model or table that cannot be used; nothing has run then.
    """
    methods = choose_methods(methods)
    check_archive(methods, settings.archive)
    problems = [choose_engine(load_problem(path, table))[0] for path, table in cells]
    archived = [_archived(problem, settings.archive) for problem in problems]
    done = {score.key: score for score in read_scores(out)}
    for (path, table), problem, rows in zip(cells, problems, archived, strict=True):
        for seed in seeds:
            for method in methods:
                run = Run(str(path), str(table), method, seed, *settings[:3], str(settings.archive or ""))
                key = (problem.name, table.stem, *run[2:7], rows)
                if key not in done:
                    done[key] = run_once(problem, run, settings.time_limit)._replace(archived=rows)
                    append(out, done[key])
                yield done[key]


def check_archive(methods: Sequence[str], archive: Path | None) -> None:
    """Raises GbarError where a method needs an archive and there is none, or begins from nothing and there is one."""
    for name in methods:
        if archive is None and name in PEERS and PEERS[name].retargets:
            raise GbarError(f"method '{name}' learns from an archive: gbar sample makes one, --archive FILE names it")
        if archive is not None and name in PEERS and not PEERS[name].retargets:
            raise GbarError(f"method '{name}' begins from nothing: leave it out, or --archive")
    if archive is not None and not archive.is_file():
        raise GbarError(f"--archive {archive}: no such file: gbar sample makes one")


def _archived(problem: Problem, archive: Path | None) -> int:
    """How many evaluations a run begins with."""
    known = known_of(problem, str(archive or ""))
    return len(known.u) if known else 0


def run_once(problem: Problem, run: Run, time_limit: float) -> Score:
    """One run in a process of its own. Whatever ends it is the outcome: an unsolved run counts at its whole budget.

    Raises:
        GbarError: the model cannot be run.
    """
    environment = {**os.environ, "PYTHONPATH": importable()}
    command = [sys.executable, "-m", "gbar.scripts.bench.once", json.dumps(run._asdict())]
    lost = RunOutcome(False, run.budget, 0, 0.0, f"not done within {time_limit:g} s")
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=time_limit)
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
        return score_of(
            problem, run, lost, time_limit, said.decode(errors="replace") if isinstance(said, bytes) else said
        )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]
        return score_of(problem, run, lost._replace(reason=last[:200]), 0.0, done.stdout)
    content = json.loads(done.stdout.splitlines()[-1])
    if "refused" in content:
        raise GbarError(content["refused"])
    return score_of(problem, run, RunOutcome(**content["outcome"]), content["total_s"], done.stdout)
