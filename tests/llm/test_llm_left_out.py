"""What a server refuses and a call can do without is left out, and nothing else is."""

from __future__ import annotations

import json

import pytest
from llm_parts import Waits, always, ask, endpoint, request
from openai_server import prompt_of, raw, reset, serving, status

from batonq.base.errors import CallError, RequestError

PROMPT = request().prompt


@pytest.mark.parametrize(
    ("refused", "left_out", "streams"),
    [
        ("logprobs", {"logprobs", "top_logprobs"}, False),
        ("top_logprobs", {"logprobs", "top_logprobs"}, False),
        ("seed", {"seed"}, False),
        ("temperature", {"temperature"}, False),
        ("temperature", {"temperature"}, True),
    ],
)
@pytest.mark.parametrize("code", [400, 422, 403, 404, 500, 501])
def test_what_a_server_does_not_know_is_left_out_from_then_on(refused, left_out, streams, code):
    def script(body, nth):
        return status(code, f"Unknown parameter: '{refused}'") if refused in body else None

    waits = Waits()
    with serving(script=script) as server, endpoint(server.url, waits, stream=streams) as one:
        assert one.complete(request("a")).text == "fine"
        assert one.complete(request("b")).text == "fine"
    assert set(server.bodies[0]) - set(server.bodies[1]) == left_out
    assert server.bodies[2].keys() == server.bodies[1].keys()
    assert waits.slept == []


@pytest.mark.parametrize("code", [400, 422, 403, 404, 500, 501])
def test_a_server_that_streams_and_will_not_count_is_asked_for_whole_answers(code):
    def script(body, nth):
        return status(code, "Unknown: 'stream_options'") if "stream_options" in body else None

    waits = Waits()
    with serving(script=script) as server, endpoint(server.url, waits, stream=True) as one:
        assert one.complete(request("a")).tokens_out == 1  # streamed, and estimated
        assert one.complete(request("b")).tokens_out == 3
        assert one.complete(request("c")).tokens_out == 3
    assert set(server.bodies[0]) - set(server.bodies[1]) == {"stream_options"}
    assert set(server.bodies[1]) - set(server.bodies[2]) == {"stream"}
    assert server.bodies[3].keys() == server.bodies[2].keys()
    assert waits.slept == []


@pytest.mark.parametrize("code", [400, 422, 403, 404, 501])
def test_a_server_that_does_not_stream_is_asked_for_whole_answers(code):
    def script(body, nth):
        return status(code, "Streaming is not supported") if "stream" in body else None

    waits = Waits()
    with serving(script=script) as server, endpoint(server.url, waits, stream=True) as one:
        assert one.complete(request("a")).text == "fine"
        assert one.complete(request("b")).text == "fine"
    assert set(server.bodies[0]) - set(server.bodies[1]) == {"stream", "stream_options"}
    assert server.bodies[2].keys() == server.bodies[1].keys()
    assert waits.slept == []


def test_a_server_that_knows_neither_loses_one_after_the_other():
    def script(body, nth):
        for name in ("logprobs", "seed"):
            if name in body:
                return status(400, f"{name}: extra inputs are not permitted")
        return None

    with serving(script=script) as server:
        assert ask(server.url, request()).text == "fine"
    assert server.asked[PROMPT] == 3


def test_a_server_with_the_newer_name_for_the_longest_reply_gets_it():
    said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    with serving(script=lambda body, nth: status(400, said) if nth == 1 else None) as server:
        assert ask(server.url, request()).text == "fine"
    assert "max_tokens" not in server.bodies[1]
    assert server.bodies[1]["max_completion_tokens"] == 16


def test_a_refusal_that_names_nothing_is_tried_once_without_all_that_can_be_left_out():
    def script(body, nth):
        return status(422, "what?") if "seed" in body else None

    with serving(script=script) as server, endpoint(server.url) as one:
        assert one.complete(request("a")).text == "fine"
        assert one.complete(request("b")).text == "fine"
    assert [set(body) for body in server.bodies[1:]] == [{"model", "messages", "max_tokens"}] * 2
    assert server.asked == {"a": 2, "b": 1}


