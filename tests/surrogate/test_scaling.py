"""Features to network space and back."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gbar.surrogate import Scaling, choose_scaling, squash, unsquash
from gbar.surrogate.scaling import TAIL

SINGLE = 3e-4  # of 32-bit floats after two sinh

knees = st.floats(1e-2, 1e2)
widths = st.floats(0.05, 2.0)


def scaling_of(knee: float, centre: float, width: float) -> Scaling:
    return Scaling(*(jnp.array([part], jnp.float32) for part in (knee, centre, width)))


@settings(deadline=None)
@given(knee=knees, centre=st.floats(-3, 3), width=widths, squashed=st.floats(-2, 2))
def test_there_and_back(knee: float, centre: float, width: float, squashed: float) -> None:
    scaling = scaling_of(knee, centre, width)
    feature = np.asarray(unsquash(scaling, jnp.array([squashed], jnp.float32)), float)
    assert squash(scaling, feature)[0] == pytest.approx(squashed, abs=SINGLE * (1 + (1 + abs(centre)) / width))


@settings(deadline=None)
@given(knee=knees, centre=st.floats(-3, 3), width=widths, steps=st.lists(st.floats(0.01, 5), min_size=2, max_size=6))
def test_larger_features_stay_larger(knee: float, centre: float, width: float, steps: list[float]) -> None:
    found = squash(scaling_of(knee, centre, width), knee * (np.cumsum(steps) - 5))
    assert (np.diff(found) > 0).all()


def test_landmarks() -> None:
    """The median lies at 0, an equal factor up and down at equal distances, and what is not defined stays so."""
    column = np.geomspace(1.0, 100.0, 101)
    scaling = choose_scaling(column[:, None], np.array([10.0]), np.array([0.01]))
    middle, above, below, undefined = squash(scaling, np.array([[10.0], [30.0], [10.0 / 3], [np.nan]]))[:, 0]
    assert middle == pytest.approx(0.0, abs=1e-3)
    assert above == pytest.approx(-below, rel=0.2)
    assert np.isnan(undefined)


def test_far_predictions_stay_finite() -> None:
    found = unsquash(scaling_of(1.0, 0.0, 1.0), jnp.array([-1e6, -100.0, 100.0, 1e6]))
    assert np.isfinite(found).all()
    assert found[0] == found[1] < 0 < found[2] == found[3]
    assert np.arcsinh(100.0) < TAIL  # a hundred interquartile ranges from the median can still be told apart


def test_samples_look_normal_whatever_their_tails() -> None:
    """Log-normal with a few absurd values: median 0, half of the values within about 0.67."""
    draw = np.random.default_rng(0)
    column = np.concatenate([np.exp(draw.normal(3, 0.6, 500)), np.full(10, 1e5)])
    found = squash(choose_scaling(column[:, None], np.array([20.0]), np.array([1.0])), column[:, None])[:, 0]
    assert np.median(found) == pytest.approx(0.0, abs=1e-3)
    assert np.quantile(np.abs(found), 0.5) == pytest.approx(0.63, abs=0.06)
    assert np.max(np.abs(found)) < TAIL


def test_width_is_at_least_one_sd() -> None:
    """Where all samples agree, an SD is still told from a thousandth of it."""
    scaling = choose_scaling(np.full((10, 1), 30.0), np.array([30.0]), np.array([2.0]))
    assert squash(scaling, np.array([32.0]))[0] == pytest.approx(np.arcsinh(1.0), rel=0.1)


@pytest.mark.parametrize("defined", [0, 3])
def test_hardly_ever_defined(defined: int) -> None:
    """Three values say nothing of a spread, and NaN never gets into the scaling."""
    column = np.full(20, np.nan)
    column[:defined] = [0.0, 1000.0, 2000.0][:defined]
    scaling = choose_scaling(column[:, None], np.array([30.0]), np.array([2.0]))
    assert squash(scaling, np.array([30.0]))[0] == pytest.approx(0.0, abs=1e-5)
    assert squash(scaling, np.array([32.0]))[0] == pytest.approx(np.arcsinh(1.0), abs=0.1)


def test_undefined_values_do_not_count() -> None:
    column = np.linspace(0.0, 100.0, 101)
    with_holes = np.concatenate([column, np.full(50, np.nan)])
    wide, same = (choose_scaling(c[:, None], np.array([30.0]), np.array([1.0])) for c in (column, with_holes))
    assert all(float(a[0]) == float(b[0]) for a, b in zip(wide, same, strict=True))


def test_the_target_does_not_matter() -> None:
    """One archive serves every cell."""
    column = np.linspace(1.0, 100.0, 101)[:, None]
    one, other = (choose_scaling(column, np.array([mean]), np.array([1.0])) for mean in (10.0, 90.0))
    assert all(float(a[0]) == float(b[0]) for a, b in zip(one, other, strict=True))
