"""Distances from the measurements."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gbar.agent.learning.target import (
    BEHIND,
    UNDEFINED,
    Target,
    as_float32,
    breaks,
    distance,
    rank,
    residual,
    target_of,
    worst,
    z_scores,
)
from gbar.sim import Measurement
from gbar.surrogate import Scaling
from gbar.surrogate.scaling import squash

TARGET = Target(np.array([10.0, -70.0]), np.array([2.0, 5.0]))
finite_z = arrays(float, (6, 3), elements=st.floats(-1e6, 1e6))


def test_measurements_in_their_order() -> None:
    rows = tuple(
        Measurement(protocol="p", feature=f, mean=m, sd=s, unit="") for f, m, s in [("b", 10, 2), ("a", -70, 5)]
    )
    target = target_of(rows)
    assert (target.mean.tolist(), target.sd.tolist()) == ([10, -70], [2, 5])


def test_z() -> None:
    z = z_scores(np.array([[14.0, -75.0], [10.0, np.nan]]), TARGET)
    assert z[0].tolist() == [2.0, -1.0]
    assert z[1][0] == 0.0
    assert math.isnan(z[1][1])


@given(z=finite_z, holes=arrays(bool, (6, 3)))
def test_undefined_never_ranks_best(z: np.ndarray, holes: np.ndarray) -> None:
    """An evaluation with an undefined feature comes after every one without, however near its others are."""
    z = np.where(holes, np.nan, z)
    incomplete, ranked = np.any(holes, axis=1), worst(z)
    assert np.array_equal(np.isinf(ranked), incomplete)
    ordered = [bool(incomplete[i]) for i in np.argsort(ranked, kind="stable")]
    assert ordered == sorted(ordered)


@given(z=finite_z)
def test_worst(z: np.ndarray) -> None:
    assert worst(z).tolist() == np.abs(z).max(axis=1).tolist()


@given(z=finite_z, factor=st.floats(1.01, 100))
def test_distance_grows_with_z(z: np.ndarray, factor: float) -> None:
    z = np.where(np.abs(z) < 1e-3, 1e-3, z)
    assert (distance(z) > 0).all()
    assert (distance(factor * z) > distance(z)).all()


def test_distance_by_hand() -> None:
    assert distance(np.zeros((1, 3)))[0] == 0.0
    assert distance(np.sinh([[3.0, 4.0]]))[0] == pytest.approx(math.sqrt((9 + 16) / 2))
    assert distance(np.array([[np.nan, np.nan]]))[0] == UNDEFINED
    assert distance(np.array([[0.0, np.nan]]))[0] > distance(np.array([[0.0, 20.0]]))[0]


def test_residual_undoes_the_scaling() -> None:
    """Whatever the network's space, asinh(z) of a predicted feature is the same."""
    features = np.array([[14.0, -75.0], [-30.0, 0.0]])
    for knee, centre, width in ([1e3, 1e3], [0.0, 0.0], [1e-3, 1e-3]), ([5.0, 60.0], [1.5, -1.0], [0.5, 0.1]):
        scaling = Scaling(jnp.array(knee), jnp.array(centre), jnp.array(width))
        predicted = jnp.asarray(squash(scaling, features))
        found = residual(scaling, predicted, as_float32(TARGET))
        assert np.asarray(found) == pytest.approx(np.arcsinh(z_scores(features, TARGET)), abs=1e-3)


def test_weights_count_in_the_distance_and_what_must_hold_comes_before_it() -> None:
    rows = [("b", 10, 2, 3.0, False), ("a", -70, 5, 1.0, True)]
    target = target_of(
        [
            Measurement(protocol="p", feature=f, mean=m, sd=s, unit="", weight=w, must_hold=must)
            for f, m, s, w, must in rows
        ]
    )
    features = np.array([[10 + 2 * 3, -70.0], [10.0, -70.0 + 5 * 3], [10.0, -70.0], [10.0, np.nan], [1e9, -70.0]])
    found = rank(features, target, 2.0)
    r = np.arcsinh(3.0)
    assert found[0] == pytest.approx(np.sqrt(0.75) * r) and found[1] == pytest.approx(BEHIND + np.sqrt(0.25) * r)
    assert found[2] == 0 and min(found[1], found[3]) > 9 > max(found[0], found[2]), "must hold"
    assert breaks(z_scores(features, target), target, 2.0).tolist() == [False, True, False, True, False]
    weight = as_float32(target).weight
    assert weight is not None and np.allclose(weight, np.array([3.0, 10.0]) * 2 / 13)


def test_plain_rows_demand_nothing() -> None:
    target = target_of([Measurement(protocol="p", feature="b", mean=1, sd=1, unit="")])
    assert target.weight is None and target.must_hold is None and as_float32(target).weight is None
