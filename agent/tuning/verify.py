"""Whether a run can be trusted: its solutions simulated again, and its surrogate tested on what it had not seen."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import BaseModel

from gbar.agent.learning import AgentConfig, Target, configure, distance, target_of, z_scores
from gbar.agent.result import Result, read_result
from gbar.agent.tuning.definition import BEYOND
from gbar.sim import Archive, GbarError, Integrator, Problem, load_problem, simulate, with_process
from gbar.sim.problem import within
from gbar.surrogate import (
    FitConfig,
    Response,
    choose_scaling,
    feature_accuracy,
    fit,
    pad,
    respond,
    unsquash,
    validity_auroc,
    verdict,
    why,
)

DRAWN = 128  # rows in a step: an archive has more than a run that has just begun
FOLDS = 4
NEAR = 64  # evaluations nearest to the measurements on which the held-out error is taken


class Again(BaseModel):
    """One solution, simulated again."""

    solution: int
    max_abs_z: float | None
    largest_change: float | None  # of any z since the run
    verdict: str  # confirmed | no longer in tolerance | outside the bounds: NAMES | failed: REASON


class FeatureTrust(BaseModel):
    """One feature's accuracy, in SDs of the measurement."""

    held_out_rmse_over_sd: float | None
    prequential_rmse_over_sd: float | None
    recent_rmse_over_sd: float | None
    coverage_90: float | None  # prequential
    validity_auroc: float | None  # held out
    n: int  # predictions made before simulating
    verdict: str
    why: str  # of the verdict, in plain words


class Verification(BaseModel):
    """What `gbar verify` prints."""

    confirmed_by: str
    evaluations: int
    solutions: list[Again]
    surrogate: dict[str, FeatureTrust]


def verify_run(run: Path, workers: int = 2) -> Verification:
    """Simulate a run's solutions again in fresh processes at CVODE atol 1e-7, and assess its surrogate.

    The held-out error is taken by `FOLDS`-fold cross-validation over the run's archive, on the `NEAR` evaluations
    nearest to the measurements; the prequential one was kept by the run: each batch was predicted before it was
    simulated.

    Raises:
        GbarError: no run folder, or the problem it came from is gone or has changed.
    """
    configure()
    run = Path(run)
    result = read_result(run)
    problem = load_problem(result.problem_folder, result.measurements_file)
    with Archive(run / result.archive, problem, must_exist=True) as archive:  # refuses a model that has changed
        rows = archive.rows([m.key for m in problem.measurements], result.engine)
    near = rows.only(within(problem.unit(rows.x), BEYOND))
    features = np.where(near.ok[:, None], near.features, np.nan)
    held_out, auroc = _held_out(problem, result, problem.unit(near.x), features)
    trust = {}
    for f, measurement in enumerate(problem.measurements):
        known = result.surrogate.get(measurement.key)
        recent = known.recent_rmse_over_sd if known else None
        trust[measurement.key] = FeatureTrust(
            held_out_rmse_over_sd=held_out[f],
            prequential_rmse_over_sd=known.rmse_over_sd if known else None,
            recent_rmse_over_sd=recent,
            coverage_90=known.coverage_90 if known else None,
            validity_auroc=auroc[f],
            n=known.n if known else 0,
            verdict=verdict(recent, known.coverage_90 if known else None),
            why=why(recent, known.coverage_90 if known else None, auroc[f]),
        )
    accuracy = Integrator.parse(result.confirmed_by)
    again = _again(problem, result, workers, accuracy)
    return Verification(confirmed_by=str(accuracy), evaluations=len(rows), solutions=again, surrogate=trust)


def _again(problem: Problem, result: Result, workers: int, accuracy: Integrator) -> list[Again]:
    if not result.solutions:
        return []
    names = problem.names
    missing = [name for name in names if name not in result.solutions[0].parameters]
    if missing:
        raise GbarError(f"the problem has a parameter '{missing[0]}' that this run does not: it has changed since")
    xs = [np.array([solution.parameters[name] for name in names]) for solution in result.solutions]
    judged, target = [], target_of(problem.measurements)
    for number, (done, before) in enumerate(
        zip(
            simulate(with_process(problem, "each"), xs, workers=workers, integrator=accuracy),
            result.solutions,
            strict=True,
        ),
        start=1,
    ):
        z = z_scores(done.row(m.key for m in problem.measurements), target)
        then = np.array(
            [before.z[m.key] if before.z[m.key] is not None else np.nan for m in problem.measurements], float
        )
        worst = float(np.max(np.abs(z))) if np.isfinite(z).all() else None
        word = "confirmed" if worst is not None and worst <= result.tolerance else "no longer in tolerance"
        if outside := problem.outside(xs[number - 1]):
            word = f"outside the bounds: {', '.join(outside)}"
        judged.append(
            Again(
                solution=number,
                max_abs_z=worst,
                largest_change=float(np.max(np.abs(z - then))) if np.isfinite(z - then).all() else None,
                verdict=word if done.status == "ok" else f"failed: {done.reason}",
            )
        )
    return judged


def _held_out(
    problem: Problem, result: Result, u: np.ndarray, features: np.ndarray
) -> tuple[list[float | None], list[float | None]]:
    """Cross-validated RMSE in SDs near the measurements, and AUROC of definedness over all rows, per feature."""
    target = target_of(problem.measurements)
    z = z_scores(features, target)
    nothing: list[float | None] = [None] * len(target.mean)
    if len(u) < 4 * FOLDS:
        return nothing, nothing
    r, p = _cross_validated(u, features, target, result.seed)
    near = np.argsort(distance(z), kind="stable")[:NEAR]
    unknown = np.ones(len(near))
    errors = [feature_accuracy(z[near, f], r[near, f], unknown).rmse_over_sd for f in range(len(target.mean))]
    return errors, [validity_auroc(np.isfinite(z[:, f]), p[:, f]) for f in range(len(target.mean))]


def _cross_validated(
    u: np.ndarray, features: np.ndarray, target: Target[np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of every row by an ensemble that was not shown it: asinh(z) and probability of definedness."""
    config: FitConfig = AgentConfig().fit._replace(batch=DRAWN)
    network = Response(features=len(target.mean), hidden=config.hidden)
    scaling = choose_scaling(features, target.mean, target.sd)
    weight = (1.0 + distance(z_scores(features, target), target.weight)) ** -2.0
    fold = np.random.default_rng(seed).permutation(len(u)) % FOLDS
    r, p = np.empty_like(features), np.empty_like(features)
    rows = 1 << (len(u) - 1).bit_length()
    for k, key in enumerate(jax.random.split(jax.random.key(seed), FOLDS)):
        data = pad(u, features, np.where(fold == k, 0.0, weight), scaling, rows)
        params = fit(key, data, network, config)
        predicted = jax.vmap(respond, in_axes=(None, 0, None))(network, params, data.u)
        out = fold == k
        value = np.asarray(predicted.value, float).mean(axis=0)[: len(u)]
        predicted_features = np.asarray(unsquash(scaling, jnp.asarray(value)), float)
        r[out] = np.arcsinh(z_scores(predicted_features, target))[out]
        p[out] = np.asarray(jax.nn.sigmoid(predicted.logit), float).mean(axis=0)[: len(u)][out]
    return r, p
