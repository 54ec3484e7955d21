"""What the nearest cells say of the places around them, beside the ensemble: asinh(z), and whether it is defined."""

from typing import NamedTuple

import numpy as np

from gbar.agent.learning.kriging import ROWS, Kriging, krige
from gbar.agent.learning.target import Target, z_scores
from gbar.agent.learning.validity import Validity, learn_validity
from gbar.surrogate import Scaling, squash, unsquash

SUREST = 0.02  # least SD of asinh(z): engines differ by as much
NEARBY = 1e-4  # on the network's scale: a step that tells a slope


class LocalModel(NamedTuple):
    """Two Gaussian processes on few cells, as residuals of a target."""

    process: Kriging  # of features on the network's scale, about the measurements
    validity: Validity
    scaling: Scaling
    target: Target[np.ndarray]

    def expect(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F]
        """asinh(z), NaN for a feature of which nothing is known."""
        return self._residual(self._scaled(u))

    def linearised(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # [Q, D] -> [Q, F], [Q, F, D]
        """asinh(z), and its slopes along the parameters."""
        s = self._scaled(u)
        r = self._residual(s)
        return r, ((self._residual(s + NEARBY) - r) / NEARBY)[:, :, None] * self.process.slopes(u)

    def doubt(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F]
        """What is left open of asinh(z), as an SD, NaN for a feature of which nothing is known."""
        s, sd = self._scaled(u), self.process.doubt(u)
        left_open: np.ndarray = np.maximum(np.abs(self._residual(s + sd) - self._residual(s - sd)) / 2, SUREST)
        return left_open

    def _scaled(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F] on the network's scale
        scaled: np.ndarray = self.process.expect(u) + squash(self.scaling, self.target.mean)
        return scaled

    def _residual(self, s: np.ndarray) -> np.ndarray:  # [Q, F] on the network's scale -> [Q, F]
        residual: np.ndarray = np.arcsinh(z_scores(unsquash(self.scaling, s), self.target))
        return residual


def learn_local(
    u: np.ndarray,
    features: np.ndarray,
    nearest_first: np.ndarray,
    anchors: np.ndarray,
    scaling: Scaling,
    target: Target[np.ndarray],
    before: LocalModel | None = None,
) -> LocalModel:
    """Learn features from the cells nearest to the measurements, and where they are defined from those around the best.

    Args:
        u: [N, D] in the unit cube.
        features: [N, F], NaN where not defined, infinite where not simulated.
        nearest_first: [N] indices, by how far cells are from the measurements.
        anchors: [A, D] the best cells.
        scaling, target: of the features.
        before: what fewer cells said.
    """
    near = nearest_first[:ROWS]
    s = squash(scaling, np.where(np.isinf(features[near]), np.nan, features[near]))
    process = krige(u[near], s - squash(scaling, target.mean), before.process if before else None)
    away = np.linalg.norm(u[:, None] - anchors[None], axis=2).min(axis=1)
    around = np.argsort(away, kind="stable")[:ROWS]  # defined or not
    validity = learn_validity(u[around], features[around], before.validity if before else None)
    return LocalModel(process, validity, scaling, target)
