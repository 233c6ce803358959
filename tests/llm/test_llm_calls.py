"""Calls: each is made once, kept before anybody sees it, and never costs more than the limit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llm_parts import CENTS, MODEL, endpoint, request
from openai_server import hold, serving, status, whole

from batonq.base.errors import CallError, DataError, SpentError
from batonq.llm.cache import Cache
from batonq.llm.calls import Calls, Usage
from batonq.llm.endpoint import Endpoint
from batonq.llm.prices import WEIGHTED, Price
from batonq.llm.retry import Patience

PRICES = {MODEL: CENTS}
# 7 tokens in at 100 and 3 out at 1000 US cents per million.
COST = (7 * 100 + 3 * 1000) / 1e6


def most(prompt: str, max_tokens: int = 16) -> float:
    """The most a call can cost: a token per byte, and 64 around them."""
    return ((len(prompt.encode()) + 64) * 100 + max_tokens * 1000) / 1e6


def test_a_call_is_made_once_and_then_known(cache):
    with serving() as server, endpoint(server.url) as one:
        calls = Calls([one], cache, PRICES)
        first, second = calls.ask(request()), calls.ask(request())
        assert (first.cached, second.cached) == (False, True)
        assert first.reply == second.reply
        assert first.cost == second.cost == calls.spent() == COST
        assert (calls.unit, first.unit) == ("US cents", "US cents")
        assert server.asked.total() == 1


def test_one_model_at_two_places_gives_two_answers(cache):
    for said in ("here", "there"):
        with serving(lambda body, said=said: said) as server, endpoint(server.url) as one:
            assert Calls([one], cache, PRICES).ask(request()).reply.text == said
            assert server.asked.total() == 1


def test_the_report_counts_what_was_made_and_what_was_known(cache):
    with serving() as server, endpoint(server.url) as one:
        calls = Calls([one], cache, PRICES)
        replies = [calls.ask(request(prompt)).reply for prompt in "abaab"]
        seconds = replies[0].seconds + replies[1].seconds
        assert calls.report() == [Usage(MODEL, 2, 3, 14, 6, 2 * COST, seconds)]
        again = Calls([one], cache, PRICES)
        again.ask(request("a"))
        assert again.report() == [Usage(MODEL, calls=0, cached=1)]
        assert again.spent() == 2 * COST


def test_an_answer_is_kept_before_it_is_seen(tmp_path):
    path = tmp_path / "calls.db"
    with serving() as server, endpoint(server.url) as one, Cache(path) as cache:
        kept = Calls([one], cache, PRICES).ask(request())
        with Cache(path) as other:
            assert other.find(request(url=one.url)).reply == kept.reply


def test_an_answer_that_cannot_be_kept_is_not_given(tmp_path):
    with serving() as server, endpoint(server.url) as one:
        cache = Cache(tmp_path / "calls.db")
        calls = Calls([one], cache, PRICES)
        cache._db.execute("PRAGMA query_only=ON")
        with pytest.raises(DataError, match="readonly"):
            calls.ask(request())
        assert calls.report()[0].calls == 0
        cache.close()


def test_threads_that_ask_the_same_share_one_call(cache):
    with (
        serving(script=lambda body, nth: held) as server,
        endpoint(server.url) as one,
        ThreadPoolExecutor(6) as pool,
    ):
        calls = Calls([one], cache, PRICES)
        asked = [pool.submit(calls.ask, request()) for _ in range(6)]
        server.held.acquire()
        server.release.set()
        kept = [each.result(timeout=60) for each in asked]
        assert server.asked.total() == 1
    assert sorted(one.cached for one in kept) == [False] + [True] * 5
    assert len({one.reply for one in kept}) == 1
    (usage,) = calls.report()
    assert (usage.calls, usage.cached, usage.cost) == (1, 5, COST)


def held(handler, body):
    """An answer that comes once it is released."""
    handler.server.seen.held.release()
    handler.server.seen.release.wait()
    whole()(handler, body)


def test_a_failure_reaches_all_who_wait_and_the_next_asks_anew(cache):
    def script(body, nth):
        return refused if nth == 1 else None

    def refused(handler, body):
        handler.server.seen.held.release()
        handler.server.seen.release.wait()
        status(400, "against the policy")(handler, body)

    with (
        serving(script=script) as server,
        endpoint(server.url) as one,
        ThreadPoolExecutor(2) as pool,
    ):
        calls = Calls([one], cache, PRICES)
        first = pool.submit(calls.ask, request())
        server.held.acquire()
        second = pool.submit(calls.ask, request())
        wait([second], timeout=0.2)  # gives it time to join the first
        server.release.set()
        failed = first.exception(timeout=60)
        assert "refused the request" in str(failed)
        assert second.exception(timeout=60) in (failed, None)  # None: it came later, and asked anew
        assert calls.ask(request()).reply.text == "fine"
        assert server.answered.total() == 1
    assert len(cache) == 1


def test_different_requests_are_asked_side_by_side(cache):
    both = threading.Barrier(2, timeout=60)

    def meet(handler, body):
        both.wait()
        whole()(handler, body)

    with (
        serving(script=lambda body, nth: meet) as server,
        endpoint(server.url) as one,
        ThreadPoolExecutor(2) as pool,
    ):
        calls = Calls([one], cache, PRICES, limit=100.0)
        assert len(list(pool.map(calls.ask, [request("a"), request("b")]))) == 2


def test_what_is_asked_after_a_failure_is_asked_again_only_where_it_failed(cache):
    def script(body, nth):
        bad = body["messages"][-1]["content"] == "b" and nth <= 2
        return status(500) if bad else None

    with serving(script=script) as server:
        with endpoint(server.url, patience=Patience(attempts=2)) as one:
            calls = Calls([one], cache, PRICES)
            calls.ask(request("a"))
            with pytest.raises(CallError):
                calls.ask(request("b"))
            for prompt in "abc":
                calls.ask(request(prompt))
        assert dict(server.asked) == {"a": 1, "b": 3, "c": 1}
        assert set(server.answered.values()) == {1}


def test_the_limit_stops_before_a_call_that_could_cost_more(cache):
    with serving() as server, endpoint(server.url) as one:
        exact = Calls([one], cache, PRICES, limit=most("a"))
        exact.ask(request("a"))
        with pytest.raises(
            SpentError, match=r"could cost .* US cents, and 0\.0037 of .* are spent"
        ):
            exact.ask(request("b"))
        assert exact.ask(request("a")).cached  # what is known costs nothing
        assert dict(server.asked) == {"a": 1}


def test_nothing_is_asked_within_a_limit_that_no_call_fits(cache):
    with serving() as server, endpoint(server.url) as one:
        for limit in (0.0, most("a") * 0.999):
            with pytest.raises(SpentError):
                Calls([one], cache, PRICES, limit=limit).ask(request("a"))
        assert server.asked.total() == 0


def test_the_limit_counts_what_earlier_runs_spent(cache):
    limit = COST + most("a") * 0.999
    with serving() as server, endpoint(server.url) as one:
        Calls([one], cache, PRICES, limit=limit).ask(request("a"))
        with pytest.raises(SpentError):
            Calls([one], cache, PRICES, limit=limit).ask(request("b"))
        assert dict(server.asked) == {"a": 1}


def test_a_model_that_writes_more_than_it_should_is_taken_to_do_so_again(cache):
    dear = (65 * 100 + 160 * 1000) / 1e6  # ten times as many tokens as are asked for
    limit = 2 * dear + most("a")
    with (
        serving(script=lambda body, nth: whole(usage=(65, 160))) as server,
        endpoint(server.url) as one,
    ):
        calls = Calls([one], cache, PRICES, limit=limit)
        calls.ask(request("a"))
        calls.ask(request("b"))
        with pytest.raises(SpentError, match=r"could cost 0\.1665 US cents"):
            calls.ask(request("c"))
        assert calls.spent() == 2 * dear <= limit
        assert dict(server.asked) == {"a": 1, "b": 1}


def test_a_resumed_run_knows_from_the_cache_that_a_model_writes_more(cache):
    dear = (65 * 100 + 160 * 1000) / 1e6
    limit = 2 * dear + most("a")
    with (
        serving(script=lambda body, nth: whole(usage=(65, 160))) as server,
        endpoint(server.url) as one,
    ):
        for _ in range(2):
            calls = Calls([one], cache, PRICES, limit=limit)
            for prompt in "ab":
                calls.ask(request(prompt))
            with pytest.raises(SpentError, match=r"could cost 0\.1665 US cents"):
                calls.ask(request("c"))
            assert calls.spent() == 2 * dear <= limit
        assert calls.report() == [Usage(MODEL, cached=2)]
        assert dict(server.asked) == {"a": 1, "b": 1}


def test_what_calls_of_another_unit_cost_says_nothing_of_this_one(cache):
    dollars = replace(CENTS, unit="US dollars")
    with (
        serving(script=lambda body, nth: whole(usage=(65, 160))) as server,
        endpoint(server.url) as one,
    ):
        Calls([one], cache, {MODEL: dollars}).ask(request("a"))
        calls = Calls([one], cache, PRICES, limit=most("a"))
        assert calls.ask(request("a")).cached
        assert not calls.ask(request("b")).cached


def test_one_model_that_writes_too_much_makes_no_other_dearer(cache):
    with (
        serving(script=lambda body, nth: whole(usage=(65, 160))) as server,
        endpoint(server.url) as one,
        closing(Endpoint(server.url, "other")) as two,
    ):
        prices = {MODEL: CENTS, "other": CENTS}
        dear = (65 * 100 + 160 * 1000) / 1e6
        calls = Calls([one, two], cache, prices, limit=dear + 2 * most("a"))
        calls.ask(request("a"))
        with pytest.raises(SpentError):
            calls.ask(request("b"))
        assert not calls.ask(request("b", model="other")).cached


@given(st.integers(0, 12), st.integers(1, 6))
@settings(max_examples=15)
def test_threads_never_spend_more_than_the_limit(tmp_path_factory, worth, threads):
    limit = worth * COST
    path = tmp_path_factory.mktemp("calls") / "calls.db"

    def try_one(prompt):
        try:
            return calls.ask(request(prompt))
        except SpentError:
            return None

    # Every answer costs the most that it can: the limit is tight.
    with (
        serving(script=lambda body, nth: whole(usage=(65, 16))) as server,
        endpoint(server.url) as one,
        Cache(path) as cache,
        ThreadPoolExecutor(threads) as pool,
    ):
        calls = Calls([one], cache, PRICES, limit=limit)
        kept = [one for one in pool.map(try_one, "abcdefgh") if one is not None]
        assert calls.spent() <= limit
        assert len(kept) == len(cache) == server.asked.total()
        assert len(kept) == min(8, int(limit / most("a") + 1e-9))


def test_a_reservation_given_back_lets_the_next_one_in(cache):
    """Two calls fit one after the other, not side by side: the second waits, and is made."""
    limit = COST + most("a") * 1.001
    with (
        serving(script=lambda body, nth: held) as server,
        endpoint(server.url) as one,
        ThreadPoolExecutor(2) as pool,
    ):
        calls = Calls([one], cache, PRICES, limit=limit)
        asked = [pool.submit(calls.ask, request(prompt)) for prompt in "ab"]
        server.held.acquire()
        assert not wait(asked, timeout=0.2).done
        assert server.asked.total() == 1
        server.release.set()
        assert [one.result(timeout=60).cached for one in asked] == [False, False]


def test_a_failed_call_gives_its_reservation_back(cache):
    limit = most("a") * 1.001
    with (
        serving(script=lambda body, nth: status(400, "too long") if nth == 1 else None) as server,
        endpoint(server.url) as one,
    ):
        calls = Calls([one], cache, PRICES, limit=limit)
        with pytest.raises(CallError):
            calls.ask(request("a"))
        assert calls.ask(request("a")).cost == COST


def test_a_model_nobody_answers_for_is_refused(cache):
    with endpoint("http://127.0.0.1:9/v1") as one:
        calls = Calls([one], cache, PRICES)
        with pytest.raises(DataError, match="nobody answers for 'other'"):
            calls.ask(request(model="other"))


def test_a_prompt_that_is_no_text_is_refused(cache):
    with endpoint("http://127.0.0.1:9/v1") as one, pytest.raises(DataError, match="is no text"):
        Calls([one], cache, PRICES).ask(request("half a character: \ud83d"))


def test_clients_and_prices_have_to_fit_together(cache):
    other = Price("other", 1.0, 1.0, WEIGHTED, "none", "test", 0.001)
    with (
        closing(Endpoint("http://127.0.0.1:9/v1", "one")) as one,
        closing(Endpoint("http://127.0.0.1:9/v1", "two")) as two,
    ):
        with pytest.raises(DataError, match="'one' is given twice"):
            Calls([one, one], cache, {"one": CENTS})
        with pytest.raises(DataError, match="no price is known for 'two'"):
            Calls([one, two], cache, {"one": CENTS})
        with pytest.raises(DataError, match="US cents and weighted kilotokens, which do not add"):
            Calls([one, two], cache, {"one": CENTS, "two": other})
        with pytest.raises(DataError, match="no model is given"):
            Calls([], cache, {})


def test_closing_closes_the_clients(cache):
    with serving() as server:
        with Calls([Endpoint(server.url, MODEL)], cache, PRICES) as calls:
            calls.ask(request("a"))
        with pytest.raises(RuntimeError, match="closed"):
            calls._clients[MODEL].complete(request("b"))


def test_a_call_under_way_ends_in_an_error_when_the_server_goes(cache):
    with (
        serving(script=lambda body, nth: hold()) as server,
        endpoint(server.url, patience=Patience(attempts=1)) as one,
        ThreadPoolExecutor(1) as pool,
    ):
        calls = Calls([one], cache, PRICES, limit=1.0)
        asked = pool.submit(calls.ask, request())
        server.held.acquire()
        server.release.set()
        with pytest.raises(CallError, match="no answer came"):
            asked.result(timeout=60)
    assert len(cache) == 0
