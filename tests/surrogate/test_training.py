"""Training: what it may look at, how well it does, and that a key decides everything."""

from typing import Any

import jax
import numpy as np
import pytest

from gbar.surrogate import Response, choose_scaling, fit, pad, unsquash, validity_auroc
from gbar.surrogate.scaling import squash
from tests.synthetic import MEAN, ROWS, SD, SILENT, SMALL, Fitted, fit_synthetic, response

BETTER_THAN_MEAN = 0.25  # RMSE over the SD of what is predicted, asinh space, 200 points for 3 parameters
GARBAGE = 1e6


def same(one: Any, other: Any) -> bool:
    """Bit for bit."""
    return all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


def held_out() -> np.ndarray:
    return np.random.default_rng(1).random((400, 3))


def test_pad() -> None:
    u = np.random.default_rng(0).random((5, 3))
    features = response(u)
    features[2], features[3, 1] = np.nan, np.inf  # nothing defined; one not simulated
    scaling = choose_scaling(features, MEAN, SD)
    data = pad(u, features, np.arange(1.0, 6.0), scaling, 8)
    assert [array.shape for array in data] == [(8, 3), (8, 4), (8, 4), (8, 4), (8,), (8,)]
    assert np.asarray(data.weight).tolist() == [1, 2, 3, 4, 5, 0, 0, 0]
    assert np.asarray(data.u[:5]) == pytest.approx(u, abs=1e-7)
    assert np.array_equal(data.valid[:5], np.isfinite(features))
    assert not np.asarray(data.valid[5:]).any()
    assert np.array_equal(data.known[:5], features != np.inf)
    known = np.isfinite(features)
    assert np.asarray(data.s)[:5][known] == pytest.approx(squash(scaling, features)[known], rel=1e-6)
    assert not np.asarray(data.s)[:5][~known].any()


def test_padding_is_never_looked_at(fitted: Fitted) -> None:
    n, data = len(fitted.u), fitted.data
    dirty = data._replace(u=data.u.at[n:].set(GARBAGE), s=data.s.at[n:].set(GARBAGE), valid=data.valid.at[n:].set(1.0))
    assert same(fit(jax.random.key(0), dirty, fitted.network, SMALL), fitted.params)


def test_what_was_not_simulated_teaches_nothing(fitted: Fitted) -> None:
    """Neither a value nor that it is undefined: whatever stands there, the same is learned."""
    data = fitted.data._replace(known=fitted.data.known.at[:3, 1].set(0.0), valid=fitted.data.valid.at[:3, 1].set(0.0))
    other = data._replace(s=data.s.at[:3, 1].set(GARBAGE))
    learned = (fit(jax.random.key(0), each, fitted.network, SMALL) for each in (data, other))
    assert same(*learned)


def test_rows_of_no_weight_are_never_looked_at(fitted: Fitted) -> None:
    """What `verify` calls held out truly is."""
    out = np.arange(ROWS) % 4 == 2
    data = fitted.data._replace(weight=fitted.data.weight.at[out].set(0.0))
    dirty = data._replace(u=data.u.at[out].set(0.5), s=data.s.at[out].set(GARBAGE), valid=data.valid.at[out].set(1.0))
    clean, spoilt = (fit(jax.random.key(0), rows, fitted.network, SMALL) for rows in (data, dirty))
    assert same(clean, spoilt)
    assert not same(clean, fitted.params)


def test_undefined_features_are_never_regressed_on(fitted: Fitted) -> None:
    data = fitted.data
    undefined = np.asarray(data.valid) == 0
    assert undefined[: len(fitted.u)].any()
    dirty = data._replace(s=data.s.at[undefined].set(GARBAGE))
    assert same(fit(jax.random.key(0), dirty, fitted.network, SMALL), fitted.params)
    dirty = data._replace(s=data.s.at[0, 0].set(3.0))  # the check itself: a defined one is looked at
    assert not same(fit(jax.random.key(0), dirty, fitted.network, SMALL), fitted.params)


