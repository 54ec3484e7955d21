"""Whether a solution holds: simulated again with another time step, other parameters, another temperature, under
currents that nobody measured, and beside measurements that the run did not know."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from gbar.agent.result import (
    Achieved,
    Condition,
    Group,
    HeldOut,
    Hold,
    Measured,
    Misbehaviour,
    Rate,
    Result,
    read_result,
    write_hold,
)
from gbar.agent.tuning.behaviour import misbehaviour, spike_times
from gbar.sim import Evaluation, GbarError, Integrator, Problem, load_problem, open_pool
from gbar.sim.problem import Stimulus

SHARES = (-0.10, -0.02, 0.02, 0.10)  # of each parameter's own value
STEPS_MS = (0.025, 0.01)  # fixed time steps
DEGREES = (-2.0, 2.0)  # degC
CURVE = np.linspace(0.25, 2.0, 8)  # of the strongest long step: its currents on the curve


def hold(
    run: Path,
    number: int,
    held_out: Path | None = None,
    workers: int = 2,
    observe: Callable[[str], None] = lambda doing: None,
) -> Hold:
    """Simulate one solution of a run under other conditions, and keep what is found in its folder: hold/NN.json.

    Args:
        run: its folder.
        number: of the solution, from 1; of the compromises where there is none.
        held_out: a table of measurements that the run did not know.
        workers: processes.
        observe: told what is being done.

    Raises:
        GbarError: no such run or solution, or the problem it came from is gone or cannot be loaded.
    """
    result = read_result(run)
    if not 1 <= number <= len(result.shown):
        raise GbarError(f"{run}: no solution {number}: there are {len(result.shown)}, numbered from 1")
    problem = load_problem(result.problem_folder, result.measurements_file)
    values = result.shown[number - 1].parameters
    if missing := [name for name in problem.names if name not in values]:
        raise GbarError(f"the problem has a parameter '{missing[0]}' that this run does not: it has changed since")
    x, tight = np.array([values[name] for name in problem.names]), Integrator.parse(result.confirmed_by)
    observe("other parameters and time steps")
    conditions = [*_parameters_and_steps(problem, x, tight, workers)]
    observe("other temperatures")
    conditions += _temperatures(problem, x, tight)
    observe("other currents")
    strongest, curve, warnings = _curve(problem, x, tight)
    observe("what was held out")
    rows = _held_out(result, held_out, x, tight) if held_out else []
    found = Hold(
        solution=number,
        tolerance=result.tolerance,
        accuracy=str(tight),
        conditions=conditions,
        curve=curve,
        curve_of=strongest,
        warnings=warnings,
        held_out_file=str(held_out or ""),
        held_out=rows,
    )
    write_hold(run, found)
    return found


def _parameters_and_steps(problem: Problem, x: np.ndarray, tight: Integrator, workers: int) -> Iterator[Condition]:
    changes = [(i, share) for i in range(len(x)) for share in SHARES]
    xs = [x, *(x * (1 + share * (np.arange(len(x)) == i)) for i, share in changes)]
    with open_pool(problem, min(workers, len(xs)), tight) as pool:
        done = dict(pool.run(xs, integrator=tight))
        steps = [(dt, dict(pool.run([x], integrator=Integrator("fixed", dt=dt, confirm="fixed")))) for dt in STEPS_MS]
    yield _judged(problem, done[0], "as it is", str(tight), "")
    for dt, one in steps:
        yield _judged(problem, one[0], "time step", f"fixed steps of {dt:g} ms", "")
    for k, (i, share) in enumerate(changes, start=1):
        yield _judged(problem, done[k], "parameter", problem.names[i], f"{100 * share:+.0f} %")


def _temperatures(problem: Problem, x: np.ndarray, tight: Integrator) -> Iterator[Condition]:
    for change in DEGREES:
        celsius = problem.model.celsius + change
        warmer = problem.model_copy(update={"model": problem.model.model_copy(update={"celsius": celsius})})
        with open_pool(warmer, 1, tight) as pool:
            done = dict(pool.run([x], integrator=tight))
        yield _judged(problem, done[0], "temperature", f"{celsius:g} °C", f"{change:+g} °C")


def _judged(problem: Problem, done: Evaluation, group: Group, what: str, change: str) -> Condition:
    z = {m.key: m.z(done.features.get(m.key, np.nan)) for m in problem.measurements}
    furthest = max(z, key=lambda key: abs(z[key]) if np.isfinite(z[key]) else np.inf)
    defined = done.status == "ok" and np.isfinite(list(z.values())).all()
    return Condition(
        group=group,
        what=what,
        change=change,
        max_abs_z=float(np.abs(list(z.values())).max()) if defined else None,
        furthest=furthest,
        failed="" if done.status == "ok" else done.reason,
    )


def _long_steps(problem: Problem) -> Sequence[str]:
    steps = [name for curve in problem.curves.values() for name in curve.steps]
    long = [name for name, protocol in problem.stimuli.items() if protocol.sustained and (protocol.current or 0.0) > 0]
    return [name for name in steps or long if name in long]


def _curve(problem: Problem, x: np.ndarray, tight: Integrator) -> tuple[str, list[Rate], list[Misbehaviour]]:
    """Firing rates under currents up to twice the strongest long step's; nothing where there is no such step."""
    names = _long_steps(problem)
    if not names:
        return "", [], []
    strongest = max(names, key=lambda name: problem.stimuli[name].current or 0.0)
    step = problem.stimuli[strongest]
    currents = [float(f"{share * (step.current or 0.0):.3g}") for share in CURVE]
    protocols = {f"{i:g} nA": step.model_copy(update={"amplitude": i}) for i in currents}
    alone = problem.model_copy(update={"protocol": protocols, "measurements": ()})
    with open_pool(alone, 1, tight) as pool:
        ((_, done),) = pool.run([x], traces=True, integrator=tight)
    crossing = float(problem.efel_settings(strongest)["Threshold"])
    curve = [Rate(current=i, rate=_rate(*done.traces[f"{i:g} nA"], step, crossing)) for i in currents if done.traces]
    return strongest, curve, misbehaviour(alone, [done.traces], [done.features])


def _rate(t: np.ndarray, v: np.ndarray, step: Stimulus, crossing: float) -> float:
    """Spikes over the whole step, in Hz: a cell in depolarisation block has a low rate."""
    at = spike_times(t, v, crossing)
    during = (at >= step.delay) & (at <= step.delay + step.duration)
    return 1e3 * int(during.sum()) / step.duration


def _held_out(result: Result, table: Path, x: np.ndarray, tight: Integrator) -> list[HeldOut]:
    problem = load_problem(result.problem_folder, table)
    with open_pool(problem, 1, tight) as pool:
        ((_, done),) = pool.run([x], integrator=tight)
    rows = []
    for m in problem.measurements:
        value = done.features.get(m.key, np.nan)
        known = float(value) if np.isfinite(value) else None
        measured = Measured.of(m)
        rows.append(
            HeldOut(
                measured=measured, found=Achieved(feature=m.key, value=known, z=None if known is None else m.z(known))
            )
        )
    return rows
