"""What solutions do where nothing was measured: each kind from a voltage drawn by hand, and nothing from a good one."""

from pathlib import Path

import numpy as np
import pytest

from gbar.agent.report import warnings_of
from gbar.agent.tuning.behaviour import misbehaviour
from gbar.sim import Problem

STEP = {"kind": "step", "amplitude": 2.0, "delay": 100.0, "duration": 500.0, "total": 900.0}
T = np.arange(0.0, 900.0, 0.1)


def problem(*measured: str) -> Problem:
    rows = [{"protocol": p, "feature": "Spikecount", "mean": 1, "sd": 1, "unit": ""} for p in measured]
    return Problem.model_validate(
        {
            "name": "x",
            "folder": Path("."),
            "file": Path("problem.toml"),
            "model": {"load": "cell.hoc", "celsius": 36.0, "v_init": -70.0},
            "parameter": [{"name": "a", "set": ["soma.cm"], "bounds": [1, 2]}],
            "protocol": {
                "rheo": {**{k: v for k, v in STEP.items() if k != "amplitude"}, "kind": "rheobase", "duration": 50.0},
                "strong": STEP,
                "down": {**STEP, "amplitude": -1.0},
                "brief": {**STEP, "kind": "pulse", "duration": 1.0},
                "gain": {"kind": "fi", "steps": ["strong", "down"]},
            },
            "measurements": rows,
        }
    )


def drawn(spikes: list[float], during: float = -60.0, after: float = -70.0) -> tuple[np.ndarray, np.ndarray]:
    """A voltage at -70 mV, at others during and after the step, with spikes of 1 ms."""
    v = np.where((T >= 100) & (T < 600), during, np.where(T >= 600, after, -70.0))
    for at in spikes:
        v[round(10 * at) : round(10 * at) + 10] = 20.0
    return T, v


REGULAR = [120.0 + 40 * k for k in range(12)]
TRACES = {  # the step's trace; what is said of it
    "regular": (drawn(REGULAR), []),
    "blocked at once": (drawn([102.0], during=-30.0), ["depolarisation block"]),
    "blocked without a spike": (drawn([], during=-30.0), ["depolarisation block"]),
    "blocked later": (drawn([110.0, 130.0, 150.0, 170.0], during=-38.0), ["depolarisation block"]),
    "stops": (drawn([110.0, 130.0]), ["no repetitive firing"]),
    "silent at twice its rheobase": (drawn([]), ["no repetitive firing"]),
    "begins early": (drawn([50.0, *REGULAR]), ["fires before the stimulus"]),
    "goes on": (drawn([*REGULAR, 700.0, 740.0]), ["fires after the stimulus"]),
    "stays up": (drawn(REGULAR, after=-50.0), ["does not return to rest"]),
    "the start is no spike": (drawn([1.0, *REGULAR]), []),
    "a last spike at the end": (drawn([*REGULAR, 605.0]), []),
}


@pytest.mark.parametrize("case", TRACES)
def test_each_kind(case: str) -> None:
    trace, kinds = TRACES[case]
    found = misbehaviour(problem("down"), [{"strong": trace}], [{"rheo.rheobase": 1.0}])
    assert [one.kind for one in found] == kinds
    assert {one.protocol for one in found} <= {"strong"}


def test_a_cell_that_is_silent_below_its_rheobase_is_right() -> None:
    assert misbehaviour(problem("down"), [{"strong": drawn([])}], [{"rheo.rheobase": 1.9}]) == []
    assert misbehaviour(problem("down"), [{"strong": drawn([])}], [{}]) == [], "nobody knows its rheobase"


def test_only_what_was_not_measured() -> None:
    """By itself, or through a curve; a rebound after a hyperpolarising step is told by where it is."""
    blocked = drawn([102.0], during=-30.0)
    assert misbehaviour(problem("strong"), [{"strong": blocked}], [{}]) == []
    assert misbehaviour(problem("gain"), [{"strong": blocked}], [{}]) == []
    rebound = drawn([610.0], during=-90.0)
    assert misbehaviour(problem("strong"), [{"down": rebound}], [{}]) == []
    down = drawn([300.0, 800.0], during=-90.0)
    (found,) = misbehaviour(problem("strong"), [{"down": down}], [{}])
    assert found.kind == "fires after the stimulus"


def test_sets_are_counted_and_said() -> None:
    blocked, good = drawn([102.0], during=-30.0), drawn(REGULAR)
    traces = [{"strong": blocked}, {"strong": good}, {"strong": blocked, "brief": drawn([101.0, 400.0])}]
    found = misbehaviour(problem("down"), traces, [{}] * 3)
    assert [(one.protocol, one.sets, one.of) for one in found] == [("strong", [1, 3], 3), ("brief", [3], 3)]
    assert warnings_of(found, "solution")[0] == (
        "strong (2 nA for 500 ms), 2 of 3 solutions (1, 3): in depolarisation block: the voltage stays high and no "
        "spike follows"
    )
    assert warnings_of(misbehaviour(problem("down"), traces[:1], [{}]), "solution")[0].startswith(
        "strong (2 nA for 500 ms), the solution: in depolarisation block"
    )
