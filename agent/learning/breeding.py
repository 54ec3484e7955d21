"""Candidates between the best cells so far: they come true where descents end in what the surrogate has made up."""

import numpy as np

PARENTS = 6  # best cells, of which two make each
FURTHEST = 1000.0  # in place of asinh(z) for what is not defined: more than any number has


def breed(
    draw: np.random.Generator,
    best: np.ndarray,
    count: int,
    mutation: float | np.ndarray,
    mates: np.ndarray | None = None,
) -> np.ndarray:
    """Points [count, D] that take each value from one or the other of two of the best cells, a little changed.

    Args:
        draw: consumed.
        best: [P, D] in the unit cube, the best first; of more than `PARENTS` the others are left out.
        count: of points.
        mutation: SD of what is added to each value, in the unit cube; or [count, 1], one for each point.
        mates: [count, D] second parents; None: of the best too.
    """
    parents = best[draw.choice(min(PARENTS, len(best)), (2, count))]  # [2, count, D]
    if mates is not None:
        parents[1] = mates
    u = np.where(draw.random(parents[0].shape) < 0.5, *parents)
    born: np.ndarray = np.clip(u + mutation * draw.standard_normal(u.shape), 0, 1)
    return born


def specialists(draw: np.random.Generator, z: np.ndarray, count: int) -> np.ndarray:
    """Cells [count] that are best at some measurements, whatever they are at others: indices into z [N, F].

    Each is what is left when measurement after measurement, in an order of its own, keeps the cells that are about as
    near as any (epsilon-lexicase selection: La Cava et al. 2016, GECCO). What is good at one protocol alone is far from
    the measurements as a whole, and may be half of what is asked for.

    Args:
        draw: consumed.
        z: NaN where not defined, which is further than anything that is.
        count: how many.
    """
    error = np.where(np.isfinite(z), np.arcsinh(np.abs(z)), FURTHEST)
    about = np.median(np.abs(error - np.median(error, axis=0)), axis=0)  # [F]
    chosen = []
    for _ in range(count):
        left = np.arange(len(z))
        for f in draw.permutation(z.shape[1]):
            left = left[error[left, f] <= error[left, f].min() + about[f]]
            if len(left) == 1:
                break
        chosen.append(int(draw.choice(left)))
    return np.array(chosen, int)
