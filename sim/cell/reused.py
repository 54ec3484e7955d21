"""A cell that one process simulates again and again: before each time it is put back to what it was as built."""

from collections.abc import Iterable, Sequence
from typing import Any

from neuron import h

from gbar.sim.cell.anatomy import Cell
from gbar.sim.cell.cell import ParameterBinding


class Reused(ParameterBinding):
    """The free parameters of a cell whose model may run code of its own between two evaluations.

    What such code (`apply`, `init`, `advance`) has left in the cell would colour the next evaluation.
    """

    def __init__(self, cell: Cell, parameters: Sequence[Any], runs_code: bool = False):
        super().__init__(cell, parameters)
        self._as_built = AsBuilt(cell) if runs_code or self.calls else None

    def assign(self, x: Iterable[float]) -> None:
        """Set every parameter in the cell as it was built; see `ParameterBinding.assign`. Raises GbarError."""
        if self._as_built:
            self._as_built.restore()
        super().assign(x)


class AsBuilt:
    """The segments of a cell, its mechanisms and their values."""

    def __init__(self, cell: Cell):
        self._cell = cell
        self._sections = [
            (s, s.L, s.Ra, s.nseg, {mechanism.name() for mechanism in s(0.5)}, [_values(s, segment) for segment in s])
            for s in cell.sections
        ]

    def restore(self) -> None:
        """Put all of it back, in the sections that are still there."""
        own = set(self._cell.sections)
        for section, length, resistivity, count, names, segments in self._sections:
            if section not in own:  # the model has made its sections anew
                continue
            _put(section, "L", length)
            _put(section, "nseg", count)
            section.Ra = resistivity
            for name in {mechanism.name() for mechanism in section(0.5)} - names:
                if not name.endswith("_ion"):  # which stays once it is there
                    section.uninsert(name)
            for segment, (diameter, capacitance, kept) in zip(section, segments, strict=True):
                _put(segment, "diam", diameter)
                segment.cm = capacitance
                for standard in kept:
                    standard.out(segment.x, sec=section)


def _put(owner: Any, name: str, value: float) -> None:
    """Set what differs: of a traced section even the same length or diameter would change its points."""
    if getattr(owner, name) != value:
        setattr(owner, name, value)


def _values(section: Any, segment: Any) -> tuple[float, float, list[Any]]:
    """Diameter, capacitance, and a MechanismStandard for each mechanism."""
    kept = []
    for mechanism in segment:
        name = mechanism.name()
        standard = h.MechanismStandard(name, 0 if name.endswith("_ion") else 1)
        getattr(standard, "in")(segment.x, sec=section)
        kept.append(standard)
    return segment.diam, segment.cm, kept
