from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import ConflictError, WireError
from batonq.base.files import Json
from batonq.wire.messages import (
    Answer,
    Ask,
    Sizes,
    accept,
    body,
    check_name,
    members,
    parse,
    sizes,
    whole,
)
from batonq.wire.scalar import Scalar, encode

DIGEST = "0123456789abcdef" * 4
ASK = Ask("h-1", "intake", "code", {"kind": "bug", "größe": [1, 2.5, None]}, DIGEST)

names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}", fullmatch=True)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
jsons = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
bodies = st.binary(max_size=200) | jsons.map(lambda value: json.dumps(value).encode())
asks = st.builds(Ask, names, names, names, jsons, digests)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    bits = draw(st.integers(1, 16) | st.just(64))
    code = st.floats(-1e150, 1e150) if bits == 64 else st.integers(0, 2**bits - 1)
    return Answer(draw(names), draw(code), bits)


@given(asks)
def test_an_ask_comes_back_as_it_was(ask: Ask) -> None:
    assert Ask.from_document(parse(body(ask))) == ask


@given(answers())
def test_an_answer_comes_back_as_it_was(answer: Answer) -> None:
    back = Answer.from_document(parse(body(answer)))
    assert back == answer
    assert type(back.code) is type(answer.code)


@given(asks | answers())
def test_sizes_add_up_to_the_body(message: Ask | Answer) -> None:
    found = sizes(message)
    parts = found.scalar_bytes + found.metadata_bytes + found.artifact_bytes
    assert parts == len(body(message))


def test_sizes_by_hand() -> None:
    assert body(Answer("h1", 137, 8)) == b'{"handoff_id":"h1","code":137,"bits":8}'
    assert sizes(Answer("h1", 137, 8)) == Sizes(8, 3, 36, 0)
    assert body(Answer("h1", -0.5, 64)) == b'{"handoff_id":"h1","value":-0.5,"bits":64}'
    assert sizes(Answer("h1", -0.5, 64)) == Sizes(64, 4, 38, 0)
    small = Ask("h1", "a", "b", "é", DIGEST)
    assert sizes(small) == Sizes(0, 0, len(body(small)) - 4, 4)  # two quotes, two bytes


@given(answers(), st.data())
def test_accepted_is_what_the_receiver_meant(answer: Answer, data: st.DataObject) -> None:
    scalar = Scalar(-1.0, 2.0, data.draw(st.integers(1, 16)))
    quote = data.draw(st.floats(-1.0, 2.0))
    sent = Answer("h-1", encode(scalar, quote, 0.0), scalar.bits)
    assert abs(accept(ASK, sent, scalar) - quote) <= 1.5 / (2**scalar.bits - 1) * (1 + 1e-9)


def test_an_answer_to_something_else_is_refused() -> None:
    scalar = Scalar(-1, 2, 8)
    with pytest.raises(ConflictError, match="answer to h-2, asked was h-1"):
        accept(ASK, Answer("h-2", 3, 8), scalar)
    with pytest.raises(WireError, match="bits: 4, the receiver declared 8"):
        accept(ASK, Answer("h-1", 3, 4), scalar)
    with pytest.raises(WireError, match=r"value: 2\.5 is not in the declared"):
        accept(ASK, Answer("h-1", 2.5, 64), Scalar(-1, 2, 64, "exact"))


BAD_BODIES: dict[bytes, str] = {
    b"": "not JSON at line 1, column 1",
    b"{": "not JSON at line 1, column 2",
    b'{"a":1}\n{}': "not JSON at line 2, column 1",
    b"{'a':1}": "not JSON",
    b"[1,]": "not JSON",
    b"NaN": "NaN is not JSON",
    b"[Infinity]": "Infinity is not JSON",
    b'{"a":-Infinity}': "-Infinity is not JSON",
    b'{"a":1,"b":2,"a":3}': "the key 'a' stands twice",
    b'{"a":{"\\u0062":1,"b":2}}': "the key 'b' stands twice",
    b"1e999": "1e999 is too large",
    b"[-1e999]": "-1e999 is too large",
    b"10000000000000000000": "more than 19 digits",
    b"-" + b"9" * 5000: "more than 19 digits",
    b"\xff": "not UTF-8 at byte 0",
    b'"\xc3"': "not UTF-8 at byte 1",
    b"\xef\xbb\xbf{}": "not JSON",
    b"\x00": "not JSON",
    b'"\n"': "not JSON",
    b'"\\ud800"': "half a surrogate pair",
    b'{"\\uDC00":1}': "half a surrogate pair",
    b"[" * 65 + b"]" * 65: "nested deeper than 64",
    b"[" * 100_000: "nested deeper than 64",
    b'{"a":' * 65 + b"1" + b"}" * 65: "nested deeper than 64",
    b" " * (1 << 20) + b"1": "1048577 bytes, at most 1048576",
}


@pytest.mark.parametrize(("text", "message"), BAD_BODIES.items(), ids=range(len(BAD_BODIES)))
def test_what_is_not_strict_json_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        parse(text)


def test_what_is_strict_json_is_read() -> None:
    assert parse(b"[" * 64 + b"]" * 64) is not None
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"
    assert parse(b"-9223372036854775808") == -(2**63)
    assert parse(b' {"a" : [1.5e3, true, null]} ') == {"a": [1500.0, True, None]}
    assert parse(b"12345", limit=5) == 12345
    with pytest.raises(WireError, match="6 bytes, at most 5"):
        parse(b"123456", limit=5)


