"""Candidates between the best cells so far: they come true where descents end in what the surrogate has made up."""

import numpy as np

PARENTS = 6  # best cells, of which two make each


def breed(draw: np.random.Generator, best: np.ndarray, count: int, mutation: float | np.ndarray) -> np.ndarray:
    """Points [count, D] that take each value from one or the other of two of the best cells, a little changed.

    Args:
        draw: consumed.
        best: [P, D] in the unit cube, the best first; of more than `PARENTS` the others are left out.
        count: of points.
        mutation: SD of what is added to each value, in the unit cube; or [count, 1], one for each point.
    """
    parents = best[draw.choice(min(PARENTS, len(best)), (2, count))]  # [2, count, D]
    u = np.where(draw.random(parents[0].shape) < 0.5, *parents)
    born: np.ndarray = np.clip(u + mutation * draw.standard_normal(u.shape), 0, 1)
    return born
