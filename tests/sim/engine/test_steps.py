"""Steps of several lengths: which protocol is run in which, and what they recorded put on one grid."""

import numpy as np
import pytest

from gbar.sim.engine.steps import Phase, finer, joined, phases_of
from gbar.sim.problem.kinds import Rheobase, Step


def step(kind: str = "step", amplitude: float = 1.0, delay: float = 100.0, duration: float = 50.0) -> Step:
    return Step(kind=kind, amplitude=amplitude, delay=delay, duration=duration, total=200.0)


def test_a_protocol_is_run_in_the_longest_steps_that_are_right() -> None:
    assert phases_of(step(amplitude=-1.0), 165.0, 0.025) == [Phase(100, 2), Phase(150, 2), Phase(165, 2)]
    assert phases_of(step(), 200.0, 0.025) == [Phase(160, 1), Phase(200, 2)]
    assert phases_of(step("pulse", 30.0, duration=1.0), 200.0, 0.025) == [Phase(111, 0.25), Phase(200, 2)]
    rheobase = Rheobase(kind="rheobase", delay=100.0, duration=50.0, total=200.0)
    assert phases_of(rheobase, 200.0, 0.025) == [Phase(200, 1)]


@pytest.mark.parametrize("edge", [{"delay": 100.025}, {"duration": 50.01}])
def test_steps_that_an_edge_would_cut_are_not_longer(edge: dict) -> None:
    assert phases_of(step(amplitude=-1.0, **edge), 165.0, 0.025) == [Phase(165, 1)]


@pytest.mark.parametrize("length", [0.25, 1, 1.25, 2])
def test_a_recording_in_any_steps_is_one_at_every_dt(length: float) -> None:
    samples = np.arange(41) * length
    cubic = 1 - samples / 3 + samples**2 / 50 - samples**3 / 700
    every = np.arange(int(40 * length) + 1)
    assert finer(cubic, length) == pytest.approx(1 - every / 3 + every**2 / 50 - every**3 / 700, abs=1e-10)


def test_a_corner_between_two_parts_stays_a_corner() -> None:
    before = np.zeros(11)
    run = np.concatenate([[np.nan], np.arange(1.0, 11) * 2, 20 - np.arange(1.0, 11) * 4])  # up in 2 dt, down in 1
    whole = joined(before, run, [(0, 11, 2), (10, 21, 1)])
    assert whole == pytest.approx(np.concatenate([before, np.arange(1.0, 21), 20 - np.arange(1.0, 11) * 4]), abs=1e-12)
