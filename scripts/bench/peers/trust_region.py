"""BoTorch with a trust region: TuRBO on the score (Eriksson et al. 2019, NeurIPS), as in BoTorch's own tutorial."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gbar.scripts.bench.trial import Trial, sum_score
from gbar.sim import design

BATCH = 16
LONGEST, SHORTEST, FIRST = 1.6, 0.5**7, 0.8  # sides of the trust region, in units of the cube
SUCCESSES = 10  # batches in a row that improve before it grows

Propose = Callable[[np.ndarray, np.ndarray, "Region", int], np.ndarray]  # u [N, D], z [N, F], region, seed -> [B, D]


@dataclass
class Region:
    """The trust region around the best point since the last restart."""

    dimension: int
    batch: int = BATCH
    length: float = FIRST
    best: float = math.inf
    successes: int = 0
    failures: int = 0

    def update(self, scores: np.ndarray) -> None:
        """Grow after many batches that improve, shrink after as many that do not as the dimension asks for."""
        better = scores.min() < self.best - 1e-3 * abs(self.best) if math.isfinite(self.best) else True
        self.successes, self.failures = (self.successes + 1, 0) if better else (0, self.failures + 1)
        if self.successes == SUCCESSES:
            self.length, self.successes = min(2 * self.length, LONGEST), 0
        elif self.failures == math.ceil(max(4, self.dimension) / self.batch):
            self.length, self.failures = self.length / 2, 0
        self.best = min(self.best, float(scores.min()))


def search_turbo(trial: Trial, seed: int) -> None:
    """TuRBO-1 with Thompson sampling on the sum score."""
    search_in_region(trial, seed, _by_score)


def search_in_region(trial: Trial, seed: int, propose: Propose, batch: int = BATCH) -> None:
    """A design, then batches from the region around the best point; where it has shrunk away, anew."""
    import torch

    torch.set_num_threads(1)  # at these sizes threads cost more than they give, ten times more on a busy machine
    restart = 0
    while True:
        u = design(trial.dimension, 2 * trial.dimension, 1000 * restart + seed)
        z = trial(u)
        region = Region(trial.dimension, batch)
        region.update(sum_score(z))
        while region.length >= SHORTEST:
            new = propose(u, z, region, 1000 * restart + seed + len(u))
            z_new = trial(new)
            u, z = np.concatenate([u, new]), np.concatenate([z, z_new])
            region.update(sum_score(z_new))
        restart += 1


def _by_score(u: np.ndarray, z: np.ndarray, region: Region, seed: int) -> np.ndarray:
    import torch
    from botorch.generation import MaxPosteriorSampling

    torch.manual_seed(seed)
    score = torch.tensor(-sum_score(z))[:, None]
    model = fitted(torch.tensor(u), score)
    count = min(5000, max(2000, 200 * region.dimension))
    centre = torch.tensor(u[int(np.argmin(sum_score(z)))])
    candidates = _candidates(centre, lengthscales(model), region, count, seed)
    with torch.no_grad():
        sampling: Any = MaxPosteriorSampling(model=model, replacement=False)
        return np.asarray(sampling(candidates, num_samples=BATCH))


def fitted(u: Any, y: Any) -> Any:
    """A Gaussian process for every column of y [N, F], each with a lengthscale for every parameter."""
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from gpytorch.constraints import Interval
    from gpytorch.kernels import MaternKernel, ScaleKernel
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.mlls import ExactMarginalLogLikelihood

    outputs = y.shape[1]
    batch = torch.Size([outputs]) if outputs > 1 else torch.Size()
    limits = Interval(0.005, 4.0)
    kernel = MaternKernel(nu=2.5, ard_num_dims=u.shape[1], lengthscale_constraint=limits, batch_shape=batch)
    model = SingleTaskGP(
        u,
        y,
        likelihood=GaussianLikelihood(noise_constraint=Interval(1e-8, 1e-3), batch_shape=batch),
        covar_module=ScaleKernel(kernel, batch_shape=batch),
        outcome_transform=Standardize(m=outputs),
    )
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def lengthscales(model: Any) -> Any:  # [D]
    """Of all features together: the geometric mean."""
    scales = model.covar_module.base_kernel.lengthscale.detach()
    return scales.log().reshape(-1, scales.shape[-1]).mean(dim=0).exp()


def _candidates(centre: Any, scales: Any, region: Region, count: int, seed: int) -> Any:  # [count, D]
    """Sobol points in the trust region, each differing from the centre in some 20 parameters at most."""
    import torch

    low, high = ends(centre, scales, region)
    points = low + (high - low) * torch.tensor(design(region.dimension, count, seed))
    moved = torch.rand(count, region.dimension, dtype=torch.double) <= min(20.0 / region.dimension, 1.0)
    still = ~moved.any(dim=1)
    moved[still, torch.randint(0, region.dimension, (int(still.sum()),))] = True
    return torch.where(moved, points, centre)


def ends(centre: Any, scales: Any, region: Region) -> tuple[Any, Any]:  # [D], [D] -> [D], [D]
    """The corners of the trust region: wider where the response is smoother."""
    weights = scales / scales.mean()
    weights = weights / weights.prod() ** (1.0 / len(weights))
    reach = weights * region.length / 2
    return (centre - reach).clamp(0.0, 1.0), (centre + reach).clamp(0.0, 1.0)
