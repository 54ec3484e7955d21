"""Whole sessions towards many targets, to compare ways of planning: against NEURON, or an emulator that costs nothing.

The emulator is one wide network fitted to the whole archive, with another seed and size than the agent's own; targets
are what it makes of archived cells. It flatters everybody alike: what counts is the difference between two ways.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import binomtest

from gbar.agent.learning import (
    PROPOSERS,
    Agent,
    AgentConfig,
    Planner,
    Pretrained,
    Target,
    configure,
    init_policy,
    load_or_pretrain,
    observation_size,
    padded,
    pretrain,
    sd_elsewhere,
    select_batch,
    target_of,
    train_policy,
    worst,
    z_scores,
)
from gbar.agent.learning import stamp as pretraining_stamp
from gbar.sim import Archive, GbarError, Integrator, Problem, Workers, load_problem
from gbar.surrogate import (
    Z90,
    FitConfig,
    Params,
    Prediction,
    Response,
    Scaling,
    choose_scaling,
    fit,
    pad,
    respond,
    squash,
    unsquash,
)

EMULATOR = FitConfig(members=1, hidden=160, layers=3, steps=1000, first_passes=5, batch=256)
AT_ONCE = 64  # the emulator's batch is padded to this
BATCH, BATCHES = 8, 6  # of every session
BOTH = AgentConfig(planner="both")


class Arm(NamedTuple):
    """One way of thinking. With other rules or another way of learning, its policy is trained anew."""

    words: str
    agent: AgentConfig = BOTH
    frozen: bool = False
    seed: int = 0  # of the policy's training


def _rules(rollout: int = BOTH.plan.rollout, **changes: Any) -> AgentConfig:
    return BOTH._replace(env=BOTH.env._replace(**changes), plan=BOTH.plan._replace(rollout=rollout))


def _learning(**changes: Any) -> AgentConfig:
    learning = BOTH.pretrain.learn._replace(**changes)
    return BOTH._replace(pretrain=BOTH.pretrain._replace(learn=learning))


def _alone(planner: Planner, trained: bool = True, **lengths: Any) -> AgentConfig:
    return AgentConfig(planner=planner, trained=trained, plan=BOTH.plan._replace(**lengths))


def _practised(times: int) -> AgentConfig:
    rounds = BOTH.pretrain.learn.first_rounds * times
    return _learning(first_rounds=rounds)._replace(planner="policy")


ARMS: dict[str, Arm] = {  # as docs/agent.md explains them
    "both": Arm("the policy's rollouts and gradient descents: the default with a memory"),
    "again": Arm("as both, its policy trained from another seed: what chance does", seed=1),
    "policy": Arm("the policy's rollouts alone", _alone("policy")),
    **{f"policy-again-{n}": Arm("as policy, trained from another seed", _alone("policy"), seed=n) for n in (1, 2)},
    "practised": Arm("the policy's rollouts alone, trained four times as long", _practised(4)),
    "gradient": Arm("gradient descents alone", _alone("gradient")),
    "untrained": Arm(
        "rollouts of a policy that was never trained: Gauss-Newton steps with noise", _alone("policy", trained=False)
    ),
    # in a hurry: a step of a rollout asks the networks about as often as six steps of a descent
    **{f"policy-{n}": Arm(f"the policy's rollouts, {n} steps", _alone("policy", rollout=n)) for n in (1, 2, 4)},
    **{f"gradient-{6 * n}": Arm(f"descents, {6 * n} steps", _alone("gradient", descent=6 * n)) for n in (1, 2, 4)},
    **{f"untrained-{n}": Arm(f"as policy-{n}, never trained", _alone("policy", False, rollout=n)) for n in (1, 2, 4)},
    "frozen": Arm("as both, with a surrogate that learns nothing from the session", frozen=True),
    "far": Arm("episodes and rollouts twice as long", _rules(rollout=16, episode=12)),
    "near": Arm("episodes and rollouts half as long", _rules(rollout=4, episode=3)),
    "trusting": Arm("disagreement costs nothing", _rules(pessimism=0.0)),
    "wary": Arm("disagreement costs five times as much", _rules(pessimism=0.5)),
    "no-newton": Arm("actions alone, three times as large, no Gauss-Newton step", _rules(longest=0.0, reach=0.3)),
    "greedy": Arm("windows of one step, the rest left to the critic", _learning(window=1, updates=60)),
    "whole": Arm("windows of a whole episode: no critic in the actor's gradient", _learning(window=6, updates=10)),
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


class Neuron(NamedTuple):
    """NEURON itself, by the problem's engine."""

    problem: Problem
    pool: Workers

    def simulate(self, u: np.ndarray) -> np.ndarray:  # [B, D] -> [B, F], NaN where not defined
        done = dict(self.pool.run(list(self.problem.physical(u))))
        keys = [m.key for m in self.problem.measurements]
        return np.array([done[i].row(keys) for i in range(len(u))])


