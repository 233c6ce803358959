"""Messages: what a sender asks of a receiver and what comes back, as strict JSON.

Documents have the fields stated and no others. Specified for other implementations in docs/wire.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, NoReturn

from batonq.base.errors import ConflictError, WireError
from batonq.base.files import Json
from batonq.wire.scalar import EXACT_BITS, MOST_BITS, Scalar, decode, number

LIMIT: Final = 1 << 20  # bytes of a body
DEPTH: Final = 64  # objects and lists within one another
DIGITS: Final = 19  # of an integer: 64 bits
LARGEST_INT: Final = 2**53  # up to which every JSON reader keeps an integer as it is

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")

# Made once: `json.dumps` with arguments makes an encoder for every call.
_ENCODER: Final = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Ask:
    """An artifact handed on, with the request to quote it.

    Attributes:
        handoff_id: of the sender's decision; single use.
        sender: the agent that decided.
        receiver: the agent that it hands to.
        artifact: what is handed on, any JSON.
        declaration: digest of the receiver's declaration, by which the sender will read the answer.

    Raises:
        WireError: if a name or the digest is malformed.
    """

    handoff_id: str
    sender: str
    receiver: str
    artifact: Json
    declaration: str

    def __post_init__(self) -> None:
        check_name(self.handoff_id, "handoff_id")
        check_name(self.sender, "sender")
        check_name(self.receiver, "receiver")
        if not (isinstance(self.declaration, str) and _DIGEST.fullmatch(self.declaration)):
            raise WireError("declaration: must be a digest, 64 characters of 0-9 and a-f")

    def document(self) -> dict[str, Json]:
        """As JSON; fields in the order of the specification."""
        return {
            "handoff_id": self.handoff_id,
            "sender": self.sender,
            "receiver": self.receiver,
            "artifact": self.artifact,
            "declaration": self.declaration,
        }

    @staticmethod
    def from_document(document: Json) -> Ask:
        """Read what `document` gave.

        Raises:
            WireError: if a field is missing, unknown or malformed; the message names it.
        """
        return Ask(**members(document, "ask", _ASK))


@dataclass(frozen=True, slots=True)
class Answer:
    """The one scalar, for one handoff.

    Attributes:
        handoff_id: of the ask.
        code: an int in 0..2^bits - 1; with 64 bits the quote itself as a float.
        bits: of the receiver's declaration.

    Raises:
        WireError: if one of them is malformed or code and bits do not go together.
    """

    handoff_id: str
    code: int | float
    bits: int

    def __post_init__(self) -> None:
        check_name(self.handoff_id, "handoff_id")
        bits = whole(self.bits, "bits")
        if bits == EXACT_BITS:
            object.__setattr__(self, "code", number(self.code, "value"))
        elif not 1 <= bits <= MOST_BITS:
            raise WireError(f"bits: {bits} is neither 1 to {MOST_BITS} nor {EXACT_BITS}")
        elif not 0 <= whole(self.code, "code") < 1 << bits:
            raise WireError(f"code: {self.code} is not in 0..{(1 << bits) - 1} ({bits} bits)")

    def document(self) -> dict[str, Json]:
        """As JSON: the code under "code", with 64 bits under "value"."""
        name = "value" if self.bits == EXACT_BITS else "code"
        return {"handoff_id": self.handoff_id, name: self.code, "bits": self.bits}

    @staticmethod
    def from_document(document: Json) -> Answer:
        """Read what `document` gave.

        Raises:
            WireError: if a field is missing, unknown or malformed; the message names it.
        """
        exact = isinstance(document, dict) and document.get("bits") == EXACT_BITS
        name = "value" if exact else "code"
        given = members(document, "answer", ("handoff_id", name, "bits"))
        return Answer(given["handoff_id"], given[name], given["bits"])


_ASK: Final = ("handoff_id", "sender", "receiver", "artifact", "declaration")


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a message is made of. The three numbers of bytes add up to the length of its body.

    Attributes:
        scalar_bits: of the learning scalar.
        scalar_bytes: that the scalar takes as written in JSON.
        metadata_bytes: the rest of the protocol: names, ids, punctuation.
        artifact_bytes: of the artifact, which crosses with any handoff, learning or not.
    """

    scalar_bits: int
    scalar_bytes: int
    metadata_bytes: int
    artifact_bytes: int


def sizes(message: Ask | Answer) -> Sizes:
    """What a message is made of, byte by byte; HTTP's own headers come on top."""
    total = len(body(message))
    if isinstance(message, Ask):
        artifact = len(_text(message.artifact))
        return Sizes(0, 0, total - artifact, artifact)
    written = len(_text(message.code))
    return Sizes(message.bits, written, total - written, 0)


