"""Run folders as `gbar tune` leaves them, without the tuning."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gbar.agent.result import Candidate, Measured, Range, Result, Wall, write_result
from gbar.sim import Archive, Integrator, Measurement, Problem


def a_run(
    run: Path,
    problem: Problem,
    x: Iterable[float],
    features: dict[str, float],
    measurements: Iterable[Measurement],
    **changes: Any,
) -> Path:
    """A run folder with one solution, as `gbar tune` would leave it."""
    measured = list(measurements)
    known = {key: value if math.isfinite(value) else None for key, value in features.items()}
    z = {m.key: None if (value := known[m.key]) is None else (value - m.mean) / m.sd for m in measured}
    defined = [abs(value) for value in z.values() if value is not None]
    solution = Candidate(
        parameters=dict(zip(problem.names, map(float, x), strict=True)),
        features=known,
        z=z,
        max_abs_z=max(defined) if len(defined) == len(z) else None,
        undefined=len(z) - len(defined),
        proposer="policy",
        evaluation=3,
    )
    content: dict[str, Any] = {
        "problem": problem.name,
        "problem_folder": str(problem.folder),
        "measurements_file": str(problem.folder / "measurements" / "table.csv"),
        "archive": "archive.sqlite",
        "status": "solved",
        "seed": 4,
        "tolerance": 2.0,
        "budget": 10,
        "wanted": 1,
        "batch": 16,
        "planner": "both",
        "workers": 1,
        "engine": str(Integrator.of(problem)),
        "confirmed_by": str(Integrator.of(problem).tight()),
        "evaluations": 10,
        "failed_evaluations": 0,
        "first_solution_at": 3,
        "wall_s": Wall(simulate=1.0, fit=1.0, plan=1.0, total=3.0),
        "measurements": [Measured.of(m) for m in measured],
        "parameters": [
            Range(name=p.name, low=p.bounds[0], high=p.bounds[1], scale=p.scale, unit=p.unit_of_value(""))
            for p in problem.parameter
        ],
        "solutions": [solution],
        "nearest": solution,
        "surrogate": {},
        "history": [],
        "versions": {"gbar": "0.1.0", "neuron": "9.0.2", "efel": "5.7.34"},
    }
    run.mkdir(parents=True, exist_ok=True)
    Archive(run / "archive.sqlite", problem).close()
    write_result(run, Result(**(content | changes)))
    return run


def measured(problem: Problem, *keys: str, **means: float) -> list[Measurement]:
    """Measurements of those features, with a mean that differs from the value."""
    rows = [key.partition(".") for key in keys]
    return [Measurement(protocol=p, feature=f, mean=means.get(f, 1.25), sd=0.5, unit="u") for p, _, f in rows]