Cell = Emulator | Neuron


def emulate(u: np.ndarray, features: np.ndarray, target: Target[np.ndarray], config: FitConfig = EMULATOR) -> Emulator:
    """Fit an emulator to an archive: u [N, D], features [N, F]."""
    scaling = choose_scaling(features, target.mean, target.sd)
    network = Response(len(target.mean), config.hidden, config.layers)
    data = pad(u, features, np.ones(len(u)), scaling, padded(len(u)))
    return Emulator(network, fit(jax.random.key(1_000_003), data, network, config), scaling)


class Rehearsed(NamedTuple):
    """One session towards one target."""

    arm: str
    target: int
    first_batch: float  # smallest largest |z| of the first batch
    evaluations: int | None  # to the first solution; None: not within the session
    proposer: str  # of the first solution
    batch_s: float  # processor seconds of fitting and planning, median over batches
    coverage: float  # share of 90 % intervals that held
    rmse: float  # median over features of the last batch's error, in SDs


def rehearse(
    problem: Problem, archive: Path, arms: Sequence[str], count: int, tolerance: float = 1.0, most: int | None = None
) -> Iterator[Rehearsed]:
    """Play a session with every arm towards each of `count` targets, the same for all, against an emulator.

    Args:
        most: only so many of the archive's evaluations are known to the sessions; the emulator has them all.

    Raises:
        GbarError: an arm that is not known, or an archive with too little in it.
    """
    taught = _learn(problem, archive, arms, tolerance, most)
    emulator = emulate(*taught.everything, taught.target)
    chosen = _targets(taught.everything[1], taught.pretrained, count, most or 0)
    means = [mean for mean in emulator.simulate(taught.everything[0][chosen]) if np.isfinite(mean).all()]
    targets = [Target(mean, sd_elsewhere(taught.target, mean)) for mean in means]
    known = np.setdiff1d(np.arange(len(taught.u)), chosen)
    yield from _played(arms, targets, emulator, taught._replace(u=taught.u[known], features=taught.features[known]))


def perform(
    problem: Problem,
    tables: Sequence[Path],
    archive: Path,
    arms: Sequence[str],
    tolerance: float = 1.0,
    most: int | None = None,
    workers: int = 2,
) -> Iterator[Rehearsed]:
    """The same against NEURON, towards tables of measurements. A session knows the archive, and not the other cells.

    A solution is what the searching engine calls one; it is not confirmed.

    Raises:
        GbarError: as `rehearse`, or a table that measures other features than the problem's own.
    """
    targets = [_target_of(problem, table) for table in tables]
    taught = _learn(problem, archive, arms, tolerance, most)
    with Workers(problem, workers) as pool:
        yield from _played(arms, targets, Neuron(problem, pool), taught)


class Taught(NamedTuple):
    """What every session begins with."""

    target: Target[np.ndarray]  # of the problem's own table
    tolerance: float
    pretrained: Pretrained
    u: np.ndarray  # [N, D] what the sessions know
    features: np.ndarray  # [N, F]
    everything: tuple[np.ndarray, np.ndarray]  # u, features of the whole archive


