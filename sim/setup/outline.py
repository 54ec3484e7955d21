"""A loaded model's sections as they hang together, and their shape where it was traced: to be drawn."""

from typing import Any

from pydantic import BaseModel

from gbar.sim.pool import START_LIMIT_S, ask, elsewhere
from gbar.sim.problem import Problem

MOST_POINTS = 12  # of a section's 3-d points


class Branch(BaseModel):
    """One section."""

    name: str
    parent: int | None  # in the list of branches
    at: float  # where on the parent, 0 to 1
    nseg: int
    L: float  # um
    diam: float  # um, of its middle
    has: list[str]  # density mechanisms
    points: list[tuple[float, float, float, float]] = []  # x, y, z, diameter, um; where it was traced


class Outline(BaseModel):
    """What a model consists of."""

    branches: list[Branch]
    own: dict[
        str, tuple[float, float] | None
    ]  # parameter -> the least and greatest of its places; None: cannot be read
    stated: dict[str, float]  # celsius and v_init where the model's own code sets them

    @property
    def compartments(self) -> int:
        """Segments of all sections."""
        return sum(branch.nseg for branch in self.branches)

    @property
    def traced(self) -> bool:
        """Whether there is a shape to draw."""
        return sum(len(branch.points) > 1 for branch in self.branches) > len(self.branches) / 2


def outline(problem: Problem) -> Outline:
    """Load the model in a process of its own and describe it. Raises GbarError where it does not load."""
    return Outline.model_validate(ask(drawn, elsewhere.packed(problem), START_LIMIT_S))


def drawn(content: dict[str, Any]) -> dict[str, Any]:
    """The other process: an `Outline`, as JSON holds it."""

    from gbar.sim.cell import ParameterBinding, short_name

    cell = elsewhere.built(content)
    given = elsewhere.parameters(content)
    own = dict(zip((p.name for p in given), ParameterBinding(cell, given).own(), strict=True))
    index = {section: number for number, section in enumerate(cell.sections)}
    branches = []
    for section in cell.sections:
        parent = section.parentseg()
        count = int(section.n3d())
        kept = sorted({round(k * (count - 1) / (MOST_POINTS - 1)) for k in range(MOST_POINTS)}) if count > 1 else []
        points = [(section.x3d(k), section.y3d(k), section.z3d(k), section.diam3d(k)) for k in kept]
        branches.append(
            Branch(
                name=short_name(section),
                parent=index.get(parent.sec) if parent else None,
                at=float(parent.x) if parent else 0.0,
                nseg=section.nseg,
                L=section.L,
                diam=section(0.5).diam,
                has=sorted(section.psection()["density_mechs"]),
                points=points,
            )
        )
    return Outline(branches=branches, own=own, stated=cell.stated).model_dump()
