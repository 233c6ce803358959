"""Blocks of time: squares from pairs of blocks, lengths that suffice, Holm's method."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from field_logs import sticky
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import DataError
from batonq.bound import blocks


def test_square_has_no_bias_over_all_sign_patterns():
    """Blocks h +- c, every pattern of signs once: the mean of the estimates is |h|^2 up to 1 / M^2.

    Centring the noise of M blocks takes 1 / M of it away; pairs with a gap make up for all but a
    term of the order 1 / M^2.
    """
    count, h, c = 8, np.array([0.5, -0.25]), np.array([1.0, 2.0])
    weight = np.array([0.75, 0.25])
    share = np.tile(weight / count, (count, 1))
    total = 0.0
    for signs in itertools.product([-1.0, 1.0], repeat=count):
        parts = h + np.outer(signs, c)
        effect = parts.mean(axis=0)
        total += few_flips(effect, (parts - effect) / count, weight, share, 0).value
    noise = float((weight * c**2).sum()) / count
    assert abs(total / 2**count - float((weight * h**2).sum())) <= noise * 2 / count**2


@given(st.integers(0, 2**32 - 1))
def test_square_is_the_sum_over_pairs_of_blocks_with_a_gap(seed: int):
    """With h / M + noise for each block the estimate is the plain double loop, edges aside."""
    rng = np.random.default_rng(seed)
    count, items = 12, 3
    noise = rng.normal(size=(count, items))
    noise -= noise.mean(axis=0)
    effect, weight = rng.normal(size=items), rng.dirichlet(np.ones(items))
    share = np.tile(weight / count, (count, 1))
    found = few_flips(effect, noise, weight, share, 0)
    touching = 0.0
    for i, j in itertools.product(range(count), repeat=2):
        if abs(i - j) <= 1:
            touching += float((weight * noise[i] * noise[j]).sum())
    inflate = count**2 / ((count - 1) * (count - 2))
    assert found.value == pytest.approx(float((weight * effect**2).sum()) - inflate * touching)
    assert found.low <= found.value <= found.high


def test_noise_alone_has_square_zero_on_average_and_uniform_p():
    """1,000 replications: the mean is 0 within 4 standard errors, P(p <= .1) within 4 of .1."""
    rng = np.random.default_rng(3)
    replications, count, items = 1_000, 24, 3
    values, small = [], 0
    weight = np.full(items, 1 / items)
    share = np.full((count, items), 1 / (items * count))
    for seed in range(replications):
        parts = rng.normal(size=(count, items))
        effect = parts.sum(axis=0) / count
        found = few_flips(effect, (parts - parts.mean(axis=0)) / count, weight, share, seed)
        values.append(found.value)
        small += found.p <= 0.1
    error = np.std(values) / np.sqrt(replications)
    assert abs(np.mean(values)) <= 4 * error
    assert abs(small - 100) <= 4 * np.sqrt(replications * 0.1 * 0.9)


def few_flips(*arguments: object) -> blocks.Square:
    """`square` with fewer random signs, for speed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "FLIPS", 199)
        return blocks.square(*arguments)


def test_the_interval_covers_a_true_square():
    """500 replications of an effect in 64 blocks: at least 91 % covered (nominal 95, 4 sd)."""
    rng = np.random.default_rng(4)
    h, count, covered = np.array([0.2, -0.1]), 64, 0
    weight = np.array([0.5, 0.5])
    share = np.tile(weight / count, (count, 1))
    for seed in range(500):
        parts = h + rng.normal(size=(count, 2))
        effect = parts.mean(axis=0)
        found = few_flips(effect, (parts - effect) / count, weight, share, seed)
        covered += found.low <= float((weight * h**2).sum()) <= found.high
    assert covered >= 455


def test_blocks_of_independent_values_may_be_short_and_of_a_slow_mode_may_not():
    rng = np.random.default_rng(0)
    code = np.zeros(40_000, np.int64)
    plain = rng.normal(size=40_000)
    assert blocks.enough_blocks(plain, code, 1) == blocks.MOST
    slow = sticky(1, 40_000, 0.98) + plain  # relaxation time 25
    longest = blocks.longest_correlated(slow - slow.mean(), code, 1)
    assert 16 <= longest <= 512
    assert blocks.enough_blocks(slow - slow.mean(), code, 1) <= 40_000 // (8 * longest)


def test_opposite_signs_of_two_codes_do_not_hide_a_mode():
    """Seen as one sum the mode cancels; as a vector it is found."""
    rng = np.random.default_rng(2)
    code = rng.integers(0, 2, 40_000)
    values = sticky(5, 40_000, 0.98) * np.where(code == 0, 1.0, -1.0) + rng.normal(size=40_000)
    values -= np.array([values[code == c].mean() for c in (0, 1)])[code]
    assert blocks.longest_correlated(values, np.zeros_like(code), 1) == 0
    assert blocks.longest_correlated(values, code, 2) >= 16


def test_too_slow_or_too_short_is_said():
    slow = sticky(1, 4_000, 0.999)
    with pytest.raises(DataError, match="not stable: longer records needed: 4000 records"):
        blocks.enough_blocks(slow - slow.mean(), np.zeros(4_000, np.int64), 1)
    with pytest.raises(DataError, match="at least 128 are needed"):
        blocks.enough_blocks(np.random.default_rng(0).normal(size=100), np.zeros(100, np.int64), 1)


def test_records_needed_resolve_the_effect_with_the_power_asked_for():
    """At r times the records: value r = z_test chance + z_power sqrt(chance^2 + rate value r)."""
    one = blocks.Square(0.5, 0.0, 1.0, 0.2, 1.0, 0.98, 64)
    r = one.times_needed(0.01)
    assert 0.5 * r == pytest.approx(2.3263479 + 0.8416212 * np.sqrt(1 + 0.49 * r))
    assert one.times_needed(0.001) > r
    assert blocks.Square(-0.1, -1.0, 0.8, 0.6, 1.0, 0.98, 64).times_needed(0.01) == np.inf


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_against_its_definition(p: list[float]):
    adjusted = blocks.holm(np.array(p))
    order = np.argsort(p, kind="stable")
    running = 0.0
    for rank, k in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[k]))
        assert adjusted[k] == pytest.approx(running)


def test_holm_of_no_tests_is_empty():
    assert blocks.holm(np.zeros(0)).shape == (0,)