@pytest.mark.parametrize("rows", [200, 512])
def test_any_padding_learns_as_well(fitted: Fitted, rows: int) -> None:
    data = pad(fitted.u, fitted.features, np.ones(len(fitted.u)), fitted.scaling, rows)
    other = fitted._replace(params=fit(jax.random.key(0), data, fitted.network, SMALL))
    assert (errors_over_spread(other) < BETTER_THAN_MEAN).all()


def errors_over_spread(fitted: Fitted) -> np.ndarray:  # [F]
    """RMSE of the members' mean on unseen points, in SDs of what is to be predicted: 1 for predicting the mean."""
    u = held_out()
    truth = squash(fitted.scaling, response(u))
    error = fitted.predict(u).value.mean(axis=0) - truth
    return np.sqrt(np.nanmean(error**2, axis=0)) / np.nanstd(truth, axis=0)


def test_better_than_the_mean(fitted: Fitted) -> None:
    assert (errors_over_spread(fitted) < BETTER_THAN_MEAN).all()
    untrained = fitted._replace(params=jax.tree.map(np.zeros_like, fitted.params))
    assert (errors_over_spread(untrained) > 0.9).all()


def test_knows_where_a_feature_is_defined(fitted: Fitted) -> None:
    u = held_out()
    probability = 1 / (1 + np.exp(-fitted.predict(u).logit.mean(axis=0)))
    auroc = validity_auroc(u[:, 0] > SILENT, probability[:, 3])
    assert auroc is not None
    assert auroc > 0.95
    assert (probability[:, :3] > 0.9).all()  # the others always are


def test_no_cliff_at_the_edge_of_definedness(fitted: Fitted) -> None:
    """Just inside the region where latency is defined it is still predicted, not drawn to some penalty."""
    u = held_out()
    u[:, 0] = np.random.default_rng(2).uniform(SILENT, SILENT + 0.1, len(u))
    value = np.asarray(unsquash(fitted.scaling, fitted.predict(u).value.mean(axis=0)), float)[:, 3]
    assert value == pytest.approx(response(u)[:, 3], rel=0.35)


def test_members_differ_where_there_is_no_data() -> None:
    u = np.random.default_rng(0).random((200, 3))
    half = fit_synthetic(u * [0.5, 1.0, 1.0])
    known, unknown = (half.predict(held_out() * [0.4, 1, 1] + [shift, 0, 0]) for shift in (0.05, 0.6))
    spread = [np.median(part.value[..., :3].std(axis=0), axis=0) for part in (known, unknown)]
    assert (spread[0] > 0).all()
    assert (spread[1] > 3 * spread[0]).all()


def test_a_key_decides(fitted: Fitted) -> None:
    assert same(fit_synthetic(fitted.u, seed=0).params, fitted.params)
    assert not same(fit_synthetic(fitted.u, seed=1).params, fitted.params)


def test_more_steps_from_an_earlier_fit(fitted: Fitted) -> None:
    """A warm start keeps what was known: fewer steps, no worse."""
    again = fit(jax.random.key(1), fitted.data, fitted.network, SMALL, fitted.params)
    assert not same(again, fitted.params)
    assert (errors_over_spread(fitted._replace(params=again)) < BETTER_THAN_MEAN).all()


def test_nothing_is_defined_anywhere() -> None:
    """Every cell silent: nothing to regress on, no NaN, and definedness is learned all the same."""
    u = np.random.default_rng(0).random((40, 3))
    features = np.full((40, 4), np.nan)
    scaling, network = choose_scaling(features, MEAN, SD), Response(4, SMALL.hidden)
    params = fit(jax.random.key(0), pad(u, features, np.ones(40), scaling, ROWS), network, SMALL)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    predicted = Fitted(network, params, scaling, None, u, features).predict(held_out())  # type: ignore[arg-type]
    assert (predicted.logit < 0).all()
