"""Where no parameter set meets everything: a few that are as near as it gets, each giving up something else."""

import numpy as np

from gbar.agent.learning import CAP, Target, breaks

COUNT = 4  # at most
APART = 0.5  # share of what a compromise gives up that none before it gives up
WORTH = 3.0  # times the smallest shortfall, and a tolerance on top: further off a set is no compromise
CONSIDERED = 512  # nearest sets that are compared with one another
MANY = 20  # measurements from which sets are told apart by what protocols they give up
CLOSE = 0.5  # SDs: what is nearer in a measurement by less beats nobody
FAINT = 0.01  # of |z|: tells apart what gives up nothing, or next to it


def shortfall(z: np.ndarray, target: Target[np.ndarray], tolerance: float) -> np.ndarray:  # [..., F] -> [..., F]
    """By how many SDs each measurement is missed, times its weight; no more than CAP counts, as if not defined."""
    missed = np.maximum(_size(z) - tolerance, 0.0)
    weighted: np.ndarray = missed if target.weight is None else target.weight * missed
    return weighted


def order(z: np.ndarray, target: Target[np.ndarray], tolerance: float) -> np.ndarray:  # [N, F] -> [N]
    """Indices: what keeps all that must hold before what does not, then the smallest shortfall."""
    total = shortfall(z, target, tolerance).sum(axis=-1) + FAINT * _size(z).mean(axis=-1)
    return np.lexsort((total, breaks(z, target, tolerance)))


def choose_compromises(
    z: np.ndarray, target: Target[np.ndarray], tolerance: float, protocols: list[str], count: int = COUNT
) -> list[int]:
    """Sets that no other is as near as in every measurement, told apart by which they give up.

    The nearest comes first; then, again and again, the nearest that gives up mostly what none before it does.

    Args:
        z: [N, F] of every set that may be one.
        target: its weights and what must hold.
        tolerance: |z| up to which a measurement is met.
        protocols: [F] of every measurement.
        count: at most.

    Returns:
        Indices, the nearest first; none where there is no set.
    """
    nearest = order(z, target, tolerance)[:CONSIDERED]
    if not len(nearest):
        return []
    missed = shortfall(z[nearest], target, tolerance) + FAINT * _size(z[nearest]) / z.shape[1]
    total = missed.sum(axis=1)
    given_up = _by_protocol(missed, protocols) / total[:, None]
    worth = (total <= WORTH * total[0] + tolerance) & ~_beaten(missed)
    worth[0] = True
    chosen: list[int] = []
    for k in np.flatnonzero(worth):
        alike = [np.minimum(given_up[k], given_up[other]).sum() for other in chosen]
        if len(chosen) < count and max(alike, default=0.0) <= 1 - APART:
            chosen.append(int(k))
    return [int(nearest[k]) for k in chosen]


def _size(z: np.ndarray) -> np.ndarray:
    size: np.ndarray = np.where(np.isfinite(z), np.minimum(np.abs(z), CAP), CAP)
    return size


def _by_protocol(missed: np.ndarray, protocols: list[str]) -> np.ndarray:  # [N, F] -> [N, G]
    """Each measurement by itself, or where they are many, all of a protocol together."""
    names = list(dict.fromkeys(protocols))
    if missed.shape[1] <= MANY or len(names) == 1:
        return missed
    return np.stack([missed[:, [name == each for each in protocols]].sum(axis=1) for name in names], axis=1)


def _beaten(missed: np.ndarray) -> np.ndarray:  # [N, F] -> [N] bool
    """Which sets another one is as near as in every measurement, or next to it, and nearer in all together."""
    total = missed.sum(axis=1)
    return np.array([(np.all(missed <= one + CLOSE, axis=1) & (total < one.sum())).any() for one in missed], bool)
