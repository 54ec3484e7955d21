"""What needs no surrogate: space-filling points and evolution strategies."""

from collections.abc import Callable

import numpy as np

from gbar.scripts.bench.trial import Trial, max_score, sum_score
from gbar.sim import design

POPULATION = 16


def search_sobol(trial: Trial, seed: int) -> None:
    """A scrambled Sobol sequence."""
    points = design(trial.dimension, trial.budget + POPULATION, seed)
    for start in range(0, len(points), POPULATION):
        trial(points[start : start + POPULATION])


def search_cma(trial: Trial, seed: int) -> None:
    """CMA-ES on the sum score."""
    _search_cma(trial, seed, sum_score)


def search_cma_max(trial: Trial, seed: int) -> None:
    """CMA-ES on the max score."""
    _search_cma(trial, seed, max_score)


def _search_cma(trial: Trial, seed: int, score: Callable[[np.ndarray], np.ndarray]) -> None:
    """pycma within bounds; where it stops by its own criteria it starts anew with twice the population (IPOP)."""
    import cma

    draw = np.random.default_rng(seed)
    population, start = POPULATION, np.full(trial.dimension, 0.5)
    while True:
        options = {"bounds": [0, 1], "popsize": population, "seed": int(draw.integers(1, 1 << 30)), "verbose": -9}
        strategy = cma.CMAEvolutionStrategy(start, 0.3, options)
        while not strategy.stop():
            points = strategy.ask()
            strategy.tell(points, list(score(trial(np.array(points)))))
        population, start = 2 * population, draw.uniform(size=trial.dimension)