def test_where_that_does_not_help_nothing_is_left_out():
    def script(body, nth):
        return status(422, "what?") if prompt_of(body) in "ab" else None

    with serving(script=script) as server, endpoint(server.url) as one:
        for prompt in "ab":
            with pytest.raises(RequestError, match=r"refused the request .422: what"):
                one.complete(request(prompt))
        assert one.complete(request("c")).text == "fine"
    assert server.asked == {"a": 2, "b": 1, "c": 1}
    assert server.bodies[3].keys() == server.bodies[0].keys()


@pytest.mark.parametrize("met", [status(429), status(503), status(502), status(504), reset()])
def test_whether_that_helps_is_not_known_while_the_server_is_away(met):
    def script(body, nth):
        if "seed" in body:
            return status(422, "what?")
        return met if nth == 2 else None

    waits = Waits(drawn=0.5)
    with serving(script=script) as server, endpoint(server.url, waits) as one:
        assert one.complete(request("a")).text == "fine"
        assert one.complete(request("b")).text == "fine"
    assert ["seed" in body for body in server.bodies] == [True, False, True, False, False]
    assert waits.slept == [0.5]


def test_whether_that_helps_is_not_known_where_it_met_another_error():
    def script(body, nth):
        if "seed" in body:
            return status(422, "what?")
        return status(500) if prompt_of(body) == "a" else None

    with serving(script=script) as server, endpoint(server.url) as one:
        with pytest.raises(RequestError, match=r"refused the request .422: what"):
            one.complete(request("a"))
        assert one.complete(request("b")).text == "fine"
    assert server.asked == {"a": 2, "b": 2}


def test_a_model_that_has_answered_is_not_asked_twice_for_what_it_refuses():
    def script(body, nth):
        return status(422, "what?") if prompt_of(body) == "b" else None

    with serving(script=script) as server, endpoint(server.url) as one:
        one.complete(request("a"))
        with pytest.raises(RequestError, match="what"):
            one.complete(request("b"))
    assert server.asked == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    "answer",
    [
        status(400, "System role not supported"),
        status(500, "Jinja Exception: System role not supported"),
        status(400, "Developer instruction is not enabled for models/gemma-3-27b-it"),
        raw(
            b'{"error": {"param": "messages[0].role", "message": "Unsupported value: '
            b"'messages[0].role' does not support 'system' with this model.\"}}",
            400,
        ),
        status(400, "Conversation roles must alternate user/assistant/user/assistant/..."),
        status(400, "Only user and assistant roles are supported!"),
    ],
)
def test_a_model_without_a_system_message_gets_it_before_the_prompt(answer):
    def script(body, nth):
        return answer if body["messages"][0]["role"] == "system" else None

    with serving(script=script) as server, endpoint(server.url) as one:
        for prompt in "ab":
            assert one.complete(request(prompt, system="Be brief.")).text == "fine"
        assert one.complete(request("c")).text == "fine"
    assert [body["messages"] for body in server.bodies[1:]] == [
        [{"role": "user", "content": said}] for said in ("Be brief.\n\na", "Be brief.\n\nb", "c")
    ]
    assert server.bodies[1].keys() == server.bodies[0].keys()


def test_a_refusal_that_repeats_the_request_takes_nothing_away():
    def script(body, nth):
        if prompt_of(body) == "a":
            echo = {"error": {"message": "prompt is too long", "param": None}, "request": body}
            return raw(json.dumps(echo).encode(), 400)
        if prompt_of(body) == "b":
            loc = ["body", "messages", 0, "content"]
            echo = {"detail": [{"loc": loc, "msg": "what about temperature?", "input": body}]}
            return raw(json.dumps(echo).encode(), 422)
        return None

    with serving(script=script) as server, endpoint(server.url) as one:
        for prompt in "ab":
            with pytest.raises(RequestError, match="refused the request"):
                one.complete(request(prompt))
        one.complete(request("c"))
    assert server.asked == {"a": 1, "b": 1, "c": 1}
    assert server.bodies[2].keys() == server.bodies[0].keys()


def test_a_refusal_that_goes_on_is_an_error():
    answer = status(400, "seed and logprobs, stream_options and max_completion_tokens: no")
    with serving(script=always(answer)) as server, pytest.raises(CallError, match="refused"):
        ask(server.url, request(), stream=True)
    assert server.asked[PROMPT] == 5
