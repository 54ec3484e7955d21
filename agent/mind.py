"""What the agent has learned during a run: the surrogate, its errors so far, and the policy."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from agent import env, propose
from agent.env import EnvConfig, World
from agent.goal import UNDEFINED, Goal, distance, z_scores
from agent.learn import Experience, LearnConfig, Learner, init_learner, learn
from agent.propose import PROPOSERS, PlanConfig, Pool
from surrogate import FitConfig, Params, Response, choose_scaling, fit, pad, respond, unsquash

Planner = Literal["policy", "gradient", "both"]
RECENT = 64  # predictions that say how wrong the surrogate is now
Z90 = 1.645  # half-width of a 90 % interval, in SDs of a normal


class MindConfig(NamedTuple):
    """Everything about thinking that can be chosen."""

    planner: Planner = "both"
    trained: bool = True  # False, for comparison: the policy stays as it was made
    validity: bool = True  # False, for comparison: an undefined feature is learned as a value `UNDEFINED` away
    fit: FitConfig = FitConfig()
    env: EnvConfig = EnvConfig()
    learn: LearnConfig = LearnConfig()
    plan: PlanConfig = PlanConfig()
    goals: int = 256  # hindsight goals and starts kept for training the policy
    first_noise: float = 0.5  # SD of a member's error in asinh(z), before anything has been predicted


class Forecast(NamedTuple):
    """What was expected of a batch before it was simulated."""

    r: np.ndarray  # [B, F] asinh(z), mean over members
    sd: np.ndarray  # [B, F] predictive SD of the same
    p: np.ndarray  # [B, F] probability of being defined


class Mind:
    """The learned part of a run. Sizes are fixed by the first call, so every function compiles once."""

    def __init__(self, key: jax.Array, dimension: int, goal: Goal, rows: int, config: MindConfig):
        self.goal, self.config, self.rows, self.dimension = goal, config, rows, dimension
        self.network = Response(features=len(goal.mean), hidden=config.fit.hidden)
        self._key = key
        self._params: Params | None = None
        self._learner: Learner | None = None
        self._errors = np.empty((0, len(goal.mean)))  # [n, F] simulated - predicted, asinh(z), NaN where undefined
        self._expected = np.empty((0, len(goal.mean)))  # [n, F] the SD that was predicted

    def _next_key(self) -> jax.Array:
        self._key, key = jax.random.split(self._key)
        return key

    def refit(self, u: np.ndarray, features: np.ndarray) -> None:
        """Learn the response anew from all evaluations: u [N, D], features [N, F] (NaN where not defined)."""
        if not self.config.validity:
            features = np.where(np.isfinite(features), features, self.to_features(np.array(UNDEFINED)))
        z = z_scores(features, self.goal)
        if self._params is None:
            self.scaling = choose_scaling(features, self.goal.mean, self.goal.sd)
        data = pad(u, features, (1.0 + distance(z)) ** -2.0, self.scaling, self.rows)
        self._params = jax.block_until_ready(fit(self._next_key(), data, self.network, self.config.fit, self._params))
        tolerance = jnp.asarray(self.goal.tolerance, jnp.float32)
        self.world = World(self._params, self.scaling, jnp.asarray(self.goal.sd, jnp.float32), tolerance)

    def practise(self, u: np.ndarray, features: np.ndarray) -> None:
        """Train the policy on the surrogate as it now is, towards the user's goal and features of archived cells."""
        if self.config.planner == "gradient":
            return
        config = self.config
        rounds = 1
        if self._learner is None:
            size = env.observation_size(self.dimension, len(self.goal.mean))
            self._learner = init_learner(self._next_key(), size, self.dimension, config.learn)
            rounds = config.learn.first_rounds
        if not config.trained:
            return
        z = z_scores(features, self.goal)
        order = np.argsort(distance(z), kind="stable")
        defined = [i for i in order if np.isfinite(z[i]).all()][: self.config.goals // 2]
        own = [self.goal.mean] * (self.config.goals - len(defined))
        experience = Experience(
            jnp.asarray(np.resize(u[order[: self.config.goals]], (self.config.goals, self.dimension)), jnp.float32),
            jnp.asarray(np.concatenate([features[defined], own]), jnp.float32),
        )
        for _ in range(rounds):
            key = self._next_key()
            self._learner, self.learn_info = learn(
                key, self._learner, self.world, experience, self.network, config.env, config.learn
            )
        jax.block_until_ready(self._learner)  # so that the time is counted where it is spent

    def plan(self, u: np.ndarray, features: np.ndarray) -> Pool:
        """Candidates from every planner in use, started from the best cells so far, and what each member predicts."""
        starts = self._starts(u, features)
        goal = jnp.asarray(self.goal.mean, jnp.float32)
        config = self.config
        found: list[tuple[int, jax.Array]] = []
        if config.planner != "gradient":
            assert self._learner is not None
            visited = propose.roll_out(
                self._next_key(), self._learner.policy, self.world, starts, goal, self.network, config.env, config.plan
            )
            found.append((PROPOSERS.index("policy"), visited))
        if config.planner != "policy":
            reached = propose.descend(self.world, starts, goal, self.network, config.plan)
            found.append((PROPOSERS.index("gradient"), reached))
        candidates = jnp.concatenate([places for _, places in found])
        r, p = propose.assess(self.world, candidates, goal, self.network)
        proposer = np.concatenate([np.full(len(places), index) for index, places in found])
        return Pool(np.asarray(candidates, float), proposer, np.asarray(r, float), np.asarray(p, float))

    def _starts(self, u: np.ndarray, features: np.ndarray) -> jax.Array:  # [M, K, D]
        """Half of the starts at the best cells, half drawn from the better part with a wide jitter."""
        members, count = self.config.fit.members, self.config.plan.starts
        order = np.argsort(distance(z_scores(features, self.goal)), kind="stable")
        draw = np.random.default_rng(np.asarray(jax.random.key_data(self._next_key())))
        best = np.resize(order[: max(4, count // 4)], count // 2)
        wide = draw.choice(order[: max(8, len(order) // 2)], (members, count - count // 2))
        chosen = np.concatenate([np.broadcast_to(best, (members, len(best))), wide], axis=1)
        jitter = np.concatenate([np.full(len(best), 0.03), np.full(count - len(best), 0.12)])
        places = u[chosen] + jitter[None, :, None] * draw.standard_normal((members, count, self.dimension))
        return jnp.asarray(np.clip(places, 0, 1), jnp.float32)

    def noise(self) -> np.ndarray:  # [F]
        """SD of the surrogate's error in asinh(z), from its own recent predictions (each error counts at most 2)."""
        recent = self._errors[-RECENT:]
        prior = 8.0  # predictions' worth of weight on the first guess
        square = np.nansum(np.minimum(recent**2, 4.0), axis=0) + prior * self.config.first_noise**2
        return np.sqrt(square / (np.isfinite(recent).sum(axis=0) + prior))

    def forecast(self, r: np.ndarray, p: np.ndarray) -> Forecast:  # [M, B, F] each
        """Mean and SD over members, the SD widened until past 90 % intervals held 90 % of what came out."""
        sd = np.sqrt(np.std(r, axis=0) ** 2 + (0.3 * self.noise()) ** 2)
        return Forecast(np.mean(r, axis=0), sd * self._inflation(), np.mean(p, axis=0))

    def _inflation(self) -> np.ndarray:  # [F]
        ratios = np.abs(self._errors[-RECENT:]) / np.maximum(self._expected[-RECENT:], 1e-9)
        factors = np.ones(len(self.goal.mean))
        for f, column in enumerate(ratios.T):
            known = column[np.isfinite(column)]
            if len(known) >= 16:
                factors[f] = np.quantile(known, 0.9) / Z90
        return factors

    def learn_from(self, forecast: Forecast, features: np.ndarray) -> None:
        """Keep what the surrogate got wrong about a batch: features [B, F] as simulated."""
        r = np.arcsinh(z_scores(features, self.goal))
        expected = forecast.sd / self._inflation()
        self._errors = np.concatenate([self._errors, r - forecast.r])
        self._expected = np.concatenate([self._expected, expected])

    def to_features(self, r: np.ndarray) -> np.ndarray:  # [..., F] asinh(z) -> features
        """Predictions in the features' own units."""
        return self.goal.mean + self.goal.sd * np.sinh(np.clip(r, -15, 15))

    def uncertainty_left(self, u: np.ndarray) -> np.ndarray:  # [D] -> [D] in 0..1
        """How much of each parameter's range the measurements leave open around u (Laplace approximation).

        SD of the posterior of a uniform prior on the unit cube, linearised with the mean Jacobian dz/du of the members,
        over the prior's own SD.
        """

        def z_of(member: Params, u: jax.Array) -> jax.Array:
            value = unsquash(self.world.scaling, respond(self.network, member, u).value)
            return (value - jnp.asarray(self.goal.mean, jnp.float32)) / self.world.sd

        slopes_of = jax.vmap(jax.jacfwd(z_of, argnums=1), in_axes=(0, None))
        slopes = slopes_of(self.world.params, jnp.asarray(u, jnp.float32))
        jacobian = np.asarray(slopes, float).mean(axis=0)
        posterior = np.linalg.inv(jacobian.T @ jacobian + 12.0 * np.eye(len(u)))
        return np.sqrt(12.0 * np.diag(posterior))
