"""What one archive has taught: a surrogate and a policy that serve every later cell of the same model.

FILE.HASH.mind.npz lies beside the archive FILE and holds plain arrays and one JSON header; opening it runs no code.
It is used as it is until the archive has grown by half, and learned anew, saying why, when what it depends on changed.
"""

import contextlib
import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gbar.agent.learning import environment as env
from gbar.agent.learning.actor_critic import Experience, LearnConfig, init_learner, learn
from gbar.agent.learning.environment import Dynamics, EnvConfig
from gbar.agent.learning.policy import Policy, init_policy
from gbar.agent.learning.target import Target, sd_elsewhere
from gbar.sim import GbarError, Problem
from gbar.sim.files import packed_arrays, read_arrays, write_whole
from gbar.surrogate import FitConfig, Params, Response, Scaling, choose_scaling, fit, init_params, pad, respond, squash

GROWN = 1.5  # times as many rows as were learned from make learning anew worth its time
UNDEFINED = 3.0  # squashed value that an undefined feature counts as, when rows are weighed
VERSIONS = ("gbar", "jax", "flax")


class PretrainConfig(NamedTuple):
    """What is learned from an archive, once, for all cells."""

    least: int = 512  # evaluations with which it begins to pay
    fit: FitConfig = FitConfig(members=5, hidden=96, layers=3, steps=1000, first_passes=4, batch=256)
    learn: LearnConfig = LearnConfig(environments=320, updates=20, first_rounds=10)
    goals: int = 1024  # archived cells that the policy is trained on


class Pretrained(NamedTuple):
    """A trained surrogate and policy, whatever the target."""

    params: Params  # leaves [M, ...]
    scaling: Scaling
    policy: Policy
    error: np.ndarray  # [F] typical held-out error, squashed
    rows: int  # evaluations it was learned from
    solved: float  # share of practice sessions that ended within tolerance on the surrogate


def pretrain(
    u: np.ndarray,
    features: np.ndarray,
    target: Target[np.ndarray],
    tolerance: float,
    config: PretrainConfig,
    rules: EnvConfig,
) -> Pretrained:
    """Learn the response and a policy from everything an archive holds. The same rows teach the same.

    Each member is shown all rows but its own share of them, on which its error is measured.

    Args:
        u: [N, D] unit cube.
        features: [N, F], NaN where not defined.
        target: one table of measurements; only its SDs and the size of its values matter.
        tolerance: of a solution on the surrogate.
        config, rules: static.
    """
    keys = jax.random.split(jax.random.key(0), 4)
    scaling = choose_scaling(features, target.mean, target.sd)
    s = squash(scaling, features)
    weight = _usualness(s)
    fold = np.random.default_rng(0).permutation(len(u)) % config.fit.members
    network = Response(len(target.mean), config.fit.hidden, config.fit.layers)
    params = fit(keys[0], pad(u, features, weight, scaling, padded(len(u)), fold), network, config.fit)
    error = _held_out_error(network, params, u, s, fold, weight)
    policy, solved = train_policy(keys[1:3], params, scaling, u, features, target, tolerance, config, rules)
    return Pretrained(params, scaling, policy, error, len(u), solved)


def _usualness(s: np.ndarray) -> np.ndarray:  # [N, F] squashed -> [N]
    """How much a row counts: less, the further it lies from the archive's middle."""
    weight: np.ndarray = (1.0 + np.sqrt(np.mean(np.where(np.isfinite(s), s, UNDEFINED) ** 2, axis=1))) ** -3.0
    return weight


def padded(rows: int) -> int:
    """The next power of two, so that archives of similar size share what is compiled."""
    return 1 << (rows - 1).bit_length()


def _held_out_error(
    network: Response, params: Params, u: np.ndarray, s: np.ndarray, fold: np.ndarray, weight: np.ndarray
) -> np.ndarray:  # [F]
    """The weighted 68 % quantile of a member's absolute error on rows it was not shown."""
    every = jax.vmap(respond, in_axes=(None, 0, None))(network, params, jnp.asarray(u, jnp.float32)).value
    missed = np.abs(np.asarray(every, float)[fold, np.arange(len(u))] - s)  # [N, F]
    error = np.full(s.shape[1], 1.0)
    for f, column in enumerate(missed.T):
        known = np.isfinite(column)
        if known.sum() >= 8:
            order = np.argsort(column[known], kind="stable")
            share = np.cumsum(weight[known][order])
            error[f] = column[known][order][np.searchsorted(share, 0.68 * share[-1])]
    return error


def train_policy(
    keys: jax.Array,
    params: Params,
    scaling: Scaling,
    u: np.ndarray,
    features: np.ndarray,
    target: Target[np.ndarray],
    tolerance: float,
    config: PretrainConfig,
    rules: EnvConfig,
) -> tuple[Policy, float]:
    """Train a policy for a surrogate, on sessions from any archived cell to any other (hindsight goals).

    Args:
        keys: two, one for the untrained policy and one for its training.
        params, scaling: the surrogate.
        u, features, target, tolerance, config, rules: as in `pretrain`.

    Returns:
        The policy, and the share of the last sessions that ended within tolerance on the surrogate.
    """
    network = Response(len(target.mean), config.fit.hidden, config.fit.layers)
    dynamics, weight = (
        Dynamics(params, scaling, jnp.asarray(tolerance, jnp.float32)),
        _usualness(squash(scaling, features)),
    )
    learner = init_learner(keys[0], env.observation_size(u.shape[1], len(target.mean)), u.shape[1], config.learn)
    whole = np.flatnonzero(np.isfinite(features).all(axis=1))
    order = whole[np.argsort(-weight[whole], kind="stable")][: config.goals]
    if len(order) == 0:
        return learner.policy, 0.0
    means = np.resize(features[order], (config.goals, features.shape[1]))
    starts = np.resize(np.clip(u, 0, 1)[np.argsort(-weight, kind="stable")], (config.goals, u.shape[1]))
    aims = Target(jnp.asarray(means, jnp.float32), jnp.asarray(sd_elsewhere(target, means), jnp.float32))
    experience = Experience(jnp.asarray(starts, jnp.float32), aims)
    solved = 0.0
    for round_key in jax.random.split(keys[1], config.learn.first_rounds):
        learner, info = learn(round_key, learner, dynamics, experience, network, rules, config.learn)
        solved = float(info.solved[-1])
    return learner.policy, solved


