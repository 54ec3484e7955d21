"""Why nothing was found, and what the answer does not say: what limits a run, each finding checked in NEURON.

The surrogate knows the whole space; where it thinks a measurement, or a pair of them, is met best, NEURON is asked.
What is reported as the nearest achievable value is a value that NEURON gave.
"""

from collections import Counter
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gbar.agent.learning import UNDEFINED, Agent, Dynamics, Target, assess, residual, z_scores
from gbar.agent.result import (
    FREE,
    Achieved,
    Conflict,
    Diagnosis,
    FarFromPrior,
    Overturned,
    Pressing,
    Range,
    Uninformative,
    Unreachable,
)
from gbar.agent.tuning.definition import Definition
from gbar.agent.tuning.design import unknown
from gbar.agent.tuning.findings import Confirmed, Findings
from gbar.agent.tuning.outcome import Outcome
from gbar.agent.tuning.reachability import Evidence, Reachability
from gbar.sim import Archive, Integrator, Pool, Problem, design
from gbar.sim.problem import within
from gbar.surrogate import Params, Response, respond

EDGE = 0.02  # of a range: a parameter this near to its bound presses on it
ROUNDS = 4  # at most, of asking NEURON and learning from the answer
REFUTED = 4  # answers of NEURON, after which a surrogate that goes on hoping is not believed, if a measurement is still
FAR, STALLED = 3.0, 0.9  # so many tolerances off, and off by this share of what it was before
SHARE, FEWEST, MOST = 10, 8, 64  # evaluations for it: one in SHARE of those made, within limits
OBJECTIVES = 16  # single measurements and pairs looked at in a round; fixed, so that the descent compiles once
STARTS, STEPS, RATE = 8, 120, 0.05  # of a descent, per member
COVER = 1024  # points that stand for the whole space
PASSES = 0.98  # share of the space in which a measurement that says nothing is met
STILL = 0.02  # SDs within which a value counts as constant
SURPRISING = 2.0  # SDs of a prior from its middle
FRONT = 5  # points shown of a trade-off


