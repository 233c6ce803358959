"""An endpoint on a real socket: one reply to a request, or an error that says why."""

from __future__ import annotations

import gzip
import json
import logging
import re
import socket
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest
from llm_parts import MODEL, Waits, always, ask, endpoint, once, request
from openai_server import cut, hold, raw, reset, serving, status, stream, whole
from pydantic import SecretStr

from batonq.base.errors import CallError, DataError, RequestError
from batonq.llm.endpoint import LARGEST, Endpoint, checked_url
from batonq.llm.request import CUT, ENDED
from batonq.llm.retry import Patience

KEY = "sk-0123456789-never-shown"
PROMPT = request().prompt
SSE = {"content-type": "text/event-stream"}
BUSY = ("408", "425", "429", "503", "529")  # of those below: the deadline alone ends them
DEEP = b'{"a":' * 100_000  # deeper than Python's reader goes

# Every way of failing that another attempt may mend.
PASSING = {
    "408": status(408),
    "425": status(425),
    "429": status(429, "slow down"),
    "500": status(500),
    "502 that is no JSON": raw(b"<html>bad gateway</html>", 502),
    "503": status(503),
    "504": status(504),
    "529": status(529, "overloaded"),
    "no JSON": raw(b'{"choices": [{"mess'),
    "nothing": raw(b""),
    "bytes": raw(b"\xff\xfe\x00"),
    "too deep": raw(DEEP),
    "no completion": raw(b'{"object": "list", "data": []}'),
    "an error as a success": raw(b'{"error": {"message": "upstream failed"}}'),
    "broken gzip": raw(b"\x1f\x8b broken", 200, {"content-encoding": "gzip"}),
    "a reset": reset(),
    "a reset in the middle": cut(),
    "a stream without its end": stream(ends=False),
    "a stream with an error": raw(b'data: {"error": {"message": "overloaded"}}\n\n', 200, SSE),
    "a stream that is none": raw(b"data: {\n\n", 200, SSE),
}


def test_a_reply_is_what_the_server_wrote():
    with serving(lambda body: "six times seven", always(whole(usage=(11, 3)))) as server:
        reply = ask(server.url, request(alternatives=2))
    assert reply.text == "six times seven"
    assert (reply.finish, reply.tokens_in, reply.tokens_out) == (ENDED, 11, 3)
    assert reply.logprobs == (-0.5, -1.0, -1.5)
    assert reply.first == (("t0", 0.0), ("t1", -0.5))


def test_the_request_is_what_was_asked():
    asked = request(system="Be brief.", alternatives=3, temperature=0.5, seed=4)
    with serving() as server:
        ask(server.url, asked)
        ask(server.url + "/", request(alternatives=99))
    assert server.paths == ["/v1/chat/completions"] * 2
    assert server.keys == [None, None]
    assert server.bodies[0] == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": PROMPT},
        ],
        "max_tokens": 16,
        "temperature": 0.5,
        "seed": 4,
        "logprobs": True,
        "top_logprobs": 3,
    }
    assert server.bodies[1]["top_logprobs"] == 20  # the most such servers tell


def test_an_answer_cut_at_its_longest_is_an_answer():
    with serving(script=always(whole("six times", finish="length"))) as server:
        assert ask(server.url, request()).finish == CUT
    assert server.asked[PROMPT] == 1


def test_tokens_are_estimated_where_the_server_counts_none():
    with serving(script=always(whole("12345", usage=None))) as server:
        reply = ask(server.url, request("x" * 8))
    assert (reply.tokens_in, reply.tokens_out) == (2, 2)


def test_a_server_that_tells_no_log_probabilities_is_used_all_the_same():
    with serving(script=always(whole(logprobs=False))) as server:
        reply = ask(server.url, request(alternatives=2))
    assert (reply.text, reply.logprobs, reply.first) == ("fine", (), ())


def test_a_compressed_answer_is_read():
    content = gzip.compress(b'{"choices": [{"message": {"content": "a"}}]}')
    with serving(script=always(raw(content, 200, {"content-encoding": "gzip"}))) as server:
        assert ask(server.url, request()).text == "a"


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
    with (
        serving(script=always(PASSING[name])) as server,
        pytest.raises(CallError, match=f"{MODEL} at http://.*at the last of 3 attempts") as error,
    ):
        ask(server.url, request(), patience=Patience(attempts=3))
    assert server.asked[PROMPT] == 3
    there = name not in ("504", "a reset", "a reset in the middle", "broken gzip")
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


def test_a_key_that_is_missing_is_asked_for():
    with (
        serving(script=always(status(401))) as server,
        pytest.raises(CallError, match="needs a key"),
    ):
        ask(server.url, request())


def test_the_key_goes_to_no_other_host():
    with serving() as other:
        away = status(307, "", {"location": f"{other.url}/chat/completions"})
        with serving(script=always(away)) as server, pytest.raises(CallError):
            ask(server.url, request(), key=SecretStr(KEY))
    assert (server.keys, other.keys) == ([f"Bearer {KEY}"], [])