def body(message: Ask | Answer) -> bytes:
    """The message as it is sent: JSON without white space, in UTF-8.

    Raises:
        WireError: if the artifact is not JSON.
    """
    return _text(message.document())


def accept(ask: Ask, answer: Answer, scalar: Scalar) -> float:
    """The quote in an answer, after checking that it is one to this ask.

    Args:
        ask: what was asked.
        answer: what came.
        scalar: of the receiver, by whose declaration the ask was made.

    Raises:
        ConflictError: if it answers another handoff.
        WireError: if it has other bits than declared, or is out of range.
    """
    if answer.handoff_id != ask.handoff_id:
        raise ConflictError(f"answer to {answer.handoff_id}, asked was {ask.handoff_id}")
    if answer.bits != scalar.bits:
        raise WireError(f"bits: {answer.bits}, the receiver declared {scalar.bits}")
    return decode(scalar, answer.code)


def parse(body: bytes, limit: int = LIMIT) -> Json:
    """Read strict JSON from untrusted bytes.

    Args:
        body: UTF-8 without a byte order mark.
        limit: of its length in bytes.

    Raises:
        WireError: if it is longer than `limit`, not UTF-8, not JSON, holds NaN or an infinity, a
            key twice, half a surrogate pair or an integer beyond 19 digits, or is nested deeper
            than 64. The message names the place.
    """
    if len(body) > limit:
        raise WireError(f"body: {len(body)} bytes, at most {limit}; send less in one call")
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise WireError(f"body: not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise WireError(f"body: not JSON at {place} ({error.msg})") from error
    except RecursionError as error:
        raise WireError(f"body: nested deeper than {DEPTH}") from error
    _check_depth(document)
    if _SURROGATE.search(body):  # legal as a pair only, and only one of them would surface later
        _text(document)
    return document


def members(document: Json, what: str, names: Collection[str]) -> dict[str, Json]:
    """The members of an object that must have these and no others.

    Raises:
        WireError: if it is no object, lacks one of them or has another; the message names it.
    """
    if not isinstance(document, dict):
        raise WireError(f"{what}: must be an object, is {_kind(document)}")
    missing = [name for name in names if name not in document]
    if missing:
        raise WireError(f"{what}: lacks '{missing[0]}'")
    unknown = [key for key in document if key not in names]
    if unknown:
        raise WireError(f"{what}: has the unknown field {_shown(unknown[0])}; remove it")
    return document


def check_name(value: Json, what: str) -> str:
    """A name or id: 1 to 128 of the characters A-Z a-z 0-9 _ . : -, of which . : - not first.

    They mean nothing in a URL, a log line, a label of a metric or a page.

    Raises:
        WireError: if it is none.
    """
    if not isinstance(value, str):
        raise WireError(f"{what}: must be a string, is {_kind(value)}")
    if not _NAME.fullmatch(value):
        raise WireError(
            f"{what}: {_shown(value)} must be 1 to 128 letters, digits or any of _ . : - and "
            "start with a letter, a digit or _"
        )
    return value


def whole(value: Json, what: str) -> int:
    """An integer of the protocol, at most 2^53 in absolute value.

    Raises:
        WireError: if it is none; true and 1.0 are none.
    """
    if type(value) is not int:
        raise WireError(f"{what}: must be a whole number, is {_kind(value)}")
    if abs(value) > LARGEST_INT:
        raise WireError(f"{what}: is beyond 2^53")
    return value


def _text(document: Json) -> bytes:
    try:
        return _ENCODER.encode(document).encode("utf-8")
    except UnicodeEncodeError as error:
        raise WireError("a string holds half a surrogate pair, which is no character") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"artifact: cannot be written as JSON ({error})") from error


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise WireError(f"body: the key {_shown(twice)} stands twice in one object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise WireError(f"body: {constant} is not JSON; leave the field out")


def _int(digits: str) -> int:
    if len(digits) > DIGITS and len(digits.lstrip("-")) > DIGITS:
        raise WireError(f"body: the integer {digits[:12]}... has more than {DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise WireError(f"body: the number {digits[:24]} is too large for 64 bits")
    return value


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse, parse_int=_int, parse_float=_float
)


def _check_depth(document: Json) -> None:
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(DEPTH):
        if not level:
            return
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
    if level:
        raise WireError(f"body: nested deeper than {DEPTH}")


def _kind(value: Json) -> str:
    """What JSON calls it."""
    if value is None:
        return "null"
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return names.get(type(value), "a number")


def _shown(text: str) -> str:
    """A stranger's string for a message: one line, ASCII, not long."""
    plain = ascii(text)
    return plain if len(plain) <= 48 else f"{plain[:44]}...'"
