from __future__ import annotations

import math
import timeit
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import WireError
from batonq.wire.scalar import (
    Rounding,
    Scalar,
    clamp,
    decode,
    encode,
    number,
    range_from_reward,
    rounding_term,
    spacing,
)

QUARTERS = Scalar(-1.0, 2.0, bits=2)  # codes 0 1 2 3 are -1 0 1 2
ULP = 2.0**-50  # of the width: what a few operations in float64 may add to any statement below

BOUNDS = st.floats(1e-100, 1e100)


@st.composite
def scalars(draw: st.DrawFn, rounding: Rounding = "nearest") -> Scalar:
    low, high = draw(st.tuples(st.just(0.0) | BOUNDS, st.just(0.0) | BOUNDS).filter(any))
    bits = 64 if rounding == "exact" else draw(st.integers(1, 16))
    return Scalar(-low, high, bits, rounding)


def inside(scalar: Scalar) -> st.SearchStrategy[float]:
    return st.floats(scalar.low, scalar.high)


def test_two_bits_by_hand() -> None:
    assert spacing(QUARTERS) == 1.0
    assert [decode(QUARTERS, code) for code in range(4)] == [-1.0, 0.0, 1.0, 2.0]
    codes = {-1.0: 0, -0.51: 0, -0.5: 1, 0.4: 1, 0.5: 2, 1.49: 2, 1.5: 3, 2.0: 3}
    assert {value: encode(QUARTERS, value, 0.0) for value in codes} == codes  # halves go up


def test_stochastic_by_hand() -> None:
    scalar = Scalar(-1.0, 2.0, bits=2, rounding="stochastic")
    assert encode(scalar, 0.25, 0.2499) == 2  # up with chance 1/4
    assert encode(scalar, 0.25, 0.25) == 1
    assert encode(scalar, 1.0, 0.0) == 2  # a value on a code never moves
    assert encode(scalar, 1.0, math.nextafter(1, 0)) == 2
    assert encode(scalar, 2.0, math.nextafter(1, 0)) == 3


@given(st.data(), scalars())
def test_rounding_is_off_by_half_a_spacing_at_most(data: st.DataObject, scalar: Scalar) -> None:
    value = data.draw(inside(scalar))
    width = scalar.high - scalar.low
    back = decode(scalar, encode(scalar, value, 0.0))
    assert abs(back - value) <= spacing(scalar) / 2 + ULP * width
    assert scalar.low <= back <= scalar.high


@given(st.data(), scalars())
def test_a_code_comes_back_as_itself_and_the_ends_are_exact(
    data: st.DataObject, scalar: Scalar
) -> None:
    most = 2**scalar.bits - 1
    code = data.draw(st.integers(0, most))
    assert encode(scalar, decode(scalar, code), 0.0) == code
    assert (decode(scalar, 0), decode(scalar, most)) == (scalar.low, scalar.high)
    assert encode(scalar, scalar.low, 0.0) == 0
    assert encode(scalar, scalar.high, 0.0) == most


@given(st.data(), scalars() | scalars("stochastic"), st.floats(0, 1, exclude_max=True))
def test_larger_values_get_no_smaller_codes(data: st.DataObject, scalar: Scalar, u: float) -> None:
    one, other = sorted(data.draw(st.tuples(inside(scalar), inside(scalar))))
    assert encode(scalar, one, u) <= encode(scalar, other, u)
    code = data.draw(st.integers(0, 2**scalar.bits - 2))
    assert decode(scalar, code) < decode(scalar, code + 1)


@given(st.data(), scalars("stochastic"))
def test_stochastic_rounding_keeps_the_mean(data: st.DataObject, scalar: Scalar) -> None:
    value = data.draw(inside(scalar))
    up, down = encode(scalar, value, 0.0), encode(scalar, value, math.nextafter(1, 0))
    assert down <= up <= down + 1
    # As a function of u the code is `up` before some u and `down` from there on: find it.
    before, after = 0.0, 1.0
    for _ in range(80):
        middle = (before + after) / 2
        if encode(scalar, value, min(middle, math.nextafter(1, 0))) == up:
            before = middle
        else:
            after = middle
    mean = before * decode(scalar, up) + (1 - before) * decode(scalar, down)
    assert abs(mean - value) <= ULP * (scalar.high - scalar.low)