def _learn(problem: Problem, archive: Path, arms: Sequence[str], tolerance: float, most: int | None) -> Taught:
    configure()
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown:
        raise GbarError(f"no way of planning '{unknown[0]}': expected some of {', '.join(ARMS)}")
    if not archive.is_file():
        raise GbarError(f"{archive}: no such archive: expected one that gbar sample made")
    config, target = BOTH, target_of(problem.measurements)
    engine = str(Integrator.of(problem))
    with Archive(archive, problem, must_exist=True) as kept:
        rows = kept.rows([m.key for m in problem.measurements], engine)
    u, features = problem.unit(rows.x), np.where(rows.ok[:, None], rows.features, np.nan)
    if len(u) < config.pretrain.least:
        raise GbarError(f"{archive}: {len(u)} evaluations by '{engine}': expected at least {config.pretrain.least}")
    stamp = pretraining_stamp(problem, tolerance, engine, config.pretrain, config.env)
    if most:
        pretrained = pretrain(u[:most], features[:most], target, tolerance, config.pretrain, config.env)
    else:
        pretrained, _ = load_or_pretrain(archive, stamp, u, features, target, tolerance, config.pretrain, config.env)
    return Taught(target, tolerance, pretrained, u[:most], features[:most], (u, features))


def _target_of(problem: Problem, table: Path) -> Target[np.ndarray]:
    measured = load_problem(problem.file, table).measurements
    if [m.key for m in measured] != [m.key for m in problem.measurements]:
        raise GbarError(f"{table}: expected the same features in the same order as {problem.measurements_file}")
    return target_of(measured)


def _played(
    arms: Sequence[str], targets: Sequence[Target[np.ndarray]], cell: Cell, taught: Taught
) -> Iterator[Rehearsed]:
    for arm in arms:
        pretrained = _schooled(ARMS[arm], taught)
        for number, target in enumerate(targets):
            yield _session(arm, number, cell, pretrained, taught.u, taught.features, target, taught.tolerance)


def _schooled(arm: Arm, taught: Taught) -> Pretrained:
    """The arm's pretrained agent: everybody's surrogate, and a policy trained by the arm's own rules."""
    agent, (target, tolerance, pretrained, u, features, _) = arm.agent, taught
    if agent.planner == "gradient":
        return pretrained
    if not agent.trained:
        size = observation_size(u.shape[1], len(target.mean))
        return pretrained._replace(policy=init_policy(jax.random.key(7), size, u.shape[1]))
    if not arm.seed and (agent.pretrain, agent.env) == (BOTH.pretrain, BOTH.env):
        return pretrained
    keys = jax.random.split(jax.random.key(arm.seed))
    policy, solved = train_policy(
        keys, pretrained.params, pretrained.scaling, u, features, target, tolerance, agent.pretrain, agent.env
    )
    return pretrained._replace(policy=policy, solved=solved)


def _targets(features: np.ndarray, pretrained: Pretrained, count: int, known: int) -> np.ndarray:
    """Archived cells with every feature defined and none far out in its tail; none of the first `known`, which have
    taught the pretrained agent and its policy."""
    s = squash(pretrained.scaling, features)
    usual = np.isfinite(s).all(axis=1) & (np.abs(np.nan_to_num(s)) < 1.5).all(axis=1)
    return np.random.default_rng(5).permutation(np.flatnonzero(usual[known:]) + known)[:count]


