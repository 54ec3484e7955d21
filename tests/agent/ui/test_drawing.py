"""What pages are sent to draw: traces that lose no peak, a cell's sections, stimuli."""

import json
from pathlib import Path

import numpy as np
import pytest

from gbar.agent.result import LiveFeature, Measured
from gbar.agent.ui import anatomy
from gbar.agent.ui.drawing import bands, z_bars
from gbar.agent.ui.glossary import WORDS, word
from gbar.agent.ui.live import POINTS, Line, Plot, packed
from gbar.agent.ui.stimuli import drawn
from gbar.sim import load_problem
from gbar.sim.features import known_features
from gbar.sim.problem import KINDS
from gbar.sim.setup import Branch, Outline
from tests import every_kind
from tests.problems import HH


def unpacked(message: bytes) -> tuple[list[dict[str, object]], np.ndarray]:
    """As static/traces.js reads it."""
    length = int(np.frombuffer(message[:4], "<u4")[0])
    assert length % 4 == 0
    return json.loads(message[4 : 4 + length]), np.frombuffer(message[4 + length :], "<f4")


def test_a_spike_of_one_sample_is_drawn_however_long_the_trace() -> None:
    t = np.arange(200_000) * 0.025
    v = np.full(len(t), -70.0)
    v[123_456], v[77] = 40.0, -90.0
    (head,), numbers = unpacked(packed([Plot("p", "mV", (1.0, 2.0), "", [Line("a", "best", t, v)])]))
    points = int(str(head["points"]))
    x, y = numbers[:points], numbers[points:]
    assert points <= POINTS
    assert (y.max(), y.min()) == (40.0, -90.0)
    assert abs(x[int(y.argmax())] - t[123_456]) < 2 * 5000 / points
    assert (np.diff(x) > 0).all()


def test_lines_of_other_times_share_one_grid() -> None:
    t = np.linspace(0, 100, 1001)
    lines = [Line("a", "best", t, np.sin(t)), Line("recorded", "measured", t + 50, np.cos(t))]
    (head,), numbers = unpacked(packed([Plot("p", "mV", None, "", lines)]))
    points = int(str(head["points"]))
    x, first, second = numbers.reshape(3, points)
    assert np.isnan(first[x > 100.1]).all()
    assert np.isnan(second[x < 49.9]).all()
    inside = (x > 50) & (x < 100)
    assert np.nanmax(np.abs(first[inside] - np.sin(x[inside]))) < 0.05


def test_nothing_to_draw_is_a_message_too() -> None:
    assert unpacked(packed([]))[0] == []


def test_a_bar_says_what_it_shows() -> None:
    measured = [Measured(protocol="p", feature=f, mean=10.0, sd=2.0, unit="mV") for f in ("a", "b", "c")]
    live = [LiveFeature(key="p.a", best=0.5, coverage_90=0.875, verdict="good")]
    bars = z_bars(measured, {"p.a": -1.0, "p.b": 9.0, "p.c": None}, {"p.a": 8.0, "p.b": 28.0}, 2.0, live)
    a, b, c = bars.rows
    assert (a.passes, b.passes, c.passes, bars.met) == (True, False, False, 1)
    assert a.left < bars.zero == pytest.approx(50)
    assert a.left + a.width == pytest.approx(bars.zero)
    assert (b.cut, b.left + b.width) == (True, pytest.approx(100))
    assert bars.band == (25, 50)
    assert (bars.at(-1.0), bars.at(3.0), bars.at(9.0)) == (
        a.left,
        87.5,
        100,
    )  # intervals too
    assert (a.coverage, a.best_text, c.defined) == ("88 %", "0.50", False)


def test_what_was_measured_lies_where_the_trace_would() -> None:
    problem = load_problem(HH)
    found = {
        band.label.split()[0]: band
        for band in bands([Measured.of(m) for m in problem.measurements], problem.stimuli["fire"])
    }
    assert (found["AP_height"].axis, found["AP_height"].low) == ("y", pytest.approx(35.8226 - 1.791))
    assert found["time_to_first_spike"].low == pytest.approx(50 + 1.7 - 0.085)


def test_a_tree_has_every_section_where_it_joins() -> None:
    def branch(name: str, parent: int | None, at: float, length: float, points: bool = False) -> Branch:
        shape = [(0.0, 0.0, 0.0, 2.0), (length, 3.0, 0.0, 1.0)] if points else []
        return Branch(name=name, parent=parent, at=at, nseg=1, L=length, diam=2, has=["pas"], points=shape)

    outline = Outline(
        branches=[
            branch("soma", None, 0, 20),
            branch("dend[0]", 0, 1, 100),
            branch("dend[1]", 0, 0.5, 50),
            branch("axon", 1, 1, 30),
        ],
        own={},
        stated={},
    )
    tree = anatomy.tree(outline)
    by = {piece.name: piece for piece in tree.pieces}
    scale = (by["soma"].x2 - by["soma"].x1) / 20
    assert by["dend[0]"].x1 == pytest.approx(by["soma"].x2, abs=0.2)
    assert by["dend[1]"].x1 == pytest.approx(by["soma"].x1 + 10 * scale, abs=0.2)
    assert by["axon"].x1 == pytest.approx(by["dend[0]"].x2, abs=0.2)
    assert by["dend[0]"].y != by["dend[1]"].y
    assert by["axon"].kind == "axon"
    assert [(g.name, g.sections) for g in anatomy.groups(outline)] == [("soma", 1), ("dend", 2), ("axon", 1)]
    assert anatomy.shape(outline) is None
    traced = outline.model_copy(update={"branches": [branch("soma", None, 0, 20, True), branch("dend", 0, 1, 9, True)]})
    shape = anatomy.shape(traced)
    assert shape is not None
    assert len(shape.lines) == 2


def test_every_feature_that_is_explained_is_one() -> None:
    known = {name for kind in KINDS for name in known_features(kind)}
    assert set(WORDS) <= known
    assert all(word(name).picture for name in WORDS)


def test_every_kind_of_stimulus_is_drawn(tmp_path: Path) -> None:
    every_kind.write(tmp_path)
    problem = load_problem(tmp_path, measured=False)
    assert {stimulus.kind for stimulus in problem.stimuli.values()} >= {"step", "rheobase", "waveform", "clamp"}
    for stimulus in problem.stimuli.values():
        picture = drawn(stimulus)
        assert picture.path.startswith("M0.0 "), stimulus.kind
        assert "nan" not in picture.path
