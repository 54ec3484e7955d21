"""Optuna's default sampler."""

import numpy as np

from gbar.scripts.bench.trial import Trial, sum_score

BATCH = 16


def search_tpe(trial: Trial, seed: int) -> None:
    """TPE at its defaults, with the constant liar that its documentation asks for where trials run side by side."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    space = {f"u{d}": optuna.distributions.FloatDistribution(0.0, 1.0) for d in range(trial.dimension)}
    while True:
        asked = [study.ask(space) for _ in range(BATCH)]
        points = np.array([[each.params[name] for name in space] for each in asked])
        for each, score in zip(asked, sum_score(trial(points)), strict=True):
            study.tell(each, float(score))
