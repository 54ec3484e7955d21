"""What is simulated before anything is learned: where the modeller is, and small steps from there.

Slopes around a good guess tell more about a narrow target than points spread all over the bounds, most of which lie
where the cell does something else. Points lie further out only where the cell does not do there what was measured.
"""

import numpy as np
from scipy.linalg import hadamard

from gbar.agent.tuning.findings import Findings
from gbar.sim import design
from gbar.sim.problem import within

STEP = 0.1  # of the ranges, to each side of the centre
DEFINED = 0.25  # share of the first design in which every measured feature must be, or a second is laid further out
LEAST = 4  # steps, however few parameters there are
REACH = 0.4  # of the ranges, to each side of the centre, in that one


def first_design(findings: Findings, left: int, own: np.ndarray) -> np.ndarray:
    """The model's own values, the centre, and steps in all parameters at once, [n, D] in the unit cube.

    Half of a balanced design: 10 points for 12 parameters.

    Args:
        findings: nothing is asked for where they hold as many cells inside the bounds.
        left: evaluations in the budget.
        own: [D] the model's own values, NEURON's units; left out where they lie outside the bounds.
    """
    dimension, definition = len(own), findings.definition
    if findings.observations.inside.sum() >= definition.config.design(dimension):
        return np.empty((0, dimension))
    u = definition.problem.unit(own)[None]
    steps = two_level(dimension, definition.config.seed)
    draw = np.random.default_rng(definition.config.seed)
    some = np.sort(draw.permutation(len(steps))[: max(LEAST, len(steps) // 2)])  # the search tells the rest sooner
    points = np.concatenate([u[within(u)], np.full((1, dimension), 0.5), 0.5 + STEP * steps[some]])
    return unknown(findings, points, left)


def wider_design(findings: Findings, left: int, own: np.ndarray) -> np.ndarray:
    """Space-filling points further out, [n, D], where a measured feature is hardly ever defined near the centre."""
    dimension, known, config = len(own), findings.observations, findings.definition.config
    defined = np.isfinite(known.features[known.inside]).mean(axis=0) if known.inside.any() else np.zeros(1)
    if (defined >= DEFINED).all():
        return np.empty((0, dimension))
    points = design(dimension, config.design(dimension), config.seed)
    return unknown(findings, 0.5 + 2 * REACH * (points - 0.5), left)


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
