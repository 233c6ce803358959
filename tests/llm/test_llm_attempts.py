"""What is tried again, how often, and what it ends in when it does not pass."""

from __future__ import annotations

import json
import re
import socket
from contextlib import closing

import pytest
from llm_parts import MODEL, Waits, always, ask, endpoint, once, request
from openai_server import Answer, cut, hold, raw, reset, serving, status, stream
from pydantic import SecretStr

from batonq.base.errors import CallError, RequestError
from batonq.llm.endpoint import Endpoint
from batonq.llm.retry import Patience

KEY = "sk-0123456789-never-shown"
PROMPT = request().prompt
SSE = {"content-type": "text/event-stream"}
DEEP = b'{"a":' * 100_000  # deeper than Python's reader goes


def told(code: object, message: str = "upstream", streams: bool = False) -> Answer:
    """An error with such a code in what began as an answer."""
    error = {"error": {"code": code, "message": message}}
    if not streams:
        return raw(json.dumps(error).encode())
    begun = {"choices": [{"delta": {"content": "a"}}]}
    return raw(
        b"".join(f"data: {json.dumps(one)}\n\n".encode() for one in (begun, error)), 200, SSE
    )


# Every way of failing that another attempt may mend.
PASSING = {
    "408": status(408),
    "425": status(425),
    "429": status(429, "slow down"),
    "500": status(500),
    "502 that is no JSON": raw(b"<html>bad gateway</html>", 502),
    "503": status(503),
    "504": status(504),
    "520": status(520),
    "521": status(521),
    "522": status(522),
    "523": status(523),
    "524": status(524),
    "529": status(529, "overloaded"),
    "no JSON": raw(b'{"choices": [{"mess'),
    "nothing": raw(b""),
    "bytes": raw(b"\xff\xfe\x00"),
    "too deep": raw(DEEP),
    "no completion": raw(b'{"object": "list", "data": []}'),
    "an error as a success": raw(b'{"error": {"message": "upstream failed"}}'),
    "an error with a word for code": told("server_error"),
    "an error with an odd code": told(200),
    "a 500 as a success": told(500),
    "a 502 as a success": told(502),
    "a 503 as a success": told(503),
    "a 504 as a success": told(504),
    "a 502 in a choice": raw(b'{"choices": [{"error": {"code": 502}}]}'),
    "a stream with a 429": told(429, streams=True),
    "a stream with a 500": told(500, streams=True),
    "a stream with a 502": told(502, streams=True),
    "a stream with a 524": told(524, streams=True),
    "broken gzip": raw(b"\x1f\x8b broken", 200, {"content-encoding": "gzip"}),
    "a reset": reset(),
    "a reset in the middle": cut(),
    "a stream without its end": stream(ends=False, counts=False),
    "a stream of nothing": raw(b"data: [DONE]\n\n", 200, SSE),
    "a stream of no choices": raw(b'data: {"usage": {}}\n\ndata: [DONE]\n\n', 200, SSE),
    "a stream with an error": raw(b'data: {"error": {"message": "overloaded"}}\n\n', 200, SSE),
    "a stream that is none": raw(b"data: {\n\n", 200, SSE),
}
# The deadline alone ends these.
BUSY = ("408", "425", "429", "503", "529", "a 503 as a success", "a stream with a 429")
SILENT = ("504", "524", "a 504 as a success", "a stream with a 524")  # may be billed every time
# Nobody knows whether the server would answer.
AWAY = (
    *("502 that is no JSON", "520", "521", "522", "523"),
    *("a 502 as a success", "a 502 in a choice", "a stream with a 502"),
    *("a reset", "a reset in the middle", "broken gzip"),
)


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("streams", [False, True])
def test_what_may_pass_is_tried_again_and_answered_once(name, streams):
    waits = Waits(drawn=0.5)
    with serving(script=once(PASSING[name])) as server:
        reply = ask(server.url, request(), waits, stream=streams)
    assert reply.text == "fine"
    assert server.asked[PROMPT] == 2
    assert waits.slept == [0.5]


