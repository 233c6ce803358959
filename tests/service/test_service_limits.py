import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.service.limits import Buckets, Rate, check_length, read_body, replay
from batonq.service.problems import ProblemError


def test_a_bucket_by_hand():
    buckets = Buckets(Rate(per_second=2.0, burst=3.0))
    assert [buckets.take("a", 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert buckets.take("a", 0.0) == 0.5  # a token takes half a second
    assert buckets.take("a", 0.25) == 0.25
    assert buckets.take("a", 0.5) == 0.0
    assert buckets.take("a", 0.5) == 0.5
    assert [buckets.take("a", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]  # no more than 3


def test_principals_do_not_share_a_bucket():
    buckets = Buckets(Rate(1.0, 1.0))
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.0) == 1.0


def test_a_call_of_more_than_the_burst_is_paid_back():
    buckets = Buckets(Rate(per_second=1.0, burst=10.0))
    assert buckets.take("a", 0.0, 25.0) == 0.0  # it would never pass otherwise
    assert buckets.take("a", 0.0) == 16.0  # 15 are owed, and one is needed
    assert buckets.take("a", 16.0) == 0.0
    assert buckets.take("a", 16.0, 25.0) == 10.0  # passes when the bucket is full


def test_a_clock_that_jumps_back_gives_nothing():
    buckets = Buckets(Rate(1.0, 2.0))
    assert buckets.take("a", 100.0) == 0.0
    assert buckets.take("a", 50.0) == 0.0
    assert buckets.take("a", 50.0) == 1.0


def test_memory_is_bounded():
    buckets = Buckets(Rate(1e-9, 1.0), most=10)
    for k in range(50):
        assert buckets.take(f"address {k}", 0.0) == 0.0
    assert len(buckets._levels) == 10
    assert buckets.take("address 49", 0.0) > 0


@given(
    rate=st.floats(0.1, 100.0),
    burst=st.integers(1, 20),
    gaps=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=80),
)
def test_no_window_grants_more_than_burst_and_rate(rate, burst, gaps):
    buckets, now, granted = Buckets(Rate(rate, burst)), 0.0, []
    for gap in gaps:
        now += gap
        if buckets.take("a", now) == 0.0:
            granted.append(now)
    for i, first in enumerate(granted):
        for j in range(i, len(granted)):
            # one more for rounding at the edge of a token
            assert j - i + 1 <= burst + rate * (granted[j] - first) + 1e-6


@given(rate=st.floats(0.1, 100.0), burst=st.integers(1, 5), calls=st.integers(1, 30))
def test_who_waits_as_told_gets_through(rate, burst, calls):
    buckets, now = Buckets(Rate(rate, burst)), 0.0
    for _ in range(calls):
        wait = buckets.take("a", now)
        if wait:
            now += wait * (1 + 1e-9)
            assert buckets.take("a", now) == 0.0


@pytest.mark.parametrize(
    ("per_second", "burst"),
    [(0, 1), (-1, 1), (1, 0.5), (float("nan"), 1), (1, float("nan")), (float("inf"), 1)],
)
def test_a_rate_that_cannot_be_is_refused(per_second, burst):
    with pytest.raises(ModelError, match="rate of"):
        Rate(per_second, burst)


@pytest.mark.parametrize("stated", [None, "0", "10"])
def test_a_length_within_the_limit_passes(stated):
    check_length(stated, 10)


@pytest.mark.parametrize(
    ("stated", "status"),
    [
        ("11", 413),
        ("9" * 20, 413),
        ("9" * 5000, 400),
        ("-1", 400),
        ("+1", 400),
        ("1e3", 400),
        ("0x10", 400),
        ("1 ", 400),
        ("٣", 400),
        ("", 400),
    ],
)
def test_another_length_is_refused(stated, status):
    with pytest.raises(ProblemError) as caught:
        check_length(stated, 10)
    assert caught.value.status == status


def messages(*parts, then=None):
    """A `receive` of ASGI that gives a body in parts; `then` follows, else it waits for ever."""
    given = [
        {"type": "http.request", "body": part, "more_body": k < len(parts) - 1 or then is not None}
        for k, part in enumerate(parts)
    ]

    async def receive():
        if given:
            return given.pop(0)
        if then is None:
            await asyncio.sleep(3600)
        return {"type": then}

    return receive


def read(receive, limit=10, seconds=5.0):
    return asyncio.run(read_body(receive, limit, seconds))


def test_a_body_in_parts_is_joined():
    assert read(messages(b"ab", b"", b"cde")) == b"abcde"
    assert read(messages(b"")) == b""
    assert read(messages(b"x" * 10)) == b"x" * 10


def test_a_body_without_a_length_is_cut_off_at_the_limit():
    asked = 0

    async def endless():
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"xxxx", "more_body": True}

    with pytest.raises(ProblemError) as caught:
        read(endless)
    assert caught.value.status == 413
    assert asked == 3  # 12 bytes are more than 10


def test_a_caller_who_hangs_up_gives_no_body():
    assert read(messages(b"ab", then="http.disconnect")) is None


def test_a_body_that_does_not_come_is_given_up():
    with pytest.raises(ProblemError) as caught:
        read(messages(), seconds=0.01)
    assert caught.value.status == 408
    assert caught.value.headers["Connection"] == "close"


def test_a_read_body_can_be_received_again():
    async def check():
        receive = replay(b"abc", messages(then="http.disconnect"))
        assert await receive() == {"type": "http.request", "body": b"abc", "more_body": False}
        assert (await receive())["type"] == "http.disconnect"

    asyncio.run(check())
