"""What is simulated before anything is learned: where the modeller is, and small steps from there.

Slopes around a good guess tell more about a narrow target than points spread all over the bounds, most of which lie
where the cell does something else. Points lie further out only where the cell does not do there what was measured.
"""

import numpy as np
from scipy.linalg import hadamard
from scipy.stats import truncnorm

from gbar.agent.tuning.findings import Findings
from gbar.sim import Problem, design
from gbar.sim.problem import within

STEP = 0.1  # of the ranges, to each side of the centre
LEAST_STEP = 0.025  # where a prior is narrower: slopes of less drown in the engine's own error
DEFINED = 0.25  # share of the first design in which every measured feature must be, or a second is laid further out
LEAST = 4  # steps, however few parameters there are
REACH = 0.4  # of the ranges, to each side of the centre, in that one


def first_design(findings: Findings, left: int, own: np.ndarray) -> np.ndarray:
    """The start, the model's own values, the centre, and steps in all parameters at once, [n, D] in the unit cube.

    Half of a balanced design: 10 points for 12 parameters. Steps are from where the problem names a start, else from
    the middle of the prior or of the bounds; a narrow prior makes them shorter.

    Args:
        findings: no more than a named start is asked for where they hold as many cells inside the bounds.
        left: evaluations in the budget.
        own: [D] the model's own values, NEURON's units; left out where they lie outside the bounds.
    """
    dimension, definition = len(own), findings.definition
    start = _start(definition.problem, own)
    if findings.observations.inside.sum() >= definition.config.design(dimension):
        return unknown(findings, start, left)
    u = definition.problem.unit(own)[None]
    steps = two_level(dimension, definition.config.seed)
    draw = np.random.default_rng(definition.config.seed)
    some = np.sort(draw.permutation(len(steps))[: max(LEAST, len(steps) // 2)])  # the search tells the rest sooner
    middle, step = _middle(definition.problem), _step(definition.problem)
    own_too = u[within(u)]
    if len(start) and np.allclose(start, own_too[:1], atol=1e-9):
        own_too = own_too[:0]
    first = [start, own_too, np.full((1, dimension), 0.5)]
    points = np.concatenate([*first, np.clip(middle, step, 1 - step) + step * steps[some]])
    return unknown(findings, points, left)


def _start(problem: Problem, own: np.ndarray) -> np.ndarray:  # [1, D], or [0, D] where none is named
    """Where the problem says that the search begins: the values it names, the model's own for the others."""
    named = any(parameter.start is not None for parameter in problem.parameter)
    return problem.nearest(problem.started(own))[None][: int(named)]


def _middle(problem: Problem) -> np.ndarray:  # [D] in the unit cube
    """What steps are made from: the start, else the middle of the prior, else of the bounds."""
    believed, _ = problem.believed()
    guess = np.where(np.isfinite(believed), np.clip(believed, 0, 1), 0.5)
    start = problem.unit(problem.started(np.full(len(guess), np.nan)))
    return np.where(np.isfinite(start), start, guess)


def _step(problem: Problem) -> np.ndarray:  # [D] of the ranges
    _, sd = problem.believed()
    return np.clip(np.where(np.isfinite(sd), sd, STEP), LEAST_STEP, STEP)


def wider_design(findings: Findings, left: int, own: np.ndarray) -> np.ndarray:
    """Space-filling points further out, [n, D], where a measured feature is hardly ever defined near the centre."""
    dimension, known, config = len(own), findings.observations, findings.definition.config
    defined = np.isfinite(known.features[known.inside]).mean(axis=0) if known.inside.any() else np.zeros(1)
    if (defined >= DEFINED).all():
        return np.empty((0, dimension))
    points = design(dimension, config.design(dimension), config.seed)
    wide = 0.5 + 2 * REACH * (points - 0.5)
    median, sd = findings.definition.problem.believed()
    if (known_of := np.isfinite(median)).any():  # every other point where the modeller believes the values to be
        wide[::2, known_of] = from_prior(points[::2, known_of], median[known_of], sd[known_of])
    return unknown(findings, wide, left)


def from_prior(points: np.ndarray, median: np.ndarray, sd: np.ndarray) -> np.ndarray:  # [n, K], [K], [K] -> [n, K]
    """Points spread evenly over the unit cube, moved so that they are spread as a prior is inside the bounds."""
    ends = (0 - median) / sd, (1 - median) / sd
    drawn: np.ndarray = np.clip(truncnorm.ppf(points, *ends, loc=median, scale=sd), 0, 1)
    return drawn


def two_level(dimension: int, seed: int) -> np.ndarray:  # [R, dimension] of -1 and 1, R a power of two beyond it
    """Rows balanced in every parameter and every pair of them (Plackett & Burman 1946), drawn by a seed."""
    size = 1 << dimension.bit_length()
    draw = np.random.default_rng(seed)
    columns = draw.permutation(size - 1)[:dimension] + 1  # the first is constant
    rows: np.ndarray = hadamard(size)[:, columns] * draw.choice([-1, 1], dimension)
    return rows


def unknown(findings: Findings, points: np.ndarray, most: int) -> np.ndarray:
    """Those of the points [n, D] in the unit cube that were not simulated yet, no more than `most`."""
    known = {x.tobytes() for x in findings.observations.x}
    physical = findings.definition.problem.physical(points)
    new = [u for u, x in zip(points, physical, strict=True) if x.tobytes() not in known]
    return np.array(new[: max(0, most)]).reshape(-1, points.shape[1])
