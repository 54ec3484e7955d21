"""A run's surrogate once more, learned from its archive: what NEURON would say, at once."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from gbar.agent.learning import Agent, AgentConfig, assess, configure, target_of, z_scores
from gbar.agent.result import Result
from gbar.agent.tuning.definition import BEYOND
from gbar.sim import Archive, GbarError, load_problem
from gbar.sim.problem import within
from gbar.surrogate import Z90

FEWEST = 5  # evaluations from which something can be learned
NEAR = 64  # evaluations nearest to the measurements, whose errors say how far the answers are off


class Expected(NamedTuple):
    """What is expected of one measured feature."""

    key: str
    value: float
    z: float
    low: float  # z, of the 90 % interval
    high: float
    defined: float  # probability


class StandIn:
    """Answers for parameter values what a run's archive has taught.

    Raises:
        GbarError: from the constructor, where the problem or the archive is gone or has changed, or holds too little.
    """

    def __init__(self, run: Path, result: Result):
        configure()
        problem = load_problem(result.problem_folder, result.measurements_file)
        keys = [m.key for m in problem.measurements]
        with Archive(run / result.archive, problem, must_exist=True) as archive:
            rows = archive.rows(keys, result.engine)
        near = rows.only(within(problem.unit(rows.x), BEYOND))
        if len(near) < FEWEST:
            raise GbarError(f"{run}: {len(near)} evaluations: too few to learn from, {FEWEST} or more are needed")
        self.problem, self.keys, self.target = problem, keys, target_of(problem.measurements)
        size = 1 << (len(near) - 1).bit_length()
        key = jax.random.key(result.seed)
        self._agent = Agent(key, len(problem.names), self.target, result.tolerance, size, AgentConfig())
        u, features = problem.unit(near.x), np.where(near.ok[:, None], near.features, np.nan)
        self._agent.update_surrogate(u, features)
        z = z_scores(features, self.target)
        closest = np.argsort(np.abs(np.arcsinh(np.nan_to_num(z, nan=1e3))).max(axis=1), kind="stable")[:NEAR]
        errors = np.arcsinh(z[closest]) - self._answer(u[closest])[0].mean(axis=0)  # of what it has seen: the least
        self._noise = np.sqrt(np.nanmean(errors**2, axis=0, where=np.isfinite(errors)))
        known = [result.surrogate.get(k) for k in keys]
        first = float(np.sinh(AgentConfig().first_noise))  # where the run has predicted too little to know
        before = [first if a is None or a.recent_rmse_over_sd is None else a.recent_rmse_over_sd for a in known]
        self._noise = np.fmax(self._noise, np.arcsinh(before))
        self.expect(near.x[closest[0]])  # compiled for one, so that nobody waits for it

    def _answer(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """asinh(z) and probabilities of being defined, [M, B, F] each, of u [B, D]."""
        agent = self._agent
        r, p = assess(agent.dynamics, jax.numpy.asarray(u, "float32"), agent.target32, agent.network)
        return np.asarray(r, float), np.asarray(p, float)

    def expect(self, x: np.ndarray) -> list[Expected]:
        """What is expected at x [D], in NEURON's units."""
        r, p = (part[:, 0] for part in self._answer(self.problem.unit(x[None])))  # [M, F]
        middle, sd = r.mean(axis=0), np.sqrt(r.var(axis=0) + np.nan_to_num(self._noise, nan=1.0) ** 2)
        z = np.sinh(np.clip(np.stack([middle, middle - Z90 * sd, middle + Z90 * sd]), -15, 15))
        values = self.target.mean + self.target.sd * z[0]
        rows = zip(self.keys, values, *z, p.mean(axis=0), strict=True)
        return [Expected(key, *map(float, numbers)) for key, *numbers in rows]
