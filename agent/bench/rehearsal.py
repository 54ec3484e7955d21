"""Sessions against an emulator instead of NEURON, to compare ways of planning on many targets in little time.

The emulator is one wide network fitted to the whole archive, with another seed and size than the memory's; targets are
what it makes of archived cells. It flatters everybody alike: what counts is the difference between two ways. Figures
that are claimed come from NEURON (`gbar cells`).
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from agent import env
from agent import memory as memories
from agent.accelerate import configure
from agent.goal import Goal, goal_of, sd_elsewhere, worst, z_scores
from agent.memory import Memory, padded
from agent.mind import Mind, MindConfig, Planner
from agent.policy import init_policy
from agent.propose import PROPOSERS, choose
from sim import Accuracy, Archive, GbarError, Problem
from surrogate import Z90, FitConfig, Params, Prediction, Response, Scaling, choose_scaling, fit, pad, respond, unsquash
from surrogate.scaling import squash

EMULATOR = FitConfig(members=1, hidden=160, layers=3, steps=1000, first_passes=5, batch=256)
AT_ONCE = 64  # the emulator's batch is padded to this
BATCH, BATCHES = 8, 6  # of every session
ARMS: dict[str, str] = {  # as docs/agent.md explains them
    "both": "the policy's rollouts and gradient descents: the default with a memory",
    "policy": "the policy's rollouts alone",
    "gradient": "gradient descents alone",
    "untrained": "rollouts of a policy that was never trained: Gauss-Newton steps with noise",
    "frozen": "as both, with a surrogate that learns nothing from the session",
}
PLANNERS: dict[str, Planner] = {
    "both": "both",
    "policy": "policy",
    "gradient": "gradient",
    "untrained": "policy",
    "frozen": "both",
}


class Emulator(NamedTuple):
    """A stand-in for NEURON."""

    network: Response
    params: Params
    scaling: Scaling

    def simulate(self, u: np.ndarray) -> np.ndarray:  # [B, D] -> [B, F], NaN where not defined
        made = [self._simulate(u[i : i + AT_ONCE]) for i in range(0, len(u), AT_ONCE)]
        return np.concatenate(made)

    def _simulate(self, u: np.ndarray) -> np.ndarray:
        padding = np.zeros((AT_ONCE - len(u), u.shape[1]))
        made = _answer(self.network, self.params, jnp.asarray(np.concatenate([u, padding]), jnp.float32))
        value = np.asarray(unsquash(self.scaling, made.value), float)
        return np.where(np.asarray(made.logit) > 0, value, np.nan)[: len(u)]


@partial(jax.jit, static_argnames="network")
def _answer(network: Response, params: Params, u: jax.Array) -> Prediction:
    return respond(network, jax.tree.map(lambda leaf: leaf[0], params), u)


def emulate(u: np.ndarray, features: np.ndarray, goal: Goal, config: FitConfig = EMULATOR) -> Emulator:
    """Fit an emulator to an archive: u [N, D], features [N, F]."""
    scaling = choose_scaling(features, goal.mean, goal.sd)
    network = Response(len(goal.mean), config.hidden, config.layers)
    data = pad(u, features, np.ones(len(u)), scaling, padded(len(u)))
    return Emulator(network, fit(jax.random.key(1_000_003), data, network, config), scaling)


class Rehearsed(NamedTuple):
    """One session towards one target."""

    arm: str
    target: int
    first_batch: float  # smallest largest |z| of the first batch
    evaluations: int | None  # to the first solution; None: not within the session
    proposer: str  # of the first solution
    batch_s: float  # fitting and planning, median over batches
    coverage: float  # share of 90 % intervals that held
    rmse: float  # median over features of the last batch's error, in SDs


def rehearse(
    problem: Problem, archive: Path, arms: Sequence[str], count: int, tolerance: float = 1.0, most: int | None = None
) -> Iterator[Rehearsed]:
    """Play a session with every arm towards each of `count` targets, arms in turn.

    Args:
        most: only so many of the archive's evaluations are known to the sessions; the emulator has them all.

    Raises:
        GbarError: an arm that is not known, or an archive with too little in it.
    """
    configure()
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown:
        raise GbarError(f"no way of planning '{unknown[0]}': expected some of {', '.join(ARMS)}")
    config, goal = MindConfig(), goal_of(problem.measurements, tolerance)
    engine = str(Accuracy.of(problem))
    with Archive(archive, problem) as kept:
        rows = kept.rows([m.key for m in problem.measurements], engine)
    u, features = problem.unit(rows.x), np.where(rows.ok[:, None], rows.features, np.nan)
    if len(u) < config.memory.least:
        raise GbarError(f"{archive}: {len(u)} evaluations by '{engine}': expected at least {config.memory.least}")
    stamp = memories.stamp(problem, goal, engine, config.memory, config.env)
    emulator = emulate(u, features, goal)
    if most:
        memory = memories.remember(u[:most], features[:most], goal, config.memory, config.env)
    else:
        memory, _ = memories.recall(archive, stamp, u, features, goal, config.memory, config.env)
    chosen = _targets(features, memory, count)
    means = emulator.simulate(u[chosen])
    known = np.setdiff1d(np.arange(most or len(u)), chosen)
    for number, mean in enumerate(means):
        target = Goal(mean, sd_elsewhere(goal, mean), tolerance)
        if np.isfinite(mean).all():
            for arm in arms:
                yield _session(arm, number, emulator, memory, u[known], features[known], target, config)


def _targets(features: np.ndarray, memory: Memory, count: int) -> np.ndarray:
    """Archived cells with every feature defined and none far out in its tail."""
    s = squash(memory.scaling, features)
    usual = np.flatnonzero(np.isfinite(s).all(axis=1) & (np.abs(np.nan_to_num(s)) < 1.5).all(axis=1))
    return np.random.default_rng(5).permutation(usual)[:count]


def _session(
    arm: str,
    number: int,
    emulator: Emulator,
    memory: Memory,
    u: np.ndarray,
    features: np.ndarray,
    goal: Goal,
    config: MindConfig,
) -> Rehearsed:
    """Tune to one goal, knowing archived cells u [N, D], features [N, F]."""
    if arm == "untrained":
        blank = init_policy(jax.random.key(7), env.observation_size(u.shape[1], len(goal.mean)), u.shape[1])
        memory = memory._replace(policy=blank)
    config = config._replace(planner=PLANNERS[arm])
    mind = Mind(jax.random.key(number), u.shape[1], goal, padded(len(u) + BATCH * BATCHES), config, memory)
    start_u, start_features, before = u, features, len(u)
    first, solved, proposer = np.inf, None, ""
    took, errors, held = [], np.empty((0, len(goal.mean))), []
    for batch in range(BATCHES):
        start = time.perf_counter()
        mind.refit(*((start_u, start_features) if arm == "frozen" else (u, features)))
        pool = mind.plan(u, features)
        draw = np.random.default_rng([number, len(u)])
        chosen = choose(draw, pool, BATCH, goal.tolerance, mind.noise(), u[:0], u, config.plan.apart)
        forecast = mind.forecast(pool.r[:, chosen], pool.p[:, chosen])
        took.append(time.perf_counter() - start)
        made = emulator.simulate(pool.u[chosen])
        mind.learn_from(forecast, made)
        z = z_scores(made, goal)
        errors = np.sinh(np.clip(forecast.r, -15, 15)) - z
        held += list((np.abs(np.arcsinh(z) - forecast.r) <= Z90 * forecast.sd)[np.isfinite(z)])
        u, features = np.concatenate([u, pool.u[chosen]]), np.concatenate([features, made])
        best = float(worst(z).min())
        first = best if batch == 0 else first
        if best <= goal.tolerance:
            solved, proposer = len(u) - before, PROPOSERS[pool.proposer[chosen[int(np.argmin(worst(z)))]]]
            break
    rmse = np.sqrt([np.mean(column[np.isfinite(column)] ** 2) for column in errors.T if np.isfinite(column).any()])
    return Rehearsed(
        arm, number, first, solved, proposer, float(np.median(took)), float(np.mean(held)), float(np.median(rmse))
    )


class Summary(NamedTuple):
    """One arm over all targets; an unsolved session counts beyond all solved ones."""

    arm: str
    targets: int
    first_within_3: float  # share of first batches with some |z| <= 3 throughout
    first_solved: float
    median_first: float
    solved: float
    mean_evaluations: float  # unsolved sessions count twice their length
    batch_s: float
    coverage: float
    rmse: float


def summarise(sessions: Sequence[Rehearsed]) -> list[Summary]:
    """A row an arm, in the order of `ARMS`."""
    rows = []
    for arm in [arm for arm in ARMS if any(session.arm == arm for session in sessions)]:
        own = [session for session in sessions if session.arm == arm]
        first = np.array([session.first_batch for session in own])
        counted = [session.evaluations or 2 * BATCH * BATCHES for session in own]
        rows.append(
            Summary(
                arm,
                len(own),
                float((first <= 3).mean()),
                float(np.mean([count == BATCH for count in counted])),
                float(np.median(first)),
                float(np.mean([session.evaluations is not None for session in own])),
                float(np.mean(counted)),
                float(np.median([session.batch_s for session in own])),
                float(np.mean([session.coverage for session in own])),
                float(np.median([session.rmse for session in own])),
            )
        )
    return rows
