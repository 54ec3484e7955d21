"""How the page opens: the outcome in one sentence, then the facts of the run."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from gbar.agent.report import limits, search, words
from gbar.agent.report.contents import Contents
from gbar.agent.report.zbars import Miss, misses
from gbar.agent.result import Wall

PLANNERS = {
    "auto": "gradient planning on the surrogate, with the learned policy where an archive had taught one",
    "policy": "the learned policy",
    "gradient": "gradient planning on the surrogate",
    "both": "the learned policy and gradient planning on the surrogate",
}


@dataclass(frozen=True)
class Lead:
    """The opening of the page."""

    outcome: str
    detail: str
    facts: list[tuple[str, str, str]]  # what, value, small print
    misses: list[Miss]  # of the nearest, when there is no solution
    compromises: list[str]  # what each gives up, where there are several
    failures: list[tuple[str, int]]
    times: list[tuple[str, str]]  # what the session's time went into
    took: str  # in all: the sum of these


def lead(contents: Contents) -> Lead:
    """The opening for a run of any outcome."""
    result = contents.result
    missed = []
    if not result.solutions and result.nearest:
        missed = misses(result.nearest, result.measurements, result.tolerance)
    given_up = limits.compromises(result) if len(result.shown) > 1 else []
    failures = sorted(result.failures.items(), key=lambda item: -item[1])
    parts = [] if contents.state else result.wall_s.parts()
    return Lead(
        outcome=_outcome(contents),
        detail=_detail(contents, len(missed)),
        facts=_facts(contents),
        misses=missed,
        compromises=given_up,
        failures=failures,
        times=[(what, words.seconds(took)) for what, took in parts],
        took=words.seconds(sum(took for _, took in parts)),
    )


def _outcome(contents: Contents) -> str:
    result = contents.result
    target = f"{_measurements(contents)} within {words.short(result.tolerance)} SD"
    n = len(result.solutions)
    if contents.state:
        sets = words.count(n, "different parameter set") if n else "no parameter set"
        return f"So far, {sets} {'reproduces' if n < 2 else 'reproduce'} {target}."
    if n == 0:
        return f"No parameter set found that reproduces {target}."
    if n == 1:
        return f"One parameter set reproduces {target}."
    return f"{n} different parameter sets reproduce {target}."


def _measurements(contents: Contents) -> str:
    n = len(contents.result.measurements)
    return "the one measurement" if n == 1 else f"all {n} measurements"


def _detail(contents: Contents, missed: int) -> str:
    result = contents.result
    took = words.seconds(round(result.wall_s.total + result.wall_s.earlier))
    spent = f"{words.count(result.evaluations, 'evaluation')} in {took}"
    if contents.state:
        advice = (
            "it is as it was" if contents.state == "is still going" else "everything simulated is kept, go on below"
        )
        return f"The run {contents.state}: this page shows how far it had come after {spent}; {advice}. "
    if result.solutions:
        each = "each of them" if len(result.solutions) > 1 else "it"
        text = f"NEURON confirms {each} ({result.confirmed_by}). "
        if result.first_solution_at is not None:
            text += f"The first was found after {words.count(result.first_solution_at, 'evaluation')}. "
        if len(result.solutions) < result.wanted and result.status != "solved":
            why = "ran out of budget" if result.status == "out of budget" else "was interrupted"
            text += f"The search for {result.wanted} {why} after {spent}. "
        if odd := {number for warning in result.warnings for number in warning.sets}:
            who = "It does" if len(result.solutions) == 1 else f"{len(odd)} of them do"
            text += f"{who} what a cell should not in protocols that were not measured: see what limits this answer. "
        return text
    why = "used its budget of" if result.status == "out of budget" else "was interrupted after"
    text = f"The search {why} {spent}. "
    if result.nearest:
        of = len(result.measurements)
        others = len(result.shown) - 1
        text += f"The nearest compromise misses {missed} of {words.count(of, 'measurement')}"
        text += "; it meets the rest." if missed < of else "."
        text += f" {words.count(others, 'other')} give{'s' * (others == 1)} up something else." if others else ""
    return text


def _facts(contents: Contents) -> list[tuple[str, str, str]]:
    result, wall = contents.result, contents.result.wall_s
    protocols = len({m.protocol for m in result.measurements})
    failed = f"{result.failed_evaluations} failed" if result.failed_evaluations else "none failed"
    facts = [
        (
            "Measurements",
            f"{len(result.measurements)} in {words.count(protocols, 'protocol')}",
            f"{Path(result.measurements_file).name}; {words.count(len(result.parameters), 'free parameter')}",
        ),
        ("Evaluations", f"{result.evaluations:,}", f"of at most {result.budget:,}; {failed}"),
        ("Time", words.seconds(round(wall.total)), "" if contents.state else _time(wall)),
        ("Tolerance", f"|z| ≤ {words.short(result.tolerance)}", "every measurement counts"),
        ("Searched with", result.engine, f"confirmed with {result.confirmed_by}"),
        ("Planned by", PLANNERS[result.planner], ""),
    ]
    if result.solutions:
        facts[-1] = ("Found by", search.finders(contents), f"searching with {PLANNERS[result.planner]}")
    return facts


def _time(wall: Wall) -> str:
    """The two largest parts, and what earlier sessions took."""
    largest = sorted(wall.parts(), key=lambda part: -part[1])[:2]
    said = [f"{words.seconds(took)} {what}" for what, took in largest]
    before = [f"{words.seconds(round(wall.earlier))} more in earlier sessions"] if wall.earlier else []
    return ", ".join(said + before)


def commands(contents: Contents) -> list[tuple[str, str]]:
    """What to type to check, take along, or repeat the run: (purpose, command line)."""
    result, run = contents.result, str(contents.run)
    export = ["gbar", "export", run, "--solution", str(contents.best + 1), "--to", "hoc"]
    repeat = ["gbar", "tune", result.problem_folder, "--measurements", result.measurements_file]
    repeat += ["--budget", str(result.budget), "--solutions", str(result.wanted)]
    repeat += ["--tolerance", f"{result.tolerance:g}", "--seed", str(result.seed), "--workers", str(result.workers)]
    check = ("Simulate everything again, at tightened accuracy", ["gbar", "verify", run])
    lines = [("Make this page anew", ["gbar", "report", run]) if contents.state else check]
    if result.solutions and not contents.state:
        lines += [(f"Take solution {contents.best + 1} along as a hoc file", export)]
        lines += [("… or as a stand-alone Python script", [*export[:-1], "python"])]
    lines += [("Go on with it", [*repeat, "--out", run]) if contents.state else ("Repeat the search", repeat)]
    return [(purpose, shlex.join(line)) for purpose, line in lines]
