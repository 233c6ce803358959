"""Hash chain: each row's link covers its own fields and the link of the row before it.

A row changed, taken out, put in or moved is found by `verify`. The link covers a salted digest of
the body, not the body itself: so body and salt can be deleted, and the chain holds as before, while
the digest alone does not let the body be guessed. Who can write the file can compute the whole
chain anew: only a link noted elsewhere, the head, shows that nothing was.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

SALT_BYTES: Final = 16
GENESIS: Final = sha256(b"batonq chain 1").digest()  # the link before the first row
_NUMBERS: Final = struct.Struct(">QdIIII")  # seq, at, and lengths of the four texts

_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
# `encode` makes this anew at each call, which costs as much again as encoding does.
_pieces: Callable[[Any, int], Iterable[str]] = (
    json.encoder.c_make_encoder(  # type: ignore[attr-defined]
        None,
        _encoder.default,
        json.encoder.encode_basestring_ascii,
        None,
        _encoder.key_separator,
        _encoder.item_separator,
        False,
        False,
        False,
    )
    if getattr(json.encoder, "c_make_encoder", None)
    else lambda body, _level: _encoder.iterencode(body)
)


class Row(NamedTuple):
    """One row of a chain.

    Attributes:
        seq: its number, from 1 without gaps.
        at: seconds since 1970, never decreasing.
        kind: what kind of event it is.
        agent: of which agent.
        handoff_id: of which handoff.
        once: its key.
        body: JSON text; None once erased.
        salt: `SALT_BYTES` random bytes; None once erased.
        digest: of salt and body, 32 bytes.
        link: of this row and all before it, 32 bytes.
    """

    seq: int
    at: float
    kind: str
    agent: str
    handoff_id: str
    once: str
    body: str | None
    salt: bytes | None
    digest: bytes
    link: bytes


@dataclass(frozen=True)
class Verdict:
    """What `verify` found.

    Attributes:
        rows: how many rows are good, from the first on.
        erased: how many of these have lost their body.
        bad: number of the first row that is wrong; None if all are good.
        why: what is wrong with it, "" if nothing.
        head: link of the last good row, as hex.
        noted: after which row the link noted earlier was met, 0 before the first; None if it was
            not met, or none was given.
    """

    rows: int
    erased: int
    bad: int | None
    why: str
    head: str
    noted: int | None = None


def text(body: Any) -> str:
    """The JSON text of a body, as rows hold it: no blanks, ASCII only.

    Raises:
        ValueError: if a number is not finite.
        TypeError: if it is not JSON.
    """
    return "".join(_pieces(body, 0))


def digest(salt: bytes, body: str) -> bytes:
    """SHA-256 of salt and body: 32 bytes."""
    return sha256(salt + body.encode()).digest()


def link(
    previous: bytes,
    seq: int,
    at: float,
    kind: str,
    agent: str,
    handoff_id: str,
    once: str,
    body_digest: bytes,
) -> bytes:
    """Link of a row: SHA-256 of the previous link and the row, 32 bytes.

    Hashed are, in this order: the previous link; seq as 8 bytes, at as an IEEE 754 double, and the
    lengths in bytes of kind, agent, handoff_id and once as 4 bytes each, all big-endian; these four
    texts in UTF-8; the digest. With the lengths ahead no two rows are hashed alike.

    Raises:
        UnicodeEncodeError: if a text holds half of a surrogate pair.
    """
    a, b, c, d = kind.encode(), agent.encode(), handoff_id.encode(), once.encode()
    numbers = _NUMBERS.pack(seq, at, len(a), len(b), len(c), len(d))
    return sha256(b"".join((previous, numbers, a, b, c, d, body_digest))).digest()


def verify(rows: Iterable[Row], noted: str | None = None) -> Verdict:
    """Check a chain from its first row on, up to the first that is wrong.

    Args:
        rows: all of it, in order.
        noted: a head noted earlier, as hex: was it met on the way?
    """
    head, count, erased, last = GENESIS, 0, 0, 0.0
    found = 0 if noted == GENESIS.hex() else None
    for row in rows:
        why = _wrong(row, count + 1, last, head)
        if why:
            return Verdict(count, erased, count + 1, why, head.hex(), found)
        count, last, head = row.seq, row.at, row.link
        erased += row.body is None
        if noted is not None and head.hex() == noted:
            found = count
    return Verdict(count, erased, None, "", head.hex(), found)


def _wrong(row: Row, seq: int, last: float, previous: bytes) -> str:
    """What is wrong with a row that should follow; "" if nothing."""
    try:
        if row.seq != seq:
            return f"row {seq} is missing: {row.seq} follows"
        if not row.at >= last:
            return f"its time {row.at} lies before that of the row ahead of it, {last}"
        if row.body is not None and not _is_of(row.digest, row.salt, row.body):
            return "its body is not the one that was recorded"
        if link(previous, *row[:6], row.digest) != row.link:
            return "its fields, or its place, are not those that were recorded"
    except (TypeError, ValueError, AttributeError, struct.error) as error:
        return f"it holds what no row holds ({error})"
    return ""


def _is_of(recorded: bytes, salt: bytes | None, body: str) -> bool:
    return salt is not None and len(salt) == SALT_BYTES and digest(salt, body) == recorded
