"""What is drawn of measurements and traces: z as bars, and what was measured as regions of a plot."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gbar.agent.report import Axis, by_protocol, in_order, words
from gbar.agent.result import Candidate, LiveFeature, Measured, Traces
from gbar.agent.ui.live import Band, Line, Plot
from gbar.sim import GbarError, Problem
from gbar.sim.features import unit_of
from gbar.sim.problem import ResponseKey, Rheobase, Stimulus

MOST = 2  # recorded sweeps in a plot
NO_SOLUTION = "00"  # what the traces of the nearest set, or of a try, are called
REACH = 2.0  # tolerances that a z bar shows
LEVELS = {  # features that are a voltage, drawn as a region
    "voltage_base", "steady_state_voltage_stimend", "AP_height", "AP1_peak", "AHP_depth_abs", "minimum_voltage",
    "maximum_voltage", "AP_begin_voltage",
}  # fmt: skip
FROM_BASE = {"AP_amplitude_from_voltagebase", "AHP_depth"}  # the same, counted from the resting voltage
TIMES = {"time_to_first_spike", "time_to_last_spike"}  # after the start of the stimulus


@dataclass(frozen=True)
class ZRow:
    """One measurement beside a value: positions in % of the bar's width."""

    key: str
    protocol: str
    feature: str
    measured: str
    unit: str
    value: str
    z: str
    left: float
    width: float
    passes: bool
    defined: bool
    cut: bool
    best: float | None  # the smallest |z| of any evaluation, at its place right of zero
    best_text: str
    coverage: str
    verdict: str


@dataclass(frozen=True)
class ZBars:
    """All of them, and the axis they share."""

    rows: list[ZRow]
    axis: Axis
    tolerance: float

    @property
    def band(self) -> tuple[float, float]:
        """Left and width of the tolerance, %."""
        left = self.axis.at(-self.tolerance)
        return left, round(self.axis.at(self.tolerance) - left, 3)

    @property
    def zero(self) -> float:
        """Where z is 0, %."""
        return self.axis.at(0.0)

    def at(self, z: float) -> float:
        """Where a z is, or the end of the bar that it lies beyond, %."""
        return self.axis.clipped(z)

    @property
    def met(self) -> int:
        """How many are within the tolerance."""
        return sum(row.passes for row in self.rows)


def z_bars(
    measured: Sequence[Measured],
    z: Mapping[str, float | None],
    values: Mapping[str, float | None],
    tolerance: float,
    features: Iterable[LiveFeature] = (),
) -> ZBars:
    """Every measurement with the z that a parameter set has, and what a run has learned of it."""
    axis = Axis(-REACH * tolerance, REACH * tolerance)
    known = {feature.key: feature for feature in features}
    rows = [_row(m, z, values, axis, tolerance, known.get(m.key)) for m in by_protocol(measured)]
    return ZBars(rows, axis, tolerance)


def _row(
    m: Measured,
    z: Mapping[str, float | None],
    values: Mapping[str, float | None],
    axis: Axis,
    tolerance: float,
    live: LiveFeature | None,
) -> ZRow:
    key = m.key
    own = z.get(key)
    zero, end = axis.at(0.0), axis.clipped(own or 0.0)
    best = None if live is None or live.best is None else axis.clipped(live.best)
    coverage = "" if live is None or live.coverage_90 is None else f"{100 * live.coverage_90:.0f} %"
    return ZRow(
        key=key,
        protocol=m.protocol,
        feature=m.feature,
        measured=words.mean_sd(m.mean, m.sd),
        unit=words.unit_of(m.unit),
        value=words.number(values.get(key)),
        z=words.z_score(own),
        left=min(zero, end),
        width=round(max(0.4, abs(end - zero)), 3),
        passes=own is not None and abs(own) <= tolerance,
        defined=own is not None,
        cut=own is not None and abs(own) > axis.high,
        best=best,
        best_text="" if live is None or live.best is None else f"{live.best:.2f}",
        coverage=coverage,
        verdict="" if live is None or live.verdict == "not tested" else live.verdict,
    )


def plots(
    problem: Problem | None, traces: Traces, best: str, measured: Sequence[Measured], word: str = "solution"
) -> list[Plot]:
    """A plot for every recording, in the order of the table.

    Args:
        problem: for its stimuli; None where it is gone.
        traces: protocol -> number -> (t, v).
        best: the number that stands out.
    """
    found = []
    for name in in_order((name for name in traces if traces[name]), measured, problem):
        lines = [_line(number, *trace, best, word) for number, trace in sorted(traces[name].items())]
        stimulus = problem.stimuli.get(ResponseKey.parse(name).protocol) if problem else None
        unit = _unit(problem, name)
        found.append(
            Plot(
                name,
                unit,
                (stimulus.delay, stimulus.delay + stimulus.duration) if stimulus else None,
                words.signed(stimulus.brief) if stimulus else "",
                sorted(lines, key=lambda line: line.kind == "best"),
                bands([m for m in measured if m.protocol == name], stimulus) if unit == "mV" else [],
            )
        )
    return found


def of_one(traces: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Traces:
    """The voltages of one parameter set that is no solution, as `plots` takes them."""
    return {name: {NO_SOLUTION: (np.asarray(t), np.asarray(v))} for name, (t, v) in traces.items()}


def with_recorded(found: list[Plot], table: Path) -> list[Plot]:
    """The plots with what was recorded under the same protocols, where `gbar recordings` has kept it beside a table."""
    from gbar.sim.recordings import read_kept  # loads SciPy

    try:
        sweeps = read_kept(table)
    except GbarError:
        return found
    real = {name: [Line("recorded", "measured", one.t, one.v) for one in of[:MOST]] for name, of in sweeps.items()}
    return [replace(plot, lines=[*real.get(plot.name, []), *plot.lines]) for plot in found]


def _line(number: str, t: np.ndarray, v: np.ndarray, best: str, word: str) -> Line:
    label = f"{word} {int(number)}" if int(number) else "nearest so far" if word == "solution" else word
    return Line(label, "best" if number == best else "other", t, v)


def _unit(problem: Problem | None, name: str) -> str:
    if problem is None or name not in problem.responses:
        return "mV"
    variable = problem.variable(name)
    return "mV" if variable == "v" else unit_of("signal_mean", variable) or variable


def bands(measured: Sequence[Measured], stimulus: Stimulus | None) -> list[Band]:
    """Where the trace of a cell like the measured one would lie."""
    base = next((m.mean for m in measured if m.feature == "voltage_base"), None)
    found = []
    for m in measured:
        label = f"{m.feature} {words.mean_sd(m.mean, m.sd)}"
        if m.feature in LEVELS:
            found.append(Band("y", m.mean - m.sd, m.mean + m.sd, label))
        elif m.feature in FROM_BASE and base is not None:
            found.append(Band("y", base + m.mean - m.sd, base + m.mean + m.sd, label))
        elif m.feature in TIMES and stimulus is not None and not isinstance(stimulus, Rheobase):
            found.append(Band("x", stimulus.delay + m.mean - m.sd, stimulus.delay + m.mean + m.sd, label))
    return found


def front(solutions: Sequence[Candidate]) -> str:
    """The number of the solution that is nearest, as traces are called."""
    if not solutions:
        return NO_SOLUTION
    return f"{min(range(len(solutions)), key=lambda k: solutions[k].max_abs_z or 0.0) + 1:02d}"
