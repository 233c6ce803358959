from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import logsumexp

from batonq.base.errors import ModelError
from batonq.bound.concentration import GRID, PSI, Moments, moments, prior, radius


def one(count: int, mean: float, spread: float) -> Moments:
    return Moments(np.array([count]), np.array([mean]), np.array([spread]))


def test_moments_by_hand() -> None:
    seen = moments(np.array([1, 0, 1, 1]), np.array([1.0, 5.0, 3.0, 2.0]), 3, 2.0)
    assert seen.count.tolist() == [1, 3, 0]
    assert seen.mean.tolist() == [5.0, 2.0, 0.0]
    # (1 - 2)^2 + (3 - 1)^2 + (2 - 2)^2, the guess first, then running means
    assert seen.spread.tolist() == [9.0, 5.0, 0.0]


@pytest.mark.parametrize("values", [[np.nan], [np.inf]])
def test_samples_that_are_not_finite_are_refused(values: list[float]) -> None:
    with pytest.raises(ModelError, match="number 0"):
        moments(np.array([0]), np.array(values), 1, 0.0)


def test_samples_of_no_pair_are_refused() -> None:
    with pytest.raises(ModelError, match=r"of 0\.\.1"):
        moments(np.array([2]), np.array([0.0]), 2, 0.0)


@given(
    st.floats(0, 1e4),
    st.floats(1e-6, 0.5),
    st.floats(0.1, 10),
    st.floats(-3, 6),
)
def test_radius_is_the_root_and_below_the_union_bound(
    spread: float, delta: float, width: float, expected: float
) -> None:
    weights = prior(np.array([10.0**expected]), width, delta)
    found = radius(one(100, 0.0, spread * width**2), width, delta, weights)[0] * 100 / width
    lift = np.log(weights[0]) - PSI * spread

    def level(total: float) -> float:
        return float(logsumexp(GRID * total + lift) + np.log(delta))

    union = ((np.log(1 / delta) - lift) / GRID).min()
    root = brentq(level, 0, union * (1 + 1e-12) + 1e-9, xtol=1e-12)
    assert found <= union * (1 + 1e-12)
    assert root - 1e-9 <= found <= root * (1 + 1e-6) + 1e-6  # Newton stays on the safe side


def test_radius_is_near_the_normal_one_when_the_spread_was_foreseen() -> None:
    n, variance, delta = 100_000, 0.04, 1e-5
    weights = prior(np.array([n * variance]), 1.0, delta)
    found = radius(one(n, 0.5, n * variance), 1.0, delta, weights)[0]
    ideal = np.sqrt(2 * variance * np.log(1 / delta) / n)
    assert ideal < found < 1.15 * ideal
    assert found < radius(one(n, 0.5, n * variance), 1.0, delta)[0]


def test_radius_scales_with_the_range_and_is_infinite_without_samples() -> None:
    both = radius(Moments(np.array([50, 0]), np.zeros(2), np.array([3.0, 0.0])), 1.0, 0.05)
    wide = radius(Moments(np.array([50, 0]), np.zeros(2), np.array([12.0, 0.0])), 2.0, 0.05)
    assert wide[0] == pytest.approx(2 * both[0])
    assert both[1] == np.inf


@pytest.mark.parametrize(("width", "delta"), [(1.0, 0.0), (1.0, 1.0), (0.0, 0.1), (np.inf, 0.1)])
def test_arguments_out_of_range_are_refused(width: float, delta: float) -> None:
    with pytest.raises(ModelError, match="concentration"):
        radius(one(10, 0.0, 1.0), width, delta)


def test_prior_is_a_law_whatever_is_foreseen() -> None:
    weights = prior(np.array([0.0, 1.0, 1e9, np.nan]), np.ones(4), 0.01)
    assert weights.shape == (4, len(GRID))
    assert np.allclose(weights.sum(axis=1), 1)
    assert (weights > 0).all()
    assert np.allclose(weights[3], 1 / len(GRID))


def test_time_uniform_coverage_where_a_fixed_sample_size_fails() -> None:
    """Theory, EB lemma: nominal 5 % at a fixed n fails far more often at a stopping time."""
    rng = np.random.default_rng(0)
    delta, runs, horizon = 0.05, 500, 8_000
    walk = rng.random((runs, horizon)) < 0.5
    n = np.arange(1, horizon + 1)
    error = np.cumsum(walk, axis=1) / n - 0.5
    hoeffding = (error > np.sqrt(np.log(1 / delta) / (2 * n))).any(axis=1).mean()
    before = np.concatenate([np.full((runs, 1), 0.5), np.cumsum(walk, axis=1)[:, :-1] / n[:-1]], 1)
    spread = np.cumsum((walk - before) ** 2, axis=1)
    uniform = np.zeros(runs, np.bool_)
    for k in range(0, horizon, 200):
        seen = Moments(np.full(runs, n[k]), error[:, k] + 0.5, spread[:, k])
        uniform |= error[:, k] > radius(seen, 1.0, delta)
    assert hoeffding > 2 * delta
    assert uniform.mean() <= delta


def test_bad_guesses_and_weights_are_refused() -> None:
    pair, value = np.array([0, 0]), np.array([0.2, 0.4])
    with pytest.raises(ModelError, match="a guess is not finite"):
        moments(pair, value, 1, np.nan)
    seen = moments(pair, value, 1, 0.5)
    for weights in (np.zeros((1, len(GRID))), np.ones((1, len(GRID)))):
        with pytest.raises(ModelError, match="no positive law"):
            radius(seen, 1.0, 0.1, weights)
    with pytest.raises(ModelError, match="delta 0"):
        prior(np.ones(1), 1.0, 0.0)
