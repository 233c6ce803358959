"""Trying again: how long, how often, and what servers may ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_parts import Waits

from batonq.base.errors import CallError, RequestError
from batonq.llm.retry import (
    AgainError,
    BusyError,
    Patience,
    SilentError,
    UnfitError,
    insist,
    told_wait,
)

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


def failing(times: int, wait: float | None = None, kind: type[AgainError] = AgainError):
    """An attempt that fails so often before it works; it gives the seconds it had left."""
    left = []

    def attempt(seconds):
        left.append(seconds)
        if len(left) <= times:
            raise kind("it broke", wait)
        return left

    return attempt


def test_waits_double_up_to_the_longest_and_are_drawn_between_nothing_and_that():
    waits = Waits(drawn=0.5)
    patience = Patience(attempts=6, first=1.0, longest=6.0)
    insist(failing(5), "here", patience, waits.clock())
    assert waits.slept == [0.5, 1.0, 2.0, 3.0, 3.0]
    none = Waits(drawn=0.0)
    insist(failing(5), "here", patience, none.clock())
    assert none.slept == [0.0] * 5


def test_an_attempt_knows_what_is_left_of_the_deadline():
    waits = Waits(drawn=0.5)
    patience = Patience(attempts=3, first=4.0, deadline=20.0)
    assert insist(failing(2), "here", patience, waits.clock()) == [20.0, 18.0, 14.0]


def test_the_last_attempt_is_the_last():
    waits = Waits()
    with pytest.raises(CallError, match="here: it broke, at the last of 3 attempts"):
        insist(failing(99), "here", Patience(attempts=3), waits.clock())
    assert len(waits.slept) == 2


def test_nobody_waits_beyond_the_deadline():
    waits = Waits(drawn=0.5)
    patience = Patience(attempts=99, first=8.0, longest=8.0, deadline=10.0)
    with pytest.raises(CallError, match="3 attempts in 8 s"):
        insist(failing(99), "here", patience, waits.clock())
    assert waits.slept == [4.0, 4.0]


def test_a_wait_that_the_server_asks_for_is_kept_to_and_spread_out():
    waits = Waits(drawn=0.5)
    insist(failing(1, wait=20.0), "here", Patience(first=1.0, longest=2.0), waits.clock())
    assert waits.slept == [20.5]


def test_who_asks_for_too_long_a_wait_is_not_asked_again():
    waits = Waits()
    with pytest.raises(CallError, match="asks to wait 121 s; start again after that"):
        insist(failing(1, wait=121.0), "here", Patience(told=120.0), waits.clock())
    assert waits.slept == []


def test_a_busy_server_is_tried_until_the_deadline_and_ever_more_seldom():
    waits = Waits(drawn=0.5)
    patience = Patience(attempts=2, first=1.0, longest=4.0, deadline=10.0)
    with pytest.raises(CallError, match="7 attempts in 10 s") as error:
        insist(failing(99, kind=BusyError), "here", patience, waits.clock())
    assert waits.slept == [0.5, 1.0, 2.0, 2.0, 2.0, 2.0]
    assert not isinstance(error.value, RequestError)


def test_the_tries_that_a_busy_server_put_off_are_not_counted():
    kinds = iter([BusyError, UnfitError, BusyError, AgainError])

    def attempt(seconds):
        raise next(kinds)("it broke")

    with pytest.raises(CallError, match="at the last of 4 attempts"):
        insist(attempt, "here", Patience(attempts=2), Waits().clock())


def test_a_short_wait_that_a_busy_server_asks_for_grows_all_the_same():
    waits = Waits(drawn=0.5)
    insist(failing(4, 1.0, BusyError), "here", Patience(first=1.0), waits.clock())
    assert waits.slept == [1.5, 2.0, 3.0, 5.0]


def test_a_very_long_deadline_ends():
    waits = Waits(drawn=0.5)
    patience = Patience(longest=1.0, deadline=1000.0)
    with pytest.raises(CallError, match="2000 attempts"):
        insist(failing(9999, kind=BusyError), "here", patience, waits.clock())


def test_silence_is_tried_once_more():
    with pytest.raises(CallError, match="at the last of 2 attempts") as error:
        insist(failing(99, kind=SilentError), "here", Patience(), Waits().clock())
    assert not isinstance(error.value, RequestError)
    assert len(insist(failing(1, kind=SilentError), "here", Patience(), Waits().clock())) == 2


def test_a_request_that_a_server_answers_badly_every_time_may_be_to_blame():
    with pytest.raises(RequestError, match="at the last of 3 attempts"):
        insist(failing(99, kind=UnfitError), "here", Patience(attempts=3), Waits().clock())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"Retry-After": "Fri, 15 Jan 2027 08:01:30 GMT"}, 90.0),
        ({"Retry-After": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "2", "x-ratelimit-reset": "50"}, 2.0),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-tokens": "20ms"}, 0.02),
        ({"x-ratelimit-reset-tokens": "1h2m3.5s"}, 3723.5),
        ({"X-RateLimit-Reset": "1800000007"}, 7.0),
        ({"X-RateLimit-Reset": "1800000007500"}, 7.5),
        ({"X-RateLimit-Reset": "1700000000"}, 0.0),
        ({"ratelimit-reset": "4"}, 4.0),
        ({"x-ratelimit-reset": "tomorrow"}, None),
        ({"x-ratelimit-reset-requests": "9s", "x-ratelimit-reset-tokens": "2s"}, 2.0),
        (
            {
                "x-ratelimit-reset-requests": "9s",
                "x-ratelimit-reset-tokens": "2s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-remaining-tokens": "800",
            },
            9.0,
        ),
    ],
)
def test_what_servers_ask_for_is_understood(headers, seconds):
    assert told_wait(headers, NOW) == (None if seconds is None else pytest.approx(seconds))


def test_limits_count_where_one_is_reached():
    reached = {"x-ratelimit-reset": "9", "x-ratelimit-remaining": "0"}
    other = {"x-ratelimit-reset-tokens": "3", "x-ratelimit-remaining-tokens": "5"}
    assert told_wait(other, NOW, limited=False) is None
    assert told_wait({**other, **reached}, NOW, limited=False) == 9.0
    assert told_wait({**other, "retry-after": "2"}, NOW, limited=False) == 2.0


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "x-ratelimit-reset", "x-ratelimit-reset-tokens"]), st.text()
    )
)
def test_whatever_servers_say_it_is_a_wait_or_nothing(headers):
    wait = told_wait(headers, NOW)
    assert wait is None or wait >= 0
