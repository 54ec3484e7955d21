"""How the search went: best |z| and solutions against evaluations, and who proposed what."""

from collections import Counter
from dataclasses import dataclass

from gbar.agent.report import words
from gbar.agent.report.axis import Tick, around
from gbar.agent.report.contents import Contents

MAKERS = {
    "design": "space-filling design",
    "archive": "archive of earlier runs",
    "policy": "learned policy",
    "gradient": "gradient planner",
    "local": "least squares on the local model",
    "bred": "breeding of the best",
    "confirm": "confirmation by NEURON",
}
WIDTH, HEIGHT = 4000, 2000  # of the plots, in path units


@dataclass(frozen=True)
class Curve:
    """One quantity against evaluations."""

    path: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    last: tuple[float, float]  # the end of the curve, % across and down
    last_label: str
    line: float | None = None  # a level to reach, % down
    first: float | None = None  # the first solution, % across


@dataclass(frozen=True)
class Maker:
    name: str
    evaluations: int
    solutions: int


def best(contents: Contents) -> Curve | None:
    """Best max |z| so far, log scale; nothing when no evaluation had every feature defined."""
    result = contents.result
    points = [(p.evaluations, p.best_max_abs_z) for p in result.history if p.best_max_abs_z is not None]
    if not points:
        return None
    values = [max(1e-3, value) for _, value in points]
    x = around([0, result.evaluations], 0.0)
    y = around([*values, result.tolerance], 0.13, log=True, upright=True)
    first = x.at(result.first_solution_at) if result.first_solution_at is not None else None
    at = [(x.at(n), y.at(value)) for (n, _), value in zip(points, values, strict=True)]
    label = f"{values[-1]:.2g}"
    return Curve(_steps(at), x.ticks(5), y.ticks(5), at[-1], label, y.at(result.tolerance), first)


def found(contents: Contents) -> Curve | None:
    """Distinct solutions so far; nothing while there is none."""
    result = contents.result
    if not result.history or not any(p.solutions for p in result.history):
        return None
    x = around([0, result.evaluations], 0.0)
    top = max(result.wanted, *(p.solutions for p in result.history))
    y = around([0.0, top * 1.08], 0.0, upright=True)
    at = [(0.0, 100.0), *((x.at(p.evaluations), y.at(p.solutions)) for p in result.history)]
    label = words.count(result.history[-1].solutions, "solution")
    return Curve(_steps(at), x.ticks(5), y.ticks(4, whole=True), at[-1], label, y.at(result.wanted))


def _steps(at: list[tuple[float, float]]) -> str:
    """SVG path data of a staircase through points in % of the plot: a value holds until the next one."""
    scaled = [(round(x * WIDTH / 100), round(y * HEIGHT / 100)) for x, y in at]
    return f"M{scaled[0][0]} {scaled[0][1]}" + "".join(f"H{x}V{y}" for x, y in scaled[1:])


def makers(contents: Contents) -> list[Maker]:
    """Who proposed how many evaluations and solutions, in the order they came into play."""
    evaluations: Counter[str] = Counter()
    for progress in contents.result.history:
        evaluations.update(progress.proposers)
    if contents.state and not evaluations:  # which progress.json does not say
        return []
    solutions = Counter(candidate.proposer for candidate in contents.result.solutions)
    if confirming := contents.result.evaluations - evaluations.total():
        evaluations["confirm"] = confirming  # simulated again at the confirming accuracy, earlier sessions' work too
    return [Maker(MAKERS.get(name, name), evaluations[name], solutions[name]) for name in evaluations | solutions]


def finders(contents: Contents) -> str:
    """Who found the solutions, in words; empty without solutions."""
    solutions = Counter(MAKERS.get(candidate.proposer, candidate.proposer) for candidate in contents.result.solutions)
    if len(solutions) == 1:
        return f"the {next(iter(solutions))}"
    return words.listed([f"the {name} ({n})" for name, n in solutions.most_common()])
