"""The core: targets, the environment on the surrogate, actor and critic, the planner, the agent and its pretraining."""

from gbar.agent.learning.accelerate import Compiling, configure
from gbar.agent.learning.actor_critic import Experience, init_learner, learn
from gbar.agent.learning.agent import Forecast, Mind, MindConfig, Planner
from gbar.agent.learning.bias import engine_bias
from gbar.agent.learning.environment import World, observation_size
from gbar.agent.learning.planner import DISTINCT, PROPOSERS, assess, choose
from gbar.agent.learning.policy import init_policy
from gbar.agent.learning.pretrained import Memory, digest, padded, practise, recall, remember, stamp
from gbar.agent.learning.target import (
    UNDEFINED,
    Aim,
    Goal,
    aim_at,
    distance,
    goal_of,
    residual,
    sd_elsewhere,
    worst,
    z_scores,
)

__all__ = [
    "Compiling",
    "Aim",
    "DISTINCT",
    "Experience",
    "Forecast",
    "Goal",
    "Memory",
    "Mind",
    "MindConfig",
    "PROPOSERS",
    "Planner",
    "UNDEFINED",
    "World",
    "aim_at",
    "assess",
    "choose",
    "configure",
    "digest",
    "distance",
    "engine_bias",
    "goal_of",
    "init_learner",
    "init_policy",
    "learn",
    "observation_size",
    "padded",
    "practise",
    "recall",
    "remember",
    "residual",
    "sd_elsewhere",
    "stamp",
    "worst",
    "z_scores",
]
