"""The two regressions against general solvers, and shrunk means by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from batonq.tasks.maths.regression import FREE, logistic, ridge, shrunk_means


def least_squares(views, penalty, target):
    """Ridge as plain least squares with one more row per penalty."""
    stacked = np.concatenate([*views, np.diag(np.sqrt(penalty))])
    targets = np.concatenate([*([target] * len(views)), np.zeros(len(penalty))])
    return np.linalg.lstsq(stacked, targets, rcond=None)[0]


@pytest.mark.parametrize("n_views", [1, 3])
def test_ridge_is_least_squares_with_penalty_rows(n_views: int) -> None:
    rng = np.random.default_rng(n_views)
    views = [rng.standard_normal((30, 5)) for _ in range(n_views)]
    penalty = np.array([FREE, 1.0, 3.0, 10.0, 100.0])
    train, target = np.arange(0, 30, 2), rng.standard_normal(30)
    weights = least_squares([view[train] for view in views], penalty, target[train])
    prepared = ridge(views, penalty, train)
    assert np.allclose(prepared.predict(target), views[0] @ weights)
    other = target.copy()
    other[1::2] = 1e9  # targets of other questions are not read
    assert np.array_equal(prepared.predict(other), prepared.predict(target))
    assert np.allclose(prepared.predict(2 * target), 2 * prepared.predict(target))


def test_ridge_by_hand() -> None:
    features = np.array([[1.0], [1.0], [2.0]])
    found = ridge([features], np.array([2.0]), np.array([0, 1]))
    # (1 + 3) / (2 rows + penalty 2) = 1
    assert np.allclose(found.predict(np.array([1.0, 3.0, 50.0])), [1.0, 1.0, 2.0])


def test_logistic_minimises_the_penalised_loss() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((200, 4))
    features[:, 0] = 1
    outcome = rng.random(200) < expit(features @ np.array([0.5, 1.0, -2.0, 0.0]))
    penalty, weight = np.array([FREE, 1.0, 2.0, 3.0]), 0.3

    def loss(w):
        signed = np.where(outcome, 1, -1) * (features @ w)
        return weight * np.logaddexp(0, -signed).sum() + 0.5 * (penalty * w**2).sum()

    found = logistic(features, outcome, weight, penalty)
    reference = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-7})
    assert np.allclose(found, reference.x, atol=1e-5)


def test_logistic_of_a_constant_is_the_log_odds() -> None:
    outcome = np.array([True, True, True, False])
    found = logistic(np.ones((4, 1)), outcome, 1.0, np.array([FREE]))
    assert np.allclose(found, np.log(3), atol=1e-5)


def test_logistic_of_separable_rows_stays_finite() -> None:
    features = np.array([[1.0, -1.0], [1.0, 1.0]])
    found = logistic(features, np.array([False, True]), 1.0, np.array([FREE, 1.0]))
    # By symmetry the constant is 0; the slope solves w = 2 (1 - sigmoid(w)).
    assert abs(found[0]) < 1e-9
    assert np.isclose(found[1], 2 * (1 - expit(found)[1]))


def test_shrunk_means_by_hand() -> None:
    values = np.array([1.0, 3.0, 5.0, 100.0, 7.0])
    code, rows = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 2])
    plain = shrunk_means(values, code, rows, 0.0)
    assert np.allclose(plain, [2, 2, 5, 5, 0])  # row 3 is not read; cell 2 has no row
    shrunk = shrunk_means(values, code, rows, 2.0)
    assert np.allclose(shrunk, [1, 1, 5 / 3, 5 / 3, 0])


@given(
    code=st.lists(st.integers(0, 4), min_size=2, max_size=20),
    prior=st.floats(0.5, 50),
    seed=st.integers(0, 99),
)
def test_shrunk_means_are_ridge_on_indicators(code: list[int], prior: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, values = np.array(code), rng.standard_normal(len(code))
    rows = np.flatnonzero(rng.random(len(code)) < 0.7)
    indicators = np.eye(5)[codes]
    reference = ridge([indicators], np.full(5, prior), rows).predict(values)
    assert np.allclose(shrunk_means(values, codes, rows, prior), reference)