@pytest.mark.parametrize("named", [LARGEST + 1, 10 * LARGEST])
def test_an_answer_without_bounds_is_refused(named):
    def endless(handler, body):
        handler.send_response(200)
        handler.send_header("content-length", str(named))
        handler.end_headers()
        for _ in range(0, named, 1 << 16):
            handler.wfile.write(b" " * (1 << 16))

    with (
        serving(script=always(endless)) as server,
        pytest.raises(CallError, match=f"longer than {LARGEST} bytes"),
    ):
        ask(server.url, request())
    assert server.asked[PROMPT] == 1


def test_threads_get_each_its_own_reply():
    prompts = [f"question {n}" for n in range(40)]

    def script(body, nth):
        return status(500) if nth == 1 else None

    def text(body):
        return "to " + body["messages"][-1]["content"]

    with (
        serving(text, script) as server,
        endpoint(server.url) as one,
        ThreadPoolExecutor(8) as pool,
    ):
        replies = list(pool.map(lambda prompt: one.complete(request(prompt)).text, prompts))
    assert replies == [f"to {prompt}" for prompt in prompts]
    assert set(server.asked.values()) == {2}


def test_the_key_shows_nowhere(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    echoes = [
        status(500, f"key {KEY} is overloaded"),
        raw(f'{{"no": "completion for {KEY}"}}'.encode()),
        raw((f"data: {KEY}\n\n").encode(), 200, SSE),
        raw(b"x" * 280 + KEY.encode(), 503),
        whole(f"your key is {KEY}"),
    ]
    with (
        serving(script=lambda body, nth: echoes[nth - 1]) as server,
        endpoint(server.url, key=SecretStr(KEY)) as one,
    ):
        reply = one.complete(request())
    assert server.keys == [f"Bearer {KEY}"] * len(echoes)
    assert reply.text == "your key is [key]"
    told = [repr(one), repr(vars(one)), caplog.text, *capfd.readouterr()]
    for code in (400, 401, 404, 429):
        echo = always(status(code, f"insufficient_quota for {KEY}"))
        with serving(script=echo) as server, pytest.raises(CallError) as error:
            ask(server.url, request(), key=SecretStr(KEY))
        told.append(str(error.value))
    for one_told in told:
        assert KEY not in one_told
        assert KEY[:8] not in one_told


def test_what_a_server_says_does_not_reach_a_terminal_as_commands():
    answer = status(400, "\x1b[2Jgone\r\n")
    with serving(script=always(answer)) as server, pytest.raises(CallError) as error:
        ask(server.url, request())
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://models.example/v1", "would go unencrypted"),
        ("http://10.0.0.1/v1", "would go unencrypted"),
        ("ftp://models.example", "is no URL"),
        ("models.example/v1", "is no URL"),
        ("https://", "is no URL"),
        ("", "is no URL"),
        ("https://me:secret-word@models.example/v1", "holds a name"),
        ("https://models.example/v1?api_key=secret-word", "holds a name"),
        ("https://models.example/v1#secret-word", "holds a name"),
        ("https://models.example:port/v1", "cannot be read"),
        ("me:secret-word@models.example/v1", "'models.example/v1' is no URL"),
        ("//me:secret-word@models.example/v1", "holds a name"),
        ("https://me:secret-word@models.example:port/v1", "cannot be read"),
        ("https://mod\x00els.example/v1", "cannot be read"),
        ("https://me:sec/ret@models.example/v1", "cannot be read"),
        ("https://me:hunter?2@h/v1", "cannot be read"),
        ("https://me:hunter#2@h/v1", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_shows_no_secret(url, said):
    with pytest.raises(DataError, match=said) as error:
        Endpoint(url, MODEL)
    shown = "".join(traceback.format_exception(error.value))
    for secret in ("secret-word", "'sec'", "sec/", "hunter"):
        assert secret not in shown


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080/v1",
        "http://127.0.0.1:8080/v1",
        "http://[::1]:8080/v1",
        "https://models.example/v1",
    ],
)
def test_a_url_that_can_be_used_is_taken_as_it_is(url):
    assert checked_url(url) == checked_url(url + "/") == url


def test_no_encryption_can_be_allowed():
    assert checked_url("http://models.example/v1", plain=True) == "http://models.example/v1"


def test_a_proxy_of_the_environment_does_not_see_calls_to_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serving() as server:
        with closing(httpx.Client()) as other:
            assert other._mounts  # the environment has proxies
        assert ask(server.url, request()).text == "fine"


def test_the_label_is_a_plain_word():
    with closing(Endpoint("https://h.example/v1", "Qwen/Qwen2.5 Coder")) as one:
        assert one.label == "qwen-qwen2.5-coder"


def test_bodies_are_json_that_other_servers_read():
    with serving() as server:
        ask(server.url, request("half past ½ — \u2028 😀"))
    assert json.loads(json.dumps(server.bodies[0]))["messages"][0]["content"] == (
        "half past ½ — \u2028 😀"
    )