def explore(findings: Findings, agent: Agent | None, archive: Archive, pool: Pool) -> Reachability | None:
    """Ask NEURON where the surrogate thinks that each measurement, and each pair, which nothing has met is met best.

    What NEURON did not meet either, and what the surrogate, having learned that, sees no place for, cannot be met; nor
    can a single measurement that NEURON's answers, time after time, brought no nearer.

    Args:
        findings: of a finished run; nothing is asked where it found a solution, or never had a surrogate.
        agent: has it.
        archive: where the answers are kept, under a run of their own, outside the budget.
        pool: simulates them.
    """
    known, tolerance = findings.observations, findings.definition.config.tolerance
    if findings.solutions or agent is None or not known.inside.any():
        return None
    u, features = known.u, findings.features
    spread = _spread(findings, agent.rows - len(u) - FEWEST)
    if len(spread):
        new_features = _simulate(findings, archive, pool, spread)
        u, features = np.concatenate([u, spread]), np.concatenate([features, new_features])
    room = len(spread) + min(MOST, max(FEWEST, len(known) // SHARE), agent.rows - len(u))
    before, asked = _evidence(findings, u, features), Counter[tuple[int, int]]()
    for turn in range(ROUNDS + 1):
        evidence = _evidence(findings, u, features)
        unmet = _unmet(evidence, tolerance)[:OBJECTIVES]
        agent.update_surrogate(u, features)
        reached = _reached(agent, evidence, unmet)
        ideas = {pair: _ideas(agent, places, pair) for pair, places in zip(unmet, reached, strict=False)}
        wanted = [(pair, place) for pair, idea in ideas.items() for place in idea.places][: room - len(u) + len(known)]
        if turn == ROUNDS or not wanted:
            break
        asked.update(pair for pair, _ in wanted)
        new = np.array([place for _, place in wanted])
        new_features = _simulate(findings, archive, pool, new)
        u, features = np.concatenate([u, new]), np.concatenate([features, new_features])
    refuted = {pair for pair in ideas if asked[pair] >= REFUTED and _is_refuted(before, evidence, pair, tolerance)}
    hopeless = [pair for pair in unmet if ideas[pair].best > np.arcsinh(tolerance) or pair in refuted]
    return Reachability(evidence, hopeless, len(u) - len(known))


def _is_refuted(before: Evidence, after: Evidence, pair: tuple[int, int], tolerance: float) -> bool:
    """Whether a single measurement stayed far off wherever the surrogate hoped: of a pair, search knows too little."""
    f, g = pair
    nearest = after.size[:, f].min()
    return f == g and bool(nearest > max(FAR * tolerance, STALLED * before.size[:, f].min()))


def _spread(findings: Findings, most: int) -> np.ndarray:  # [n, D]
    """Points all over the bounds: what a search never saw, because it stayed where it was good, is not impossible."""
    dimension, config = findings.observations.u.shape[1], findings.definition.config
    return unknown(findings, design(dimension, config.design(dimension), config.seed), most)


def _simulate(findings: Findings, archive: Archive, pool: Pool, u: np.ndarray) -> np.ndarray:  # [B, D] -> [B, F]
    definition = findings.definition
    x, engine = definition.problem.physical(u), Integrator.of(definition.problem)
    run = f"{definition.name} diagnosis"
    first, done = archive.count(run), {}
    for i, evaluation in pool.run(list(x), integrator=engine):
        archive.add(run, 0, first + i, "diagnosis", str(engine), x[i], evaluation)
        done[i] = evaluation
    return findings.bias.corrected(u, np.array([done[i].row(definition.keys) for i in range(len(u))]))


def diagnose(outcome: Outcome, ranges: list[Range], earlier: Diagnosis | None = None) -> Diagnosis:
    """Put what is known into words that a modeller can act on.

    Args:
        outcome: of a search.
        ranges: its parameters, with what the measurements leave open.
        earlier: what the last session of the same run said.
    """
    definition, reachability, findings = outcome.definition, outcome.reachability, outcome.findings
    evidence = _evidence(findings, findings.observations.u, findings.features)
    evidence = evidence if reachability is None else reachability.evidence
    unmet = reachability.unmet if reachability else []
    if reachability is None and not findings.solutions:  # nobody was asked: what is not met so far
        unmet = _unmet(evidence, definition.config.tolerance)[:OBJECTIVES] if len(evidence.u) else []
    single = [f for f, g in unmet if f == g]
    pairs = [pair for pair in unmet if pair[0] != pair[1]]
    return Diagnosis(
        pressing=_pressing(definition.problem, outcome.shown),
        far_from_prior=_far_from_prior(definition.problem, outcome.shown),
        unreachable=[_unreachable(definition, evidence, f) for f in single],
        conflicts=[_conflict(definition, evidence, *pair) for pair in pairs],
        overturned=_overturned(definition, evidence, earlier) if earlier else [],
        uninformative=_uninformative(definition, outcome.agent, evidence),
        unconstrained=[r.name for r in ranges if r.uncertainty_left is not None and r.uncertainty_left >= FREE],
        probed=None if reachability is None else reachability.probed,
    )


def _evidence(findings: Findings, u: np.ndarray, features: np.ndarray) -> Evidence:
    inside = within(u)
    size = np.abs(z_scores(features[inside], findings.definition.target))
    return Evidence(u[inside], features[inside], np.where(np.isfinite(size), size, np.inf))


def _unmet(evidence: Evidence, tolerance: float) -> list[tuple[int, int]]:
    """Measurements (f, f) that no evaluation meets, then pairs (f, g) of the others that none meets together.

    The furthest off come first.
    """
    met: np.ndarray = evidence.size <= tolerance
    alone: np.ndarray = np.any(met, axis=0)
    features = range(len(alone))
    single = sorted((f for f in features if not alone[f]), key=lambda f: -evidence.size[:, f].min())
    pairs = [(f, g) for f, g in combinations([f for f in features if alone[f]], 2) if not (met[:, f] & met[:, g]).any()]
    pairs.sort(key=lambda pair: -float(evidence.size[:, pair].max(axis=1).min()))
    return [(f, f) for f in single] + pairs


class Idea(NamedTuple):
    """Where the surrogate meets one objective best."""

    places: list[np.ndarray]  # [D] each: by the mean of the members, and by the boldest of them
    best: float  # the larger |asinh(z)| of the objective that it expects at the former, UNDEFINED where not defined


def _reached(agent: Agent, evidence: Evidence, wanted: list[tuple[int, int]]) -> np.ndarray:
    """Where descents towards each objective end, [OBJECTIVES, M K, D]; nothing to do, nothing reached."""
    if not wanted:
        return np.empty((0, 0, evidence.u.shape[1]))
    weight = np.zeros((OBJECTIVES, evidence.size.shape[1]))
    for row, pair in zip(weight, wanted, strict=False):
        row[list(pair)] = 1.0
    starts = np.stack([_starts(agent, evidence, pair) for pair in (wanted * OBJECTIVES)[:OBJECTIVES]])
    begin, wanted_only = jnp.asarray(starts, jnp.float32), jnp.asarray(weight, jnp.float32)
    return np.asarray(_descend(agent.dynamics, begin, agent.target32, wanted_only, agent.network), float)


def _ideas(agent: Agent, places: np.ndarray, pair: tuple[int, int]) -> Idea:
    """The best of some places [Q, D] for one objective."""
    r, p = assess(agent.dynamics, jnp.asarray(places, jnp.float32), agent.target32, agent.network)
    both = list(pair)
    cost = np.asarray(jnp.sum(_cost(r, p)[..., both], axis=-1))  # [M, Q]
    wise, bold = int(np.argmin(cost.mean(axis=0))), int(np.argmin(cost.min(axis=0)))
    defined = bool((np.asarray(p)[:, wise, both].mean(axis=0) > 0.5).all())
    expected = float(np.abs(np.asarray(r)[:, wise, both].mean(axis=0)).max())
    return Idea([places[index] for index in dict.fromkeys([wise, bold])], expected if defined else UNDEFINED)


def _starts(agent: Agent, evidence: Evidence, pair: tuple[int, int]) -> np.ndarray:  # [M, K, D]
    """Half of the starts where the objective is met best so far, half anywhere."""
    members, dimension = agent.fitting.members, evidence.u.shape[1]
    score = np.minimum(evidence.size[:, pair], np.sinh(UNDEFINED)).max(axis=1)
    best = evidence.u[np.resize(np.argsort(score, kind="stable")[:STARTS], STARTS // 2)]
    anywhere = design(dimension, members * (STARTS - len(best)), pair[0] * len(score) + pair[1])
    spread = anywhere.reshape(members, -1, dimension)
    return np.concatenate([np.broadcast_to(best, (members, *best.shape)), spread], axis=1)


def _cost(r: jax.Array, p: jax.Array) -> jax.Array:
    """Square of asinh(z), an undefined feature counting as far away."""
    return p * r**2 + (1 - p) * UNDEFINED**2


@partial(jax.jit, static_argnames=("network",))
def _descend(
    dynamics: Dynamics, starts: jax.Array, target: Target[jax.Array], weight: jax.Array, network: Response
) -> jax.Array:
    """Adam from starts [W, M, K, D] down each member's cost of the features that weight [W, F] picks: [W, M K, D]."""
    optimiser = optax.adam(optax.cosine_decay_schedule(RATE, STEPS, alpha=0.1))

    def cost(member: Params, u: jax.Array, weight: jax.Array) -> jax.Array:  # [K, D]
        predicted = respond(network, member, u)
        r = residual(dynamics.scaling, predicted.value, target)
        return jnp.sum(weight * _cost(r, jax.nn.sigmoid(predicted.logit)))

    of_members = jax.vmap(jax.grad(cost, argnums=1), in_axes=(0, 0, None))
    of_objectives = jax.vmap(of_members, in_axes=(None, 0, 0))

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        u, state = carry
        updates, state = optimiser.update(of_objectives(dynamics.params, u, weight), state)
        return (jnp.clip(optax.apply_updates(u, updates), 0.0, 1.0), state), None

    (end, _), _ = jax.lax.scan(step, (starts, optimiser.init(starts)), None, length=STEPS)
    return end.reshape(len(starts), -1, starts.shape[-1])


def _pressing(problem: Problem, shown: tuple[Confirmed, ...]) -> list[Pressing]:
    """Parameters that half or more of the solutions (or compromises) have at the same bound."""
    u = np.array([found.u for found in shown])
    pressing = []
    for d, parameter in enumerate(problem.parameter if len(u) else ()):
        counts = int((u[:, d] < EDGE).sum()), int((u[:, d] > 1 - EDGE).sum())
        for side, count, bound in zip(("lower", "upper"), counts, parameter.bounds, strict=True):
            if 2 * count >= len(u):
                pressing.append(Pressing(parameter=parameter.name, side=side, bound=bound, sets=count, of=len(u)))
    return pressing


def _far_from_prior(problem: Problem, shown: tuple[Confirmed, ...]) -> list[FarFromPrior]:
    """Parameters that half or more of the solutions (or compromises) have far from their prior."""
    if not shown:
        return []
    median, sd = problem.believed()
    away = np.abs([found.u for found in shown] - median) / sd  # [S, D], NaN without a prior
    return [
        FarFromPrior(parameter=name, sds=float(each.min()), sets=int((each >= SURPRISING).sum()), of=len(each))
        for name, each in zip(problem.names, away.T, strict=True)
        if 2 * (each >= SURPRISING).sum() >= len(each)
    ]


def _achieved(definition: Definition, evidence: Evidence, row: int, f: int) -> Achieved:
    """The value that one evaluation has for one measurement."""
    value, z = evidence.features[row, f], z_scores(evidence.features[row], definition.target)[f]
    key, defined = definition.keys[f], bool(np.isfinite(value))
    return Achieved(feature=key, value=float(value) if defined else None, z=float(z) if defined else None)


def _unreachable(definition: Definition, evidence: Evidence, f: int) -> Unreachable:
    row, problem = int(np.argmin(evidence.size[:, f])), definition.problem
    parameters = dict(zip(problem.names, map(float, problem.physical(evidence.u[row])), strict=True))
    return Unreachable(nearest=_achieved(definition, evidence, row, f), parameters=parameters)


def _conflict(definition: Definition, evidence: Evidence, f: int, g: int) -> Conflict:
    """The nearest that both come together, and the trade-off between them: evaluations that no other beats in both."""
    size = evidence.size[:, [f, g]]
    together = int(np.argmin(size.max(axis=1)))
    order = np.lexsort((size[:, 1], size[:, 0]))
    front = [row for at, row in enumerate(order) if np.isfinite(size[row]).all() and _beats(size, row, order[:at])]
    shown = [front[i] for i in np.unique(np.linspace(0, len(front) - 1, FRONT).astype(int))] if front else []
    return Conflict(
        together=[_achieved(definition, evidence, together, f), _achieved(definition, evidence, together, g)],
        trade_off=[[_achieved(definition, evidence, row, f), _achieved(definition, evidence, row, g)] for row in shown],
    )


def _overturned(definition: Definition, evidence: Evidence, earlier: Diagnosis) -> list[Overturned]:
    """What was said to be out of reach, after asking NEURON, and is not."""
    if earlier.probed is None or not len(evidence.u):
        return []
    said = [[found.nearest] for found in earlier.unreachable] + [found.together for found in earlier.conflicts]
    found = []
    for before in said:
        columns = [definition.keys.index(each.feature) for each in before]
        far = evidence.size[:, columns].max(axis=1)
        row = int(np.argmin(far))
        if far[row] <= definition.config.tolerance:
            since = [_achieved(definition, evidence, row, f) for f in columns]
            found.append(Overturned(before=before, since=since))
    return found


def _beats(size: np.ndarray, row: int, before: np.ndarray) -> bool:
    """Whether an evaluation comes nearer to the second measurement than all that come nearer to the first."""
    return bool(size[row, 1] < size[before, 1].min(initial=np.inf))


def _uninformative(definition: Definition, agent: Agent | None, evidence: Evidence) -> list[Uninformative]:
    """Measurements that tell no parameter set from another: a constant, or met wherever one looks."""
    found, tolerance = [], definition.config.tolerance
    passes = np.ones(len(definition.keys)) if agent is None else _passes(agent)
    for f, key in enumerate(definition.keys):
        values = evidence.features[:, f]
        if len(values) < 8 or not np.isfinite(values).all():
            continue
        if np.ptp(values) <= STILL * definition.target.sd[f]:
            found.append(Uninformative(feature=key, reason="constant"))
        elif (evidence.size[:, f] <= tolerance).all() and passes[f] >= PASSES:
            found.append(Uninformative(feature=key, reason="always met"))
    return found


def _passes(agent: Agent) -> np.ndarray:  # [F]
    """The share of the whole space in which the surrogate thinks a measurement is met."""
    u = jnp.asarray(design(agent.dimension, COVER, 1), jnp.float32)
    r, p = assess(agent.dynamics, u, agent.target32, agent.network)
    inside = (jnp.abs(jnp.mean(r, axis=0)) <= np.arcsinh(agent.tolerance)) & (jnp.mean(p, axis=0) > 0.5)
    return np.asarray(jnp.mean(inside, axis=0))
