"""Held-out feature test: known projections, unbiasedness, level, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from field_logs import made_log, plain_log, sticky, two_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import DataError
from batonq.bound import blocks
from batonq.bound.features import explained, held_out, split
from batonq.icq.observe import observe
from batonq.smdp.exact import aggregated
from batonq.smdp.policies import uniform


def test_a_field_that_adds_plus_or_minus_c_explains_c_squared():
    log = plain_log(1, n=20_000, effect=0.3)
    (test,) = held_out(log)
    assert test.field == "bit"
    assert test.covered == 1.0
    assert test.explained is not None
    assert test.explained.low <= 0.09 <= test.explained.high
    assert test.adjusted == pytest.approx(1 / (1 + blocks.FLIPS))


@pytest.mark.parametrize("effect", [0.0, 0.2])
def test_no_bias_over_300_logs(effect: float, monkeypatch: pytest.MonkeyPatch):
    """The mean over logs is the true square within 4 standard errors; 95 % are covered (4 sd)."""
    monkeypatch.setattr(blocks, "FLIPS", 49)
    values, covered = [], 0
    for seed in range(300):
        log = plain_log(seed, n=2_000, effect=effect)
        found = explained(log.residual(), split(log, "bit"), 40)
        values.append(found.value)
        covered += found.low <= effect**2 <= found.high
    assert abs(np.mean(values) - effect**2) <= 4 * np.std(values) / np.sqrt(300)
    assert covered >= 285 - 4 * np.sqrt(300 * 0.95 * 0.05)


def test_p_is_uniform_where_hidden_mode_and_field_are_both_sticky(monkeypatch: pytest.MonkeyPatch):
    """A field as slow as the hidden mode that moves the residuals, and independent of it.

    P(p <= .1) over 400 logs is within 4 standard deviations of .1. Treating records as independent
    would find something in about a quarter.
    """
    monkeypatch.setattr(blocks, "FLIPS", 199)
    small, naive = 0, 0
    for seed in range(400):
        n = 6_400
        mode, field = sticky(2 * seed, n, 0.8), sticky(2 * seed + 1, n, 0.8)
        zero = np.zeros(n, np.int64)
        noise = np.random.default_rng(seed).normal(size=n)
        log = made_log(2 * mode + noise, zero, zero, field=field)
        small += explained(log.residual(), split(log, "field"), 40, seed).p <= 0.1
        d = log.residual()
        up, down = d[field > 0], d[field < 0]
        error = np.sqrt(up.var() / len(up) + down.var() / len(down))
        naive += abs(up.mean() - down.mean()) > 1.645 * error
    assert abs(small - 40) <= 4 * np.sqrt(400 * 0.1 * 0.9)
    assert naive > 40 + 4 * np.sqrt(400 * 0.1 * 0.9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-5, 5), st.floats(-5, 5))
def test_a_constant_per_pair_changes_nothing(seed: int, one: float, two: float):
    log = plain_log(seed % 1000, n=1_000, effect=0.3)
    shifted = replace(log, reward=log.reward + np.where(log.y == 0, one, two * log.action))
    cut = split(log, "bit")
    before = explained(log.residual(), cut, 20)
    after = explained(shifted.residual(), cut, 20)
    assert after.value == pytest.approx(before.value, abs=1e-9)
    assert after.high == pytest.approx(before.high, abs=1e-9)


def test_levels_may_be_renamed():
    log = plain_log(3, n=2_000, effect=0.1)
    bit = log.fields["bit"]
    named = replace(bit, levels=("no", "yes"), code=1 - bit.code)
    other = replace(log, fields={"bit": named})
    assert explained(other.residual(), split(other, "bit"), 20).value == pytest.approx(
        explained(log.residual(), split(log, "bit"), 20).value
    )


def test_on_a_model_the_estimate_is_the_projection_of_the_gap_residual():
    """Cell 0: E[r | first bit, a] - 1/2 = +-1/2, and what follows: the bit is worth V by cell only.

    The next cell does not depend on the bits, so h = +-1/2 in cell 0 and 0 in cell 1: |h|^2 = 1/8.
    """
    model = two_bits()
    q = aggregated(model, uniform(model)).q
    log = observe(model, q, handoffs=20_000, seed=4)["desk"]
    first, second = held_out(log, ["first", "second"])
    assert first.explained is not None
    assert second.explained is not None
    assert first.explained.low <= 1 / 8 <= first.explained.high
    assert first.adjusted is not None
    assert first.adjusted < 0.001
    assert second.explained.low <= 0 <= second.explained.high


def test_p_is_adjusted_over_all_fields_tested():
    rng = np.random.default_rng(0)
    more = {f"noise{k}": rng.integers(0, 2, 4_000) for k in range(4)}
    tests = held_out(plain_log(5, effect=0.3, **more))
    assert [one.field for one in tests] == ["bit", *more]
    p = np.array([one.explained.p for one in tests if one.explained is not None])
    adjusted = np.array([one.adjusted for one in tests])
    assert adjusted == pytest.approx(blocks.holm(p))
    assert adjusted[0] == pytest.approx(5 * p[0])


def test_fields_that_cannot_help_are_named_with_the_reason():
    n = 4_000
    log = plain_log(6, n=n, constant=np.ones(n), number=np.arange(n))
    log = replace(log, fields={**log.fields, "seen": replace(log.fields["bit"], code=log.y)})
    reasons = {one.field: one.reason for one in held_out(log)}
    assert reasons["bit"] == ""
    assert "not available: 'constant' is constant" in reasons["constant"]
    assert "not available: 'number' has 4000 levels in 4000 records" in reasons["number"]
    assert "not available: 'seen' follows from what the agent sees" in reasons["seen"]


def test_rare_levels_are_left_out_and_the_share_is_told():
    rng = np.random.default_rng(7)
    level = np.where(rng.random(4_000) < 0.1, rng.integers(10, 10_000, 4_000), 0)
    level[rng.random(4_000) < 0.3] = 1
    (_, test) = held_out(plain_log(8, level=level))
    assert test.explained is not None
    assert 0.9 <= test.covered < 0.96


def test_values_that_moved_are_found_where_control_was_kept():
    model = two_bits()
    q = aggregated(model, uniform(model)).q
    log = observe(model, q, handoffs=2_000, seed=1)["desk"]
    quote = log.quote.copy()
    quote[37] += 0.01
    with pytest.raises(DataError, match="row 37 kept control and got the quote"):
        held_out(replace(log, quote=quote))


def test_bad_logs_are_refused():
    log = plain_log(9, n=500)
    with pytest.raises(DataError, match="no field 'colour'; it has bit"):
        held_out(log, ["colour"])
    with pytest.raises(DataError, match="has no fields"):
        held_out(replace(log, fields={}))
    with pytest.raises(DataError, match="longer records needed: 100 records, too few"):
        held_out(plain_log(9, n=100))
    with pytest.raises(DataError, match="reward is nan"):
        replace(log, reward=np.full(500, np.nan))
