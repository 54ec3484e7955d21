"""Features to network space and back."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogate import Scaling, choose_scaling, unsquash
from surrogate.scaling import squash

SINGLE = 1e-5  # relative, of 32-bit floats after sinh

numbers = st.floats(-1e3, 1e3)
widths = st.floats(1e-3, 1e3)


def scaling_of(centre: float, width: float) -> Scaling:
    return Scaling(jnp.array([centre], jnp.float32), jnp.array([width], jnp.float32))


@settings(deadline=None)
@given(centre=numbers, width=widths, away=st.floats(-1e6, 1e6))
def test_there_and_back(centre: float, width: float, away: float) -> None:
    """Up to a million widths away."""
    feature = centre + width * away
    scaling = scaling_of(centre, width)
    back = unsquash(scaling, jnp.asarray(squash(scaling, np.array([feature])), jnp.float32))
    assert float(back[0]) == pytest.approx(feature, abs=SINGLE * (abs(feature) + abs(centre) + width))


@settings(deadline=None)
@given(centre=numbers, width=widths, squashed=st.floats(-12, 12))
def test_back_and_there(centre: float, width: float, squashed: float) -> None:
    scaling = scaling_of(centre, width)
    feature = np.float64(np.float32(centre)) + np.float64(np.float32(width)) * np.sinh(squashed)
    assert squash(scaling, np.array([feature]))[0] == pytest.approx(squashed, abs=1e-6 * (1 + abs(centre) / width))


def test_landmarks() -> None:
    """The centre lies at 0, one width from it at asinh(1), and what is not defined stays so."""
    scaling = scaling_of(-65.0, 3.0)
    found = squash(scaling, np.array([[-65.0], [-62.0], [-68.0], [np.nan]]))[:, 0]
    assert found[:3] == pytest.approx([0.0, np.arcsinh(1), -np.arcsinh(1)])
    assert np.isnan(found[3])


def test_far_predictions_stay_finite() -> None:
    found = unsquash(scaling_of(0.0, 1e3), jnp.array([-1e6, -100.0, 100.0, 1e6]))
    assert np.isfinite(found).all()
    assert found[0] == found[1] < 0 < found[2] == found[3]


def test_width_is_half_the_interquartile_range() -> None:
    column = np.linspace(0.0, 100.0, 101)
    scaling = choose_scaling(column[:, None], np.array([30.0]), np.array([1.0]))
    assert (float(scaling.centre[0]), float(scaling.width[0])) == (30.0, 25.0)


def test_width_is_at_least_one_sd() -> None:
    scaling = choose_scaling(np.full((10, 1), 30.0), np.array([30.0]), np.array([2.0]))
    assert float(scaling.width[0]) == 2.0


@pytest.mark.parametrize("defined", [0, 3])
def test_hardly_ever_defined(defined: int) -> None:
    """Three values say nothing of a spread, and NaN never gets into the scaling."""
    column = np.full(20, np.nan)
    column[:defined] = [0.0, 1000.0, 2000.0][:defined]
    scaling = choose_scaling(column[:, None], np.array([30.0]), np.array([2.0]))
    assert (float(scaling.centre[0]), float(scaling.width[0])) == (30.0, 2.0)


def test_undefined_values_do_not_count() -> None:
    column = np.linspace(0.0, 100.0, 101)
    with_holes = np.concatenate([column, np.full(50, np.nan)])
    wide, same = (choose_scaling(c[:, None], np.array([30.0]), np.array([1.0])) for c in (column, with_holes))
    assert float(wide.width[0]) == float(same.width[0])
