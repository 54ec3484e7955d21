"""What the agent has learned during a run: the surrogate, its errors so far, and the policy."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gbar.agent.learning import environment as env
from gbar.agent.learning import planner as propose
from gbar.agent.learning.actor_critic import Experience, LearnConfig, Learner, init_learner, learn
from gbar.agent.learning.breeding import breed, specialists
from gbar.agent.learning.environment import Dynamics, EnvConfig
from gbar.agent.learning.kriging import Rivals
from gbar.agent.learning.leastsquares import approach
from gbar.agent.learning.local import LocalModel, learn_local
from gbar.agent.learning.planner import PROPOSERS, PlanConfig, Proposals
from gbar.agent.learning.pretrained import PretrainConfig, Pretrained
from gbar.agent.learning.target import (
    UNDEFINED,
    Target,
    as_float32,
    distance,
    planning_weight,
    rank,
    sd_elsewhere,
    z_scores,
)
from gbar.surrogate import (
    Calibration,
    FitConfig,
    Params,
    Response,
    choose_scaling,
    fit,
    pad,
    refine,
    squash,
    unsquash,
)

Planner = Literal["auto", "policy", "gradient", "both"]

SCATTERED = 2.0  # RMS asinh(z) of the best cell, some 4 SD, from which on its place says little
ROWS_A_PASS, MOST_PASSES = 64, 3  # a fit goes on from the last one, longer where there is more to learn
LARGEST_ERROR = 2.0  # in asinh(z): one surprise says no more
BELIEVED = 8  # one start of so many is drawn from priors, where there are any

# error of an ensemble near a target, its heads refined, over that of one member anywhere: the 90 % quantile of first
# batches of development cells (docs/agent.md)
NEARER = 0.4


class AgentConfig(NamedTuple):
    """Everything about thinking that can be chosen."""

    planner: Planner = (
        "auto"  # both with a pretrained agent, whose policy is ready; gradient from scratch (docs/agent.md)
    )
    trained: bool = True  # False, for comparison: the policy stays as it was made
    validity: bool = True  # False, for comparison: an undefined feature is learned as a value `UNDEFINED` away
    fit: FitConfig = FitConfig()
    env: EnvConfig = EnvConfig()
    learn: LearnConfig = LearnConfig()
    plan: PlanConfig = PlanConfig()
    pretrain: PretrainConfig = PretrainConfig()
    near: int = 512  # evaluations to which a pretrained agent's heads are fitted
    local: float = 4.0  # how steeply their weight falls with their distance
    goals: int = 256  # hindsight goals and starts kept for training the policy
    first_noise: float = 0.5  # SD of a member's error in asinh(z), before anything has been predicted


class Forecast(NamedTuple):
    """What was expected of a batch before it was simulated."""

    r: np.ndarray  # [B, F] asinh(z), mean over members
    sd: np.ndarray  # [B, F] predictive SD of the same
    p: np.ndarray  # [B, F] probability of being defined


class Agent:
    """The learned part of a run. Sizes are fixed by the first call, so every function compiles once.

    A pretrained one begins with what an archive has taught, and only its heads follow the run; one from scratch learns
    the response from the run's own evaluations, at first from nothing and then from where it was.
    """

    def __init__(
        self,
        key: jax.Array,
        dimension: int,
        target: Target[np.ndarray],
        tolerance: float,
        rows: int,
        config: AgentConfig,
        pretrained: Pretrained | None = None,
        believed: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        """`believed`: median and SD [D] of priors in the unit cube, NaN where there is none."""
        self.target, self.tolerance, self.config = target, tolerance, config
        self.rows, self.dimension, self.pretrained = rows, dimension, pretrained
        self._believed = believed if believed is not None and np.isfinite(believed[0]).any() else None
        self.fitting = config.pretrain.fit if pretrained else config.fit
        self.network = Response(len(target.mean), self.fitting.hidden, self.fitting.layers)
        self.target32 = as_float32(target)
        self.planner = config.planner if config.planner != "auto" else "both" if pretrained else "gradient"
        self.evolves = pretrained is None and config.planner in ("auto", "both")  # one that is named plans alone
        self._key = key
        self._params: Params | None = None
        self._learner: Learner | None = None
        self._policy = pretrained.policy if pretrained else None
        self._calibration = Calibration(len(target.mean), dimension, NEARER if pretrained else 1.0)
        self._first_noise = np.full(len(target.mean), config.first_noise)
        self._local: LocalModel | None = None  # a pretrained agent knows more than the nearest cells
        self._anchors, self._scattered = np.empty((0, dimension)), False
        self._rivals = Rivals(len(target.mean))
        self.radius = np.inf if pretrained else config.plan.radius  # of the trust region
        if pretrained:
            self.scaling = pretrained.scaling
            self._first_noise = _in_tolerance_space(pretrained, target)

    def _next_key(self) -> jax.Array:
        following: jax.Array
        self._key, following = jax.random.split(self._key)
        return following

    def _draw(self) -> np.random.Generator:
        return np.random.default_rng(np.asarray(jax.random.key_data(self._next_key())))

    def update_surrogate(self, u: np.ndarray, features: np.ndarray) -> None:
        """Learn from all evaluations: u [N, D], features [N, F] (NaN where not defined)."""
        if not self.config.validity:
            features = np.where(np.isfinite(features), features, self.to_features(np.array(UNDEFINED)))
        far = distance(z_scores(features, self.target), self.target.weight)
        if self.pretrained:
            near = np.argsort(far, kind="stable")[: self.config.near]
            weight = (1.0 + far[near]) ** -self.config.local
            data = pad(u[near], features[near], weight / weight.max(), self.scaling, self.config.near)
            params = refine(self.pretrained.params, data, self.network, self.fitting)
        else:
            if self._params is None:
                self.scaling = choose_scaling(features, self.target.mean, self.target.sd)
            data = pad(u, features, (1.0 + far) ** -2.0, self.scaling, self.rows)
            passes = min(1 + len(u) // ROWS_A_PASS, MOST_PASSES)
            params = fit(self._next_key(), data, self.network, self.fitting, self._params, passes)
        self._params = jax.block_until_ready(params)
        self.dynamics = Dynamics(self._params, self.scaling, jnp.asarray(self.tolerance, jnp.float32))

    def train_policy(self, u: np.ndarray, features: np.ndarray) -> None:
        """Train the policy on the surrogate as it now is, towards the user's goal and features of archived cells.

        A pretrained policy was trained on a whole archive and is used as it is.
        """
        if self.planner == "gradient" or self.pretrained:
            return
        config = self.config
        rounds = 1
        if self._learner is None:
            size = env.observation_size(self.dimension, len(self.target.mean))
            self._learner = init_learner(self._next_key(), size, self.dimension, config.learn)
            rounds = config.learn.first_rounds
            self._policy = self._learner.policy
        if not config.trained:
            return
        z = z_scores(features, self.target)
        order = self._nearest_first(features)
        defined = [i for i in order if np.isfinite(z[i]).all()][: config.goals // 2]
        means = np.concatenate([features[defined], [self.target.mean] * (config.goals - len(defined))])
        sds = np.concatenate(
            [sd_elsewhere(self.target, features[defined]), [self.target.sd] * (config.goals - len(defined))]
        )
        experience = Experience(
            jnp.asarray(
                np.resize(np.clip(u[order[: config.goals]], 0, 1), (config.goals, self.dimension)), jnp.float32
            ),
            Target(jnp.asarray(means, jnp.float32), jnp.asarray(sds, jnp.float32), self._weights(len(means))),
        )
        for _ in range(rounds):
            key = self._next_key()
            self._learner, self.learn_info = learn(
                key, self._learner, self.dynamics, experience, self.network, config.env, config.learn
            )
        self._policy = jax.block_until_ready(self._learner.policy)  # so that the time is counted where it is spent

    def _nearest_first(self, features: np.ndarray) -> np.ndarray:  # [N, F] -> [N]
        return np.argsort(rank(features, self.target, self.tolerance), kind="stable")

    def _weights(self, goals: int) -> jax.Array | None:  # [goals, F]
        weight = self.target32.weight
        return None if weight is None else jnp.broadcast_to(weight, (goals, len(weight)))

    def plan(self, u: np.ndarray, features: np.ndarray) -> Proposals:
        """Candidates from every planner in use, started from the best cells so far, and what each member predicts."""
        u = np.clip(u, 0, 1)  # of rows made with wider bounds, the nearest place inside
        starts = self._starts(u, features)
        config = self.config
        found: list[tuple[int, np.ndarray]] = []
        if self.planner != "gradient":
            assert self._policy is not None
            noise = jnp.asarray(self._draw().standard_normal((config.plan.rollout, *starts.shape), np.float32))
            visited = propose.roll_out(
                noise, self._policy, self.dynamics, starts, self.target32, self.network, config.env
            )
            found.append((PROPOSERS.index("policy"), np.asarray(visited)))
        if self.planner != "policy":
            reached = propose.descend(self.dynamics, starts, self.target32, self.network, config.plan)
            found.append((PROPOSERS.index("gradient"), np.asarray(reached)))
        order = self._nearest_first(features)
        best, scattered = u[order], _is_scattered(z_scores(features[order[0]], self.target))
        if self.evolves:
            low, high = np.log(config.plan.mutations)
            draw = self._draw()
            sizes = np.exp(draw.uniform(low, high, (config.plan.bred, 1)))
            mates = u[specialists(draw, z_scores(features, self.target), config.plan.bred)] if scattered else None
            found.append((PROPOSERS.index("bred"), breed(draw, best, config.plan.bred, sizes, mates)))
        self._anchors, self._scattered = best[: config.plan.anchors], scattered
        if config.plan.kriging and not self.pretrained:
            target, scaling = self.target, self.scaling
            self._local = learn_local(u, features, order, self._anchors, scaling, target, self._local)
        if self.evolves and self._local is not None:
            found.append((PROPOSERS.index("local"), self._approach(self._local, best)))
        candidates = np.concatenate([places for _, places in found])  # in NumPy: nothing to compile
        return self._judged(candidates, np.concatenate([np.full(len(places), index) for index, places in found]))

    def refine(self, proposals: Proposals, aim: int | None, taken: np.ndarray) -> Proposals:
        """What `plan` has found, and the best of it improved on for what it will be chosen by.

        Args:
            proposals: of the last `plan`.
            aim, taken: as in `select_batch`.
        """
        if not self.evolves or not self.config.plan.refined:
            return proposals

        def merit(of: Proposals) -> np.ndarray:
            _, together = propose.merits(of, self.tolerance, aim, self.target)
            return np.where(propose.is_distinct(of.u, taken), together[0], -np.inf)

        return propose.refine(self._draw(), proposals, merit, self._judged, self.config.plan)

    def _judged(self, u: np.ndarray, proposer: np.ndarray) -> Proposals:  # [Q, D], [Q]
        """Candidates, held to the trust region, with what is expected of them."""
        u, is_bred = u.copy(), proposer == PROPOSERS.index("bred")
        held = ~is_bred if self._scattered else np.full(len(u), True)  # what is bred then leaves where the best are
        u[held] = self._within_reach(u[held])
        u = u.astype(np.float32)
        places = u.astype(float)
        noise = self._calibration.noise_at(places, self._first_noise)
        return Proposals(places, proposer, *self._assessed(u), noise)

    def _assessed(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # [Q, D]
        """What each member expects of candidates and its chance of being defined, moved towards the local models."""
        found = propose.assess(self.dynamics, jnp.asarray(u), self.target32, self.network)
        r, p = (np.asarray(part, float) for part in found)
        if self._local is None:
            return r, p
        places = u.astype(float)
        expected, chance = self._local.expect(places), self._local.validity.chance(places)
        p = np.where(np.isfinite(chance), (p + chance) / 2, p)
        share = np.where(np.isfinite(expected), self._rivals.share(), 0.0)
        return (1 - share) * r + share * np.nan_to_num(expected), p

    def _approach(self, local: LocalModel, best: np.ndarray) -> np.ndarray:  # [P, D] -> [Q, D]
        """Where the local model misses least, from the best cells on: each goes down every goal."""
        count = self.config.plan.approached  # always as many, so that nothing compiles anew
        starts = np.repeat(np.resize(best[: count // 3], (count // 3, self.dimension)), 3, axis=0)
        weight = planning_weight(self.target)
        return approach(local.linearised, starts, weight, self.config.plan.approach, self._within_reach)

    def _within_reach(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, D]
        return propose.project_to_trust_region(u, self._anchors, self.radius)

    def _doubt(self, u: np.ndarray) -> np.ndarray:  # [Q, D] -> [Q, F]
        return self._local.doubt(u) if self._local else np.full((len(u), len(self.target.mean)), np.nan)

    def _starts(self, u: np.ndarray, features: np.ndarray) -> jax.Array:  # [M, K, D]
        """Half of the starts at the best cells, half drawn from the better part with a wide jitter.

        Of these a few are moved to where priors believe the values to be.
        """
        members, count = self.fitting.members, self.config.plan.starts
        order = self._nearest_first(features)
        draw = self._draw()
        best = np.resize(order[: max(4, count // 4)], count // 2)
        pool = order[: min(max(8, len(order) // 2), 256)]
        wide = draw.choice(pool, (members, count - count // 2))
        chosen = np.concatenate([np.broadcast_to(best, (members, len(best))), wide], axis=1)
        jitter = np.concatenate([np.full(len(best), 0.03), np.full(count - len(best), 0.12)])
        places = u[chosen] + jitter[None, :, None] * draw.standard_normal((members, count, self.dimension))
        if self._believed is not None:
            median, sd = self._believed
            few = places[:, -max(1, count // BELIEVED) :]
            drawn = np.clip(median, 0, 1) + sd * draw.standard_normal(few.shape)
            few[...] = np.where(np.isfinite(drawn), drawn, few)
        return jnp.asarray(np.clip(places, 0, 1).astype(np.float32))

    def forecast(self, proposals: Proposals) -> Forecast:
        """Mean and SD over members, the SD such that 90 % intervals hold 90 % of what comes out."""
        spread = self._calibration.spread_at(proposals.u, self._first_noise, self._doubt(proposals.u))
        sd = np.sqrt(np.std(proposals.r, axis=0) ** 2 + spread**2)
        mean, chance = np.mean(proposals.r, axis=0), np.mean(proposals.p, axis=0)
        return Forecast(mean, sd * self._calibration.widening(), chance)

    def record_errors(self, u: np.ndarray, forecast: Forecast, features: np.ndarray) -> None:
        """Keep what the surrogate got wrong about a batch u [B, D]: features [B, F] as simulated."""
        r = np.arcsinh(z_scores(np.where(np.isinf(features), np.nan, features), self.target))
        narrow = forecast.sd / self._calibration.widening()
        self._calibration.add(u, r - forecast.r, narrow, self._doubt(u), self._first_noise)
        if self._local is not None:
            local, share = self._local.expect(u), self._rivals.share()
            self._rivals.add(r - (forecast.r - share * local) / (1 - share), r - local)

    def adapt_trust_region(self, best: float, before: float, forecast: Forecast, features: np.ndarray) -> None:
        """Widen or narrow where candidates may lie, by how a batch came out.

        A batch that is nearer than all before it lets the region grow. So does, more slowly, one that came out as
        expected: there is nothing better inside, and the surrogate is right. Any other narrows it, as trust regions go
        by how well a model predicts (Conn, Gould & Toint 2000, section 6.1). Few evaluations say less than many.

        Args:
            best, before: least distance from the measurements, of the batch and of all before it.
            forecast: of the batch.
            features: [B, F] as simulated.
        """
        rules, factor = self.config.plan, self.config.plan.grow
        if best >= before:
            is_right = self._error(forecast, features) < rules.right * min(before, SCATTERED)
            factor = (rules.grow if is_right else rules.shrink) ** min(1.0, len(features) / rules.verdict)
        self.radius = float(np.clip(factor * self.radius, rules.least_radius, rules.radius))

    def _error(self, forecast: Forecast, features: np.ndarray) -> float:  # [B, F]
        """RMS of what a batch was expected wrongly by, in asinh(z); infinite where nothing of it is defined."""
        r = np.arcsinh(z_scores(np.where(np.isinf(features), np.nan, features), self.target))
        square = np.minimum((r - forecast.r) ** 2, LARGEST_ERROR**2)
        return float(np.sqrt(np.nanmean(square))) if np.isfinite(r).any() else np.inf

    def to_features(self, r: np.ndarray) -> np.ndarray:  # [..., F] asinh(z) -> features
        """Predictions in the features' own units."""
        features: np.ndarray = self.target.mean + self.target.sd * np.sinh(np.clip(r, -15, 15))
        return features

    def posterior(self, u: np.ndarray) -> np.ndarray:  # [D] -> [D, D]
        """What the measurements leave open around u, as a covariance in the unit cube (Laplace approximation).

        The prior is uniform on the cube; it is linearised with the mean Jacobian dz/du of the members.
        """
        slopes = propose.slopes(self.dynamics, jnp.asarray(u, jnp.float32), self.target32, self.network)
        jacobian = np.asarray(slopes, float).mean(axis=0)
        return np.asarray(np.linalg.inv(jacobian.T @ jacobian + 12.0 * np.eye(len(u))))


def _is_scattered(z: np.ndarray) -> bool:  # [F]
    """Whether even the best cell has a measurement that is not defined, or is far off: its place says little then."""
    return bool(np.isnan(z).any() or distance(z) > SCATTERED)


def _in_tolerance_space(pretrained: Pretrained, target: Target[np.ndarray]) -> np.ndarray:  # [F]
    """A pretrained agent's held-out error as asinh(z) at the measurements."""
    s = squash(pretrained.scaling, target.mean)
    ends = [
        np.asarray(unsquash(pretrained.scaling, jnp.asarray(s + side * pretrained.error)), float) for side in (1, -1)
    ]
    error: np.ndarray = np.arcsinh(np.abs(ends[0] - ends[1]) / 2 / target.sd)
    return error
