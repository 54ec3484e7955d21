"""What the searching engine gets wrong, from cells that both engines have simulated."""

import numpy as np
import pytest

from gbar.agent.learning.bias import LARGEST, EngineBias, engine_bias
from gbar.agent.learning.target import Target

TARGET = Target(np.array([10.0, -70.0, 0.02]), np.array([0.5, 3.5, 0.01]))


def test_nothing_compared_nothing_wrong() -> None:
    assert engine_bias(np.empty((0, 3)), np.empty((0, 3)), TARGET).tolist() == [0, 0, 0]


def test_a_constant_difference_is_found() -> None:
    confirmed = TARGET.mean + TARGET.sd * np.random.default_rng(0).normal(0, 0.5, (6, 3))
    off = np.array([0.0, 0.0, 0.012])
    assert engine_bias(confirmed + off, confirmed, TARGET) == pytest.approx(-off, rel=0.05, abs=1e-12)


def test_one_near_cell_outweighs_many_far_ones() -> None:
    near, far = TARGET.mean[None], TARGET.mean + 8 * TARGET.sd * np.ones((50, 3))
    off = 0.8 * TARGET.sd
    found = engine_bias(np.concatenate([near - off, far]), np.concatenate([near, far]), TARGET)
    assert found == pytest.approx(off, rel=0.15)


def test_a_spike_more_is_no_bias_and_the_undefined_teaches_nothing() -> None:
    confirmed = np.array([TARGET.mean, TARGET.mean])
    searched = confirmed.copy()
    searched[0, 0] += (LARGEST + 0.1) * TARGET.sd[0]
    searched[1, 0] = np.nan
    assert engine_bias(searched, confirmed, TARGET).tolist() == [0, 0, 0]


def test_a_spike_more_is_minded_beside_where_it_was_seen() -> None:
    """The more so the more cells say it, and not beside one that came out as it was; other features are left alone."""
    here, there, elsewhere = np.full((1, 4), 0.3), np.full((1, 4), 0.35), np.full((1, 4), 0.9)
    jump = np.array([4.0, 0.0, 0.0]) * TARGET.sd
    bias = EngineBias.unknown(TARGET, 4)
    assert bias.at(here).tolist() == [[0, 0, 0]]
    once = bias.compared(here, TARGET.mean[None] + jump, TARGET.mean[None])
    twice = once.compared(there, TARGET.mean[None] + jump, TARGET.mean[None])
    minded = [float(-known.at(here)[0, 0] / TARGET.sd[0]) for known in (once, twice)]
    assert 2.0 < minded[0] < minded[1] < 4.0
    assert twice.at(here)[0, 1:].tolist() == [0, 0]
    assert twice.at(elsewhere) == pytest.approx(np.zeros((1, 3)), abs=0.05 * TARGET.sd[0])
    as_it_was = twice.compared(elsewhere, TARGET.mean[None], TARGET.mean[None])
    assert abs(as_it_was.at(elsewhere)[0, 0]) < abs(twice.at(elsewhere)[0, 0]) + 1e-12
