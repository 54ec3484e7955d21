"""The parameter set that is exported, with everything known about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gbar.agent.result import Candidate, Result
from gbar.sim import Problem

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Chosen:
    """One parameter set of one run."""

    result: Result
    candidate: Candidate
    number: int  # of the solution; 0 is the nearest
    problem: Problem
    model: Path  # where the model is copied to

    @property
    def is_solution(self) -> bool:
        """Whether every measurement is met."""
        worst = self.candidate.max_abs_z
        return worst is not None and worst <= self.result.tolerance

    @property
    def outside(self) -> list[str]:
        """The parameters that the problem has been given narrower bounds for since."""
        return self.problem.outside(np.array([self.candidate.parameters[name] for name in self.problem.names]))

    @property
    def title(self) -> str:
        """What it is, in words."""
        name = f"Solution {self.number}" if self.number else "The nearest parameter set"
        worst, undefined = self.candidate.max_abs_z, self.candidate.undefined
        missing = f"{undefined} feature{'s' if undefined != 1 else ''} not defined"
        off = f"largest |z| {worst:.2f}" if worst is not None else missing
        if self.outside:
            off += f"; outside the bounds that the problem now has: {', '.join(self.outside)}"
        return f"{name} for {self.result.problem}: {off}"

    @property
    def units(self) -> dict[str, str]:
        """The unit of every parameter, empty for pure numbers."""
        return {parameter.name: parameter.unit for parameter in self.result.parameters}

    def render(self, template: str, **content: Any) -> str:
        """A template filled in. Everything that a user wrote goes through one of the filters."""
        environment = Environment(
            loader=FileSystemLoader(HERE),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters |= {"py": literal, "line": one_line, "hoc": hoc_string}
        return environment.get_template(template).render(
            chosen=self, result=self.result, problem=self.problem, **content
        )


def literal(value: Any) -> str:
    """A value as Python source, text in double quotes."""
    if isinstance(value, str):
        plain = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in plain) + '"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    return repr(value)


def one_line(text: str) -> str:
    """Text that can stand in a comment or a docstring and never ends it."""
    plain = "".join(letter if letter.isprintable() else " " for letter in str(text))
    return plain.replace("\\", "/").replace('"', "'").replace("*/", "* /")


def hoc_string(text: str) -> str:
    """Text as a quoted string in hoc, which ends at the end of its line."""
    written = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + "".join(c for c in written.replace("\r", "\\r") if c.isprintable()) + '"'
