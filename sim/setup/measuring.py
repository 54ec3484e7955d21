"""One evaluation beside the measurements."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gbar.sim.errors import GbarError, nearest
from gbar.sim.pool import Workers
from gbar.sim.problem import Integrator, Measurement, Problem, doubtful_sign, load_problem


class FeatureRow(NamedTuple):
    """One feature of one evaluation."""

    protocol: str
    feature: str
    value: float | None  # None where it is not defined
    mean: float | None  # None where it was not measured
    sd: float | None
    z: float | None
    unit: str

    @property
    def key(self) -> str:
        """`protocol.feature`."""
        return f"{self.protocol}.{self.feature}"

    @property
    def doubt(self) -> str:
        """What to ask where the model has the opposite sign of what was measured; else ""."""
        return (
            "" if self.mean is None or self.sd is None else doubtful_sign(self.feature, self.mean, self.sd, self.value)
        )


class Once(NamedTuple):
    """One evaluation of the model."""

    rows: list[FeatureRow]
    parameters: dict[str, float]  # in NEURON's units
    traces: dict[str, tuple[np.ndarray, np.ndarray]]  # "protocol" or "protocol:recording" -> t [T] ms, v [T]
    seconds: float  # that it took

    @property
    def values(self) -> dict[str, float | None]:
        """`protocol.feature` -> value; None where it is not defined."""
        return {row.key: row.value for row in self.rows}

    @property
    def z(self) -> dict[str, float | None]:
        """`protocol.feature` -> z; None where it is not defined, or was not measured."""
        return {row.key: row.z for row in self.rows}


def measure(
    problem: Problem | str | Path,
    parameters: Mapping[str, float] | None = None,
    *,
    measurements: str | Path | None = None,
) -> list[FeatureRow]:
    """Simulate a model once, at the accuracy that confirms solutions.

        for row in gbar.measure("models/hh", {"gnabar": 0.1}):
            print(row.protocol, row.feature, row.value, row.unit, row.z)

    Args:
        problem: from `load_problem`, or a problem's folder or toml.
        parameters: values in NEURON's units; the model's own for those that are not named.
        measurements: a table instead of the problem's own.

    Returns:
        A row a measured feature; without measurements, a row for every feature that is computed.

    Raises:
        GbarError: no such parameter, or the simulation failed.
    """
    if not isinstance(problem, Problem) or measurements is not None:
        path = problem.file if isinstance(problem, Problem) else problem
        problem = load_problem(path, measurements, measured=False)
    return measure_once(problem, parameters or {})


def measure_once(problem: Problem, parameters: Mapping[str, float]) -> list[FeatureRow]:
    """Simulate the model with its own values, but for the parameters given, at the confirming accuracy.

    Returns:
        The measured features in the order of the table; without a table, every feature that is computed.

    Raises:
        GbarError: no free parameter of that name, no finite number, or the simulation failed.
    """
    return simulate_once(problem, parameters).rows


def simulate_once(problem: Problem, parameters: Mapping[str, float]) -> Once:
    """The same with the parameters that were used, and what was recorded. Raises GbarError as it does."""
    changed = {name: _checked(problem, name, value) for name, value in parameters.items()}
    with Workers(problem, 1) as pool:
        own = zip(problem.names, pool.found.own, strict=True)
        used = {name: float(changed.get(name, value)) for name, value in own}
        x = np.array([*used.values()])
        ((_, done),) = pool.run([x], traces=True, integrator=Integrator.of(problem).tight())
    if done.status != "ok":
        raise GbarError(f"the simulation failed: {done.reason}")
    measured = {m.key: m for m in problem.measurements}
    units = {key: problem.unit_of(key) or "" for key in (measured or done.features)}
    rows = [_row(key, done.features[key], measured.get(key), unit) for key, unit in units.items()]
    return Once(rows, used, done.traces, done.seconds)


def _row(key: str, value: float, measurement: Measurement | None, unit: str) -> FeatureRow:
    protocol, _, feature = key.partition(".")
    known = value if math.isfinite(value) else None
    if measurement is None:
        return FeatureRow(protocol, feature, known, None, None, None, unit)
    z = None if known is None else measurement.z(known)
    return FeatureRow(protocol, feature, known, measurement.mean, measurement.sd, z, unit or measurement.unit)


def assigned(assignments: Iterable[str]) -> dict[str, float]:
    """Parameters as the command line gives them, "NAME=VALUE" each.

    Raises:
        GbarError: no such form, no number, or a name given twice.
    """
    changed: dict[str, float] = {}
    for text in assignments:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise GbarError(f"--set {text}: expected NAME=VALUE")
        try:
            number = float(value)
        except ValueError:
            raise GbarError(f"--set {text}: '{value}' is no number") from None
        if name in changed:
            raise GbarError(f"--set {name}: is set twice ({changed[name]:g} and {number:g}): keep one")
        changed[name] = number
    return changed


def _checked(problem: Problem, name: str, value: float) -> float:
    if name not in problem.names:
        raise GbarError(f"{name}={value:g}: no free parameter '{name}'{nearest(name, problem.names)}")
    if not math.isfinite(value):
        raise GbarError(f"{name}={value:g}: expected a finite number")
    return float(value)


def seconds_each(problem: Problem) -> dict[str, float]:
    """What each protocol costs: seconds in NEURON alone, of the model as it is, at the confirming accuracy.

    Raises:
        GbarError: the model cannot be loaded. A protocol that fails, or is a curve, is left out.
    """
    found: dict[str, float] = {}
    for name, protocol in problem.stimuli.items():
        needed = {name, getattr(protocol, "relative_to", None)}
        kept = {other: p for other, p in problem.protocol.items() if other in needed}
        alone = problem.model_copy(update={"protocol": kept, "measurements": ()})
        with Workers(alone, 1) as pool:
            ((_, done),) = pool.run([pool.found.own], integrator=Integrator.of(alone).tight())
        if done.status == "ok":
            found[name] = done.seconds
    return found
