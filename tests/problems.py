"""The problems that tests share: where the bundled ones are, and the pieces that small ones are put together from."""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HH, MOTONEURON = ROOT / "models" / "hh", ROOT / "models" / "motoneuron"
TROUBLE = ROOT / "tests" / "data" / "trouble"  # fails in every way that a simulation can, as its parameters say
GBAR = Path(sys.executable).with_name("gbar")
# Recordings that are not in the repository; None where they are absent.
SHARED_DATA = next(
    (folder / "shared" / "data" for folder in ROOT.parents if (folder / "shared" / "data").is_dir()), None
)

PASSIVE_HOC = "create soma\nsoma { L = 20  diam = 20  insert pas }\n"
# A soma that fires, and 200 um of passive dendrite in two pieces, listed as basal.
BRANCHED_HOC = """
begintemplate Cell
public soma, dend, basal
create soma, dend[2]
objref basal
proc init() { local i
    connect dend[0](0), soma(1)
    connect dend[1](0), dend[0](1)
    soma { L = 20  diam = 20  insert hh }
    for i = 0, 1 dend[i] { L = 100  diam = 2  nseg = 5  insert pas  g_pas = 1e-4  e_pas = -65 }
    basal = new SectionList()
    for i = 0, 1 dend[i] basal.append()
}
endtemplate Cell
"""
# A cell in Python, with a number that acts only when set_props runs, and dendrites that share one name.
MODULE_PY = """
from neuron import h

GNA = 0.12

class Cell:
    def __init__(self):
        self.soma = h.Section(name="soma", cell=self)
        self.dend = [h.Section(name="dend", cell=self) for _ in range(3)]
        self.soma.L = self.soma.diam = 20
        self.soma.insert("hh")
        for dend in self.dend:
            dend.L, dend.diam = 100, 2
            dend.connect(self.soma)
            dend.insert("pas")
        self.set_props()

    def set_props(self):
        self.soma.gnabar_hh = GNA
"""
LEAK_MOD = """NEURON {
    SUFFIX leaky
    RANGE g
    NONSPECIFIC_CURRENT i
}
PARAMETER { g = 1e-4 (S/cm2) }
ASSIGNED { v (mV) i (mA/cm2) }
BREAKPOINT {
    i = g * (v + 70)
}
"""


def toml_of(*pieces: str) -> str:
    """A problem.toml of these pieces."""
    return "\n".join(pieces)


def model_of(load: str = "cell.hoc", **keys: Any) -> str:
    """[model], of a squid's temperature and rest unless said otherwise."""
    return _table("[model]", {"load": load, "celsius": 6.3, "v_init": -65, **keys})


def free(name: str, where: str | list[str], low: float, high: float, **keys: Any) -> str:
    """A free parameter: free("gl", "soma.gl_hh", 1e-4, 1e-3)."""
    places = [where] if isinstance(where, str) else where
    return _table("[[parameter]]", {"name": name, "set": places, "bounds": [low, high], **keys})


def protocol_of(name: str, kind: str, **keys: Any) -> str:
    """A protocol of any kind."""
    return _table(f"[protocol.{name}]", {"kind": kind, **keys})


def step_of(name: str = "step", **keys: Any) -> str:
    """A short step of current, of little charge: 30 ms for NEURON."""
    return protocol_of(name, "step", **{"amplitude": -0.01, "delay": 10, "duration": 10, "total": 30, **keys})


def _table(heading: str, keys: dict[str, Any]) -> str:
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items())
    return "\n".join([heading, *lines, ""])