def _session(
    arm: str,
    number: int,
    cell: Cell,
    pretrained: Pretrained,
    u: np.ndarray,
    features: np.ndarray,
    target: Target[np.ndarray],
    tolerance: float,
) -> Rehearsed:
    """Tune to one target, knowing archived cells u [N, D], features [N, F]."""
    config = ARMS[arm].agent
    agent = Agent(
        jax.random.key(number), u.shape[1], target, tolerance, padded(len(u) + BATCH * BATCHES), config, pretrained
    )
    start_u, start_features, before = u, features, len(u)
    first, solved, proposer = np.inf, None, ""
    took, errors, held = [], np.empty((0, len(target.mean))), []
    for batch in range(BATCHES):
        start = time.process_time()
        agent.update_surrogate(*((start_u, start_features) if ARMS[arm].frozen else (u, features)))
        proposals = agent.plan(u, features)
        draw = np.random.default_rng([number, len(u)])
        chosen = select_batch(draw, proposals, BATCH, tolerance, u[:0], u, config.plan.apart)
        forecast = agent.forecast(proposals.only(chosen))
        took.append(time.process_time() - start)
        made = cell.simulate(proposals.u[chosen])
        agent.record_errors(proposals.u[chosen], forecast, made)
        z = z_scores(made, target)
        errors = np.sinh(np.clip(forecast.r, -15, 15)) - z
        held += list((np.abs(np.arcsinh(z) - forecast.r) <= Z90 * forecast.sd)[np.isfinite(z)])
        u, features = np.concatenate([u, proposals.u[chosen]]), np.concatenate([features, made])
        best = float(worst(z).min())
        first = best if batch == 0 else first
        if best <= tolerance:
            solved, proposer = len(u) - before, PROPOSERS[proposals.proposer[chosen[int(np.argmin(worst(z)))]]]
            break
    rmse = np.sqrt([np.mean(column[np.isfinite(column)] ** 2) for column in errors.T if np.isfinite(column).any()])
    return Rehearsed(
        arm, number, first, solved, proposer, float(np.median(took)), float(np.mean(held)), float(np.median(rmse))
    )


class Summary(NamedTuple):
    """One arm over all targets, and beside the first arm that was played, target by target."""

    arm: str
    targets: int
    first_within_3: float  # share of first batches with some |z| <= 3 throughout
    first_solved: float
    median_first: float
    solved: float
    mean_evaluations: float  # unsolved sessions count twice their length
    more: float  # evaluations than the first arm, mean of the differences
    more_error: float  # standard error of that
    fewer_on: int  # targets on which it needed fewer than the first arm
    more_on: int
    chance: float  # of as uneven a split between the two or a worse one, were there no difference (sign test)
    batch_s: float
    coverage: float
    rmse: float


def summarise(sessions: Sequence[Rehearsed]) -> list[Summary]:
    """A row an arm, in the order in which they were played: the first is what the others are compared with."""
    arms = list(dict.fromkeys(session.arm for session in sessions))
    return [_summary([s for s in sessions if s.arm == arm], [s for s in sessions if s.arm == arms[0]]) for arm in arms]


def _summary(own: Sequence[Rehearsed], base: Sequence[Rehearsed]) -> Summary:
    first = np.array([session.first_batch for session in own])
    needed = _counted(own)
    more = needed - _counted(base)[: len(needed)]
    fewer_on, more_on = int((more < 0).sum()), int((more > 0).sum())
    return Summary(
        own[0].arm,
        len(own),
        float((first <= 3).mean()),
        float((needed == BATCH).mean()),
        float(np.median(first)),
        float(np.mean([session.evaluations is not None for session in own])),
        float(needed.mean()),
        float(more.mean()),
        float(more.std(ddof=1) / np.sqrt(len(more))) if len(more) > 1 else float("nan"),
        fewer_on,
        more_on,
        float(binomtest(fewer_on, fewer_on + more_on).pvalue) if fewer_on + more_on else 1.0,
        float(np.median([session.batch_s for session in own])),
        float(np.mean([session.coverage for session in own])),
        float(np.median([session.rmse for session in own])),
    )


def _counted(sessions: Sequence[Rehearsed]) -> np.ndarray:
    """Evaluations of each; an unsolved session counts twice its length."""
    return np.array([session.evaluations or 2 * BATCH * BATCHES for session in sessions], float)
