import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.study.intervals import (
    bootstrap,
    over_questions,
    over_seeds,
    paired_questions,
    paired_seeds,
)
from batonq.study.rows import Interval


def test_t_interval_by_hand():
    interval = over_seeds(np.array([1.0, 2.0, 3.0]))
    half = 4.302652730 / np.sqrt(3)  # quantile .975 of Student's t, 2 degrees; standard error
    assert interval.value == 2.0
    assert interval.low == pytest.approx(2 - half, abs=1e-8)
    assert interval.high == pytest.approx(2 + half, abs=1e-8)
    assert (interval.n, interval.n_kind) == (3, "seeds")


def test_one_observation_has_no_interval():
    assert over_seeds(np.array([0.7])) == Interval(0.7, None, None, 1, "seeds")
    assert over_questions(np.array([1.0])) == Interval(1.0, None, None, 1, "questions")


@given(st.floats(-1e6, 1e6), st.integers(2, 9))
def test_equal_observations_have_an_interval_of_no_width(value, count):
    for interval in (over_seeds(np.full(count, value)), over_questions(np.full(count, value))):
        assert interval.low == pytest.approx(value) == interval.high


def test_paired_seeds_cancel_what_seeds_share():
    rng = np.random.default_rng(0)
    luck = 10 * rng.standard_normal(6)
    gain = paired_seeds(luck + 1.0 + 0.01 * rng.standard_normal(6), luck)
    assert 0.95 < gain.low < gain.value < gain.high < 1.05


def test_bootstrap_agrees_with_the_normal_limit():
    values = (np.random.default_rng(1).random(2000) < 0.3).astype(float)
    interval = over_questions(values)
    width = 2 * 1.959964 * values.std() / np.sqrt(2000)
    # the ends are quantiles of 4,000 resamples: their error is about 3 % of the width together
    assert interval.high - interval.low == pytest.approx(width, rel=0.1)
    assert interval.value == values.mean()


def test_bootstrap_covers_the_truth_19_times_in_20():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        sample = (rng.random(150) < 0.4).astype(float)
        interval = bootstrap(np.mean, sample, resamples=400)
        hits += interval.low <= 0.4 <= interval.high
    # nominal .95; the standard error of 300 trials is .013; four of them either way
    assert 0.95 - 0.052 < hits / 300 < 0.95 + 0.05


def test_the_same_seed_gives_the_same_interval_and_pairs_are_kept_together():
    rng = np.random.default_rng(3)
    first, second = rng.random(200), rng.random(200)
    assert paired_questions(first, second) == paired_questions(first, second)
    assert paired_questions(first, second) != paired_questions(first, second, seed=1)
    same = paired_questions(first, first)
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)


def test_a_ratio_of_paired_samples():
    rng = np.random.default_rng(4)
    base = rng.random(300)

    def ratio(top, bottom, axis):
        return top.mean(axis=axis) / bottom.mean(axis=axis)

    interval = bootstrap(ratio, 2 * base, base)  # 2 in every resample that keeps the pairs
    assert interval.low == pytest.approx(2.0) == interval.high
