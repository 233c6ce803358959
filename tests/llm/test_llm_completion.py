"""Completions as servers tell them: read exactly, or refused as what they are not."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from llm_parts import request
from openai_server import completion, events

from batonq.llm.completion import BLOCKED, UnendedError, estimate, join_stream, read_reply
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


def test_tokens_that_are_told_one_by_one_are_the_least_that_were_written():
    tokens = {"content": [{"logprob": -1}] * 9}
    told = choice(logprobs=tokens)
    assert read_reply(told, request(), 0.0).tokens_out == 9
    told["usage"] = {"prompt_tokens": 2, "completion_tokens": 5}
    assert read_reply(told, request(), 0.0).tokens_out == 5  # somebody counts them


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
        {"choices": {}},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": 3}}]},
        {"choices": [{"message": {"content": [{"type": "text", "text": 3}]}}]},
        {"choices": [{"message": {"content": ["a"]}}]},
        {"choices": [{"finish_reason": "stop"}]},
        {"error": {"message": "upstream"}},
        {"choices": [], "error": {"message": "upstream"}},
        {"choices": [{**SHORTEST["choices"][0], "error": {"code": 502}}]},
        {"choices": [{**SHORTEST["choices"][0], "finish_reason": "error"}]},
    ],
)
def test_what_is_no_completion_is_refused(told):
    with pytest.raises(ValueError, match="is no chat completion"):
        read_reply(told, request(), 0.0)


def choice(**fields: object) -> dict[str, object]:
    """A completion whose choice is the shortest one but for these fields."""
    return {"choices": [{**SHORTEST["choices"][0], **fields}]}


@pytest.mark.parametrize(
    "told",
    [
        *({**SHORTEST, "usage": usage} for usage in (None, 7, [], {})),
        choice(finish_reason=7),
        *(choice(logprobs=told) for told in ([], 7, {}, {"content": None}, {"content": "a"})),
        choice(logprobs={"content": [{"token": "a", "logprob": None}]}),
        choice(logprobs={"content": [{"token": "a", "logprob": "high"}]}),
        choice(logprobs={"content": ["a"]}),
        choice(logprobs={"content": [{"top_logprobs": [{"token": "a"}]}]}),
        choice(logprobs={"content": [{"top_logprobs": [{"token": 1, "logprob": 0}]}]}),
    ],
)
def test_what_need_not_be_there_loses_no_answer(told):
    reply = read_reply(told, request("x" * 8, alternatives=2), 0.0)
    assert reply == Reply("a", "stop", tokens_in=2, tokens_out=1, seconds=0.0)


def test_the_first_token_may_be_told_without_alternatives_and_the_other_way_round():
    told = {"content": [{"logprob": -1}]}
    reply = read_reply(choice(logprobs=told), request(alternatives=2), 0.0)
    assert (reply.logprobs, reply.first) == ((-1.0,), ())
    told = {"content": [{"logprob": None, "top_logprobs": [{"token": "a", "logprob": -2}]}]}
    reply = read_reply(choice(logprobs=told), request(alternatives=2), 0.0)
    assert (reply.logprobs, reply.first) == ((), (("a", -2.0),))


def test_the_text_of_an_answer_in_parts_is_that_of_its_text_parts():
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "six times "},
        {"type": "text", "text": "seven"},
    ]
    assert read_reply(choice(message={"content": parts}), request(), 0.0).text == "six times seven"
    pieces = [{"choices": [{"delta": {"content": [part]}}]} for part in parts]
    assert read_reply(joined(*pieces), request(), 0.0).text == "six times seven"


def joined(*pieces: object) -> object:
    """The completion in a stream of these pieces."""
    return join_stream(
        "".join(f"data: {json.dumps(one)}\n\n" for one in [*pieces, None]).replace(
            "data: null", "data: [DONE]"
        )
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\nsix, seven\n</think>\n\n42", "42"),
        ("\n<think></think>42\n", "42\n"),
        ("<think>six times", ""),
        ("six, seven\n</think>\n\n42", "42"),  # the prompt held the beginning
        ("<think>a</think>b</think>c", "b</think>c"),
        ("42 <think>no</think>", "42 <think>no</think>"),
        (" 42 ", " 42 "),
    ],
)
def test_thoughts_before_an_answer_are_no_part_of_it(text, said):
    told = choice(message={"content": text})
    reply = read_reply(told, request(), 0.0)
    assert reply.text == said
    assert reply.tokens_out == estimate(len(text))  # all of it was written


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_beside_an_answer_are_written_and_no_part_of_it(name):
    thought = {"content": None, name: "x" * 40}
    reply = read_reply(choice(message=thought), request(), 0.0)
    assert (reply.text, reply.tokens_out) == ("", 10)
    piece = {"choices": [{"delta": thought}]}
    reply = read_reply(joined(piece, piece), request(), 0.0)
    assert (reply.text, reply.tokens_out) == ("", 20)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "<think>", "thinking", "parts"])
@pytest.mark.parametrize("streams", [False, True])
def test_the_first_token_is_not_told_where_it_is_one_of_thoughts(name, streams):
    text = {"type": "text", "text": "No"}
    message = {
        "<think>": {"content": "<think>Yes?</think>No"},
        "thinking": {"content": [{"type": "thinking", "thinking": "Yes?"}, text]},
        "parts": {"content": [{"type": "thinking", "thinking": [{"text": "Yes?"}]}, text]},
    }.get(name, {"content": "No", name: "Yes?"})
    likely = [{"token": "Yes", "logprob": -0.1}]
    fields = {"logprobs": {"content": [{"logprob": -0.1, "top_logprobs": likely}]}}
    first = []
    for one in (message, {"content": "No"}):
        told = choice(message=one, **fields)
        if streams:
            told = joined({"choices": [{"delta": one, **fields}]})
        reply = read_reply(told, request(alternatives=2), 0.0)
        assert reply.text == "No"
        first.append(reply.first)
    assert first == [(), (("Yes", -0.1),)]


def test_a_prompt_that_the_server_blocks_is_an_empty_answer():
    usage = {"prompt_tokens": 9, "completion_tokens": 0}
    blocked = Reply("", BLOCKED, tokens_in=9, tokens_out=0, seconds=0.0)
    assert read_reply({"choices": [], "usage": usage}, request(), 0.0) == blocked
    pieces = [{"choices": [], "prompt_filter_results": []}, {"choices": [], "usage": usage}]
    assert read_reply(joined(*pieces), request(), 0.0) == blocked


@pytest.mark.parametrize(
    "failed", [{"error": {"code": 502}}, {"finish_reason": "error"}, {"delta": {"content": 3}}]
)
def test_a_stream_whose_server_failed_on_the_way_is_refused(failed):
    begun = {"choices": [{"delta": {"content": "a"}}]}
    assert read_reply(joined(begun), request(), 0.0).text == "a"
    with pytest.raises(ValueError, match=r"stopped with|not as expected"):
        joined(begun, {"choices": [{"delta": {}, **failed}]})


def test_a_stream_whose_optional_parts_are_missing_or_odd_is_read():
    odd = {"choices": [{"delta": None, "logprobs": []}, {"delta": {"content": "a"}}]}
    reply = read_reply(joined(odd, {"usage": 7, "choices": None}), request("x" * 8), 0.0)
    assert reply == Reply("a", "stop", tokens_in=2, tokens_out=1, seconds=0.0)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}, (9, 5)),
        ({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 114}, (9, 105)),
        ({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 9}, (9, 5)),
        ({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": None}, (9, 5)),
        ({"completion_tokens": 5, "total_tokens": 114}, (2, 5)),
        ({"prompt_tokens": 9, "total_tokens": 14}, (9, 5)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (2, 1)),
        ({"prompt_tokens": -9, "completion_tokens": -1}, (2, 1)),
        ({"prompt_tokens": "many", "completion_tokens": 5}, (2, 5)),
        ({"prompt_tokens": float("inf"), "completion_tokens": float("nan")}, (2, 1)),
        ({"prompt_tokens": 10**30, "completion_tokens": 5}, (2, 5)),
    ],
)
def test_tokens_are_what_the_server_counts_all_in_all_or_estimated(usage, counted):
    reply = read_reply({**SHORTEST, "usage": usage}, request("x" * 8), 0.0)
    assert (reply.tokens_in, reply.tokens_out) == counted


@pytest.mark.parametrize(
    ("written", "thought", "counted"), [(5, 100, 105), (105, 100, 105), (5, None, 5), (0, 100, 100)]
)
def test_thoughts_that_are_counted_apart_are_added(written, thought, counted):
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": written,
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    assert read_reply({**SHORTEST, "usage": usage}, request(), 0.0).tokens_out == counted
    usage["total_tokens"] = 9 + written + (thought or 0 if counted > written else 0)
    assert read_reply({**SHORTEST, "usage": usage}, request(), 0.0).tokens_out == counted


@given(JSON)
def test_any_json_is_read_or_refused(told):
    try:
        assert isinstance(read_reply(told, request(alternatives=2), 0.0), Reply)
    except ValueError as error:
        assert "is no chat completion" in str(error)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@example("<think>")
@example("a</think>b")
def test_a_stream_joins_to_what_the_whole_answer_is(text):
    stream = b"".join(events(BODY, text, "stop")).decode()
    joined = join_stream(stream)
    (said,) = joined["choices"]
    assert (said["message"]["content"], said["finish_reason"]) == (text, "stop")
    told = completion(BODY, text, "stop", (7, 3), logprobs=True)
    reply, whole = (read_reply(one, request(), 0.0) for one in (joined, told))
    assert (reply.text, reply.finish) == (whole.text, whole.finish)


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


@pytest.mark.parametrize("usage", [None, {}, 7, {"completion_tokens": 0}, {"prompt_tokens": 9}])
def test_a_stream_without_its_last_event_is_whole_where_it_is_counted(usage):
    pieces = [
        {"choices": [{"delta": {"content": "a"}}]},
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}},
    ]
    told = [f"data: {json.dumps(one)}\n\n" for one in pieces]
    assert read_reply(join_stream("".join(told)), request(), 0.0) == Reply("a", "stop", 9, 3, 0.0)
    odd = f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
    with pytest.raises(UnendedError, match="was cut"):
        join_stream("".join([*told[:2], odd]))
    with pytest.raises(ValueError, match="was cut") as error:
        join_stream(told[0] + told[2])  # counted, and not finished
    assert not isinstance(error.value, UnendedError)


@pytest.mark.parametrize("told", ["", "data: {}\n\n", 'data: {"usage": {"prompt_tokens": 9}}\n\n'])
def test_a_stream_that_tells_of_no_choices_is_no_answer(told):
    with pytest.raises(ValueError, match="told of no choices"):
        join_stream(f"{told}data: [DONE]\n\n")


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
