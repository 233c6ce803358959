"""Chances of actions: they sum to 1, are those drawn, and equal the studies' behaviour."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.icq import behaviour
from batonq.node.exploration import Exploration, HourlyCap, best, chances, drawn

VALUES = st.lists(st.floats(-5, 5), min_size=1, max_size=6)


def names(count: int) -> list[str]:
    return [f"a{k}" for k in range(count)]


@given(VALUES, st.floats(0, 1), st.floats(0, 1), st.one_of(st.none(), st.integers(0, 5)))
def test_chances_sum_to_one_and_none_is_negative(
    values: list[float], epsilon: float, canary: float, default: int | None
) -> None:
    actions = names(len(values))
    usual = None if default is None else f"a{default}"
    each = chances(actions, values, usual, Exploration(epsilon, canary=canary))
    assert sum(each) == pytest.approx(1.0)
    assert min(each) >= 0


@given(VALUES, st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_epsilon_greedy_is_that_of_the_studies(
    values: list[float], epsilon: float, seed: int
) -> None:
    """The studies' draw says with what chance it took its action; here it has the same."""
    mask = np.ones((1, len(values)), np.bool_)
    action, chance = behaviour.choose(
        np.array([values]),
        0,
        mask,
        0,
        behaviour.epsilon_greedy(epsilon),
        np.random.default_rng(seed),
    )
    each = chances(names(len(values)), values, None, Exploration(epsilon))
    assert each[action] == pytest.approx(chance)


@given(VALUES, st.floats(0.05, 5))
def test_boltzmann_is_that_of_the_studies(values: list[float], temperature: float) -> None:
    each = chances(names(len(values)), values, None, Exploration(temperature=temperature))
    weights = np.exp((np.array(values) - max(values)) / temperature)
    assert each == pytest.approx((weights / weights.sum()).tolist())


def test_an_action_never_explored_is_taken_when_it_is_the_best() -> None:
    exploration = Exploration(0.5, never=frozenset({"b"}))
    assert chances(["a", "b", "c"], [0, 1, 0], None, exploration) == [0.25, 0.5, 0.25]
    assert chances(["a", "b", "c"], [1, 0, 0], None, exploration) == [0.75, 0.0, 0.25]
    assert chances(["b"], [1], None, exploration) == [1.0]
    hot = Exploration(temperature=1.0, never=frozenset({"b"}))
    assert chances(["a", "b"], [0, 0], "b", hot) == [0.5, 0.5]


def test_the_canary_share_goes_to_the_policy_and_the_rest_to_the_default() -> None:
    quarter = Exploration(0.0, canary=0.25)
    assert chances(["a", "b"], [0, 1], "a", quarter) == [0.75, 0.25]
    assert chances(["a", "b"], [0, 1], None, quarter) == [0.0, 1.0]
    assert chances(["a", "b"], [0, 1], "x", quarter) == [0.0, 1.0]  # the default is ruled out


def test_ties_go_to_the_default_then_to_the_first() -> None:
    assert best(["a", "b"], [1, 1], "b") == 1
    assert best(["a", "b"], [1, 1], None) == 0
    assert best(["a", "b"], [1, 0], "b") == 0


@given(VALUES, st.floats(0, 1, exclude_max=True))
def test_an_action_of_no_chance_is_never_drawn(values: list[float], u: float) -> None:
    each = chances(names(len(values)), values, None, Exploration(0.0))
    assert each[drawn(each, u)] > 0
    assert drawn([0.5, 0.5, 0.0], 1.0 - 2**-53) == 1


def test_draws_follow_the_chances() -> None:
    each, source = [0.2, 0.0, 0.8], random.Random(3)
    share = sum(drawn(each, source.random()) == 0 for _ in range(20_000)) / 20_000
    assert abs(share - 0.2) < 4 * (0.16 / 20_000) ** 0.5


def test_the_cap_counts_by_the_hour() -> None:
    cap = HourlyCap(2)
    for _ in range(2):
        assert cap.free(100.0)
        cap.use()
    assert not cap.free(3_599.0)
    assert cap.free(3_600.0)
    assert HourlyCap(None).free(0.0)
    assert not HourlyCap(0).free(0.0)


@pytest.mark.parametrize(
    "options",
    [{"epsilon": -0.1}, {"epsilon": 1.1}, {"canary": 2}, {"temperature": 0.0}, {"per_hour": -1}],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ModelError, match="exploration"):
        Exploration(**options)  # type: ignore[arg-type]
