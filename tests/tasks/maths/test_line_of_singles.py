"""The line between single models by hand, and intervals that hold together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.tasks.maths.frontier import above_line
from batonq.tasks.maths.lines import ROUNDING, Pooled, between_singles
from batonq.tasks.maths.peers.outcome import Outcome
from batonq.tasks.maths.records import SINGLE, Key
from batonq.tasks.maths.statistics import means, together

COUNT = 80


def outcome(right: list[bool] | np.ndarray, cost: float | np.ndarray) -> Outcome:
    """One call per question."""
    count = len(right)
    return Outcome(
        right=np.array(right, bool),
        cost=np.broadcast_to(np.asarray(cost, float), (count,)).copy(),
        calls=np.ones(count, np.int64),
        tokens=np.ones(count, np.int64),
    )


def share(of: float) -> np.ndarray:
    """Right on the first questions, as large a share of them."""
    return np.arange(COUNT) < of * COUNT


SINGLES = [outcome(share(0.25), 0.5), outcome(share(0.75), 2.5), outcome(share(0.4), 2.0)]


@pytest.mark.parametrize(
    ("accuracy", "cost", "above"),
    [
        (0.25, 0.5, 0.0),  # the cheap single itself
        (0.625, 1.5, 0.125),  # half of each gives .5 at 1.5
        (0.5, 1.5, 0.0),
        (0.375, 1.5, -0.125),
        (0.25, 0.25, 0.125),  # half of the cheap one, and declining
        (0.75, 9.0, 0.0),  # level beyond the dearest
    ],
)
def test_above_the_line_by_hand(accuracy: float, cost: float, above: float) -> None:
    (gap,) = above_line([outcome(share(accuracy), cost)], SINGLES)
    assert gap.value == pytest.approx(above, abs=1e-9)


def test_a_policy_that_is_a_single_call_is_on_the_line_for_certain() -> None:
    for single in SINGLES[:2]:
        (gap,) = above_line([single], SINGLES)
        assert np.abs([gap.value, gap.low, gap.high]).max() < ROUNDING


def test_the_interval_is_paired_and_takes_cost_into_account() -> None:
    # Right wherever the dear one is, and on eight questions more, at the same cost.
    better = outcome(share(0.85), 2.5)
    (gap,) = above_line([better], SINGLES)
    lead = np.arange(COUNT) // 8 == 6 + 1  # eight of eighty: the standard error of such a share
    error = np.std(lead) / np.sqrt(COUNT)
    assert gap.value == pytest.approx(0.1)
    assert gap.value - gap.low == pytest.approx(1.96 * error, rel=0.05)


def pooled_of(policies: dict[float, Outcome]) -> Pooled:
    outcomes = {Key(SINGLE, f"m{k}/p", 0.0): one for k, one in enumerate(SINGLES)}
    outcomes |= {Key("icq", "board", price): one for price, one in policies.items()}
    return Pooled(outcomes, [{"unit": "kilotokens"}], "board")


def test_the_line_is_reached_where_the_lower_limit_is_above_it() -> None:
    prices = (0.1, 0.2, 0.3)
    good = pooled_of(
        {
            0.1: outcome(share(0.75), 2.5),
            0.2: outcome(share(0.75), 1.5),
            0.3: outcome(share(0.25), 0.5),
        }
    )
    line = between_singles(good, prices)
    assert (line.kind, line.price, line.reached) == ("singles", 0.2, True)
    assert line.figure.value == pytest.approx(0.25)
    assert "0.7500 at 1.5000 kilotokens" in line.detail
    assert "the line 0.5000; above it at 1 of 3 values of lambda" in line.detail
    for single in SINGLES:
        level = between_singles(pooled_of(dict.fromkeys(prices, single)), prices)
        assert not level.reached
        assert "above it at 0 of 3" in level.detail


@given(seed=st.integers(0, 50), many=st.integers(1, 5))
def test_holding_together_takes_no_less_than_holding_alone(seed: int, many: int) -> None:
    rng = np.random.default_rng(seed)
    some = [means(rng.standard_normal(30)) for _ in range(many)]
    for one, interval in zip(some, together(some), strict=True):
        deviation = np.abs(one.resampled - one.value)
        assert interval.high - interval.value == pytest.approx(interval.value - interval.low)
        assert (deviation <= interval.high - interval.value + 1e-12).mean() >= 0.95


def test_a_constant_among_them_has_no_width() -> None:
    varied = means(np.arange(30.0))
    alone, constant = together([varied, means(np.full(30, 2.0))])
    assert (constant.low, constant.high) == (2.0, 2.0)
    assert alone == together([varied])[0]


def test_together_they_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    runs = 400
    held = 0
    for _ in range(runs):
        drawn = rng.standard_normal((4, 60))  # the true means are 0
        held += all(one.low <= 0 <= one.high for one in together([means(x) for x in drawn]))
    # The bootstrap's own error with 60 questions is below two points; three standard errors.
    assert held / runs > 0.95 - 0.02 - 3 * np.sqrt(0.95 * 0.05 / runs)
