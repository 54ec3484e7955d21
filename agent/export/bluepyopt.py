"""bluepyopt.json: a solution as BluePyOpt's users keep fixed parameters, {"VARIABLE.SECTIONLIST": value}."""

import json
import re
from pathlib import Path

from gbar.agent.export.chosen import Chosen
from gbar.sim import GbarError, Parameter
from gbar.sim.files import write_whole
from gbar.sim.problem import Formula

OF_A_DISTRIBUTION = {"value", "distance"}  # what BluePyOpt's own distributions know


def fixed_parameters(chosen: Chosen) -> dict[str, float]:
    """A value for every place of every parameter; a distribution's is its coefficient, as in BluePyOpt.

    Raises:
        GbarError: a parameter is set in a way that BluePyOpt's parameters are not.
    """
    fixed = {}
    for parameter in chosen.problem.parameter:
        _check(parameter)
        for place in parameter.set:
            sections, _, variable = place.rpartition(".")
            key = variable if sections == "global" else f"{variable}.{sections}"
            fixed[key] = chosen.candidate.parameters[parameter.name]
    return fixed


def write(chosen: Chosen, folder: Path) -> list[Path]:
    """Write bluepyopt.json. Raises GbarError."""
    file = folder / "bluepyopt.json"
    write_whole(file, json.dumps(fixed_parameters(chosen), indent=4) + "\n")
    return [file]


def _check(parameter: Parameter) -> None:
    other = Formula(parameter.formula).names - OF_A_DISTRIBUTION if parameter.formula else set()
    odd = [place for place in parameter.set if not re.fullmatch(r"\w+\.\w+", place) or place.startswith("module.")]
    reasons = {
        "multiplies what the model has": parameter.mode == "scale",
        "is tied to other places": bool(parameter.tied),
        "is followed by a call": bool(parameter.apply),
        "has no place of its own": not parameter.set,
        f"has a formula of {', '.join(sorted(other))}": bool(other),
        f"goes to '{odd[0] if odd else ''}', which is no variable of a section list": bool(odd),
    }
    for reason, holds in reasons.items():
        if holds:
            raise GbarError(
                f"parameter '{parameter.name}' {reason}, which BluePyOpt cannot say: export to json instead"
            )
