"""Amortised inference with sbi: one round of neural posterior estimation on an archive, then draws for a cell.

NPE is Greenberg et al. 2019 (ICML) without further rounds: a normalising flow learns, from simulations made before,
which parameters give which features, and is asked for those of the measurements.
"""

import warnings

import numpy as np

from gbar.scripts.bench.trial import Trial

BATCH = 8  # draws simulated at once: a vector of the processor
DRAWN = 1024  # at a time, simulated in the order of their density
SENTINEL = 2.0  # asinh(z) beyond the furthest defined value, in which an undefined feature is written
LARGEST = 8.0  # asinh(z) beyond which a value is no further: some 1,500 SD


def search_npe(trial: Trial, seed: int) -> None:
    """A neural spline flow at sbi's defaults, on asinh(z) as it would be measured, with the noise of a measurement.

    Where all draws were simulated and none does, it draws again.
    """
    import torch
    from sbi.inference import NPE
    from sbi.utils import BoxUniform

    assert trial.known is not None, "compare() asks for an archive"
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    u, x = trial.known.u, observed(trial.known.z, draw, trial.tolerance)
    prior = BoxUniform(torch.zeros(trial.dimension), torch.ones(trial.dimension))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it does to data, which is as it should be
        inference = NPE(prior=prior, density_estimator="nsf", show_progress_bars=False)
        inference.append_simulations(torch.tensor(u, dtype=torch.float32), torch.tensor(x, dtype=torch.float32))
        estimator = inference.train()
        posterior = inference.build_posterior(estimator)
        wanted = torch.zeros(1, x.shape[1])  # every z is 0
        while True:
            with torch.no_grad():
                drawn = posterior.sample((DRAWN,), x=wanted, show_progress_bars=False, reject_outside_prior=False)
                density = posterior.log_prob(drawn, x=wanted, norm_posterior=False)  # of draws outside the bounds: none
            places = drawn[torch.argsort(density, descending=True)].numpy()
            for start in range(0, DRAWN, BATCH):
                trial(places[start : start + BATCH])


def observed(z: np.ndarray, draw: np.random.Generator, tolerance: float) -> np.ndarray:  # [N, F] -> [N, F], finite
    """Features as they would be measured, with an error of half the tolerance; what is not defined is far off."""
    measured = np.clip(np.arcsinh(z + draw.normal(0, tolerance / 2, z.shape)), -LARGEST, LARGEST)
    furthest = np.max(np.where(np.isfinite(measured), measured, 0.0), axis=0)
    return np.where(np.isfinite(measured), measured, furthest + SENTINEL)
