"""How fast the agent thinks on this device: needs an archive, no NEURON.

Measured in processes of their own, so that compiling can be timed with an empty cache and with a full one.

Everything is 32-bit. A rate is compared with the device's own: the operations of the networks' matrix products, over
the rate at which the device multiplies two large matrices.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gbar.sim import GbarError
from gbar.sim.archive import reading
from gbar.sim.problem import rows_of

MOST_FEATURES = 24  # of an archive whose measurements are not given
SD_SHARE = 0.05  # SD as a share of the typical value, where no measurements are given
TARGETS = 3  # agents that think of a first batch, each of another target


class Thought(NamedTuple):
    """One measured rate."""

    what: str
    value: float
    unit: str
    share: float | None  # of the device's arithmetic limit; None where that says nothing


def read_archive(file: Path, table: Path | None = None) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray]:
    """Parameters scaled to the unit cube by their own range, features, their names and SDs; without a problem.

    Args:
        file: an archive.
        table: measurements; without it, the features that are most often defined.

    Returns:
        u [N, D], features [N, F] (NaN where not defined), F names, sd [F].

    Raises:
        GbarError: no archive, or fewer than 64 evaluations.
    """
    try:
        with reading(file) as opened:
            kept = opened.execute(
                "SELECT parameters, features FROM evaluations WHERE status = 'ok' AND proposer != 'confirm'"
                " ORDER BY run, batch, slot"
            ).fetchall()
    except sqlite3.Error as error:
        raise GbarError(f"{file}: cannot be read as an archive ({error}): expected one that gbar sample made") from None
    if len(kept) < 64:
        raise GbarError(f"{file}: {len(kept)} evaluations: expected at least 64 (gbar sample PROBLEM -n 1024)")
    x = np.array([list(json.loads(parameters).values()) for parameters, _ in kept], float)
    computed = [json.loads(features) for _, features in kept]
    names = _table_names(table) if table else _often_defined(computed)
    features = np.array([[_number(row.get(name)) for name in names] for row in computed])
    x = np.where((x > 0).all(axis=0), np.log(np.maximum(x, 1e-300)), x)
    low, high = x.min(axis=0), x.max(axis=0)
    sd = SD_SHARE * np.nanmedian(np.abs(features), axis=0) + 1e-9
    return (x - low) / np.maximum(high - low, 1e-12), features, names, sd


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _often_defined(computed: list[dict[str, float | None]]) -> list[str]:
    counts = {name: sum(row.get(name) is not None for row in computed) for name in computed[0]}
    return sorted(counts, key=lambda name: (-counts[name], name))[:MOST_FEATURES]


def _table_names(table: Path) -> list[str]:
    return [f"{row['protocol']}.{row['feature']}" for _, row in rows_of(table)]


def time_thought(archive: Path, table: Path | None = None, full: bool = True) -> tuple[str, list[Thought]]:
    """Measure in this process. `full=False`: only a first and a later batch, as a pretrained agent thinks them.

    Returns:
        The device's name and the rates.
    """
    import jax

    from gbar.agent.learning import AgentConfig, Target

    u, features, _, sd = read_archive(archive, table)
    target = Target(np.nanmedian(features, axis=0), sd)
    config = AgentConfig()
    device = jax.devices()[0]
    name = f"{device.platform}: {device.device_kind}, {os.cpu_count()} cores"
    found = _time_batches(u, features, target, config)
    if full:
        rate = _matrix_rate()
        found = [
            Thought("matrix product, 32 bit", rate / 1e9, "GFLOP/s", 1.0),
            *_time_parts(u, features, target, config, rate),
            *found,
        ]
    return name, found


def _time_batches(u: np.ndarray, features: np.ndarray, target: Any, config: Any) -> list[Thought]:
    """Fitting and planning of one batch, of a pretrained agent that never was: training changes no time."""
    import jax

    from gbar.agent.learning import Agent, Pretrained, init_policy, observation_size, padded, select_batch
    from gbar.surrogate import Response, choose_scaling, init_params

    fit = config.pretrain.fit
    network = Response(len(target.mean), fit.hidden, fit.layers)
    policy = init_policy(jax.random.key(1), observation_size(u.shape[1], len(target.mean)), u.shape[1])
    scaling = choose_scaling(features, target.mean, target.sd)
    params = init_params(jax.random.key(0), network, fit.members, u.shape[1])
    pretrained = Pretrained(params, scaling, policy, np.full(len(target.mean), 0.1), len(u), 0.0)
    took: dict[str, list[float]] = {"with a memory": [], "from scratch": []}
    for kept, seconds in zip((pretrained, None), took.values(), strict=True):
        rows = len(u) if kept else min(len(u), 96)
        for number in range(TARGETS):
            agent = Agent(jax.random.key(number), u.shape[1], target, 1.0, padded(rows + 512), config, kept)
            for _ in range(2):
                start = time.perf_counter()
                agent.update_surrogate(u[:rows], features[:rows])
                agent.train_policy(u[:rows], features[:rows])
                proposals = agent.plan(u[:rows], features[:rows])
                select_batch(np.random.default_rng(0), proposals, 8, 1.0, u[:0], u[:rows], config.plan.apart)
                seconds.append(time.perf_counter() - start)
    return [
        Thought(f"{label} batch {kind}", value, "s", None)
        for kind, seconds in took.items()
        for label, value in (("first", seconds[0]), ("later", float(np.median(seconds[3::2]))))
    ]


def _time_parts(u: np.ndarray, features: np.ndarray, target: Any, config: Any, rate: float) -> list[Thought]:
    import jax
    import jax.numpy as jnp

    from gbar.agent.learning import (
        Dynamics,
        Experience,
        Target,
        as_float32,
        assess,
        init_learner,
        learn,
        observation_size,
        padded,
        sd_elsewhere,
    )
    from gbar.surrogate import Response, choose_scaling, init_params, pad, train

    fit, dimension = config.pretrain.fit, u.shape[1]
    network, scaling = (
        Response(len(target.mean), fit.hidden, fit.layers),
        choose_scaling(features, target.mean, target.sd),
    )
    data = pad(u, features, np.ones(len(u)), scaling, padded(len(u)))
    params = init_params(jax.random.key(0), network, fit.members, dimension)
    one = network_flops(network, dimension)
    training = _seconds(lambda: train(jax.random.key(0), params, data, network, fit)[1])
    trained = fit.steps * fit.batch * fit.members
    dynamics = Dynamics(params, scaling, jnp.asarray(1.0))
    many = jax.random.uniform(jax.random.key(0), (8192, dimension))
    asking = _seconds(lambda: assess(dynamics, many, as_float32(target), network))
    asked = 8192 * fit.members
    means = np.where(np.isfinite(features), features, target.mean)[:256]
    aims = Target(jnp.asarray(means, jnp.float32), jnp.asarray(sd_elsewhere(target, means), jnp.float32))
    experience = Experience(jnp.asarray(u[:256], jnp.float32), aims)
    rules = config.pretrain.learn
    learner = init_learner(jax.random.key(0), observation_size(dimension, len(target.mean)), dimension, rules)
    practising = _seconds(
        lambda: learn(jax.random.key(0), learner, dynamics, experience, network, config.env, rules)[1].reward
    )
    steps = rules.updates * rules.window * (rules.environments // fit.members) * fit.members
    # a step: the own member's value and its Jacobian, everyone's spread, and the way back through the first and third
    step_flops = one * ((1 + dimension) + fit.members + 2 * (1 + fit.members))
    return [
        Thought("surrogate training", trained / training, "rows/s", 3 * one * trained / training / rate),
        Thought("a whole fit of the memory", training * fit.first_passes, "s", None),
        Thought("surrogate queries", asked / asking, "1/s", one * asked / asking / rate),
        Thought("policy training", steps / practising, "environment steps/s", step_flops * steps / practising / rate),
        Thought("a whole training of its policy", practising * rules.first_rounds, "s", None),
    ]


def network_flops(network: Any, dimension: int) -> int:
    """Operations of one network's matrix products for one input."""
    hidden = network.hidden
    inside = (network.layers - 1) * hidden**2
    return int(2 * (dimension * hidden + inside + (hidden + dimension) * 2 * network.features))


