"""One evaluation beside the measurements."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sim.errors import GbarError, nearest
from sim.integrator import Accuracy
from sim.problem import Measurement, Problem
from sim.workers import Workers


class Row(NamedTuple):
    """One feature of one evaluation."""

    protocol: str
    feature: str
    value: float | None  # None where it is not defined
    mean: float | None  # None where it was not measured
    sd: float | None
    z: float | None
    unit: str


def measure_once(problem: Problem, assignments: Sequence[str]) -> list[Row]:
    """Simulate the model with its own values, changed by "NAME=VALUE" assignments, at the confirming accuracy.

    Returns:
        The measured features in the order of the table; without a table, every feature that is computed.

    Raises:
        GbarError: an assignment names no free parameter or no number, or the simulation failed.
    """
    changed: dict[str, float] = {}
    for name, value in (_assignment(problem, text) for text in assignments):
        if name in changed:
            raise GbarError(f"--set {name}: is set twice ({changed[name]:g} and {value:g}): keep one")
        changed[name] = value
    with Workers(problem, 1) as pool:
        own = {name: found["value"] for name, found in pool.found["parameters"].items()}
        x = np.array([changed.get(name, own[name]) for name in problem.names])
        ((_, done),) = pool.run([x], accuracy=Accuracy.of(problem).tight())
    if done.status != "ok":
        raise GbarError(f"the simulation failed: {done.reason}")
    measured = {m.key: m for m in problem.measurements}
    units = {key: problem.unit_of(key) or "" for key in (measured or done.features)}
    return [_row(key, done.features[key], measured.get(key), unit) for key, unit in units.items()]


def _row(key: str, value: float, measurement: Measurement | None, unit: str) -> Row:
    protocol, _, feature = key.partition(".")
    mean, sd = (measurement.mean, measurement.sd) if measurement else (None, None)
    unit = measurement.unit if measurement and not unit else unit
    defined = math.isfinite(value)
    z = (value - mean) / sd if defined and mean is not None and sd is not None else None
    return Row(protocol, feature, value if defined else None, mean, sd, z, unit)


def _assignment(problem: Problem, text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals:
        raise GbarError(f"--set {text}: expected NAME=VALUE")
    if name not in problem.names:
        raise GbarError(f"--set {text}: no free parameter '{name}'{nearest(name, problem.names)}")
    try:
        number = float(value)
    except ValueError:
        raise GbarError(f"--set {text}: '{value}' is no number") from None
    if not math.isfinite(number):
        raise GbarError(f"--set {text}: expected a finite number")
    return name, number
