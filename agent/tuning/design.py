"""What is simulated before anything is learned: where the modeller is, and small steps from there.

Slopes around a good guess tell more about a narrow target than points spread all over the bounds, most of which lie
where the cell does something else. Points lie further out only where the cell does not do there what was measured: a
cell that is silent, or blocked, has no slope that leads out of it, and somewhere in the bounds is one that fires.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.linalg import hadamard
from scipy.stats import truncnorm

from gbar.agent.learning import breed
from gbar.agent.tuning.findings import Findings
from gbar.sim import Problem, design
from gbar.sim.problem import within

STEP = 0.1  # of the ranges, to each side of the centre
LEAST_STEP = 0.025  # where a prior is narrower: slopes of less drown in the engine's own error
DEFINED = 0.25  # share of all points in which every measured feature must be, or more are laid further out
NEARLY_ALL = 0.9  # of the measured features, or all but one: a cell that does as much is one to begin at
ENOUGH = 2  # such cells: from these on a search does better than more of a design
WIDER = 4  # designs further out, at most
NEARLY = 0.75  # share of the measured features that one of the guesses must have, or steps around them tell nothing
LEAST = 4  # steps, however few parameters there are
WILD = 4  # one point in so many of a later design is anywhere
MUTATION = 0.1  # of the ranges: SD of what is added to each value of what is bred


def designs(own: np.ndarray) -> list[Callable[[Findings, int], np.ndarray]]:
    """What lays out one design after the other, each from what those before have taught and what is left to spend.

    Args:
        own: [D] the model's own values, NEURON's units.
    """
    further = [partial(wider_design, number=number) for number in range(WIDER)]
    return [partial(guesses, own=own), partial(steps_around, own=own), *further]


def guesses(findings: Findings, left: int, own: np.ndarray) -> np.ndarray:
    """The start, the model's own values and the centre, [n, D] in the unit cube.

    Args:
        findings: no more than a named start is asked for where they hold as many cells inside the bounds.
        left: evaluations in the budget.
        own: [D] the model's own values, NEURON's units; left out where they lie outside the bounds.
    """
    definition = findings.definition
    start = _start(definition.problem, own)
    if _is_taught(findings):
        return unknown(findings, start, left)
    u = definition.problem.unit(own)[None]
    own_too = u[within(u)]
    if len(start) and np.allclose(start, own_too[:1], atol=1e-9):
        own_too = own_too[:0]
    return unknown(findings, np.concatenate([start, own_too, np.full((1, len(own)), 0.5)]), left)


def steps_around(findings: Findings, left: int, own: np.ndarray) -> np.ndarray:
    """Steps in all parameters at once, [n, D] in the unit cube: half of a balanced design, 8 for 12 parameters.

    They are made from where the problem names a start, else from the middle of the prior or of the bounds; a narrow
    prior makes them shorter. There are none where the guesses do too little of what was measured.
    """
    definition = findings.definition
    if _is_taught(findings) or _defined(findings).mean(axis=1).max(initial=0.0) < NEARLY:
        return np.empty((0, len(own)))
    steps = two_level(len(own), definition.config.seed)
    draw = np.random.default_rng(definition.config.seed)
    some = np.sort(draw.permutation(len(steps))[: max(LEAST, len(steps) // 2)])  # the search tells the rest sooner
    middle, step = _middle(definition.problem), _step(definition.problem)
    return unknown(findings, np.clip(middle, step, 1 - step) + step * steps[some], left)


def _is_taught(findings: Findings) -> bool:
    """Whether an archive holds as many cells inside the bounds as a design has."""
    known = findings.observations
    return bool(known.inside.sum() >= findings.definition.config.design(known.u.shape[1]))


def _defined(findings: Findings) -> np.ndarray:  # [N, F] bool, of those inside the bounds
    known = findings.observations
    finite: np.ndarray = np.isfinite(known.features[known.inside])
    return finite


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


def wider_design(findings: Findings, left: int, number: int) -> np.ndarray:
    """Points all over the bounds, [n, D], where a measured feature is hardly ever defined near the guesses.

    The first is space-filling. While hardly any cell does what was measured, more follow, of which all but every
    fourth point are bred from the best so far, as an evolution strategy would.

    Args:
        findings: with what the designs before have taught.
        left: evaluations in the budget.
        number: of the design, from 0.
    """
    config, defined = findings.definition.config, _defined(findings)
    dimension, size = findings.observations.u.shape[1], config.design(findings.observations.u.shape[1])
    rare = not len(defined) or (defined.mean(axis=0) < DEFINED).any()
    most = defined.sum(axis=1) >= min(NEARLY_ALL * defined.shape[1], defined.shape[1] - 1)
    if left <= 0 or not rare or (number and most.sum() >= ENOUGH):
        return np.empty((0, dimension))
    points = design(dimension, size * (number + 1), config.seed)[size * number :]
    median, sd = findings.definition.problem.believed()
    if (known_of := np.isfinite(median)).any():  # every other point where the modeller believes the values to be
        points[::2, known_of] = from_prior(points[::2, known_of], median[known_of], sd[known_of])
    if number:
        born = np.arange(len(points)) % WILD > 0
        best = findings.observations.u[np.argsort(findings.distance, kind="stable")[: len(defined)]]
        points[born] = breed(np.random.default_rng([config.seed, number]), best, int(born.sum()), MUTATION)
    return unknown(findings, points, left)


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
