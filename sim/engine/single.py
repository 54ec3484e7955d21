"""One evaluation at a time: all protocols of a problem simulated for one parameter vector. Runs inside a worker."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gbar.sim import cell, features, mechanisms
from gbar.sim.cell import Reused, find_rheobase, initialise, own_code, place, run, working_folder
from gbar.sim.engine import response
from gbar.sim.engine.evaluation import Evaluation
from gbar.sim.engine.modelinfo import ModelInfo, ParameterInfo
from gbar.sim.errors import GbarError, nearest
from gbar.sim.problem import FACTOR, PURE, Integrator, Parameter, Problem, ResponseKey, Rheobase, Stimulus


class Single:
    """The user's cell in this process, ready to be evaluated again and again.

    Raises:
        GbarError: the model cannot be loaded, or a parameter or protocol names something that is not in it.
    """

    def __init__(self, problem: Problem, library: str | None, segments: int | None = None):
        self.problem, self.integrator = problem, Integrator.of(problem)
        if library:
            mechanisms.load(Path(library))
        self.cell = cell.build(problem.folder, problem.model, segments)
        self._restless = problem.model.init is not None  # whether a start may change the cell's segments
        runs_code = self._restless or problem.model.advance is not None
        self.binding = Reused(self.cell, problem.parameter, runs_code)
        for protocol in problem.stimuli.values():
            place(self.cell, protocol, 0.0).close()

    def evaluate(
        self, xs: np.ndarray, integrator: Integrator, protocols: Sequence[str] | None = None
    ) -> list[Evaluation]:  # xs [n, D] in NEURON's units
        """Set the parameters, run every protocol, compute every feature, for one vector after the other.

        Args:
            xs: what to set.
            integrator: of this engine.
            protocols: whole groups (see `Problem.groups`) to run; None: all.

        Raises:
            GbarError: the voltage is not finite.
            RuntimeError: NEURON gave up.
        """
        return [self._evaluated(x, integrator, protocols) for x in xs]

    def _evaluated(self, x: np.ndarray, integrator: Integrator, protocols: Sequence[str] | None) -> Evaluation:  # x [D]
        self.integrator = integrator
        self.binding.assign(x)
        if self._restless:  # before electrodes are in place, which a change of segments would lose
            self.binding.settle(self._begin)
        try:
            return self._responses(protocols)
        except _Moved:
            if self._restless:
                raise GbarError("the model's own code changes the cell's segments while protocols run") from None
            self._restless = True
            return self._evaluated(x, integrator, protocols)

    def _responses(self, protocols: Sequence[str] | None) -> Evaluation:
        out, amplitudes, rheobases = Evaluation(), {}, {}
        stimuli = {n: p for n, p in self.problem.stimuli.items() if protocols is None or n in protocols}
        for name in (name for name in self.problem.rheobases if name in stimuli):
            begun = time.process_time()
            rheobases[name] = self._rheobase(name, self.problem.rheobases[name])
            out.spent[name] = time.process_time() - begun
        for name, protocol in stimuli.items():
            begun = time.process_time()
            amplitudes[name] = current = response.amplitude(self.problem, name, rheobases)
            recorded = {} if current is None else self._run(name, protocol, current)
            simulated = time.process_time()
            out.features |= response.measure_protocol(self.problem, name, recorded, current)
            out.measuring += time.process_time() - simulated
            out.spent[name] = out.spent.get(name, 0.0) + time.process_time() - begun
            out.traces |= {str(ResponseKey(name, recording)): trace for recording, trace in recorded.items()}
        out.features |= response.finish(self.problem, out.features, amplitudes)
        return out

    def _rheobase(self, name: str, protocol: Rheobase) -> float | None:
        threshold = float(self.problem.efel_settings(name)["Threshold"])
        return find_rheobase(self.cell, protocol, threshold, self._start, self._integration)

    def _run(self, name: str, protocol: Stimulus, current: float) -> response.Traces:
        interval = float(self.problem.efel_settings(name)["interp_step"])
        return run(self.cell, protocol, current, interval, self._start, self._integration)

    @property
    def _integration(self) -> dict[str, Any]:
        return {**vars(self.integrator), "advance": self.problem.model.advance}

    def _start(self) -> None:
        self._begin()
        if self.binding.find():
            raise _Moved

    def _begin(self) -> None:
        model = self.problem.model
        with working_folder(self.problem.folder), own_code(self.cell):
            initialise(model.celsius, model.v_init, self._integration, model.init)

    def describe(self) -> ModelInfo:
        """What was found in the model; see `describe`."""
        return describe(self.problem, self.cell, self.binding)


class _Moved(Exception):
    """A start of a simulation has changed the cell under the electrodes."""


def check_units(problem: Problem) -> None:
    """Hold the units of measurements to NEURON's, where it alone knows what was recorded. Raises GbarError."""
    from neuron import h

    for m in problem.measurements:
        if problem.unit_of(m.key) is not None:
            continue
        unit = h.units(problem.variable(m.protocol)) or "constant"
        if features.plain_unit(m.unit) != features.plain_unit(unit):
            raise GbarError(f"{m.key} is in '{m.unit}': NEURON has it in '{unit}', convert mean and sd")


def describe(problem: Problem, made: cell.Cell, binding: cell.ParameterBinding) -> ModelInfo:
    """What was found in the model: sections, and for each parameter where it lives, its value and NEURON's unit.

    Raises:
        GbarError: a parameter or a measurement is given in another unit than NEURON's.
    """
    check_units(problem)
    found = {}
    for parameter, places, own in zip(problem.parameter, binding.places, binding.own(), strict=True):
        of_place = _unit(places)
        unit = parameter.unit_of_value(of_place)
        _check_unit(parameter, unit, of_place, places)
        found[parameter.name] = ParameterInfo(
            value=own[0] if own else parameter.middle,
            varies=bool(own and own[1] > own[0]),
            known=own is not None,
            unit=unit,
            places=len(places),
        )
    sections = {cell.short_name(section): section.nseg for section in made.sections}
    compartments = sum(section.nseg for section in made.sections)
    return ModelInfo(sections, compartments, list(made.stimuli), made.stated, found)


def _check_unit(parameter: Parameter, unit: str, of_place: str, places: list[tuple[Any, Any]]) -> None:
    """Hold a unit that the user gave to the one that the value has. Raises GbarError."""
    if not parameter.unit or features.plain_unit(parameter.unit) == features.plain_unit(of_place):
        return
    if unit == FACTOR and parameter.unit.strip().lower() not in PURE:
        raise GbarError(
            f"parameter '{parameter.name}' is in '{parameter.unit}': it multiplies what the model has and has no unit: "
            "leave unit out"
        )
    if unit == of_place != "":
        raise GbarError(
            f"parameter '{parameter.name}' is in '{parameter.unit}': NEURON has '{places[0][1]}' in '{of_place}', "
            f"convert the bounds{nearest(parameter.unit, [of_place])}"
        )


def _unit(places: list[tuple[Any, Any]]) -> str:
    """NEURON's unit of what is set, where it has one."""
    from neuron import h

    for owner, variable in places[:1]:
        kind = f"{owner.hname().partition('[')[0]}." if hasattr(owner, "get_segment") else ""
        try:
            return str(h.units(f"{kind}{variable}"))
        except RuntimeError:  # an attribute of a Python object
            return ""
    return ""
