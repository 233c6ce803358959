"""docs/wire.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from batonq.wire.declaration import PROTOCOL, Declaration, agree, check_digest
from batonq.wire.messages import (
    DEPTH,
    DIGITS,
    LIMIT,
    Answer,
    Ask,
    Sizes,
    accept,
    body,
    parse,
    sizes,
)
from batonq.wire.scalar import LARGEST_BOUND, MOST_BITS, SMALLEST_WIDTH, decode, encode

PAGE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
DECLARATION, ASK, ANSWER = re.findall(r"^```json\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
TEXT = " ".join(PAGE.split())


def test_the_examples_are_what_nodes_send() -> None:
    declaration = Declaration.from_document(parse(DECLARATION.encode()))
    agree(declaration, declaration)
    ask = Ask.from_document(parse(ASK.encode()))
    answer = Answer.from_document(parse(ANSWER.encode()))
    assert body(ask) == ASK.encode()
    assert body(answer) == ANSWER.encode()
    check_digest(declaration, ask.declaration)
    assert f"```text\n{declaration.digest()}\n```" in PAGE
    quote = accept(ask, answer, declaration.scalar)
    assert encode(declaration.scalar, 1.5, 0.0) == answer.code == 137
    assert f"a quote of 1.5 is the code 137, which is read as {quote:.4f}" in TEXT
    assert decode(declaration.scalar, 137) == quote


def test_the_bytes_are_counted_right() -> None:
    ask = sizes(Ask.from_document(parse(ASK.encode())))
    answer = Answer.from_document(parse(ANSWER.encode()))
    assert (len(ASK), ask) == (212, Sizes(0, 0, 178, 34))
    assert (len(ANSWER), sizes(answer)) == (69, Sizes(8, 3, 66, 0))
    assert "212 bytes: 34 of the artifact, 178 of metadata" in TEXT
    assert "69 bytes: 3 digits that write 8 bits of learning scalar, 66 of metadata" in TEXT
    exact = Answer(answer.handoff_id, 1.5, 64)
    assert len(body(exact)) == 71
    assert '`"value":1.5,"bits":64`, it is 71' in TEXT
    assert "| 178 bytes in the example below |" in TEXT
    assert "| 66 bytes in the example below |" in TEXT


def test_every_field_has_a_row() -> None:
    documents = [parse(text.encode()) for text in (DECLARATION, ASK, ANSWER)]
    fields = [name for document in documents for name in document if name != "scalar"]
    fields += [f"scalar.{name}" for name in documents[0]["scalar"]]
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| `"))
    for name in [*fields, "value"]:
        assert f"`{name}`" in rows, name


def test_limits_are_those_of_the_code() -> None:
    assert f"its limit: {LIMIT:,} unless" in TEXT
    assert f"integers of more than {DIGITS} digits" in TEXT
    assert f"more than {DEPTH} objects and lists" in TEXT
    assert f"`scalar.bits` | integer | 1 to {MOST_BITS}; 64 if exact" in TEXT
    assert (LARGEST_BOUND, SMALLEST_WIDTH) == (1e150, 1e-150)
    assert f"| `protocol` | integer | {PROTOCOL}: this page." in TEXT
    assert round(1 / (1 - 0.9**0.1), 1) == 95.4
