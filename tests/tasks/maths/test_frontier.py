from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from batonq.tasks.maths.frontier import Gap, frontier_gaps, not_below, upper_frontier
from batonq.tasks.maths.peers.outcome import Outcome


def outcome(right, cost):
    right, cost = np.asarray(right, bool), np.asarray(cost, float)
    ones = np.ones(len(right), np.int64)
    return Outcome(right, np.broadcast_to(cost, right.shape).astype(float), ones, ones)


def height(costs, accuracies, cost):
    """The frontier at a cost: the best mixture of two policies (or nothing) that costs no more."""
    x, y = np.r_[0.0, costs], np.r_[0.0, accuracies]
    best = 0.0
    for i, j in product(range(len(x)), repeat=2):
        if x[i] <= cost:
            best = max(best, y[i])
            if x[j] > cost:
                best = max(best, y[i] + (y[j] - y[i]) * (cost - x[i]) / (x[j] - x[i]))
    return best


def test_frontier_by_hand():
    cost = np.array([3.0, 1.0, 2.0, 2.0, 4.0])
    accuracy = np.array([0.9, 0.6, 0.65, 0.8, 0.9])
    assert upper_frontier(cost, accuracy).tolist() == [1, 3, 0]


def test_frontier_leaves_out_what_a_mixture_beats_and_what_is_useless():
    assert upper_frontier(np.array([1.0, 2.0]), np.array([0.1, 0.8])).tolist() == [1]
    assert upper_frontier(np.array([1.0]), np.array([0.0])).tolist() == []
    assert upper_frontier(np.array([0.0, 0.0, 1.0]), np.array([0.3, 0.5, 0.4])).tolist() == [1]


POINTS = hnp.arrays(float, st.tuples(st.integers(1, 7), st.just(2)), elements=st.integers(0, 8))


@given(POINTS)
def test_corners_carry_the_whole_frontier(points):
    cost, accuracy = points[:, 0], points[:, 1] / 8
    corners = upper_frontier(cost, accuracy)
    assert (np.diff(cost[corners]) > 0).all()
    assert (np.diff(accuracy[corners]) > 0).all()
    for at in np.linspace(0, 9, 19):
        whole = height(cost, accuracy, at)
        assert height(cost[corners], accuracy[corners], at) == pytest.approx(whole, abs=1e-12)


def learner(rng, count, policies):
    return [
        outcome(rng.random(count) < 0.5 + 0.1 * k, (k + 1) * (0.5 + rng.random(count)))
        for k in range(policies)
    ]


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_gap_is_the_height_above_the_other_policy(seed):
    rng = np.random.default_rng(seed)
    first, second = learner(rng, 60, 4), learner(rng, 60, 3)
    costs = np.array([o.cost.mean() for o in first])
    accuracies = np.array([o.right.mean() for o in first])
    gaps = frontier_gaps(first, second)
    corners = upper_frontier(
        np.array([o.cost.mean() for o in second]), np.array([o.right.mean() for o in second])
    )
    assert [gap.policy for gap in gaps] == corners.tolist()
    for gap in gaps:
        theirs = second[gap.policy]
        assert gap.cost == pytest.approx(theirs.cost.mean())
        wanted = height(costs, accuracies, gap.cost) - theirs.right.mean()
        assert gap.above.value == pytest.approx(wanted, abs=1e-9)


def test_a_learner_is_level_with_itself():
    mine = learner(np.random.default_rng(0), 200, 3)
    gaps = frontier_gaps(mine, mine)
    assert len(gaps) >= 2
    for gap in gaps:
        assert (gap.above.value, gap.above.low, gap.above.high) == pytest.approx(
            (0, 0, 0), abs=1e-12
        )
    assert not_below(gaps)


def test_clearly_below_is_told_and_close_is_not():
    rng = np.random.default_rng(1)
    theirs = rng.random(1000) < 0.9
    worse = theirs & (rng.random(1000) < 0.9)  # 9 points down, standard error of a difference .009
    close = theirs ^ (rng.random(1000) < 0.001)
    assert not not_below(frontier_gaps([outcome(worse, 1.0)], [outcome(theirs, 1.0)]))
    assert not_below(frontier_gaps([outcome(close, 1.0)], [outcome(theirs, 1.0)]))
    # at half the cost the frontier of `worse` has declined half of the questions
    gap = frontier_gaps([outcome(worse, 2.0)], [outcome(theirs, 1.0)])[0]
    assert gap.above.value == pytest.approx(worse.mean() / 2 - theirs.mean())


def test_nothing_right_is_below_everything():
    gaps = frontier_gaps([outcome([0] * 50, 1.0)], [outcome([1] * 40 + [0] * 10, 1.0)])
    assert gaps[0].above.value == pytest.approx(-0.8)
    assert not not_below(gaps)


def test_interval_agrees_with_resampling_the_whole_frontier():
    rng = np.random.default_rng(2)
    count = 1500
    hard = rng.random(count)
    first = [outcome(hard < a, c * (0.5 + rng.random(count))) for a, c in ((0.6, 1), (0.85, 3))]
    second = [outcome(rng.random(count) < 0.7, 2 * (0.5 + rng.random(count)))]
    gap: Gap = frontier_gaps(first, second)[0]
    draws = []
    for _ in range(1500):
        rows = rng.integers(0, count, count)
        costs = np.array([o.cost[rows].mean() for o in first])
        accuracies = np.array([o.right[rows].mean() for o in first])
        at = height(costs, accuracies, second[0].cost[rows].mean())
        draws.append(at - second[0].right[rows].mean())
    low, high = np.quantile(draws, [0.025, 0.975])
    # each end is known to some 4 % of the width from 1,500 resamples; three of them
    width = high - low
    assert gap.above.low == pytest.approx(low, abs=0.12 * width)
    assert gap.above.high == pytest.approx(high, abs=0.12 * width)
