"""Sessions against an emulator instead of NEURON, to compare ways of planning on many targets in little time.

The emulator is a single wide network fitted to the whole archive, with another seed and size than the memory's; targets
are what it makes of archived cells. It flatters everybody alike: what counts is the difference between two planners.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from agent.goal import Goal, worst, z_scores
from agent.memory import Memory, padded
from agent.mind import Mind, MindConfig
from agent.propose import choose
from surrogate import FitConfig, Params, Prediction, Response, Scaling, choose_scaling, fit, pad, respond, unsquash

EMULATOR = FitConfig(members=1, hidden=160, layers=3, steps=1000, first_passes=5, batch=256)


class Emulator(NamedTuple):
    """A stand-in for NEURON."""

    network: Response
    params: Params
    scaling: Scaling

    def simulate(self, u: np.ndarray) -> np.ndarray:  # [B, D] -> [B, F], NaN where not defined
        padding = np.zeros((max(0, 64 - len(u)), u.shape[1]))  # one compiled size for small batches
        made = _answer(self.network, self.params, jnp.asarray(np.concatenate([u, padding]), jnp.float32))
        value = np.asarray(unsquash(self.scaling, made.value), float)
        return np.where(np.asarray(made.logit) > 0, value, np.nan)[: len(u)]


@partial(jax.jit, static_argnames="network")
def _answer(network: Response, params: Params, u: jax.Array) -> Prediction:
    return respond(network, jax.tree.map(lambda leaf: leaf[0], params), u)


def emulate(u: np.ndarray, features: np.ndarray, goal: Goal, config: FitConfig = EMULATOR) -> Emulator:
    """Fit an emulator to an archive: u [N, D], features [N, F]."""
    scaling, network = (
        choose_scaling(features, goal.mean, goal.sd),
        Response(len(goal.mean), config.hidden, config.layers),
    )
    data = pad(u, features, np.ones(len(u)), scaling, padded(len(u)))
    return Emulator(network, fit(jax.random.key(1_000_003), data, network, config), scaling)


class Rehearsed(NamedTuple):
    """One session towards one target."""

    target: int
    first_batch: float  # smallest largest |z| of the first batch
    evaluations: int | None  # to the first solution; None: not within the budget
    think_s: float
    proposer: str  # of the first solution
    coverage: float
    rmse: float


def rehearse(
    emulator: Emulator,
    memory: Memory | None,
    u: np.ndarray,
    features: np.ndarray,
    goals: Sequence[Goal],
    config: MindConfig,
    batches: Sequence[int],
) -> Iterator[Rehearsed]:
    """Tune to every goal in turn, in batches of the given sizes, knowing archived cells u [N, D], features [N, F]."""
    for number, goal in enumerate(goals):
        mind = Mind(jax.random.key(number), u.shape[1], goal, padded(len(u) + sum(batches)), config, memory)
        known_u, known = u, features
        first, solved, spent, proposer, seen = np.inf, None, 0.0, "", []
        for size in batches:
            start = time.perf_counter()
            mind.refit(known_u, known)
            mind.practise(known_u, known)
            pool = mind.plan(known_u, known)
            draw = np.random.default_rng([number, len(known_u)])
            chosen = choose(
                draw, pool, size, goal.tolerance, mind.noise(), np.empty((0, u.shape[1])), known_u, config.plan.apart
            )
            forecast = mind.forecast(pool.r[:, chosen], pool.p[:, chosen])
            spent += time.perf_counter() - start
            made = emulator.simulate(pool.u[chosen])
            mind.learn_from(forecast, made)
            z = z_scores(made, goal)
            seen.append((z, forecast))
            known_u, known = np.concatenate([known_u, pool.u[chosen]]), np.concatenate([known, made])
            far = worst(z)
            first = float(far.min()) if len(seen) == 1 else first
            if (far <= goal.tolerance).any():
                solved = len(known_u) - len(u)
                proposer = ("policy", "gradient")[pool.proposer[chosen[int(np.argmin(far))]]]
                break
        r = np.concatenate([np.arcsinh(z) for z, _ in seen])
        m = np.concatenate([f.r for _, f in seen])
        s = np.concatenate([f.sd for _, f in seen])
        with np.errstate(invalid="ignore"):
            inside = np.abs(r - m) <= 1.645 * s
        last_z, last_f = seen[-1]
        err = np.sinh(last_f.r) - last_z
        yield Rehearsed(
            number,
            first,
            solved,
            spent,
            proposer,
            float(np.mean(inside[np.isfinite(r)])),
            float(np.median(np.sqrt(np.nanmean(err**2, axis=0)))),
        )
