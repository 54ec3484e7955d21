"""Families of solutions: parameter sets that lie together, apart from the others."""

from dataclasses import dataclass

import numpy as np

from gbar.agent.report.axis import Axis
from gbar.agent.report.contents import Contents

APART = 0.2  # of the parameters' ranges, root mean square: families whose middles are nearer are one
TELLING = 3  # parameters that say what is special about one


@dataclass(frozen=True)
class Family:
    """Solutions that lie together."""

    numbers: list[int]  # from 1
    special: list[tuple[str, str]]  # parameter, "low" or "high" beside the others: where it is most so


def families(contents: Contents) -> list[Family]:
    """The solutions in groups, the largest first; one group where they all lie together."""
    from scipy.cluster.hierarchy import fcluster, linkage  # takes a while to load

    u = _unit(contents)
    if len(u) < 3:
        return [Family(list(range(1, len(u) + 1)), [])] if len(u) else []
    of = fcluster(linkage(u / np.sqrt(u.shape[1]), "average"), APART, "distance")
    groups = sorted((np.flatnonzero(of == one) for one in np.unique(of)), key=lambda group: (-len(group), group[0]))
    return [Family([int(i) + 1 for i in group], _special(contents, u, group)) for group in groups]


def _unit(contents: Contents) -> np.ndarray:  # [N, D]
    axes = [(r.name, Axis(r.low, r.high, r.scale == "log")) for r in contents.result.parameters]
    return np.array([[axis.at(c.parameters[name]) / 100 for name, axis in axes] for c in contents.shown])


def _special(contents: Contents, u: np.ndarray, group: np.ndarray) -> list[tuple[str, str]]:
    others = np.setdiff1d(np.arange(len(u)), group)
    if not len(others):
        return []
    away = u[group].mean(axis=0) - u[others].mean(axis=0)  # [D]
    most = [int(i) for i in np.argsort(-np.abs(away))[:TELLING] if abs(away[i]) > APART]
    names = [parameter.name for parameter in contents.result.parameters]
    return [(names[i], "high" if away[i] > 0 else "low") for i in most]
