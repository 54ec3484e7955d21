"""Planning on the surrogate: rollouts of the policy and descents along its gradients, and a batch chosen from both."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.special import log_ndtr, logsumexp

from gbar.agent.learning import environment as env
from gbar.agent.learning.environment import Dynamics, EnvConfig, State
from gbar.agent.learning.policy import Policy, act
from gbar.agent.learning.target import UNDEFINED, Target, residual, z_scores
from gbar.surrogate import Params, Response, respond, unsquash

PROPOSERS = ("policy", "gradient", "bred", "local")
CAP = 20.0  # |z| beyond which a feature, or one that is not defined, is no worse
AIMS = 3  # of `shortfalls`
KEEN = 10.0  # log-units that a batch gives up of a shortfall for being apart: a tenth of it weighs one


class PlanConfig(NamedTuple):
    """How far and how widely to plan."""

    starts: int = 48  # per member
    rollout: int = 8  # steps of the policy
    descent: int = 60  # steps along the gradient, an even number
    rate: float = 0.03  # of the descent, in the unit cube
    radius: float = 1.0  # of the trust region at first, in the unit cube, around the best cells
    least_radius: float = 0.1
    shrink: float = 0.7  # of the radius after `verdict` evaluations that are no better than what was known
    verdict: int = 8
    grow: float = 1.5  # after a batch that is, or after `verdict` evaluations that came out as expected
    right: float = 0.25  # RMS error of what was expected, over what the best cell misses, below which that is so
    bred: int = 192  # candidates between the best cells, from scratch
    mutations: tuple[float, float] = (0.02, 0.15)  # SDs of what is added to their values, least and largest
    anchors: int = 8  # best cells around which the trust region lies
    approached: int = 36  # descents of the Gaussian process, from scratch: a multiple of three
    approach: int = 12  # steps of each
    refined: int = 12  # of the best candidates, from scratch
    generations: int = 4  # of as many children as there were candidates, so that nothing compiles anew
    nearby: tuple[float, float] = (0.004, 0.04)  # SDs of a child's values about its parent's, least and largest
    kriging: bool = True  # a Gaussian process judges candidates too, with a share as it has been right
    apart: float = 0.15  # distance in the unit cube below which two candidates tell much the same
    near: float = (
        1.5  # tolerances: candidates are chosen by shortfall until a largest |z| is that small, then by chance
    )


class Proposals(NamedTuple):
    """Candidates and what each member thinks of them."""

    u: np.ndarray  # [Q, D]
    proposer: np.ndarray  # [Q] index into PROPOSERS
    r: np.ndarray  # [M, Q, F] asinh(z)
    p: np.ndarray  # [M, Q, F] probability of being defined
    noise: np.ndarray  # [Q, F] SD of what the surrogate gets wrong there, in asinh(z)

    def only(self, which: np.ndarray) -> "Proposals":
        """Some of them, by index."""
        return Proposals(self.u[which], self.proposer[which], self.r[:, which], self.p[:, which], self.noise[which])


@partial(jax.jit, static_argnames=("network",))
def roll_out(
    noise: jax.Array,
    policy: Policy,
    dynamics: Dynamics,
    starts: jax.Array,
    target: Target[jax.Array],
    network: Response,
    env_config: EnvConfig,
) -> jax.Array:
    """Play the policy from starts [M, K, D] towards one target [F]; returns every place visited, [Q, D].

    `noise` [H, M, K, D] is standard normal: H steps, drawn outside because generators are slow to compile.
    """

    def step(state: State, noise: jax.Array) -> tuple[State, jax.Array]:
        info = env.evaluate(network, dynamics, state, env_config)
        action = act(noise, policy.actor, env.observe(info, state, env_config))
        after = env.step(state, info, action, env_config)
        return after._replace(left=jnp.maximum(after.left, 1)), after.u

    shape = starts.shape[:2]
    state = State(
        starts,
        jax.tree.map(lambda part: jnp.broadcast_to(part, (*shape, *part.shape)), target),
        jnp.full(shape, env_config.episode),
    )
    _, visited = jax.lax.scan(step, state, noise)
    return visited.reshape(-1, starts.shape[-1])


@partial(jax.jit, static_argnames=("network", "config"))
def descend(
    dynamics: Dynamics,
    starts: jax.Array,
    target: Target[jax.Array],
    network: Response,
    config: PlanConfig,
) -> jax.Array:
    """Adam from starts [M, K, D] down each member's own cost; returns half-way and final places, [Q, D]."""
    optimiser = optax.adam(optax.cosine_decay_schedule(config.rate, config.descent, alpha=0.1))

    def cost(member: Params, u: jax.Array) -> jax.Array:
        predicted = respond(network, member, u)
        r = residual(dynamics.scaling, predicted.value, target)
        short = env.cost(r, jax.nn.sigmoid(predicted.logit), dynamics.tolerance, target.weight)
        return jnp.sum(short + 0.02 * jnp.mean(r**2, axis=-1))  # the second term keeps moving inside the tolerance

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        u, state = carry
        gradient = jax.vmap(jax.grad(cost, argnums=1))(dynamics.params, u)
        updates, state = optimiser.update(gradient, state)
        return (jnp.clip(optax.apply_updates(u, updates), 0.0, 1.0), state), None

    def half(
        carry: tuple[Any, Any], _: None
    ) -> tuple[tuple[Any, Any], jax.Array]:  # scanned too, so that a step compiles once
        carry, _ = jax.lax.scan(step, carry, None, length=config.descent // 2)
        return carry, carry[0]

    _, places = jax.lax.scan(half, (starts, optimiser.init(starts)), None, length=2)
    return places.reshape(-1, starts.shape[-1])


@partial(jax.jit, static_argnames=("network",))
def assess(
    dynamics: Dynamics,
    u: jax.Array,
    target: Target[jax.Array],
    network: Response,
) -> tuple[jax.Array, jax.Array]:
    """What every member predicts at u [Q, D]: asinh(z) and the probability of being defined, [M, Q, F] each."""
    predicted = jax.vmap(lambda member: respond(network, member, u))(dynamics.params)
    return residual(dynamics.scaling, predicted.value, target), jax.nn.sigmoid(predicted.logit)


@partial(jax.jit, static_argnames=("network",))
def slopes(dynamics: Dynamics, u: jax.Array, target: Target[jax.Array], network: Response) -> jax.Array:
    """Every member's dz/du at u [D], [M, F, D]."""

    def z_of(member: Params, u: jax.Array) -> jax.Array:
        return z_scores(unsquash(dynamics.scaling, respond(network, member, u).value), target)

    every: jax.Array = jax.vmap(jax.jacfwd(z_of, argnums=1), in_axes=(0, None))(dynamics.params, u)
    return every


def project_to_trust_region(
    u: np.ndarray, anchors: np.ndarray, radius: float
) -> np.ndarray:  # [Q, D], [A, D] -> [Q, D]
    """Candidates beyond a radius of the nearest anchor, moved towards it until they are at it."""
    away = np.linalg.norm(u[:, None, :] - anchors[None, :, :], axis=2)
    nearest = anchors[np.argmin(away, axis=1)]
    share = np.minimum(1.0, radius / np.maximum(away.min(axis=1), 1e-9))[:, None]
    inside: np.ndarray = nearest + share * (u - nearest)
    return inside


def log_feasibility(proposals: Proposals, tolerance: float) -> np.ndarray:  # [M, Q]
    """Each member's log-probability that a candidate is a solution, if its errors are normal."""
    edge, noise = np.arcsinh(tolerance), proposals.noise
    upper, lower = (edge - proposals.r) / noise, (-edge - proposals.r) / noise
    # log(Phi(upper) - Phi(lower)) without cancellation: mirrored so that both arguments are on the left tail
    flip = lower > 0
    high, low = np.where(flip, -lower, upper), np.where(flip, -upper, lower)
    inside = log_ndtr(high) + np.log1p(-np.exp(np.minimum(log_ndtr(low) - log_ndtr(high), -1e-12)))
    chance: np.ndarray = np.sum(inside + np.log(np.maximum(proposals.p, 1e-6)), axis=-1)
    return chance


def shortfalls(
    proposals: Proposals, target: Target[np.ndarray] | None = None, tolerance: float = 2.0
) -> np.ndarray:  # [AIMS, M, Q]
    """How far each member sees a candidate from all measurements: RMS asinh(z), mean |z| up to CAP, largest |asinh(z)|.

    What is expected and what is usually wrong with it count together, as their root mean square. This is minimised
    where no solution is in sight: the product of chances is nil everywhere then, and would prefer what the surrogate is
    merely unsure of. The first two are weighted as `target` says; what misses a measurement that must hold is further
    off than anything that keeps all of them.
    """
    r, p = np.hypot(proposals.r, proposals.noise), proposals.p
    weight = 1.0 if target is None or target.weight is None else target.weight
    square = p * r**2 + (1 - p) * UNDEFINED**2
    size = p * np.minimum(np.sinh(np.minimum(r, UNDEFINED)), CAP) + (1 - p) * CAP
    largest = np.max(p * r + (1 - p) * UNDEFINED, axis=-1)
    found: np.ndarray = np.stack([np.sqrt((weight * square).mean(axis=-1)), (weight * size).mean(axis=-1), largest])
    if target is None or target.must_hold is None:
        return found
    edge = np.arcsinh(tolerance)
    excess = p * np.maximum(r - edge, 0.0) + (1 - p) * (UNDEFINED - edge)
    missed = np.max(np.where(target.must_hold, excess, 0.0), axis=-1)
    behind = np.where(missed > 0.5, [[[UNDEFINED]], [[CAP]], [[UNDEFINED]]], 0.0)  # the surrogate is no judge of less
    found += behind + missed
    return found


def merits(
    proposals: Proposals,
    tolerance: float,
    aim: int | None = None,
    target: Target[np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What candidates are chosen by, as log-units: each member's opinion [A, M, Q], and all members' together [A, Q].

    Args:
        proposals: Q candidates.
        tolerance: largest |z| of a solution.
        aim: of `shortfalls`, the first of A = AIMS; None: the chance of success alone, A = 1.
        target: its weights and what must hold decide what a shortfall is.
    """
    if aim is None:
        chance = log_feasibility(proposals, tolerance)[None]
        return chance, logsumexp(chance, axis=1) - np.log(chance.shape[1])
    short = np.roll(np.maximum(shortfalls(proposals, target, tolerance), 1e-9), -aim, axis=0)
    merit = -KEEN * np.log(short)
    return merit, merit.mean(axis=1)


def refine(
    draw: np.random.Generator,
    proposals: Proposals,
    merit: Callable[[Proposals], np.ndarray],
    assessed: Callable[[np.ndarray, np.ndarray], Proposals],
    config: PlanConfig,
) -> Proposals:
    """Candidates, and the best of them improved on: an evolution strategy whose judge is what they are chosen by.

    Descents follow one member each, and end where that one is pleased; what all of them and the Gaussian process say
    together is best a little beside.

    Args:
        draw: consumed.
        proposals: Q candidates.
        merit: of candidates, [Q], the larger the better.
        assessed: makes candidates of places [Q, D], each with the proposer [Q] of its parent.
        config: how many are improved on, and how.

    Returns:
        Q + `refined` candidates.
    """
    top, value = _fittest(proposals, merit(proposals), config.refined)
    mother = np.resize(np.arange(len(value)), len(proposals.u))
    low, high = np.log(config.nearby)
    for _ in range(config.generations):
        other = draw.integers(len(value), size=len(mother))
        towards = np.where(draw.random((len(mother), 1)) < 0.5, 0.5 * (top.u[other] - top.u[mother]), 0.0)
        step = np.exp(draw.uniform(low, high, (len(mother), 1))) * draw.standard_normal((len(mother), top.u.shape[1]))
        born = assessed(np.clip(top.u[mother] + towards + step, 0, 1), top.proposer[mother])
        top, value = _fittest(_joined(top, born), np.concatenate([value, merit(born)]), config.refined)
    return _joined(proposals, top)


def _fittest(proposals: Proposals, value: np.ndarray, count: int) -> tuple[Proposals, np.ndarray]:
    best = np.argsort(-value, kind="stable")[:count]
    return proposals.only(best), value[best]


def _joined(a: Proposals, b: Proposals) -> Proposals:
    return Proposals(
        np.concatenate([a.u, b.u]),
        np.concatenate([a.proposer, b.proposer]),
        np.concatenate([a.r, b.r], axis=1),
        np.concatenate([a.p, b.p], axis=1),
        np.concatenate([a.noise, b.noise]),
    )


def select_batch(
    draw: np.random.Generator,
    proposals: Proposals,
    count: int,
    tolerance: float,
    taken: np.ndarray,
    tried: np.ndarray,
    apart: float,
    aim: int | None = None,
    target: Target[np.ndarray] | None = None,
    bred: int = 0,
) -> np.ndarray:
    """Pick a batch by what all members say of a candidate and by what single ones say, in turn (Thompson).

    Args:
        draw: consumed.
        proposals: Q candidates.
        count: B.
        tolerance: largest |z| of a solution.
        taken: [N, D] solutions already found, from which candidates must differ.
        tried: [N, D] everything simulated so far, which would only say the same again.
        apart: see PlanConfig.
        aim: of `shortfalls`, for the first two; the next one is for the next two. None: all by their chance of success.
        target: its weights and what must hold decide what a shortfall is.
        bred: how many, the last, must be bred.

    Returns:
        [B] indices into the pool, in the order of preference.
    """
    single, together = merits(proposals, tolerance, aim, target)
    repulsion = np.where(is_distinct(proposals.u, taken), 0.0, -np.inf)
    seen = {u.tobytes() for u in _rounded(tried)}  # descents of many starts end in the same corners of the cube
    fresh = np.array([u.tobytes() not in seen for u in _rounded(proposals.u)], bool)
    is_bred = proposals.proposer == PROPOSERS.index("bred")
    chosen: list[int] = []
    for slot in range(count):
        allowed = fresh & is_bred if slot >= count - bred and (fresh & is_bred).any() else fresh
        turn = slot // 2 % len(single)
        belief = together[turn] if slot % 2 == 0 else single[turn, draw.integers(single.shape[1])]
        value = np.where(allowed, np.where(np.isfinite(belief), belief, -1e9) + repulsion, -np.inf)
        best = int(np.argmax(value))
        if not np.isfinite(value[best]):
            best = int(draw.choice(np.flatnonzero(fresh) if fresh.any() else len(proposals.u)))
        chosen.append(best)
        square = np.sum((proposals.u - proposals.u[best]) ** 2, axis=1)
        repulsion = repulsion + 2.0 * np.log(-np.expm1(-square / (2 * apart**2)) + 1e-9)
        fresh &= square > SAME**2
    return np.array(chosen)


def is_distinct(u: np.ndarray, taken: np.ndarray) -> np.ndarray:  # [Q, D], [N, D] -> [Q] bool
    """Whether a candidate would be another solution than those already found."""
    apart = np.ones(len(u), bool)
    for solution in taken:
        apart &= np.max(np.abs(u - solution), axis=1) >= DISTINCT
    return apart


def _rounded(u: np.ndarray) -> np.ndarray:  # [N, D], equal where two points are the same
    return np.round(u / SAME) + 0.0


SAME = 1e-6  # distance in the unit cube below which two points are one
DISTINCT = 0.05  # share of a parameter's range in which at least one parameter of two solutions must differ
