"""One session of agent.learning.environment as a gymnasium.Env, for agents written elsewhere."""

from typing import Any, SupportsFloat

import jax
import jax.numpy as jnp
import numpy as np

from gbar.agent.learning import environment as env
from gbar.agent.learning.actor_critic import Experience
from gbar.agent.learning.environment import Dynamics, EnvConfig, State, StepInfo
from gbar.agent.learning.target import Target
from gbar.sim.errors import GbarError
from gbar.surrogate import Response

try:
    import gymnasium
except ImportError:
    raise GbarError("this environment needs gymnasium: install it with pip install 'gbar[gym]'") from None

JITTER = 0.05  # of a start, as in agent.learning.actor_critic


class TuningEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """A tuning session on one hidden ensemble member.

    Observation [O] and reward are those of agent.env; action [D] in [-1, 1] is added to the Gauss-Newton step. A
    session is terminated when the hidden member shows every feature within tolerance and probably defined, and
    truncated when its queries run out. `reset(options=...)` takes "member" (int), "start" [D] (unit cube) and "goal"
    [F] (means, with the SDs of a goal that is drawn); what is not given is drawn. `info` holds "u" [D], "member" and
    "solved".
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as gymnasium declares it

    def __init__(self, dynamics: Dynamics, network: Response, experience: Experience, config: EnvConfig | None = None):
        self.dynamics, self.network, self.experience = dynamics, network, experience
        self.config = config = config or EnvConfig()
        self.members = int(jax.tree.leaves(dynamics.params)[0].shape[0])
        dimension = experience.starts.shape[1]
        size = env.observation_size(dimension, experience.goals.mean.shape[1])
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (dimension,), np.float32)

        def shown(dynamics: Dynamics, state: State) -> tuple[StepInfo, jax.Array, jax.Array]:
            now = env.evaluate(network, dynamics, state, config)
            return now, env.observe(now, state, config), env.solved(now, dynamics)

        def stepped(
            dynamics: Dynamics, state: State, now: StepInfo, action: jax.Array, member: jax.Array
        ) -> tuple[Any, ...]:
            state = _as_seen_by(member, env.step(state, now, action, config))
            after, seen, solved = shown(dynamics, state)
            return state, after, seen, env.reward(now, after, dynamics, config), solved

        self._shown, self._stepped = jax.jit(shown), jax.jit(stepped)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin a session; the same seed and options begin the same one.

        Raises:
            ValueError: an option that is not known, or out of its range.
        """
        super().reset(seed=seed)
        asked = dict(options or {})
        starts, goals = self.experience.starts, self.experience.goals
        self._member = int(asked.pop("member", self.np_random.integers(self.members)))
        start = np.asarray(starts[self.np_random.integers(len(starts))])
        start = np.clip(start + JITTER * self.np_random.standard_normal(len(start)), 0, 1)
        start = np.asarray(asked.pop("start", start), np.float32)
        drawn = int(self.np_random.integers(len(goals.mean)))
        goal = np.asarray(asked.pop("goal", goals.mean[drawn]), np.float32)
        if asked:
            raise ValueError(f"options {sorted(asked)}: expected member, start and goal")
        if not 0 <= self._member < self.members:
            raise ValueError(f"options member {self._member}: expected 0 to {self.members - 1}")
        if start.shape != starts.shape[1:] or goal.shape != goals.mean.shape[1:]:
            raise ValueError(f"options start, goal: expected shapes {starts.shape[1:]} and {goals.mean.shape[1:]}")
        shape = (self.members, 1)
        u, means, sds = (jnp.broadcast_to(array, (*shape, len(array))) for array in (start, goal, goals.sd[drawn]))
        self._state = State(u, Target(means, sds), jnp.full(shape, self.config.episode, jnp.int32))
        self._now, seen, solved = self._shown(self.dynamics, self._state)
        return np.asarray(seen[self._member, 0]), self._info(solved)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, SupportsFloat, bool, bool, dict[str, Any]]:
        """One query of the hidden member."""
        bounded = jnp.clip(jnp.asarray(action, jnp.float32), -1.0, 1.0)
        self._state, self._now, seen, reward, solved = self._stepped(
            self.dynamics, self._state, self._now, bounded, jnp.asarray(self._member)
        )
        info, left = self._info(solved), int(self._state.left[self._member, 0])
        terminated = info["solved"]
        truncated = left <= 0 and not terminated
        return np.asarray(seen[self._member, 0]), float(reward[self._member, 0]), terminated, truncated, info

    def _info(self, solved: jax.Array) -> dict[str, Any]:
        here = np.asarray(self._state.u[self._member, 0])
        return {"u": here, "member": self._member, "solved": bool(solved[self._member, 0])}


def _as_seen_by(member: jax.Array, state: State) -> State:
    """The hidden member's session in every member's place: agent.learning.environment looks at all members at once."""
    seen: State = jax.tree.map(lambda array: jnp.broadcast_to(array[member], array.shape), state)
    return seen
