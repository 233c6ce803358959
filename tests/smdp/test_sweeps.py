"""The sweeps one by one, against the same in plain NumPy."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_models import dense_kernel, models

from batonq.smdp.exact import kernel_of
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.sweeps import back_up, follow, improve, kernel, settle

seeds = st.integers(0, 2**32 - 1)


def arrays_of(model: FiniteICSMDP) -> tuple[np.ndarray, ...]:
    problem = kernel_of(model)
    return problem.indptr, problem.successor, problem.weight, problem.reward


def backed_up(model: FiniteICSMDP, value: np.ndarray) -> np.ndarray:
    q = np.empty(model.mask.shape)
    back_up(*arrays_of(model), value, q)
    return q


@given(models(), seeds)
def test_backup_is_the_bellman_operator(model: FiniteICSMDP, seed: int) -> None:
    value = np.random.default_rng(seed).normal(size=model.n_states)
    expected = np.where(model.mask, model.reward + dense_kernel(model) @ value, -np.inf)
    np.testing.assert_allclose(backed_up(model, value), expected, rtol=1e-12, atol=1e-12)


@given(models(), seeds)
def test_bellman_operator_is_monotone_and_contracts(model: FiniteICSMDP, seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.normal(size=model.n_states)
    high = low + rng.exponential(size=model.n_states)
    below, above = backed_up(model, low)[model.mask], backed_up(model, high)[model.mask]
    assert (below <= above + 1e-12).all()
    assert (above - below).max() <= model.contraction * (high - low).max() + 1e-12


@given(models(), seeds, st.booleans())
def test_improving_is_a_backup_of_one_state_after_the_other(
    model: FiniteICSMDP, seed: int, forward: bool
) -> None:
    gam = dense_kernel(model)
    value = np.random.default_rng(seed).normal(size=model.n_states)
    expected = value.copy()
    greedy = np.zeros(model.n_states, np.int64)
    for s in range(model.n_states) if forward else reversed(range(model.n_states)):
        q = np.where(model.mask[s], model.reward[s] + gam[s] @ expected, -np.inf)
        expected[s], greedy[s] = q.max(), q.argmax()
    change = np.abs(expected - value).max()
    policy = np.zeros(model.n_states, np.int64)
    assert np.isclose(improve(*arrays_of(model), value, policy, forward), change, atol=1e-12)
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)
    assert policy.tolist() == greedy.tolist()


@given(models(), seeds)
def test_following_reports_old_and_new_changes(model: FiniteICSMDP, seed: int) -> None:
    rng = np.random.default_rng(seed)
    value, step = rng.normal(size=model.n_states), rng.normal(size=model.n_states)
    before, old = value.copy(), step.copy()
    policy = np.argmax(model.mask, axis=1)
    change, cross, square = follow(*arrays_of(model), policy, value, step)
    np.testing.assert_allclose(step, value - before, rtol=1e-9, atol=1e-12)
    assert change == np.abs(step).max()
    np.testing.assert_allclose([cross, square], [step @ old, old @ old], atol=1e-9)


def cycle(n_nodes: int, gamma: float) -> tuple[np.ndarray, ...]:
    """Nodes in a circle, each followed by the next, reward 1: every value is 1 / (1 - gamma)."""
    problem = kernel(
        np.arange(n_nodes + 1),
        np.roll(np.arange(n_nodes), -1),
        np.full(n_nodes, gamma),
        np.ones((n_nodes, 1)),
        np.ones((n_nodes, 1), np.bool_),
    )
    return problem.indptr, problem.successor, problem.weight, problem.reward


def test_settling_takes_far_fewer_sweeps_than_the_discount_asks_for() -> None:
    value = np.zeros(2)
    policy = np.zeros(2, np.int64)
    sweeps = settle(*cycle(2, 0.9999), policy, value, np.empty((2, 2)), 1e-9, 1_000)
    assert sweeps < 30  # plain sweeps: log(1e-9) / log(0.9999^2) = 100,000
    np.testing.assert_allclose(value, 1e4, rtol=1e-9)


@given(models(), seeds, st.integers(1, 40))
def test_settling_never_leaves_a_leap_that_did_harm(
    model: FiniteICSMDP, seed: int, limit: int
) -> None:
    """Whatever the number of sweeps, the error is within what the first of them proved."""
    value = np.random.default_rng(seed).normal(size=model.n_states)
    policy = np.argmax(model.mask, axis=1)
    first, last = value.copy(), value.copy()
    step = np.zeros(model.n_states)
    follow(*arrays_of(model), policy, first, step)
    bound = model.contraction / (1 - model.contraction) * np.abs(step).max()
    settle(*arrays_of(model), policy, last, np.empty((2, model.n_states)), 0.0, limit)
    chosen = np.arange(model.n_states), policy
    fixed_point = np.linalg.solve(
        np.eye(model.n_states) - dense_kernel(model)[chosen], model.reward[chosen]
    )
    assert np.abs(last - fixed_point).max() <= bound + 1e-9
