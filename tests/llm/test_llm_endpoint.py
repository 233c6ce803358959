"""An endpoint on a real socket: one reply to a request, or an error that says why."""

from __future__ import annotations

import gzip
import json
import logging
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest
from llm_parts import MODEL, always, ask, endpoint, request
from openai_server import raw, serving, status, whole
from pydantic import SecretStr

from batonq.base.errors import CallError, DataError
from batonq.llm.endpoint import LARGEST, Endpoint, checked_url
from batonq.llm.request import CUT, ENDED

KEY = "sk-0123456789-never-shown"
PROMPT = request().prompt
SSE = {"content-type": "text/event-stream"}


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
