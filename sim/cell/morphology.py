"""A cell from a reconstructed morphology: SWC or Neurolucida, read by NEURON's own Import3d.

The functions take plain arguments, because an exported script carries their source.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuron import h

from gbar.sim.errors import GbarError

LISTS = {"soma": "somatic", "dend": "basal", "apic": "apical", "axon": "axonal"}  # Import3d's sections -> their list
STUB_UM = 30.0  # length of each of the two sections that stand for an axon
FAR_UM = 60.0  # path distance at which the second one's diameter is read
LAMBDA_HZ = 100.0  # frequency of NEURON's d_lambda rule


class Morphology:
    """The sections of one reconstructed cell: soma, dend, apic, axon, and the lists somatic, basal, apical, axonal."""

    def __str__(self) -> str:
        return "cell"  # NEURON puts it before the sections' names


def load_morphology(folder: Path, model: Any, hold: Callable[[], None]) -> tuple[Any, Any, list[Any]]:
    """Read a morphology, put mechanisms in, cut sections into segments. Raises GbarError."""
    h.load_file("import3d.hoc")
    cell: Any = Morphology()
    before = set(h.allsec())
    reader = h.Import3d_SWC_read() if model.load.lower().endswith(".swc") else h.Import3d_Neurolucida3()
    reader.quiet = 1
    try:
        reader.input(os.fsencode(folder / model.load))  # text would have to be ASCII
        h.Import3d_GUI(reader, 0).instantiate(cell)
    except Exception as error:
        raise GbarError(f"{model.load}: NEURON's Import3d cannot read it: {error}") from None
    for kind in LISTS:
        setattr(cell, kind, list(getattr(cell, kind, None) or []))
    if not cell.soma:
        raise GbarError(f"{model.load}: no soma in it: expected points of type 1 (SWC) or a CellBody contour (ASC)")
    if model.segment_length is not None:  # before the axon is read: a section's diameter is its middle segment's
        cut([section for section in h.allsec() if section not in before], model.d_lambda, model.segment_length)
    if model.axon != "keep":
        replace_axon(cell, model.axon == "stub")
    for kind, name in LISTS.items():
        setattr(cell, name, getattr(cell, kind))
    own = [section for section in h.allsec() if section not in before]
    listed = [section for kind in LISTS for section in getattr(cell, kind)]
    cell.all = listed + [section for section in own if section not in listed]  # an SWC may have types of its own
    return cell, None, own


def replace_axon(cell: Any, stub: bool) -> None:
    """Take the axon off, and put two short cylinders in its place: the usual stand-in for an axon cut off in a slice.

    Their diameters are the axon's own at its start and FAR_UM away, 1 µm where there was none.
    """
    near = far = 1.0
    if cell.axon:
        near = far = cell.axon[0].diam
        beyond = (s.diam for s in cell.axon if h.distance(cell.soma[0](0.5), s(0.5)) > FAR_UM)
        far = next(beyond, near)
    for section in cell.axon:
        h.delete_section(sec=section)
    cell.axon = [h.Section(name=f"axon[{i}]", cell=cell) for i in range(2)] if stub else []
    for section, diameter in zip(cell.axon, (near, far), strict=False):
        section.L, section.diam = STUB_UM, diameter
    if stub:
        cell.axon[0].connect(cell.soma[0](1), 0)
        cell.axon[1].connect(cell.axon[0](1), 0)


def cut(sections: list[Any], d_lambda: float, segment_length: float | None) -> None:
    """Choose the number of segments: by NEURON's d_lambda rule, or two more for every `segment_length` µm."""
    for section in sections:
        if segment_length is not None:
            section.nseg = 1 + 2 * int(section.L / segment_length)
        else:
            section.nseg = 1 + 2 * int((section.L / (d_lambda * h.lambda_f(LAMBDA_HZ, sec=section)) + 0.9) / 2)
