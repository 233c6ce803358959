from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from batonq.base.errors import ModelError
from batonq.icq import behaviour, clocks, update

VALUES = arrays(np.float64, 4, elements=st.floats(-10, 10))
MASKS = arrays(np.bool_, 4).filter(lambda mask: bool(mask.any()))


def test_one_handoff_by_hand() -> None:
    # R = 1, tau = 2 at gamma = 0.5, the receiver quotes 8; from 1 a quarter of the way to 3.
    worth = update.target(1.0, update.discount(0.5, 2), 8.0)
    assert worth == 3.0
    assert update.step(1.0, worth, 0.25) == 1.5


def test_after_termination_only_the_reward_counts() -> None:
    assert update.target(0.7, 0.9, 0.0) == 0.7


@given(VALUES, MASKS)
def test_quote_is_the_largest_permitted_value_and_the_greedy_action_attains_it(
    values: np.ndarray, mask: np.ndarray
) -> None:
    quote = update.quote(values[None], 0, mask[None], 0)
    never = behaviour.epsilon_greedy(0.0)
    best, _ = behaviour.choose(values[None], 0, mask[None], 0, never, np.random.default_rng(0))
    assert quote == values[mask].max()
    assert mask[best]
    assert values[best] == quote
    assert not (values[:best][mask[:best]] == quote).any()  # the lowest number among equals


@given(VALUES, MASKS, st.floats(0, 1), st.integers(0, 1000))
def test_propensities_are_those_of_epsilon_greedy(
    values: np.ndarray, mask: np.ndarray, epsilon: float, seed: int
) -> None:
    action, chance = behaviour.choose(
        values[None],
        0,
        mask[None],
        0,
        behaviour.epsilon_greedy(epsilon),
        np.random.default_rng(seed),
    )
    assert mask[action]
    greedy = action == np.where(mask, values, -np.inf).argmax()
    assert math.isclose(chance, epsilon / mask.sum() + (1 - epsilon) * greedy, abs_tol=1e-12)


@pytest.mark.parametrize(
    "policy",
    [behaviour.uniform(), behaviour.epsilon_greedy(0.3), behaviour.boltzmann(0.7)],
    ids=["uniform", "epsilon-greedy", "boltzmann"],
)
def test_actions_are_drawn_with_the_chances_they_are_reported_with(
    policy: behaviour.Behaviour,
) -> None:
    values, mask = np.array([[0.1, 1.0, 3.0, 0.9]]), np.array([[True, True, False, True]])
    rng, n = np.random.default_rng(3), 20_000
    drawn = [behaviour.choose(values, 0, mask, 0, policy, rng) for _ in range(n)]
    chance = dict(drawn)
    assert set(chance) == {0, 1, 3}
    assert math.isclose(sum(chance.values()), 1.0)
    for action, p in chance.items():
        share = sum(1 for one, _ in drawn if one == action) / n
        assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / n)


def test_boltzmann_by_hand_and_without_overflow() -> None:
    values, mask = np.array([[0.0, 1000.0]]), np.array([[True, True]])
    chance = {}
    for seed in range(30):
        rng = np.random.default_rng(seed)
        chance.update([behaviour.choose(values, 0, mask, 0, behaviour.boltzmann(1.0), rng)])
    assert chance == {1: 1.0}


@given(st.floats(0, 0.999), st.integers(1, 10**6))
def test_rescaled_linear_is_the_formula(contraction: float, n: int) -> None:
    clock = clocks.rescaled_linear(contraction)
    assert math.isclose(clocks.size(clock, n), 1 / (1 + (1 - contraction) * n))


@pytest.mark.parametrize("contraction", [0.0, 0.5, 0.95])
def test_weights_of_rescaled_linear_rise_and_their_squares_sum_to_less_than_the_step(
    contraction: float,
) -> None:
    # Theory, section 3: w_j nondecreasing and sum of w_j**2 <= alpha_n.
    clock = clocks.rescaled_linear(contraction)
    weights = np.zeros(0)
    for n in range(1, 300):
        size = clocks.size(clock, n)
        weights = np.append(weights * (1 - size), size)
        assert (np.diff(weights) >= -1e-15).all()
        assert (weights**2).sum() <= size + 1e-12


def test_other_clocks_by_hand() -> None:
    assert [clocks.size(clocks.constant(0.1), n) for n in (1, 5)] == [0.1, 0.1]
    assert [clocks.size(clocks.sample_mean(), n) for n in (1, 2, 4)] == [1.0, 0.5, 0.25]
    assert math.isclose(clocks.size(clocks.power(0.75), 16), 1 / 8)
    assert clocks.rescaled_linear(1.0) == clocks.sample_mean()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: clocks.constant(0.0), "constant step 0"),
        (lambda: clocks.constant(1.5), "constant step 1.5"),
        (lambda: clocks.power(0.5), "power 0.5"),
        (lambda: clocks.rescaled_linear(1.1), "contraction 1.1"),
        (lambda: behaviour.epsilon_greedy(-0.1), "epsilon -0.1"),
        (lambda: behaviour.boltzmann(0.0), "temperature 0"),
        (lambda: behaviour.boltzmann(math.nan), "temperature nan"),
    ],
)
def test_settings_that_cannot_be_right_are_named(make, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=said):
        make()
