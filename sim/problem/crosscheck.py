"""What protocols say about one another and about files: checks that no protocol can make alone."""

from pathlib import Path
from typing import Any

from gbar.sim.errors import GbarError, nearest
from gbar.sim.problem.integrator import Integrator
from gbar.sim.problem.kinds import CurrentStimulus, FiCurve, Step, Waveform
from gbar.sim.problem.problem import Problem
from gbar.sim.problem.strict import LONGEST_NAME, is_name
from gbar.sim.problem.waveform import read_waveform


def with_waveforms(problem: Problem, where: str) -> Problem:
    """The problem with the currents that its waveform protocols name, read from their files. Raises GbarError."""
    read: dict[str, Any] = {}
    for name, protocol in problem.protocol.items():
        if not isinstance(protocol, Waveform):
            continue
        if Path(protocol.file).is_absolute() or ".." in Path(protocol.file).parts:
            raise GbarError(
                f"{where}: protocol.{name}.file: '{protocol.file}' is not in the problem's folder: put it there"
            )
        if not (problem.folder / protocol.file).is_file():
            files = [file.name for file in problem.folder.iterdir() if file.suffix in {".csv", ".npy"}]
            raise GbarError(
                f"{where}: protocol.{name}.file: no file '{protocol.file}' in {problem.folder.name}/"
                f"{nearest(protocol.file, files)}"
            )
        t, i = read_waveform(problem.folder / protocol.file)
        if t[-1] <= protocol.delay:
            raise GbarError(
                f"{where}: protocol.{name}: {protocol.file} ends at {t[-1]:g} ms, before delay = {protocol.delay:g} "
                "ms: expected times in ms from the start of the simulation"
            )
        read[name] = protocol.model_copy(update={"times": tuple(t.tolist()), "currents": tuple(i.tolist())})
    return problem.model_copy(update={"protocol": {**problem.protocol, **read}}) if read else problem


def check_protocols(problem: Problem, where: str) -> None:
    """Names, and what refers to another protocol. Raises GbarError."""
    for name, protocol in problem.protocol.items():
        for sign in ".:":
            if sign in name:
                without = name.replace(sign, "_")
                word = "dot" if sign == "." else "colon"
                raise GbarError(f"{where}: protocol '{name}': a name without a {word} is expected, such as '{without}'")
        if not is_name(name):
            raise GbarError(
                f"{where}: protocol {name[:40]!r}: expected a name of up to {LONGEST_NAME} letters, digits and _ - +, "
                "with single spaces inside at most"
            )
        if isinstance(protocol, FiCurve):
            _check_curve(name, protocol, problem, where)
        base = protocol.relative_to if isinstance(protocol, CurrentStimulus) else None
        if base is not None and base not in problem.rheobases:
            raise GbarError(
                f"{where}: protocol.{name}.relative_to: '{base}' is no rheobase protocol"
                f"{nearest(base, problem.rheobases)}"
            )


def check_fidelities(problem: Problem, where: str) -> None:
    """The cheaper forms of the model that its user named. Raises GbarError."""
    named = problem.simulation.fidelities
    for text in () if named == "auto" else named:
        try:
            Integrator.parse(text)
        except GbarError as error:
            raise GbarError(f"{where}: simulation.fidelities: {error}") from None


def _check_curve(name: str, curve: FiCurve, problem: Problem, where: str) -> None:
    others = problem.protocol.items()
    steps = {key: other for key, other in others if isinstance(other, Step) and other.kind == "step"}
    for step in curve.steps:
        if step not in steps:
            raise GbarError(f"{where}: protocol.{name}.steps: '{step}' is no step protocol{nearest(step, steps)}")
        if steps[step].variables["record"] != "v":
            raise GbarError(f"{where}: protocol.{name}.steps: '{step}' records no voltage, so it has no firing rate")
        if steps[step].sign < 0:
            size = f"{steps[step].sign:g} {'nA' if steps[step].percent is None else '% of a rheobase'}"
            raise GbarError(f"{where}: protocol.{name}.steps: '{step}' is a step of {size}: expected 0 or more")
    if len({(steps[step].amplitude, steps[step].relative_to, steps[step].percent) for step in curve.steps}) < 2:
        raise GbarError(f"{where}: protocol.{name}.steps: expected steps of at least two different amplitudes")
