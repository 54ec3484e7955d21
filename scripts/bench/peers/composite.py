"""BoTorch with a Gaussian process for every feature, as a user who cares would put it together.

Features are modelled instead of the score, each on the rows in which it is defined, with its chance of being defined
beside it. Batches maximise the expected improvement of the score that follows from them (composite, Astudillo & Frazier
2019, ICML; qLogEI, Ament et al. 2023, NeurIPS) within TuRBO's trust region; near a solution the probability that all
measurements are met.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gbar.agent.learning import UNDEFINED
from gbar.scripts.bench.peers.trust_region import Region, ends, fitted, lengthscales, search_in_region
from gbar.scripts.bench.trial import Trial, sum_score

BATCH = 4
ROWS = 256  # nearest to the best point, that the processes are fitted to
FEWEST = 3  # rows in which a feature is defined, or nothing is said of it
SAMPLES = 128  # of all features together, in an acquisition function
RESTARTS, RAW, ITERATIONS = 4, 128, 60  # of its optimisation
NEAR = 3.0  # tolerances: with a largest |z| below, what counts is the probability of a solution


class Modelled(NamedTuple):
    """Features that can be modelled: those that are defined somewhere near."""

    process: Any  # a model with an output for each of `features`
    features: list[int]
    chances: Any  # a model of whether a feature is defined, an output for each of `partial`
    partial: list[int]  # places in `features` of those that are not defined in every row
    scales: Any  # [D] lengthscales


def search_composite(trial: Trial, seed: int) -> None:
    """Batches of a few: the later ones of a batch are chosen knowing of the earlier ones, one after the other."""

    def propose(u: np.ndarray, z: np.ndarray, region: Region, seed: int) -> np.ndarray:
        return _proposed(u, z, region, seed, trial.tolerance)

    search_in_region(trial, seed, propose, BATCH)


def _proposed(u: np.ndarray, z: np.ndarray, region: Region, seed: int, tolerance: float) -> np.ndarray:  # [B, D]
    import torch
    from botorch.optim import optimize_acqf

    torch.manual_seed(seed)
    scores = sum_score(z)
    best = u[int(np.argmin(scores))]
    near = np.argsort(np.max(np.abs(u - best), axis=1), kind="stable")[:ROWS]
    modelled = _modelled(u[near], z[near])
    if modelled is None:  # nothing is defined anywhere: look elsewhere in the region
        step = region.length * (np.random.default_rng(seed).uniform(size=(BATCH, len(best))) - 0.5)
        elsewhere: np.ndarray = np.clip(best + step, 0.0, 1.0)
        return elsewhere
    bounds = torch.stack(ends(torch.tensor(best), modelled.scales, region))
    places, _ = optimize_acqf(
        _acquisition(modelled, z, tolerance),
        bounds=bounds,
        q=BATCH,
        num_restarts=RESTARTS,
        raw_samples=RAW,
        sequential=True,
        options={"maxiter": ITERATIONS},
    )
    return np.asarray(places.detach())


def _modelled(u: np.ndarray, z: np.ndarray) -> Modelled | None:
    """A process for every feature: features that are defined in the same rows are fitted together."""
    import torch
    from botorch.models import ModelListGP

    defined = np.isfinite(z)
    groups: dict[bytes, list[int]] = {}
    for f in np.flatnonzero(defined.sum(axis=0) >= FEWEST):
        groups.setdefault(defined[:, f].tobytes(), []).append(int(f))
    if not groups:
        return None
    models, features = [], []
    for members in groups.values():
        rows = defined[:, members[0]]
        models.append(fitted(torch.tensor(u[rows]), torch.tensor(np.arcsinh(z[np.ix_(rows, members)]))))
        features += members
    partial = [k for k, f in enumerate(features) if not defined[:, f].all()]
    labels = torch.tensor(defined[:, [features[k] for k in partial]].astype(float))
    chances = fitted(torch.tensor(u), labels) if partial else None
    scales = torch.stack([lengthscales(model).log() for model in models]).mean(dim=0).exp()
    return Modelled(ModelListGP(*models), features, chances, partial, scales)


def _acquisition(modelled: Modelled, z: np.ndarray, tolerance: float) -> Any:
    """What a batch maximises: the improvement of the score, or near a solution the probability of one."""
    import torch
    from botorch.acquisition.logei import qLogExpectedImprovement, qLogProbabilityOfFeasibility
    from botorch.acquisition.objective import GenericMCObjective
    from botorch.sampling.normal import SobolQMCNormalSampler

    sampler = SobolQMCNormalSampler(torch.Size([SAMPLES]))
    largest = np.max(np.where(np.isfinite(z), np.abs(z), np.inf), axis=1).min()
    if largest <= NEAR * tolerance and len(modelled.features) == z.shape[1]:
        edge = float(np.arcsinh(tolerance))

        def miss(k: int) -> Callable[[Any], Any]:
            return lambda r: r[..., k].abs() - edge  # at most 0 where the measurement is met

        constraints = [miss(k) for k in range(z.shape[1])]
        return qLogProbabilityOfFeasibility(modelled.process, constraints=constraints, sampler=sampler)
    missing = z.shape[1] - len(modelled.features)

    def score(r: Any, X: Any = None) -> Any:  # [S, ..., B, G] -> [S, ..., B]
        square = r**2
        if modelled.partial and X is not None:
            p = torch.ones(*X.shape[:-1], r.shape[-1], dtype=r.dtype)
            p[..., modelled.partial] = modelled.chances.posterior(X).mean.clamp(0.0, 1.0)
            square = p * square + (1 - p) * UNDEFINED**2
        return -(square.sum(dim=-1) + missing * UNDEFINED**2) / z.shape[1]

    best = -float(sum_score(z).min())
    return qLogExpectedImprovement(modelled.process, best_f=best, sampler=sampler, objective=GenericMCObjective(score))
