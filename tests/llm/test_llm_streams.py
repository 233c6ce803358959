"""Answers that come piece by piece: read as whole ones are, whether asked for so or not."""

from __future__ import annotations

import json
from math import log

import pytest
from llm_parts import always, ask, endpoint, once, request
from openai_server import events, prompt_of, raw, serving, stream, whole

from batonq.llm.completion import BLOCKED
from batonq.llm.request import ENDED
from batonq.tasks.maths.live.answers import answer_of
from batonq.tasks.maths.live.asking import Call
from batonq.tasks.maths.live.questions import Question

PROMPT = request().prompt
SSE = {"content-type": "text/event-stream"}


def test_a_stream_gives_the_same_reply():
    with serving(lambda body: "six times seven") as server:
        reply = ask(server.url, request(alternatives=2), stream=True)
    assert server.bodies[0]["stream"] is True
    assert server.bodies[0]["stream_options"] == {"include_usage": True}
    assert (reply.text, reply.finish) == ("six times seven", ENDED)
    assert (reply.tokens_in, reply.tokens_out) == (7, 3)
    assert len(reply.logprobs) == 3
    assert reply.first == (("t0", 0.0), ("t1", -0.5))


@pytest.mark.parametrize(("written", "chance"), [("No", 0.9), ("<think>Yes?</think>No", 0.0)])
@pytest.mark.parametrize("streams", [False, True])
def test_a_check_is_read_from_its_first_token_unless_that_is_a_thought(written, chance, streams):
    likely = [{"token": "Yes", "logprob": log(0.9)}, {"token": "No", "logprob": log(0.1)}]
    tokens = {"content": [{"token": "Yes", "logprob": log(0.9), "top_logprobs": likely}]}
    part = {"delta" if streams else "message": {"content": written}, "logprobs": tokens}
    told = json.dumps({"choices": [part]})
    answer = raw(f"data: {told}\n\ndata: [DONE]\n\n".encode(), 200, SSE)
    if not streams:
        answer = raw(told.encode())
    with serving(script=always(answer)) as server:
        reply = ask(server.url, request(alternatives=2), stream=streams)
    question = Question("gsm8k", 7, "grade-school", "What is 2 + 3?", (), 5.0)
    check = answer_of(Call("m", "check", "m/program"), question, reply)
    assert (check.text, check.yes) == ("No", chance)


def test_a_stream_nobody_asked_for_is_read_as_one():
    with serving(lambda body: "six times seven", always(stream())) as server:
        assert ask(server.url, request()).text == "six times seven"


def test_a_whole_answer_where_a_stream_was_asked_for_is_read_as_one():
    with serving(lambda body: "fine", always(whole())) as server:
        assert ask(server.url, request(), stream=True).text == "fine"


def test_a_stream_ends_at_its_last_event_though_the_connection_stays_open():
    def answer(handler, body):
        handler.pieces([b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', b"data: [DO"])
        handler.wfile.write(b"5\r\nNE]\n\n\r\n")
        handler.server.seen.release.wait()

    with serving(script=always(answer)) as server:
        assert ask(server.url, request(), seconds=30.0).text == "a"


def test_a_stream_never_said_to_end_is_asked_for_as_a_whole():
    def script(body, nth):
        return stream(ends=False, counts=False) if "stream" in body else None

    with serving(script=script) as server, endpoint(server.url, stream=True) as one:
        assert one.complete(request("a")).text == "fine"
        assert one.complete(request("b")).text == "fine"
    assert ["stream" in body for body in server.bodies] == [True, False, False]


def test_a_stream_that_is_whole_and_counted_is_an_answer_without_its_last_event():
    def text(body):
        return "six times seven"

    with (
        serving(text, always(stream(ends=False))) as server,
        endpoint(server.url, stream=True) as one,
    ):
        replies = [one.complete(request(prompt)) for prompt in "ab"]
    assert [(one.text, one.finish, one.tokens_out) for one in replies] == [
        ("six times seven", ENDED, 3)
    ] * 2
    assert ["stream" in body for body in server.bodies] == [True, True]
    assert server.asked == {"a": 1, "b": 1}


def test_a_stream_whose_connection_breaks_before_its_last_event_is_no_answer():
    def broken(handler, body):
        handler.pieces(events(body, "six times seven", "stop")[:-1])
        handler.close_connection = True

    with serving(script=once(broken)) as server:
        assert ask(server.url, request(), stream=True).text == "fine"
    assert server.asked[PROMPT] == 2


def test_a_stream_that_counts_no_tokens_is_an_answer_and_whole_ones_are_asked_for():
    def script(body, nth):
        return stream(counts=False) if "stream" in body else None

    with (
        serving(lambda body: "six times seven", script) as server,
        endpoint(server.url, stream=True) as one,
    ):
        counted = [one.complete(request(prompt)).tokens_out for prompt in "abc"]
    assert counted == [4, 3, 3]  # estimated, then told
    assert ["stream" in body for body in server.bodies] == [True, False, False]
    assert server.asked == {"a": 1, "b": 1, "c": 1}


def test_a_stream_that_counts_tokens_is_asked_for_again_also_after_a_prompt_was_blocked():
    blocked = raw(b'data: {"choices": []}\n\ndata: [DONE]\n\n', 200, SSE)
    with (
        serving(script=lambda body, nth: blocked if prompt_of(body) == "a" else None) as server,
        endpoint(server.url, stream=True) as one,
    ):
        finish = [one.complete(request(prompt)).finish for prompt in "abc"]
    assert finish == [BLOCKED, ENDED, ENDED]
    assert ["stream" in body for body in server.bodies] == [True] * 3


def test_a_stream_cut_in_its_text_is_asked_for_as_a_stream_again():
    broken = raw(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', 200, SSE)
    with serving(script=once(broken)) as server:
        assert ask(server.url, request(), stream=True).text == "fine"
    assert [body["stream"] for body in server.bodies] == [True, True]


@pytest.mark.parametrize("streams", [False, True])
def test_silence_is_what_the_limit_is_on_while_pieces_come(streams):
    """The whole takes longer than the limit; each piece does not."""

    def slowly(handler, body):
        pieces = events(body, "six times seven", "stop") if streams else [b"{", b"}"]
        handler.pieces([])
        for piece in pieces:
            handler.server.seen.release.wait(0.1 if streams else 1.0)
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    with serving(script=once(slowly)) as server:
        reply = ask(server.url, request(), seconds=0.5, stream=streams)
        assert reply.text == ("six times seven" if streams else "fine")
        assert server.asked[PROMPT] == (1 if streams else 2)