def file_beside(archive: Path, stamp: dict[str, Any]) -> Path:
    """Where an archive keeps what was pretrained for these features, this tolerance and engine: each has its own."""
    asked = json.dumps([stamp["features"], stamp["tolerance"], stamp["engine"]])
    return archive.with_name(f"{archive.name}.{hashlib.sha256(asked.encode()).hexdigest()[:8]}.mind.npz")


def stamp(problem: Problem, tolerance: float, engine: str, config: PretrainConfig, rules: EnvConfig) -> dict[str, Any]:
    """Everything a pretrained agent depends on, the rows excepted; as JSON."""
    return {
        "problem": problem.identity(),
        "parameters": [[p.name, *p.bounds, p.scale] for p in problem.parameter],
        "features": [m.key for m in problem.measurements],
        "engine": engine,
        "tolerance": tolerance,
        "settings": repr((config, rules)),
        "versions": {name: metadata.version(name) for name in VERSIONS},
    }


def save(file: Path, pretrained: Pretrained, stamp: dict[str, Any]) -> None:
    """Write a pretrained agent, moved into place whole."""
    header = {**stamp, "rows": pretrained.rows, "solved": pretrained.solved}
    arrays = {name: np.asarray(leaf) for name, leaf in _named(_trees(pretrained)).items()}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    write_whole(file, packed_arrays(arrays))


def load(file: Path, stamp: dict[str, Any], rows: int, config: PretrainConfig) -> tuple[Pretrained | None, str]:
    """Read a pretrained agent kept for the same problem, features and settings.

    Args:
        rows: evaluations in the archive now.

    Returns:
        The pretrained agent, and an empty reason; or None, and why what is there cannot be used.
    """
    if not file.is_file():
        return None, "none was kept"
    try:
        arrays = read_arrays(file)
        header = json.loads(arrays.pop("header").tobytes())
        for name, value in stamp.items():
            if header.get(name) != value:
                return None, f"it was learned with other {name}"
        if rows > GROWN * header["rows"]:
            return None, f"it was learned from {header['rows']} evaluations; there are {rows} now"
        if rows < header["rows"]:
            return None, f"it was learned from {header['rows']} evaluations, more than the archive has"
        return _restored(header, arrays, len(stamp["parameters"]), len(stamp["features"]), config), ""
    except GbarError as error:
        return None, f"it cannot be read ({error})"
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:  # whole, but no pretrained agent of ours
        return None, f"it is none of this version of gbar ({error})"


def load_or_pretrain(
    archive: Path,
    stamp: dict[str, Any],
    u: np.ndarray,
    features: np.ndarray,
    target: Target[np.ndarray],
    tolerance: float,
    config: PretrainConfig,
    rules: EnvConfig,
) -> tuple[Pretrained, str]:
    """The pretrained agent kept beside an archive, or one learned now from its rows and then kept.

    Returns:
        The pretrained agent, and why it was learned now; empty where a kept one was used.
    """
    file = file_beside(archive, stamp)
    found, reason = load(file, stamp, len(u), config)
    if found is None:
        found = pretrain(u, features, target, tolerance, config, rules)
        with contextlib.suppress(OSError):  # an archive may lie where nothing can be written beside it
            save(file, found, stamp)
    return found, reason


def _restored(
    header: dict[str, Any], arrays: dict[str, np.ndarray], dimension: int, features: int, config: PretrainConfig
) -> Pretrained:
    network = Response(features, config.fit.hidden, config.fit.layers)
    key = jax.random.key(0)
    blank = Pretrained(  # shapes alone: making the arrays would compile what is not needed
        jax.eval_shape(lambda: init_params(key, network, config.fit.members, dimension)),
        jax.eval_shape(lambda: Scaling(*(jnp.zeros(features) for _ in Scaling._fields))),
        jax.eval_shape(lambda: init_policy(key, env.observation_size(dimension, features), dimension)),
        np.zeros(features),
        header["rows"],
        header["solved"],
    )
    wanted = _named(_trees(blank))
    if {name: leaf.shape for name, leaf in wanted.items()} != {name: leaf.shape for name, leaf in arrays.items()}:
        raise ValueError("its arrays have other shapes")
    if not all(np.isfinite(leaf).all() for leaf in arrays.values()):
        raise ValueError("it holds values that are no numbers")
    leaves = [arrays[name] if name == "['error']" else jnp.asarray(arrays[name]) for name in wanted]
    return blank._replace(**jax.tree.unflatten(jax.tree.structure(_trees(blank)), leaves))


def _trees(pretrained: Pretrained) -> dict[str, Any]:
    return {name: getattr(pretrained, name) for name in ("params", "scaling", "policy", "error")}


def _named(tree: Any) -> dict[str, Any]:
    """Leaves by their path."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def digest(pretrained: Pretrained) -> str:
    """A short hash of what was learned: two runs with the same one began with the same agent."""
    content = hashlib.sha256()
    for leaf in _named(_trees(pretrained)).values():
        content.update(np.asarray(leaf).tobytes())
    return content.hexdigest()[:12]