@pytest.mark.parametrize("name", sorted(PASSING.keys() - set(BUSY)))
def test_what_does_not_pass_is_an_error_after_the_last_attempt(name):
    tried = 2 if name in SILENT else 3
    said = f"{MODEL} at http://.*at the last of {tried} attempts"
    with (
        serving(script=always(PASSING[name])) as server,
        pytest.raises(CallError, match=said) as error,
    ):
        ask(server.url, request(), patience=Patience(attempts=3))
    assert server.asked[PROMPT] == tried
    there = name not in (*SILENT, *AWAY)
    assert isinstance(error.value, RequestError) == there  # it answers: the request may be to blame


@pytest.mark.parametrize("name", BUSY)
def test_a_busy_server_is_asked_until_the_deadline(name):
    waits = Waits(drawn=0.5)
    patience = Patience(attempts=1, longest=8.0, deadline=20.0)
    with (
        serving(script=always(PASSING[name])) as server,
        pytest.raises(CallError, match="at the last of 8 attempts in 20 s") as error,
    ):
        ask(server.url, request(), waits, patience=patience)
    assert not isinstance(error.value, RequestError)
    assert waits.slept == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0]
    assert server.asked[PROMPT] == 8


def test_the_wait_that_an_error_in_an_answer_asks_for_is_kept_to():
    waits = Waits(drawn=0.0)
    answers = [told(429, "Please retry in 52.5s."), told(503, "try again in 2s", streams=True)]
    with serving(script=lambda body, nth: ([None, *answers, None])[nth]) as server:
        assert ask(server.url, request(), waits).text == "fine"
    assert waits.slept == [52.5, 2.0]


def test_a_server_that_was_away_once_may_be_to_blame_for_the_rest():
    answers = [status(500), reset(), raw(b"nothing")]
    with (
        serving(script=lambda body, nth: answers[nth - 1]) as server,
        pytest.raises(CallError, match=r"is not JSON.*at the last of 3 attempts") as error,
    ):
        ask(server.url, request(), patience=Patience(attempts=3))
    assert not isinstance(error.value, RequestError)


def test_a_server_that_is_silent_is_tried_again():
    with serving(script=once(hold())) as server:
        assert ask(server.url, request(), seconds=2.0).text == "fine"
        assert server.asked[PROMPT] == 2


def test_a_server_that_stays_silent_is_tried_once_more_and_no_oftener():
    with serving(script=always(hold())) as server:
        with pytest.raises(CallError, match=r"ReadTimeout.*at the last of 2 attempts") as error:
            ask(server.url, request(), seconds=0.2)
        assert server.asked[PROMPT] == 2
    assert not isinstance(error.value, RequestError)


def test_an_answer_that_drips_for_ever_ends_at_the_deadline():
    def drip(handler, body):
        handler.pieces([b": wait\n\n"] * 3)
        while not handler.server.seen.release.wait(0.01):
            handler.wfile.write(b"8\r\n: wait\n\n\r\n")

    patience = Patience(deadline=2.0)
    with (
        serving(script=always(drip)) as server,
        closing(Endpoint(server.url, MODEL, patience=patience)) as one,
        pytest.raises(CallError, match="the answer did not end in time"),
    ):
        one.complete(request())


def test_a_server_that_is_not_there_is_an_error_that_says_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    waits = Waits()
    with pytest.raises(CallError, match=f"127.0.0.1:{port}.*no answer came.*2 attempts"):
        ask(f"http://127.0.0.1:{port}/v1", request(), waits, patience=Patience(attempts=2))


def test_the_wait_that_a_server_asks_for_is_kept_to():
    waits = Waits(drawn=0.0)
    answers = [
        status(429, "slow down", {"retry-after": "7"}),
        status(503, "wait", {"retry-after": "Fri, 15 Jan 2027 08:00:37 GMT"}),
        status(429, "slow down", {"x-ratelimit-reset-requests": "1m0s"}),
        status(429, "You exceeded your current quota. Please retry in 52.5s."),
        status(429, "Please retry in 52.5s.", {"retry-after": "3"}),
    ]
    with serving(script=lambda body, nth: ([None, *answers, None])[nth]) as server:
        ask(server.url, request(), waits)
    # The clock stands at 08:00:07 when the date is told.
    assert waits.slept == [7.0, 30.0, 60.0, 52.5, 3.0]


