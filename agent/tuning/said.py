"""What is said of findings, at the end and while a run goes on: parameter sets, and the surrogate's accuracy."""

import numpy as np

from gbar.agent.learning import z_scores
from gbar.agent.result import Accuracy, Candidate
from gbar.agent.tuning.compromises import shortfall
from gbar.agent.tuning.definition import Definition
from gbar.agent.tuning.findings import Confirmed, Findings
from gbar.surrogate import feature_accuracy, verdict


def candidate(definition: Definition, found: Confirmed) -> Candidate:
    """A confirmed parameter set in NEURON's units and the measurements' names."""
    z = {key: _finite(value) for key, value in zip(definition.keys, found.z, strict=True)}
    undefined = sum(value is None for value in z.values())
    target, tolerance = definition.target, definition.config.tolerance
    missed = shortfall(found.z, target, tolerance)
    must_hold = np.zeros(len(missed), bool) if target.must_hold is None else target.must_hold
    furthest_first = np.lexsort((-np.nan_to_num(np.abs(found.z), nan=np.inf), ~must_hold))
    return Candidate(
        parameters=dict(zip(definition.problem.names, map(float, found.x), strict=True)),
        features={key: _finite(value) for key, value in found.done.features.items()},
        z=z,
        max_abs_z=None if undefined else float(np.max(np.abs(found.z))),
        undefined=undefined,
        gives_up=[definition.keys[f] for f in furthest_first if not np.abs(found.z[f]) <= tolerance],
        shortfall=float(missed.sum()),
        proposer=found.proposer,
        evaluation=found.evaluation,
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def accuracies(findings: Findings) -> dict[str, Accuracy]:
    """Prequential accuracy of every measured feature: each prediction was made before its simulation."""
    made, definition = findings.predictions, findings.definition
    simulated = np.reshape([prediction.features for prediction in made], (len(made), len(definition.keys)))
    every = z_scores(np.where(np.isinf(simulated), np.nan, simulated), definition.target)  # [P, F]
    found = {}
    for f, key in enumerate(definition.keys):
        z = every[:, f]
        r = np.array([prediction.forecast.r[f] for prediction in made])
        sd = np.array([prediction.forecast.sd[f] for prediction in made])
        whole, recent = feature_accuracy(z, r, sd), feature_accuracy(*(part[len(made) // 2 :] for part in (z, r, sd)))
        found[key] = Accuracy(
            **whole._asdict(),
            recent_rmse_over_sd=recent.rmse_over_sd,
            verdict=verdict(recent.rmse_over_sd, whole.coverage_90),
        )
    return found