@given(st.data(), scalars("exact"))
def test_exact_is_exact(data: st.DataObject, scalar: Scalar) -> None:
    value = data.draw(inside(scalar))
    assert decode(scalar, encode(scalar, value, 0.0)) == value
    assert spacing(scalar) == rounding_term(scalar, 0.9) == 0.0


@given(st.data(), scalars(), st.floats(allow_nan=False))
def test_clamped_to_the_nearest_end_and_told(
    data: st.DataObject, scalar: Scalar, value: float
) -> None:
    held, moved = clamp(scalar, value)
    assert scalar.low <= held <= scalar.high
    assert moved == (held != value)
    fits = data.draw(inside(scalar))
    assert clamp(scalar, fits) == (fits, False)


BAD_CODES: list[tuple[Any, str]] = [
    (True, "whole number, is bool"),
    (1.0, "whole number, is float"),
    ("1", "whole number, is str"),
    (None, "whole number, is NoneType"),
    (-1, "-1 is not in 0..3"),
    (4, "4 is not in 0..3"),
    (10**5000, "too large is not in 0..3"),
]


@pytest.mark.parametrize(("code", "message"), BAD_CODES, ids=range(len(BAD_CODES)))
def test_a_code_that_cannot_be_is_refused(code: Any, message: str) -> None:
    with pytest.raises(WireError, match=message):
        decode(QUARTERS, code)


BAD_VALUES: list[tuple[Any, str]] = [
    (math.nan, "is NaN"),
    (math.inf, "too large"),
    (10**5000, "too large"),
    (True, "must be a number, is bool"),
    ("1", "must be a number, is str"),
    (2.0000001, "not in the declared"),
]


@pytest.mark.parametrize(("value", "message"), BAD_VALUES, ids=range(len(BAD_VALUES)))
def test_a_float_that_cannot_be_is_refused(value: Any, message: str) -> None:
    with pytest.raises(WireError, match=message):
        decode(Scalar(-1, 2, 64, "exact"), value)


def test_json_without_a_point_is_a_number_too() -> None:
    found = decode(Scalar(-1, 2, 64, "exact"), 1)
    assert (found, type(found)) == (1.0, float)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.5, 2.5])
def test_what_is_outside_is_not_encoded(value: float) -> None:
    with pytest.raises(WireError, match="clamp it"):
        encode(QUARTERS, value, 0.0)


@pytest.mark.parametrize("u", [-0.1, 1.0, math.nan])
def test_a_draw_outside_the_unit_interval_is_refused(u: float) -> None:
    with pytest.raises(WireError, match="not in"):
        encode(Scalar(-1, 2, 4, "stochastic"), 0.3, u)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_a_code_is_a_plain_int_whatever_floats_it_comes_from(rounding: Rounding) -> None:
    scalar = Scalar(-1, 2, 4, rounding)
    assert type(encode(scalar, np.float64(0.3), np.float64(0.1))) is int


def test_nan_is_not_clamped() -> None:
    with pytest.raises(WireError, match="NaN"):
        clamp(QUARTERS, math.nan)


BAD_SCALARS: list[tuple[tuple[Any, ...], str]] = [
    ((1, 2), "must contain 0"),
    ((-2, -1), "must contain 0"),
    ((2, -2), "must contain 0"),
    ((0, 0), "empty"),
    ((0, 1e-200), "empty"),
    ((-1, 1e200), "nothing beyond"),
    ((math.nan, 1), "low: must be finite, is NaN"),
    ((-1, math.inf), "high: must be finite"),
    ((-(10**400), 1), "low: must be finite"),
    ((True, 1), "low: must be a number"),
    ((-1, "1"), "high: must be a number"),
    ((-1, 1, 0), "bits of the rounding 'nearest' must be a whole number, 1 to 16"),
    ((-1, 1, 17), "1 to 16"),
    ((-1, 1, True), "1 to 16"),
    ((-1, 1, 8.0), "1 to 16"),
    ((-1, 1, 10**5000), "1 to 16"),
    ((-1, 1, 8, "exact"), "64 to 64"),
    ((-1, 1, 64), "1 to 16"),
    ((-1, 1, 8, "up"), "one of nearest, stochastic, exact"),
    ((-1, 1, 8, ["nearest"]), "one of nearest"),
]


