"""Completions as servers tell them: read exactly, or refused as what they are not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_parts import request
from openai_server import completion, events

from batonq.llm.completion import estimate, join_stream, read_reply
from batonq.llm.request import Reply

BODY = {"model": "some-model", "logprobs": True, "top_logprobs": 2, "stream_options": {}}
SHORTEST = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "usage", "logprobs", "delta", "finish_reason"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def test_a_completion_is_read():
    told = completion(BODY, "six times seven", "length", (11, 3), logprobs=True)
    assert read_reply(told, request(alternatives=2), 1.5) == Reply(
        text="six times seven",
        finish="length",
        tokens_in=11,
        tokens_out=3,
        seconds=1.5,
        logprobs=(-0.5, -1.0, -1.5),
        first=(("t0", 0.0), ("t1", -0.5)),
    )


def test_alternatives_are_told_only_where_they_were_asked_for():
    told = completion(BODY, "six", "stop", (11, 3), logprobs=True)
    assert read_reply(told, request(), 1.5).first == ()


def test_tokens_that_nobody_counted_are_a_quarter_of_the_characters():
    reply = read_reply(SHORTEST, request("x" * 9, system="y" * 4), 0.0)
    assert (reply.tokens_in, reply.tokens_out) == (4, 1)
    assert [estimate(n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_half_a_character_and_minus_infinity_become_what_can_be_stored():
    told = json.loads(
        '{"choices": [{"message": {"content": "a\\ud83d"}, "finish_reason": "stop",'
        '"logprobs": {"content": [{"logprob": -Infinity}, {"logprob": NaN}]}}]}'
    )
    reply = read_reply(told, request(), 0.0)
    assert reply.text == "a?"
    assert reply.logprobs == (-1e4, -1e4)


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "text",
        {},
        {"choices": []},
        {"choices": {}},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": 3}}]},
        {"choices": [{"message": {"content": [{"type": "text", "text": "a"}]}}]},
        {"error": {"message": "upstream"}},
        {**SHORTEST, "usage": {"prompt_tokens": "many", "completion_tokens": 1}},
        {**SHORTEST, "usage": {"prompt_tokens": 1, "completion_tokens": -1}},
        {**SHORTEST, "usage": 7},
        {**SHORTEST, "usage": {"prompt_tokens": float("inf"), "completion_tokens": 1}},
    ],
)
def test_what_is_no_completion_is_refused(told):
    with pytest.raises(ValueError, match="is no chat completion"):
        read_reply(told, request(), 0.0)


@given(JSON)
def test_any_json_is_read_or_refused(told):
    try:
        assert isinstance(read_reply(told, request(alternatives=2), 0.0), Reply)
    except ValueError as error:
        assert "is no chat completion" in str(error)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_a_stream_joins_to_what_the_whole_answer_is(text):
    stream = b"".join(events(BODY, text, "stop")).decode()
    joined = read_reply(join_stream(stream), request(), 0.0)
    assert (joined.text, joined.finish) == (text, "stop")


def test_raw_line_separators_inside_an_event_end_no_line():
    piece = json.dumps(
        {"choices": [{"delta": {"content": "a\u2028b\x85c"}, "finish_reason": "stop"}]},
        ensure_ascii=False,
    )
    joined = join_stream(f"data: {piece}\r\n\r\ndata: [DONE]\r\n\r\n")
    assert read_reply(joined, request(), 0.0).text == "a\u2028b\x85c"


def test_an_event_may_have_several_lines_and_no_space():
    joined = join_stream(
        'event: message\nid: 1\ndata:{"choices":\ndata:[{"delta": {"content": "a"}}]}\n\n'
        "data:[DONE]\n\n"
    )
    assert read_reply(joined, request(), 0.0).text == "a"


def test_a_stream_cut_anywhere_is_refused():
    stream = b"".join(events(BODY, "six times seven", "stop")).decode()
    for length in range(stream.index("[DONE]") + len("[DONE]")):
        with pytest.raises(ValueError):
            join_stream(stream[:length])
    assert join_stream(stream)


@pytest.mark.parametrize(
    "event", ['{"error": {"message": "overloaded"}}', "[1]", "3", '{"choices": 3}', "[" * 100_000]
)
def test_an_event_that_is_none_is_refused(event):
    with pytest.raises(ValueError):
        join_stream(f"data: {event}\n\ndata: [DONE]\n\n")
