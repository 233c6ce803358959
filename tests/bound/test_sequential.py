from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.bound.sequential import SHARES, WEIGHTS, Wealth, bet, bets_needed

observations = st.lists(st.floats(-1.0, 3.0), max_size=30)


def after(values: list[float], width: float = 1.0) -> Wealth:
    wealth = Wealth()
    for x in values:
        wealth = bet(wealth, x, width)
    return wealth


def capital(values: list[float], width: float = 1.0) -> float:
    """The mixture by its definition."""
    return sum(
        weight * math.prod(1 + share * x / width for x in values)
        for share, weight in zip(SHARES, WEIGHTS, strict=True)
    )


def restarted(values: list[float]) -> float:
    """The sum of the capitals that start at each observation, by its definition."""
    return sum(capital(values[start:]) for start in range(len(values)))


def test_weights_are_a_law_and_no_bet_can_ruin() -> None:
    assert sum(WEIGHTS) == pytest.approx(1.0, abs=1e-15)
    assert all(0 < share < 1 for share in SHARES)
    assert math.isfinite(after([-1.0] * 1_000).now)


def test_nothing_observed() -> None:
    wealth = Wealth()
    assert wealth.now == pytest.approx(0.0, abs=1e-15) and wealth.peak == 0.0
    assert wealth.now_restarted == -math.inf
    assert not wealth.shows(0.05) and not wealth.shows_change(10.0)


def test_by_hand() -> None:
    # capital after 1, -1/2 with shares l: sum of w (1 + l)(1 - l/2)
    wealth = after([1.0, -0.5])
    wanted = sum(w * (1 + x) * (1 - x / 2) for x, w in zip(SHARES, WEIGHTS, strict=True))
    assert math.exp(wealth.now) == pytest.approx(wanted, rel=1e-12)
    first = sum(w * (1 + x) for x, w in zip(SHARES, WEIGHTS, strict=True))
    assert math.exp(wealth.peak) == pytest.approx(max(wanted, first), rel=1e-12)


@given(observations)
def test_the_recursions_are_the_definitions(values: list[float]) -> None:
    wealth = after(values)
    assert math.exp(wealth.now) == pytest.approx(capital(values), rel=1e-9)
    assert math.exp(wealth.now_restarted) == pytest.approx(restarted(values), rel=1e-9, abs=1e-300)
    assert wealth.count == len(values)
    highest = max([1.0, *(capital(values[:k]) for k in range(len(values) + 1))])
    assert math.exp(wealth.peak) == pytest.approx(highest, rel=1e-9)


@given(observations, st.floats(0.1, 50.0))
def test_units_do_not_matter(values: list[float], unit: float) -> None:
    scaled = after([unit * x for x in values], width=unit)
    assert scaled.now == pytest.approx(after(values).now, rel=1e-9, abs=1e-9)


@given(st.permutations([1.0, -0.5, 0.25, 2.0, -1.0]))
def test_the_capital_does_not_depend_on_the_order(values: list[float]) -> None:
    assert after(values).now == pytest.approx(after([1.0, -0.5, 0.25, 2.0, -1.0]).now, rel=1e-9)


def test_the_mean_capital_never_grows_when_means_are_at_most_zero() -> None:
    """All paths of five fair +-1 steps: the mean capital is exactly 1, and below it if biased."""
    paths = [[1.0 if k >> step & 1 else -1.0 for step in range(5)] for k in range(32)]
    assert np.mean([math.exp(after(path).now) for path in paths]) == pytest.approx(1.0, rel=1e-12)
    chance = [math.prod(0.4 if x > 0 else 0.6 for x in path) for path in paths]
    assert np.dot(chance, [math.exp(after(path).now) for path in paths]) < 1.0


def test_the_restarted_capital_grows_by_one_a_step_on_average() -> None:
    paths = [[1.0 if k >> step & 1 else -1.0 for step in range(5)] for k in range(32)]
    mean = np.mean([math.exp(after(path).now_restarted) for path in paths])
    assert mean == pytest.approx(5.0, rel=1e-12)


def test_a_mean_of_zero_that_wanders_is_seldom_taken_for_more() -> None:
    """The averaged null: conditional means go up and down but their mean so far is never above 0.

    At level .25 each of 400 paths has at most that chance of a yes: 3 standard deviations of a
    share of 400 are .065.
    """
    rng = np.random.default_rng(4)
    drift = np.tile([-0.3, 0.3], 100)  # running means: -.3, 0, -.1, 0, ...
    yes = 0
    for _ in range(400):
        steps = np.where(rng.random(200) < (1 + drift) / 2, 1.0, -1.0)
        yes += after(steps.tolist()).shows(0.25)
    assert yes / 400 <= 0.25 + 0.065


def test_a_positive_mean_is_found_and_a_change_sooner_by_restarting() -> None:
    rng = np.random.default_rng(7)
    honest, after_change = rng.uniform(-1, 1, 2_000), rng.uniform(-0.6, 1, 400)
    wealth = after(honest.tolist())
    assert not wealth.shows(0.05) and not wealth.shows_change(1e5)
    for x in after_change:
        wealth = bet(wealth, float(x), 1.0)
    assert wealth.shows_change(1e5)
    assert wealth.peak_restarted > wealth.peak


def test_what_cannot_be_observed_counts_as_the_least() -> None:
    assert bet(Wealth(), -5.0, 1.0) == bet(Wealth(), -1.0, 1.0)


@given(observations)
def test_json_and_back(values: list[float]) -> None:
    wealth = after(values)
    stored = json.loads(json.dumps(wealth.to_json(), allow_nan=False))
    assert Wealth.from_json(stored) == wealth


@pytest.mark.parametrize(
    ("x", "width"), [(math.nan, 1.0), (math.inf, 1.0), (0.0, 0.0), (0.0, math.inf), (0.0, -1.0)]
)
def test_refuses_what_cannot_be(x: float, width: float) -> None:
    with pytest.raises(ModelError, match="sequential test"):
        bet(Wealth(), x, width)


def test_refuses_levels_that_cannot_be() -> None:
    with pytest.raises(ModelError, match="alpha"):
        Wealth().shows(1.0)
    with pytest.raises(ModelError, match="run length"):
        Wealth().shows_change(1.0)


@pytest.mark.parametrize("excess", [0.13, 0.3])
def test_bets_needed_is_about_the_median(excess: float) -> None:
    """Fair coins, values 0 and 1: within a factor of 1.5 of the median of 100 runs."""
    rng = np.random.default_rng(11)
    needed = bets_needed(excess, 0.5, 1.0, 0.05)
    found = []
    for _ in range(100):
        wealth = Wealth()
        while not wealth.shows(0.05) and wealth.count < 4 * needed:
            wealth = bet(wealth, excess + float(rng.integers(2)) - 0.5, 1.0)
        found.append(wealth.count)
    assert 1 / 1.5 < np.median(found) / needed < 1.5


def test_bets_needed_by_hand() -> None:
    # e = .5, s = 0: growth l/2 - l^2/8, largest at l = .9
    assert bets_needed(0.5, 0.0, 1.0, 0.05) == pytest.approx(math.log(20) / (0.45 - 0.81 / 8))
    assert bets_needed(0.0, 0.1, 1.0, 0.05) == math.inf
    assert bets_needed(-0.5, 0.1, 1.0, 0.05) == math.inf