def _matrix_rate() -> float:
    """FLOP/s of a large 32-bit matrix product, at full 32-bit precision."""
    import jax
    import jax.numpy as jnp

    size = 2048 if jax.devices()[0].platform == "cpu" else 8192
    a = jax.random.normal(jax.random.key(0), (size, size))
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    return 2 * size**3 / _seconds(lambda: product(a))


def _seconds(work: Callable[[], Any]) -> float:
    """The shortest of three times, after one that compiles."""
    import jax

    taken = []
    for _ in range(4):
        start = time.perf_counter()
        jax.block_until_ready(work())
        taken.append(time.perf_counter() - start)
    return min(taken[1:])


def bench_thought(archive: Path, table: Path | None = None) -> tuple[str, list[Thought]]:
    """All rates, and what a first batch takes with an empty and with a full compilation cache (each in a new process).

    Raises:
        GbarError: no usable archive, or a process that failed.
    """
    read_archive(archive, table)  # before anything slow
    with tempfile.TemporaryDirectory() as cache:
        _, cold = _elsewhere(archive, table, cache, full=False)
        name, found = _elsewhere(archive, table, cache, full=True)
    firsts = [Thought(f"{one.what}, empty cache", one.value, one.unit, None) for one in cold if "first" in one.what]
    kept = [one._replace(what=f"{one.what}, full cache") if "first" in one.what else one for one in found]
    return name, [*kept, *firsts]


def _elsewhere(archive: Path, table: Path | None, cache: str, full: bool) -> tuple[str, list[Thought]]:
    settings = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1"}
    order = json.dumps([str(archive), str(table) if table else None, full])
    done = subprocess.run(
        [sys.executable, "-m", "gbar.scripts.bench.thought", order],
        env={**os.environ, **settings, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise GbarError(f"measuring failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    name, rows = json.loads(done.stdout.splitlines()[-1])
    return name, [Thought(*row) for row in rows]


if __name__ == "__main__":
    archive_name, table_name, everything = json.loads(sys.argv[1])
    print(json.dumps(time_thought(Path(archive_name), Path(table_name) if table_name else None, everything)))
