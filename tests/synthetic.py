"""A response with known answers: smooth features, one of them undefined over a known part of the cube."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gbar.agent.learning.actor_critic import LearnConfig
from gbar.agent.learning.agent import AgentConfig
from gbar.agent.learning.environment import Dynamics
from gbar.agent.learning.planner import PlanConfig
from gbar.agent.learning.pretrained import PretrainConfig
from gbar.agent.learning.target import Target
from gbar.surrogate import Data, FitConfig, Params, Response, Scaling, choose_scaling, fit, pad, respond
from gbar.surrogate.network import init_params

SMALL = FitConfig(members=4, hidden=32, steps=250, first_passes=2, batch=64)
# an agent that thinks fast; tests that share it share what is compiled for it
AGENT = AgentConfig(
    planner="both",
    fit=SMALL,
    learn=LearnConfig(environments=48, updates=4, first_rounds=2),
    plan=PlanConfig(starts=12, rollout=4, descent=30),
    pretrain=PretrainConfig(
        least=64,
        fit=FitConfig(members=4, hidden=32, layers=2, steps=250, first_passes=2, batch=64),
        learn=LearnConfig(environments=48, updates=4, first_rounds=2),
        goals=64,
    ),
    goals=64,
)
SILENT = 0.35  # of the first parameter, below which the last feature is not defined
MEAN, SD = np.array([50.0, 10.0, 2.0, 15.0]), np.array([2.5, 2.0, 0.2, 1.5])
ROWS = 256


def response(u: np.ndarray) -> np.ndarray:  # [N, 3] -> [N, 4]
    """A rate, a height, a width and a latency; no latency where the cell is silent."""
    rate = 20 + 60 * u[:, 0] - 30 * u[:, 1]
    height = 40 * np.tanh(2 * (u[:, 0] - u[:, 1])) + 10 * u[:, 2]
    width = np.exp(1.5 * u[:, 2] - u[:, 0])
    latency = np.where(u[:, 0] > SILENT, 5 / (np.abs(u[:, 0] - SILENT) + 0.1), np.nan)
    return np.stack([rate, height, width, latency], axis=1)


class Fitted(NamedTuple):
    """An ensemble, and what it was shown."""

    network: Response
    params: Params
    scaling: Scaling
    data: Data
    u: np.ndarray  # [N, 3]
    features: np.ndarray  # [N, 4]

    def predict(self, u: np.ndarray) -> "Predicted":
        ask = jax.vmap(respond, in_axes=(None, 0, None))
        value, logit = ask(self.network, self.params, jnp.asarray(u, jnp.float32))
        return Predicted(np.asarray(value, float), np.asarray(logit, float))


class Predicted(NamedTuple):
    """What every member says."""

    value: np.ndarray  # [M, N, F]
    logit: np.ndarray  # [M, N, F]


def fit_synthetic(u: np.ndarray, seed: int = 0, config: FitConfig = SMALL) -> Fitted:
    """An ensemble fitted to points of the synthetic response."""
    features = response(u)
    scaling, network = choose_scaling(features, MEAN, SD), Response(len(MEAN), config.hidden)
    data = pad(u, features, np.ones(len(u)), scaling, ROWS)
    return Fitted(network, fit(jax.random.key(seed), data, network, config), scaling, data, u, features)


def linear_member(slopes: np.ndarray, offsets: np.ndarray) -> Params:
    """A member whose squashed features are exactly slopes [D, F] times (2u - 1) plus offsets [F], always defined."""
    dimension, features = slopes.shape
    blank = jax.tree.map(jnp.zeros_like, init_params(jax.random.key(0), linear_network(features), 1, dimension))
    dense = {name: {key: leaf[0] for key, leaf in layer.items()} for name, layer in blank["params"].items()}
    kernel = dense["value"]["kernel"].at[-dimension:].set(jnp.asarray(slopes, jnp.float32))
    dense["value"] = {"kernel": kernel, "bias": jnp.asarray(offsets, jnp.float32)}
    dense["logit"] = {**dense["logit"], "bias": jnp.full(features, 20.0)}
    return {"params": dense}


def linear_network(features: int) -> Response:
    return Response(features, hidden=4)


def linear_dynamics(slopes: Sequence[np.ndarray], offsets: Sequence[np.ndarray], tolerance: float = 2.0) -> Dynamics:
    """An ensemble of linear members; a feature's measurement is 0 with SD 1, so that asinh(z) is the squashed value."""
    members = [linear_member(slope, offset) for slope, offset in zip(slopes, offsets, strict=True)]
    features = slopes[0].shape[1]
    scaling = plain_scaling(features)
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    return Dynamics(params, scaling, jnp.asarray(tolerance, jnp.float32))


def plain_scaling(features: int) -> Scaling:
    """asinh of the feature itself: far below its knee, the inner logarithm is a straight line."""
    knee = jnp.full(features, 1e4)
    return Scaling(knee, jnp.zeros(features), 1 / knee)


def aims(means: np.ndarray, sd: np.ndarray = SD) -> Target:  # [..., F], [F]
    """Goals as the jitted functions take them, all with the same SDs."""
    mean = jnp.asarray(means, jnp.float32)
    return Target(mean, jnp.broadcast_to(jnp.asarray(sd, jnp.float32), mean.shape))
