"""BluePyOpt's optimisations with an evaluator that calls the trial's pool."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gbar.scripts.bench.trial import Trial

MAX_SCORE = 250.0  # what BluePyOpt's eFEL features score where they are not defined


def search_ibea(trial: Trial, seed: int) -> None:
    """The indicator-based evolutionary algorithm, BluePyOpt's default: one objective a measurement."""
    from bluepyopt.deapext.optimisations import IBEADEAPOptimisation

    _search(trial, seed, IBEADEAPOptimisation)


def search_cma(trial: Trial, seed: int) -> None:
    """BluePyOpt's CMA-ES for a single objective, the sum over measurements."""
    from bluepyopt.deapext.optimisationsCMA import DEAPOptimisationCMA

    _search(trial, seed, DEAPOptimisationCMA)


def _search(trial: Trial, seed: int, optimisation: Callable[..., Any]) -> None:
    """Run an optimisation at its defaults; one that stops by its own criteria starts anew with the next seed."""
    from bluepyopt.evaluators import Evaluator
    from bluepyopt.objectives import Objective
    from bluepyopt.parameters import Parameter

    class Cell(Evaluator):  # type: ignore[misc] # not typed
        """Measurements as objectives |z|, parameters in the unit cube."""

        def init_simulator_and_evaluate_with_lists(self, params: Sequence[float]) -> list[float]:
            return objectives_of(trial, [params])[0]

        evaluate_with_lists = init_simulator_and_evaluate_with_lists

    cell = Cell(
        objectives=[Objective(key) for key in trial.keys],
        params=[Parameter(name, bounds=(0.0, 1.0)) for name in trial.problem.names],
    )

    def whole_population(function: Any, individuals: Iterable[Any]) -> list[Any]:
        """The map that BluePyOpt takes: its evaluations go to the pool in one call."""
        if getattr(function, "func", function) == cell.init_simulator_and_evaluate_with_lists:
            return objectives_of(trial, list(individuals))
        return list(map(function, individuals))

    while True:
        optimisation(evaluator=cell, seed=seed + 1, map_function=whole_population).run(max_ngen=trial.budget)
        seed += 1_000_003


def objectives_of(trial: Trial, individuals: Sequence[Sequence[float]]) -> list[list[float]]:
    """|z| of every measurement, as BluePyOpt's eFEL objectives score them."""
    z = trial(np.array([list(individual) for individual in individuals]).reshape(-1, trial.dimension))
    listed: list[list[float]] = np.where(np.isfinite(z), np.minimum(np.abs(z), MAX_SCORE), MAX_SCORE).tolist()
    return listed
