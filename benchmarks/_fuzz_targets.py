"""What is fuzzed: functions of bytes that fail only for a fault of ours.

Each reads bytes by one of batonq's parsers. A `BatonqError` is what bad input gets, and is caught
here; whatever else comes out is a finding, and so is accepted input that does not keep its word.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from batonq.base.errors import BatonqError
from batonq.wire import chain, messages, scalar
from batonq.wire.declaration import Declaration, agree, check_digest
from batonq.wire.messages import Answer, Ask
from batonq.wire.scalar import Scalar
from benchmarks._fuzz_recipes import RAW, Reader, document_of

OURS: Final = Declaration(Scalar(-20.0, 20.0), 0.95, "second", "points")
ASK: Final = Ask("h-1", "intake", "code", {"kind": "bug", "hits": [1, 2.5, None]}, OURS.digest())


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        run: reads bytes; raises if something of ours is wrong.
        starts: inputs to start from.
    """

    run: Callable[[bytes], None]
    starts: tuple[bytes, ...]


def document_target(read: Callable[[bytes], None], documents: Sequence[Any]) -> Target:
    """A target whose inputs are bodies: as they are, or changed documents."""

    def run(data: bytes) -> None:
        body = document_of(data, documents)
        with suppress(BatonqError):
            read(body)

    bodies = [RAW + json.dumps(one).encode() for one in documents]
    recipes = [bytes([1, k]) for k in range(len(documents))]
    return Target(run, (*bodies, *recipes))


def read_json(body: bytes) -> None:
    """What is accepted can be written and read again, as the same."""
    document = messages.parse(body)
    again = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    assert messages.parse(again, 1 << 30) == document


def read_ask(body: bytes) -> None:
    """What is accepted is sent on as it came, and its bytes add up."""
    ask = Ask.from_document(messages.parse(body))
    sent = messages.body(ask)
    assert Ask.from_document(messages.parse(sent, 1 << 30)) == ask
    parts = messages.sizes(ask)
    assert parts.metadata_bytes + parts.artifact_bytes == len(sent)
    check_digest(OURS, ask.declaration)


def read_answer(body: bytes) -> None:
    """What is accepted lies in the declared range."""
    answer = Answer.from_document(messages.parse(body))
    assert Answer.from_document(messages.parse(messages.body(answer))) == answer
    for one in (OURS.scalar, Scalar(-1.0, 2.0, 64, "exact")):
        with suppress(BatonqError):
            assert one.low <= messages.accept(ASK, answer, one) <= one.high


def read_declaration(body: bytes) -> None:
    """What is accepted is sent on as it came, and its quotes keep to range and rounding."""
    theirs = Declaration.from_document(messages.parse(body))
    again = Declaration.from_document(messages.parse(json.dumps(theirs.document()).encode()))
    assert (again, again.digest()) == (theirs, theirs.digest())
    one = theirs.scalar
    for value in (one.low, one.high, 0.0, one.low / 3, one.high / 3):
        back = scalar.decode(one, scalar.encode(one, value, 0.5))
        assert one.low <= back <= one.high
        assert abs(back - value) <= scalar.spacing(one) * (1 + 1e-9)
    agree(OURS, theirs)
    assert one.high <= OURS.scalar.high * (1 + 1e-8)


def chain_rows() -> list[chain.Row]:
    """A short chain in order."""
    rows, head = [], chain.GENESIS
    for seq in range(1, 5):
        body, salt = chain.text({"reward": seq}), bytes([seq]) * chain.SALT_BYTES
        of = chain.digest(salt, body)
        fields = (seq, float(seq), "outcome", "intake", f"h-{seq}", f"outcome:h-{seq}")
        head = chain.link(head, *fields, of)
        rows.append(chain.Row(*fields, body, salt, of, head))
    return rows


ROWS: Final = tuple(chain_rows())


def damage_chain(data: bytes) -> None:
    """No change of a row passes, but for a body and salt that were taken out."""
    reader = Reader(data)
    rows = list(ROWS)
    at = reader.below(len(rows))
    name = chain.Row._fields[reader.below(len(chain.Row._fields))]
    value: Any = reader.value()
    if isinstance(value, str) and reader.below(2):
        value = value.encode("utf-8", "replace")
    rows[at] = rows[at]._replace(**{name: value})
    verdict = chain.verify(rows)
    same = getattr(ROWS[at], name) == value  # 1.0 and 1 are hashed alike where both are numbers
    assert same or name in ("body", "salt") or verdict.bad is not None
    assert verdict.bad is None or verdict.bad in (at + 1, at + 2)


def _answers() -> Target:
    documents = [Answer("h-1", 137, 8).document(), Answer("h-1", 0.5, 64).document()]
    return document_target(read_answer, documents)


def _config() -> Target:
    node = import_module("benchmarks._fuzz_node")
    return Target(node.read_config, (b"\x01\x00", RAW + b'name = "x"\n[units]\ngamma = 0.9\n'))


def _store() -> Target:
    node = import_module("benchmarks._fuzz_node")
    return Target(node.damage_store, (b"", b"\x01\x02\x03\x04", bytes(range(64))))


def _import() -> Target:
    node = import_module("benchmarks._fuzz_node")
    return Target(node.import_log, (b"\x01\x00", b"\xff" + node.TABLE, RAW + b'[{"agent":1}]'))


def _service() -> Target:
    service = import_module("benchmarks._fuzz_service").Service()
    bodies = [RAW + json.dumps(one).encode() for one in service.calls]
    return Target(service.run, (*bodies, *(bytes([1, k]) for k in range(len(bodies)))))


# Made when they are fuzzed: each wants its own modules alone.
TARGETS: Final[dict[str, Callable[[], Target]]] = {
    "json": lambda: document_target(
        read_json, [{"a": [1, 2.5, "é", None, True]}, [], "a", 1, -0.5]
    ),
    "ask": lambda: document_target(read_ask, [ASK.document()]),
    "answer": _answers,
    "declaration": lambda: document_target(read_declaration, [OURS.document()]),
    "chain": lambda: Target(damage_chain, (b"", b"\x01\x00\x04", b"\x02\x06\x00")),
    "config": _config,
    "store": _store,
    "import": _import,
    "service": _service,
}
