"""One evaluation: all protocols of a problem simulated for one parameter vector. Runs inside a worker process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sim import cell, definitions, features, mechanisms, protocols
from sim.errors import GbarError, nearest
from sim.evaluation import Accuracy, Evaluation
from sim.kinds import FiCurve, Rheobase, Step
from sim.loaders import working_folder
from sim.problem import Problem


class Engine:
    """The user's cell in this process, ready to be evaluated again and again.

    Raises:
        GbarError: the model cannot be loaded, or a parameter or protocol names something that is not in it.
    """

    def __init__(self, problem: Problem, library: str | None):
        self.problem, self.accuracy = problem, Accuracy.of(problem)
        if library:
            mechanisms.load(Path(library))
        self.cell = cell.build(problem.folder, problem.model)
        self.bound = cell.Bound(self.cell, problem.parameter)
        self.inject = {name: cell.segment(self.cell, p.at) for name, p in self._stimulated()}
        self.record = {name: cell.segment(self.cell, p.record.rpartition(".")[0]) for name, p in self._stimulated()}
        self.wanted = {
            name: sorted(
                {*features.catalogue(p.kind, getattr(p, "amplitude", 0.0))}
                | {m.feature for m in problem.measurements if m.protocol == name}
            )
            for name, p in problem.protocol.items()
        }

    def _stimulated(self) -> list[tuple[str, Step | Rheobase]]:
        return [(name, p) for name, p in self.problem.protocol.items() if isinstance(p, Step | Rheobase)]

    def evaluate(self, x: np.ndarray, accuracy: Accuracy) -> Evaluation:  # x [D] in NEURON's units
        """Set the parameters, run every protocol, compute every feature.

        Raises:
            GbarError: the voltage is not finite.
            RuntimeError: NEURON gave up.
        """
        self.accuracy = accuracy
        self.bound.assign(x)
        out = Evaluation()
        for name, protocol in self._stimulated():
            values = self._measured(name, protocol, out.traces)
            out.features |= {f"{name}.{feature}": values.get(feature, float("nan")) for feature in self.wanted[name]}
        for name, curve in self.problem.protocol.items():
            if isinstance(curve, FiCurve):
                currents = [self._amplitude(step) for step in curve.steps]
                rates = np.array([out.features[f"{step}.mean_frequency"] for step in curve.steps])
                out.features[f"{name}.f_I_gain"] = float(definitions.f_I_gain(currents, rates))
        return out

    def _measured(self, name: str, protocol: Step | Rheobase, traces: dict[str, Any]) -> dict[str, float]:
        """Simulate one protocol and measure its trace, which is put into `traces`."""
        settings = self.problem.efel_settings(name)
        amplitude = protocol.amplitude if isinstance(protocol, Step) else self._rheobase(name, protocol, settings)
        if amplitude is None:
            return {}
        t, v = protocols.square_current(
            self.inject[name],
            self.record[name],
            amplitude,
            *self._times(protocol),
            self._start,
            vars(self.accuracy),
            float(settings["interp_step"]),
        )
        if not np.isfinite(v).all():
            raise GbarError(f"protocol {name}: the voltage is not finite from {t[~np.isfinite(v)][0]:.3f} ms on")
        traces[name] = t, v
        trace = features.Trace(t, v, protocol.delay, protocol.delay + protocol.duration, amplitude)
        values = features.measure(trace, self.wanted[name], settings)
        return values | ({"rheobase": amplitude} if isinstance(protocol, Rheobase) else {})

    def _rheobase(self, name: str, protocol: Rheobase, settings: Mapping[str, Any]) -> float | None:
        def fires(current: float) -> bool:
            return protocols.spikes(
                self.inject[name],
                self.record[name],
                current,
                *self._times(protocol),
                settings["Threshold"],
                self._start,
                vars(self.accuracy),
            )

        return protocols.rheobase(fires, *protocol.bounds, protocol.precision)

    def _amplitude(self, step: str) -> float:
        protocol = self.problem.protocol[step]
        if not isinstance(protocol, Step):
            raise GbarError(f"'{step}' is no step protocol")
        return protocol.amplitude

    @staticmethod
    def _times(protocol: Step | Rheobase) -> tuple[float, float, float]:
        return protocol.delay, protocol.duration, protocol.total

    def _start(self) -> None:
        model = self.problem.model
        with working_folder(self.problem.folder):
            protocols.initialise(model.celsius, model.v_init, vars(self.accuracy), model.init)

    def describe(self) -> dict[str, Any]:
        """What was found in the model: sections, and for each parameter where it lives, its value and NEURON's unit."""
        found = {}
        for parameter, places, own in zip(self.problem.parameter, self.bound.places, self.bound.own(), strict=True):
            unit = _unit(places)
            if parameter.unit and unit and features.plain_unit(parameter.unit) != features.plain_unit(unit):
                raise GbarError(
                    f"parameter '{parameter.name}' is in '{parameter.unit}': NEURON has '{places[0][1]}' in '{unit}', "
                    f"convert the bounds{nearest(parameter.unit, [unit])}"
                )
            found[parameter.name] = {
                "value": own[0] if own else parameter.middle,  # what nobody can read stands in the middle of its bounds
                "varies": bool(own and own[1] > own[0]),
                "known": own is not None,
                "unit": unit,
                "places": len(places),
            }
        return {
            "sections": {cell.short_name(section): section.nseg for section in self.cell.sections},
            "compartments": sum(section.nseg for section in self.cell.sections),
            "stimuli": list(self.cell.stimuli),
            "parameters": found,
        }


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
