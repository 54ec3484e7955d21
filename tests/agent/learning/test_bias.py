"""What the searching engine gets wrong, from cells that both engines have simulated."""

import numpy as np
import pytest

from gbar.agent.learning.bias import FEWEST, LARGEST, EngineBias, engine_bias
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
    """In that feature alone, and not where the searching engine has another value, or what came out as it was."""
    here, there, elsewhere = np.full((1, 4), 0.3), np.full((1, 4), 0.35), np.full((1, 4), 0.9)
    jumped, mean = TARGET.mean[None] + [4.0, 0.0, 0.0] * TARGET.sd, TARGET.mean[None]
    unknown = EngineBias.unknown(TARGET, 4)
    assert unknown.corrected(here, jumped).tolist() == jumped.tolist()
    bias = unknown.compared(here, jumped, mean)
    assert bias.corrected(here, jumped).tolist() == jumped.tolist(), "it may be the cheaper form that misleads"
    bias = unknown.compared(*(np.repeat(part, FEWEST, axis=0) for part in (here, jumped, mean)))
    assert bias.corrected(here, jumped) == pytest.approx(mean, abs=1e-6)
    assert bias.corrected(there, jumped)[0, 0] == pytest.approx(mean[0, 0], abs=0.5 * TARGET.sd[0])
    assert bias.corrected(elsewhere, jumped) == pytest.approx(jumped, abs=0.1 * TARGET.sd[0])
    low = mean - [20.0, 0.0, 0.0] * TARGET.sd
    assert bias.corrected(here, low) == pytest.approx(low, abs=1e-4), "it has one spike here too, in both engines"
    undefined = np.array([[np.nan, np.inf, 0.02]])
    assert np.array_equal(bias.corrected(here, undefined), undefined, equal_nan=True)
    also = bias.compared(elsewhere, jumped, jumped)
    assert also.corrected(elsewhere, jumped) == pytest.approx(jumped, abs=0.01 * TARGET.sd[0])
