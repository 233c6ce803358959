"""Refusals as servers put them: the reason, the field, the wait, and nothing that they repeat."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_parts import request

from batonq.base.errors import CallError, RequestError
from batonq.llm.body import OPTIONAL, body_of, is_unexplained, refused_part
from batonq.llm.refusals import error_of, read_refusal

BODY = body_of(request(system="Be brief."), stream=True, without=frozenset())
ECHO = {"request": {"seed": 0, "temperature": 0}, "input": "logprobs"}
LOGPROBS = "You are not allowed to request logprobs from this model"
RAW = json.dumps({"error": {"message": "bad", "param": "seed"}})


def refusal(told: object, status: int = 400):
    """What is read in such an answer; a text is taken as it is."""
    return read_refusal(status, told if isinstance(told, str) else json.dumps(told))


@pytest.mark.parametrize(
    ("told", "message", "part"),
    [
        ({"error": {"message": LOGPROBS, "param": None}, **ECHO}, LOGPROBS, "logprobs"),
        ({"error": "no seed, please", **ECHO}, "no seed, please", "seed"),
        ({"message": "no", "param": "top_logprobs", "object": "error"}, "no", "logprobs"),
        ({"message": {"detail": [{"loc": ["body", "seed"], "msg": "extra"}]}}, "extra", "seed"),
        ({"detail": "Temperature: no"}, "Temperature: no", "temperature"),
        (
            [{"error": {"code": 400, "message": "Logprobs is not enabled for models/gemini-x"}}],
            "Logprobs is not enabled for models/gemini-x",
            "logprobs",
        ),
        (
            {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs", "input": "stream"}]},
            "Extra inputs",
            "seed",
        ),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": RAW}}},
            "Provider returned error; bad",
            "seed",
        ),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": "{no seed"}}},
            "Provider returned error; {no seed",
            "seed",
        ),
        # The field it names counts before what the message speaks of.
        ({"error": {"message": "seed of stream", "param": "messages"}}, "seed of stream", None),
        ({"error": {"message": "no seed", "param": "body"}}, "no seed", "seed"),
        (
            {"error": {"message": "verify to stream", "param": "stream"}},
            "verify to stream",
            "stream",
        ),
        ({"error": {"message": "Streaming is off"}}, "Streaming is off", "stream"),
        ({"error": {"message": "stream_options: no"}}, "stream_options: no", "stream_options"),
        ("unknown field seed", "unknown field seed", "seed"),
        ({"why": "seed"}, '{"why": "seed"}', "seed"),
        ({"error": {"message": "too long"}, **ECHO}, "too long", None),
        (
            {"error": {"message": "use max_completion_tokens", "param": "max_tokens"}},
            None,
            "max_tokens",
        ),
        ({"error": {"message": "max_completion_tokens or what", "param": "messages"}}, None, None),
        ({"error": {"message": "max_tokens is too large", "param": "max_tokens"}}, None, None),
    ],
)
def test_the_reason_is_read_and_not_what_is_repeated(told, message, part):
    read = refusal(told)
    assert message is None or read.message == message
    assert refused_part(read, BODY) == part


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500, 501])
def test_a_part_is_refused_with_any_of_these(status):
    assert refused_part(refusal("no seed", status), BODY) == "seed"


@pytest.mark.parametrize("status", [200, 401, 429, 502, 503])
def test_a_part_is_not_refused_with_these(status):
    assert refused_part(refusal("no seed", status), BODY) is None


def test_a_stream_that_broke_is_not_one_refused():
    assert refused_part(refusal("upstream stream failed", 500), BODY) is None


def test_what_is_left_out_already_is_not_refused():
    bare = body_of(request(), stream=True, without=frozenset(OPTIONAL))
    assert refused_part(refusal("seed, stream, temperature and logprobs: no"), bare) is None


@pytest.mark.parametrize(
    ("message", "unexplained"),
    [
        ("what?", True),
        ("", True),
        ("this model does not take that", True),
        ("seed is too large", False),
        ("prompt is too long", False),
        ("content management policy", False),
        ("Your credit balance is too low", False),
    ],
)
def test_a_refusal_without_a_reason_is_known_as_one(message, unexplained):
    assert is_unexplained(refusal({"error": {"message": message}})) == unexplained
    assert not is_unexplained(refusal({"error": {"message": message}}, 403))


@pytest.mark.parametrize(
    ("told", "wait"),
    [
        ({"error": {"message": "quota", "details": [{"@type": "x"}, {"retryDelay": "52s"}]}}, 52.0),
        ([{"error": {"message": "x", "details": [{"retryDelay": "1.5s"}]}}], 1.5),
        ({"error": {"message": "Please retry in 52.3s."}}, 52.3),
        ({"error": {"message": "Please try again in 6m0s. Visit"}}, 360.0),
        ({"error": {"message": "Please try again in 20ms"}}, 0.02),
        ({"error": {"message": "try again in a while", "details": [{"retryDelay": "soon"}]}}, None),
        ({"error": {"message": "no", "details": "in 3s"}}, None),
        ("<html>", None),
    ],
)
def test_the_wait_is_read(told, wait):
    assert refusal(told, 429).wait == wait


@pytest.mark.parametrize(
    ("status", "message", "kind", "said"),
    [
        (403, "openai/o1 requires moderation on Azure", RequestError, "refused the request"),
        (403, "not for you", CallError, "refused the key"),
        (401, "flagged", CallError, "refused the key"),
        (400, "Your credit balance is too low", CallError, "refused the key or the account"),
        (400, "Check your plan and billing details", CallError, "refused the key or the account"),
        (
            400,
            "API key not valid. Please pass a valid API key.",
            CallError,
            "refused the key or the account",
        ),
        (400, "invalid api_key", CallError, "refused the key or the account"),
        (400, "the bill is high", RequestError, "refused the request"),
        (422, "your quota", RequestError, "refused the request"),
        (413, "large", RequestError, "refused the request"),
        (405, "POST", CallError, "refused the request"),
    ],
)
def test_who_is_to_blame_is_told(status, message, kind, said):
    error = error_of(refusal({"error": {"message": message}}, status), "here", keyed=True)
    assert type(error) is kind
    assert str(error).startswith(f"here: {said} ({status}: ")
    assert message in str(error)


NESTED = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "param", "loc", "raw"]), inner)
    ),
    max_leaves=9,
)


@given(NESTED | st.text().map(lambda text: "[" * 9000 + text))
def test_whatever_a_server_says_is_read(told):
    read = refusal(told)
    assert read.shown.isprintable()
    assert read.wait is None or read.wait >= 0
    assert len(read.shown) <= 300
