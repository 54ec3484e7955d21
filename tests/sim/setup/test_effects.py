"""What `gbar check` finds out by simulating: whether the cell has settled when stimuli begin."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from gbar.sim import load_problem
from gbar.sim.problem import Waveform
from gbar.sim.setup import notes
from gbar.sim.setup.effects import MOVED, _unsettled, looked_at
from tests.problems import HH


@pytest.mark.neuron
def test_a_cell_that_has_not_settled_is_noticed(tmp_path: Path) -> None:
    """Half a squid: what its long step meets at rest is not moved, what a short delay cuts off is."""
    folder = Path(shutil.copytree(HH, tmp_path / "hh"))
    begun, text = "amplitude = -0.2                  # nA\ndelay = 50.0 ", (folder / "problem.toml").read_text()
    assert begun in text
    (folder / "problem.toml").write_text(
        text.replace(begun, begun.replace("50.0", "2.0")).replace("= -65.0", "= -75.0")
    )
    problem = load_problem(folder)
    found = looked_at(problem)
    assert found.unsettled and {key.partition(".")[0] for key in found.unsettled} == {"hyperpolarise"}
    moved = found.unsettled["hyperpolarise.voltage_base"]
    assert moved is not None and abs(moved) > MOVED
    (said,) = [note for note in notes(problem, found) if "settled" in note]
    assert said.startswith("hyperpolarise: ") and "lengthen it (delay = 2 ms now)" in said
    assert "unsettled" in found.as_json()


def test_what_counts_as_moved() -> None:
    problem = load_problem(HH)
    at_rest = {m.key: m.mean for m in problem.measurements}
    (base, *_, last) = (m for m in problem.measurements)
    assert _unsettled(problem, at_rest, at_rest) == {}
    assert _unsettled(problem, at_rest, {}) is None is _unsettled(problem, {}, at_rest), "no time to find out"
    for by, moved in ((0.9 * MOVED, {}), (-3.0, {base.key: -3.0})):
        assert _unsettled(problem, at_rest, at_rest | {base.key: base.mean + by * base.sd}) == pytest.approx(moved)
    assert _unsettled(problem, at_rest, at_rest | {last.key: math.nan}) == {last.key: None}
    delay = problem.stimuli[last.under].delay  # the time of an event since the simulation began
    assert _unsettled(problem, at_rest, at_rest | {last.key: last.mean + delay}) == {}


def test_a_stimulus_that_comes_later_is_the_same() -> None:
    stimulus = next(iter(load_problem(HH).stimuli.values()))
    later = stimulus.later(30.0)
    assert (later.delay, later.total) == (stimulus.delay + 30, stimulus.total + 30) and later.kind == stimulus.kind
    played = Waveform(kind="waveform", file="i.csv", delay=5, duration=10, total=20)
    played = played.model_copy(update={"times": (0.0, 10.0, 20.0), "currents": (0.5, 1.0, 0.0)})
    after = played.later(5.0)
    assert np.interp([0, 5, 10, 15, 25], after.times, after.currents).tolist() == [0.5, 0.5, 0.75, 1.0, 0.0]
    assert after.current == pytest.approx(played.current, abs=0.26)
