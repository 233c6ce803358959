"""The paired bootstrap: what is exact, and agreement with a general one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from batonq.tasks.maths.statistics import RESAMPLES, means


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -7.25])
def test_a_constant_has_an_interval_without_width(value: float) -> None:
    found = means(np.full(50, value)).interval()
    assert found.low == found.high
    assert found.low == pytest.approx(found.value, rel=1e-15)
    assert (found.n, found.n_kind) == (50, "questions")


def test_truth_values_are_shares() -> None:
    found = means(np.array([True, False, True, True])).interval()
    assert found.value == 0.75
    assert found.low is not None and 0 <= found.low <= 0.75


def test_intervals_agree_with_a_general_bootstrap() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.standard_normal(300), rng.exponential(size=300), rng.random(300) < 0.1):
        found = means(values).interval()
        reference = bootstrap(
            (np.asarray(values, float),),
            np.mean,
            n_resamples=RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(1),
        ).confidence_interval
        # An end is a 2.5 % quantile of 4000 draws: its standard error is about
        # sqrt(0.025 * 0.975 / 4000) / density = 0.042 standard errors of the mean; both ends
        # and both bootstraps give 0.06, of which four are allowed.
        allowed = 0.24 * np.std(values) / np.sqrt(300)
        assert abs(found.low - reference.low) < allowed
        assert abs(found.high - reference.high) < allowed


def test_intervals_cover() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        found = means(rng.standard_normal(100)).interval()
        covered += found.low <= 0 <= found.high
    # 95 % nominal, about 94.5 % for 100 normal values; four binomial standard errors are 4.4 %.
    assert 0.90 < covered / 400 < 0.99


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(3)
    one = rng.standard_normal(200)
    shifted = (means(one + 0.25) - means(one)).interval()
    assert shifted.value == pytest.approx(0.25)
    # Only rounding (single precision) is left of the spread.
    assert shifted.high - shifted.low < 1e-6
    two = rng.standard_normal(200)
    apart, direct = (means(one) - means(two)).interval(), means(one - two).interval()
    assert apart.low == pytest.approx(direct.low, abs=1e-6)
    assert apart.high == pytest.approx(direct.high, abs=1e-6)


def test_ratios_are_paired() -> None:
    one = 1 + np.random.default_rng(4).random(150)
    ratio = means(3 * one).over(means(one))
    assert ratio.value == pytest.approx(3)
    assert ratio.low == pytest.approx(3, abs=1e-5)
    assert ratio.high == pytest.approx(3, abs=1e-5)


def test_a_ratio_to_what_may_be_nothing_has_no_ends() -> None:
    noise = np.tile([-1.0, 1.1], 50)
    found = means(np.ones(100)).over(means(noise))
    assert found.value == pytest.approx(20)
    assert found.low is found.high is None
    nothing = means(np.ones(100)).over(means(np.zeros(100)))
    assert (nothing.value, nothing.low, nothing.high) == (0.0, None, None)


def test_the_same_values_give_the_same_interval() -> None:
    values = np.random.default_rng(5).random(80)
    assert means(values).interval() == means(values.copy()).interval()