@given(
    st.binary(max_size=200) | texts.map(str.encode) | jsons.map(lambda v: json.dumps(v).encode())
)
def test_nothing_but_a_wire_error_comes_out(text: bytes) -> None:
    try:
        document = parse(text)
    except WireError:
        return
    # What is accepted can be stored, sent on and read again.
    again = json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert parse(again) == document


def changed(**fields: Any) -> dict[str, Json]:
    return {**ASK.document(), **fields}


BAD_ASKS: list[tuple[Json, str]] = [
    ([], "ask: must be an object, is a list"),
    (None, "ask: must be an object, is null"),
    ({}, "ask: lacks 'handoff_id'"),
    ({"handoff_id": "h"}, "ask: lacks 'sender'"),
    (changed(more=1), "ask: has the unknown field 'more'"),
    (changed(**{"a\nb": 1}), re.escape(r"unknown field 'a\nb'")),
    (changed(**{"x" * 99: 1}), re.escape(f"unknown field '{'x' * 43}...'")),
    (changed(handoff_id=7), "handoff_id: must be a string, is a number"),
    (changed(handoff_id=""), "handoff_id: '' must be 1 to 128"),
    (changed(handoff_id="h" * 129), "must be 1 to 128"),
    (changed(handoff_id="h-1\n"), "must be 1 to 128"),
    (changed(sender="../x"), "sender: '../x' must be"),
    (changed(sender=None), "sender: must be a string, is null"),
    (changed(receiver="a b"), "receiver: 'a b' must be"),
    (changed(receiver="größe"), "receiver: 'gr.xf6.xdfe' must be"),
    (changed(receiver=True), "receiver: must be a string, is true or false"),
    (changed(declaration=DIGEST[:-1]), "declaration: must be a digest"),
    (changed(declaration=DIGEST.upper()), "declaration: must be a digest"),
    (changed(declaration=None), "declaration: must be a digest"),
]


@pytest.mark.parametrize(("document", "message"), BAD_ASKS, ids=range(len(BAD_ASKS)))
def test_an_ask_that_cannot_be_is_refused(document: Json, message: str) -> None:
    with pytest.raises(WireError, match=message):
        Ask.from_document(document)


BAD_ANSWERS: list[tuple[Json, str]] = [
    ("137", "answer: must be an object, is a string"),
    ({"handoff_id": "h", "bits": 8}, "answer: lacks 'code'"),
    ({"handoff_id": "h", "bits": 64}, "answer: lacks 'value'"),
    ({"handoff_id": "h", "code": 1, "bits": 64}, "answer: lacks 'value'"),
    ({"handoff_id": "h", "value": 0.5, "bits": 8}, "answer: lacks 'code'"),
    ({"handoff_id": "h", "code": 1, "value": 0.5, "bits": 8}, "unknown field 'value'"),
    ({"handoff_id": "h", "code": 1}, "answer: lacks 'bits'"),
    ({"handoff_id": "h", "code": 1, "bits": 17}, "bits: 17 is neither 1 to 16 nor 64"),
    ({"handoff_id": "h", "code": 1, "bits": 0}, "bits: 0 is neither"),
    ({"handoff_id": "h", "code": 1, "bits": True}, "bits: must be a whole number"),
    ({"handoff_id": "h", "code": 1, "bits": 8.0}, "bits: must be a whole number"),
    ({"handoff_id": "h", "code": 256, "bits": 8}, r"code: 256 is not in 0\.\.255"),
    ({"handoff_id": "h", "code": -1, "bits": 8}, "code: -1 is not in"),
    ({"handoff_id": "h", "code": 1.0, "bits": 8}, "code: must be a whole number, is a number"),
    ({"handoff_id": "h", "code": True, "bits": 8}, "code: must be a whole number"),
    ({"handoff_id": "h", "code": 2**53 + 1, "bits": 8}, r"code: is beyond 2\^53"),
    ({"handoff_id": "h", "value": "0", "bits": 64}, "value: must be a number, is str"),
    ({"handoff_id": "h", "value": float("nan"), "bits": 64}, "value: must be finite"),
]


@pytest.mark.parametrize(("document", "message"), BAD_ANSWERS, ids=range(len(BAD_ANSWERS)))
def test_an_answer_that_cannot_be_is_refused(document: Json, message: str) -> None:
    with pytest.raises(WireError, match=message):
        Answer.from_document(document)


UNWRITABLE: list[Any] = [float("nan"), {1, 2}, {"a": object()}, "\ud800", {(1, 2): 3}]


@pytest.mark.parametrize("artifact", UNWRITABLE, ids=range(len(UNWRITABLE)))
def test_an_artifact_that_is_not_json_is_not_sent(artifact: Any) -> None:
    with pytest.raises(WireError, match=r"artifact: cannot be written|half a surrogate"):
        body(Ask("h", "a", "b", artifact, DIGEST))


def test_an_artifact_that_contains_itself_is_not_sent() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(WireError, match="artifact: cannot be written"):
        body(Ask("h", "a", "b", loop, DIGEST))


def test_small_checks() -> None:
    assert check_name("a.b:c-d_9", "n") == "a.b:c-d_9"
    assert members({"a": 1}, "m", ("a",)) == {"a": 1}
    assert whole(2**53, "w") == 2**53
