"""The core: targets, the environment on the surrogate, actor and critic, the planner, the agent and its pretraining."""

from gbar.agent.learning.accelerate import Compiling, configure
from gbar.agent.learning.actor_critic import Experience, init_learner, learn
from gbar.agent.learning.agent import Agent, AgentConfig, Forecast, Planner
from gbar.agent.learning.bias import EngineBias
from gbar.agent.learning.breeding import PARENTS, breed
from gbar.agent.learning.environment import Dynamics, observation_size
from gbar.agent.learning.planner import AIMS, CAP, PROPOSERS, assess, is_distinct, select_batch
from gbar.agent.learning.policy import init_policy
from gbar.agent.learning.pretrained import Pretrained, digest, load_or_pretrain, padded, pretrain, stamp, train_policy
from gbar.agent.learning.target import (
    UNDEFINED,
    Target,
    as_float32,
    breaks,
    distance,
    rank,
    residual,
    sd_elsewhere,
    target_of,
    worst,
    z_scores,
)

__all__ = [
    "Agent",
    "AIMS",
    "AgentConfig",
    "as_float32",
    "assess",
    "breaks",
    "CAP",
    "breed",
    "Compiling",
    "configure",
    "digest",
    "distance",
    "Dynamics",
    "EngineBias",
    "Experience",
    "Forecast",
    "Target",
    "target_of",
    "init_learner",
    "is_distinct",
    "init_policy",
    "learn",
    "load_or_pretrain",
    "observation_size",
    "padded",
    "Planner",
    "pretrain",
    "Pretrained",
    "PARENTS",
    "PROPOSERS",
    "rank",
    "residual",
    "sd_elsewhere",
    "select_batch",
    "stamp",
    "train_policy",
    "UNDEFINED",
    "worst",
    "z_scores",
]
