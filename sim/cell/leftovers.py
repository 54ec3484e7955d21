"""Stimuli that a model brings along: a figure's current clamp would flow in every protocol.

The functions take plain arguments, because an exported script carries their source.
"""

from typing import Any


def clamps(sections: list[Any]) -> list[Any]:
    """The current and voltage clamps on a cell that are switched on."""
    found = [process for section in sections for segment in section for process in segment.point_processes()]
    ends = [process for section in sections for x in (0, 1) for process in section(x).point_processes()]
    once = {process.hname(): process for process in [*found, *ends]}
    return [process for process in once.values() if _delivers(process)]


def _delivers(process: Any) -> bool:
    kind = process.hname().partition("[")[0]
    if kind in {"SEClamp", "VClamp"}:
        return process.dur1 > 0 if kind == "SEClamp" else any(process.dur[i] > 0 for i in range(3))
    if kind == "AlphaSynapse":
        return bool(process.gmax != 0)
    return hasattr(process, "amp") and hasattr(process, "dur") and process.dur > 0


def switched_off(process: Any) -> dict[str, float]:
    """The values with which a clamp never delivers anything, also where a vector is played into it."""
    kind = process.hname().partition("[")[0]
    if kind == "SEClamp":
        return {"dur1": 0.0, "dur2": 0.0, "dur3": 0.0}
    if kind == "VClamp":
        return {f"dur[{i}]": 0.0 for i in range(3)}
    return {"gmax": 0.0} if kind == "AlphaSynapse" else {"dur": 0.0, "amp": 0.0}


def described(process: Any) -> str:
    """A clamp in words."""
    segment = process.get_segment()
    amp = f" of {process.amp:g} nA" if isinstance(getattr(process, "amp", None), float) else ""
    return f"{process.hname()}{amp} in {segment.sec.name().rpartition('.')[2]}({segment.x:g})"
