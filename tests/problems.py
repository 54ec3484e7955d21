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