def test_the_state_of_a_limit_that_is_not_reached_is_no_wait():
    limits = {"x-ratelimit-reset": "3600", "x-ratelimit-remaining": "950"}
    waits = Waits(drawn=0.5)
    with serving(script=once(status(502, "bad gateway", limits))) as server:
        assert ask(server.url, request(), waits).text == "fine"
    assert waits.slept == [0.5]
    reached = {**limits, "x-ratelimit-remaining": "0"}
    for answer in (status(502, "bad gateway", reached), status(429, "slow down", limits)):
        with (
            serving(script=always(answer)) as server,
            pytest.raises(CallError, match="asks to wait 3600 s"),
        ):
            ask(server.url, request())


def test_a_wait_that_one_call_is_told_is_waited_by_all():
    waits, patience = Waits(), Patience(first=100.0, longest=100.0, deadline=40.0)
    answers = iter([status(429, "slow down", {"retry-after": "7"}), None, None])
    with (
        serving(script=lambda body, nth: next(answers)) as server,
        endpoint(server.url, waits, patience=patience) as one,
    ):
        with pytest.raises(CallError, match="slow down"):
            one.complete(request("a"))
        assert one.complete(request("a")).text == "fine"
        assert one.complete(request("b")).text == "fine"
    assert waits.slept == [7.0]


def test_a_limit_that_lasts_too_long_ends_the_call():
    answer = status(429, "daily limit", {"retry-after": "86400"})
    waits = Waits()
    with (
        serving(script=always(answer)) as server,
        pytest.raises(CallError, match=r"daily limit.*asks to wait 86400 s"),
    ):
        ask(server.url, request(), waits)
    assert (server.asked[PROMPT], waits.slept) == (1, [])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (status(400, "prompt is too long"), "refused the request .400: prompt is too long"),
        (status(400, "Your credit balance is too low"), "the key or the account .400: Your credit"),
        (status(400, "API key not valid"), "refused the key or the account .400: API key not"),
        (status(401, "bad key"), "refused the key .401: bad key"),
        (status(402, "no money"), "refused the request .402: no money"),
        (status(403, "not for you"), "refused the key .403: not for you"),
        (status(404, "no such model"), "knows no such model or address .no such model"),
        (status(405, "POST?"), "refused the request .405"),
        (status(413, "too large"), "refused the request .413"),
        (status(403, "Your input was flagged"), "refused the request .403: Your input was"),
        (status(422, "a picture is too large"), "refused the request .422"),
        (status(429, "insufficient_quota"), "refused the request .429: insufficient_quota"),
        (told(400, "prompt is too long"), "refused the request .400: prompt is too long"),
        (told(401, "bad key"), "refused the key .401: bad key"),
        (told(402, "no money"), "refused the request .402: no money"),
        (told(402, "no money", streams=True), "refused the request .402: no money"),
        (told(403, "Your input was flagged", streams=True), "refused the request .403: Your input"),
        (told(429, "insufficient_quota"), "refused the request .429: insufficient_quota"),
        (status(301, "", {"location": "https://elsewhere.example/v1"}), "another address .301"),
        (status(307, "", {"location": "/v2/chat/completions"}), "another address .307"),
    ],
)
def test_what_no_attempt_can_mend_is_asked_once(answer, said):
    waits = Waits()
    with serving(script=always(answer)) as server, pytest.raises(CallError, match=said) as error:
        ask(server.url, request(), waits, key=SecretStr(KEY))
    assert (server.asked[PROMPT], waits.slept) == (1, [])
    of_request = re.search(r"request .4(00|03|13|22)", str(error.value))
    assert isinstance(error.value, RequestError) == bool(of_request)