@pytest.mark.parametrize(("given", "message"), BAD_SCALARS, ids=range(len(BAD_SCALARS)))
def test_a_scalar_that_cannot_be_is_refused(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(WireError, match=message):
        Scalar(*given)


def test_zero_has_no_sign_in_a_range() -> None:
    assert math.copysign(1, Scalar(-0.0, 1).low) == 1


def test_number_takes_numbers_only() -> None:
    assert number(3, "n") == 3.0
    with pytest.raises(WireError, match="n: must be a number, is list"):
        number([], "n")


def test_range_from_reward_by_hand() -> None:
    assert range_from_reward(-1.0, 2.0, 0.75) == (-4.0, 8.0)
    assert range_from_reward(-1.0, -0.5, 0.75) == (-4.0, 0.0)  # 0 is the value of an end
    assert range_from_reward(0.5, 1.0, 0.75) == (0.0, 4.0)
    assert range_from_reward(-3.0, 1.0, 0.0) == (-3.0, 1.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((-1, 1, 1.0), "give quote_range"),
        ((-1, 1, 1.5), "gamma 1.5"),
        ((-1, 1, -0.1), "gamma -0.1"),
        ((-1, 1, math.nan), "gamma"),
        ((1, -1, 0.9), "empty"),
        ((0, 0, 0.9), "empty"),
        ((-math.inf, 1, 0.9), "finite"),
        ((-1e150, 1, 0.9), "nothing beyond"),
    ],
    ids=str,
)
def test_a_reward_range_that_bounds_nothing_is_refused(
    given: tuple[float, float, float], message: str
) -> None:
    with pytest.raises(WireError, match=message):
        range_from_reward(*given)


@given(
    st.floats(0.01, 0.999),
    st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 3)), max_size=30),
)
def test_reward_that_flows_stays_in_the_range_whatever_the_durations(
    gamma: float, options: list[tuple[float, float]]
) -> None:
    low, high = range_from_reward(-1.0, 1.0, gamma)
    value = 0.0  # after the end
    for rate, duration in reversed(options):
        flown = rate * (1 - gamma**duration) / -math.log(gamma)
        value = flown + gamma**duration * value
        assert low * (1 + 1e-12) <= value <= high * (1 + 1e-12)


@given(
    st.floats(0.01, 0.999),
    st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 3)), max_size=30),
)
def test_reward_paid_at_once_does_if_small_for_short_options(
    gamma: float, options: list[tuple[float, float]]
) -> None:
    low, high = range_from_reward(-1.0, 1.0, gamma)
    value = 0.0
    for paid, duration in reversed(options):
        value = paid * min(duration, 1.0) + gamma**duration * value
        assert low * (1 + 1e-12) <= value <= high * (1 + 1e-12)


def test_a_price_per_call_leaves_the_range_when_calls_are_short() -> None:
    # 1 for each call of a tenth of a unit, for ever, is worth 1 / (1 - 0.9^0.1) = 95 > 10.
    gamma, shortest = 0.9, 0.1
    worth = 1 / (1 - gamma**shortest)
    assert worth > range_from_reward(0, 1, gamma)[1] * 9
    enough = (1 - gamma) / (1 - gamma**shortest)  # what the docstring says to give instead
    assert range_from_reward(0, enough, gamma)[1] == pytest.approx(worth)


def test_rounding_term_by_hand() -> None:
    # Delta 1: nearest 0.9 * 0.5 / 0.1, stochastic at worst 0.9 * 1 / 0.1.
    assert rounding_term(QUARTERS, 0.9) == pytest.approx(4.5)
    assert rounding_term(Scalar(-1, 2, 2, "stochastic"), 0.9) == pytest.approx(9.0)
    assert rounding_term(QUARTERS, 0.0) == 0.0
    for contraction in (1.0, -0.1, math.nan):
        with pytest.raises(WireError, match="contraction"):
            rounding_term(QUARTERS, contraction)


def test_a_quote_costs_next_to_nothing() -> None:
    scalar = Scalar(-20.0, 20.0)
    spent = min(
        timeit.repeat(lambda: decode(scalar, encode(scalar, 1.234, 0.5)), number=10_000, repeat=5)
    )
    # About 1e-6 s on the machine it was written on; the room is for slow and busy ones.
    assert spent / 10_000 < 20e-6
