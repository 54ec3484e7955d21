"""DFO-LS: derivative-free least squares (Cartis et al. 2019) on the vector of asinh(z), at its defaults."""

import warnings

import numpy as np

from gbar.agent.learning import UNDEFINED
from gbar.scripts.bench.trial import Trial

RADIUS = 0.1  # of the trust region at first, as a share of the ranges
SMALLEST = 1e-3  # of the trust region at the end


def search_from_centre(trial: Trial, seed: int) -> None:
    """From the centre of the bounds; where it ends, anew from a random place."""
    _search(trial, seed, np.full(trial.dimension, 0.5))


def search_from_own(trial: Trial, seed: int) -> None:
    """From the model's own values, or the nearest to them inside the bounds."""
    u = trial.problem.unit(trial.own)
    _search(trial, seed, np.clip(np.where(np.isfinite(u), u, 0.5), 0.0, 1.0))


def _search(trial: Trial, seed: int, start: np.ndarray) -> None:
    import dfols

    draw = np.random.default_rng(seed)
    bounds = np.zeros(trial.dimension), np.ones(trial.dimension)

    def residuals(u: np.ndarray) -> np.ndarray:  # [D] -> [F]
        z = trial(u[None])[0]
        return np.where(np.isfinite(z), np.arcsinh(z), UNDEFINED)

    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a start that lies within RADIUS of a bound and is moved
            np.random.seed(int(draw.integers(1 << 31)))  # noqa: NPY002  # it takes no generator
            dfols.solve(residuals, start, bounds=bounds, rhobeg=RADIUS, rhoend=SMALLEST, maxfun=trial.budget)
        start = draw.uniform(0.1, 0.9, trial.dimension)
