"""Declaration: what a party says its numbers mean, and whether two parties mean the same."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from batonq.base.errors import RefusedError, WireError
from batonq.base.files import Json
from batonq.wire.messages import members, whole
from batonq.wire.scalar import Scalar, number

PROTOCOL: Final = 1

_UNIT: Final = re.compile(r"[A-Za-z0-9_.:/%$-](?:[A-Za-z0-9 _.:/%$-]{0,62}[A-Za-z0-9_.:/%$-])?")
_FIELDS: Final = ("protocol", "gamma", "time_unit", "reward_unit", "reward_scale", "scalar")
_SCALAR: Final = ("low", "high", "bits", "rounding")
# Two parties that compute one range in two ways may differ in the last digits.
_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the quotes of one party mean.

    Attributes:
        scalar: their range and how they are written.
        gamma: discount per unit of time, in [0, 1].
        time_unit: what durations count: "step", "second", ...
        reward_unit: what rewards count: "points", "usd", ...
        reward_scale: one unit of a reward is this many `reward_unit`, above 0: 0.01 with "usd" if
            rewards are in cents.
        protocol: version of what is specified in docs/wire.md.

    Raises:
        WireError: if one of them is malformed; the message names it.
        RefusedError: if the protocol is another than this release speaks.
    """

    scalar: Scalar
    gamma: float
    time_unit: str = "step"
    reward_unit: str = "reward"
    reward_scale: float = 1.0
    protocol: int = PROTOCOL

    def __post_init__(self) -> None:
        _check_protocol(self.protocol)
        gamma = number(self.gamma, "gamma")
        if not 0 <= gamma <= 1:
            raise WireError(f"gamma: {gamma:g} is not in [0, 1]")
        scale = number(self.reward_scale, "reward_scale")
        if scale <= 0:
            raise WireError(f"reward_scale: {scale:g} is not above 0")
        for name, unit in (("time_unit", self.time_unit), ("reward_unit", self.reward_unit)):
            if not (isinstance(unit, str) and _UNIT.fullmatch(unit)):
                raise WireError(
                    f"{name}: must be 1 to 64 letters, digits, any of _ . : / % $ -, spaces inside"
                )
        object.__setattr__(self, "gamma", gamma + 0.0)
        object.__setattr__(self, "reward_scale", scale)

    def document(self) -> dict[str, Json]:
        """As JSON."""
        scalar = self.scalar
        return {
            "protocol": self.protocol,
            "gamma": self.gamma,
            "time_unit": self.time_unit,
            "reward_unit": self.reward_unit,
            "reward_scale": self.reward_scale,
            "scalar": {name: getattr(scalar, name) for name in _SCALAR},
        }

    @staticmethod
    def from_document(document: Json) -> Declaration:
        """Read what `document` gave.

        Raises:
            RefusedError: if it speaks another protocol.
            WireError: if a field is missing, unknown or malformed; the message names it.
        """
        if isinstance(document, dict) and "protocol" in document:
            _check_protocol(document["protocol"])  # first: another one may have other fields
        given = members(document, "declaration", _FIELDS)
        scalar = Scalar(**members(given["scalar"], "declaration: scalar", _SCALAR))
        return Declaration(**{**given, "scalar": scalar})

    def digest(self) -> str:
        """SHA-256 of the document in the canonical form of RFC 8785, 64 hexadecimal digits.

        Two declarations have one digest if they are equal, and only then. Nodes name by it the
        declaration that they will read an answer by.
        """
        return _digest(self)


def agree(ours: Declaration, theirs: Declaration) -> None:
    """Check that we can learn from what they quote.

    Discount, units and scale must be the same: a quote of theirs becomes a part of our values. Bits
    and rounding are theirs to choose, since it is by their declaration that their codes are read.
    Their range may be narrower than ours but not wider: our values hold theirs, so that a wider one
    says that ours is declared too narrow, or else would let them quote anything.

    Raises:
        RefusedError: if not; the message has every difference with both values.
    """
    found = [
        f"{name}: ours {mine!r}, theirs {other!r}"
        for name in ("gamma", "time_unit", "reward_unit", "reward_scale")
        if (mine := getattr(ours, name)) != (other := getattr(theirs, name))
    ]
    inner, outer = theirs.scalar, ours.scalar
    slack = _SLACK * (outer.high - outer.low)
    if inner.low < outer.low - slack or inner.high > outer.high + slack:
        found.append(
            f"range: ours [{outer.low:g}, {outer.high:g}], theirs [{inner.low:g}, {inner.high:g}], "
            "which is not within ours"
        )
    if found:
        raise RefusedError(
            f"declarations differ: {'; '.join(found)}; agree with the peer on one, and set it in "
            "both configurations"
        )


def check_digest(ours: Declaration, digest: str) -> None:
    """Check, as a receiver, that a sender will read our answer by the declaration we have now.

    Raises:
        RefusedError: if it names another.
    """
    if digest != ours.digest():
        raise RefusedError(
            f"declaration: the ask was made by {digest[:12]}, ours is {ours.digest()[:12]}; fetch "
            "/v1/declaration again and check that units and range still agree"
        )


def _check_protocol(value: Json) -> None:
    if whole(value, "protocol") != PROTOCOL:
        raise RefusedError(
            f"protocol: {value}, this release speaks {PROTOCOL}; use releases of one protocol"
        )


@lru_cache(maxsize=64)
def _digest(declaration: Declaration) -> str:
    return hashlib.sha256(_canonical(declaration.document()).encode("ascii")).hexdigest()


def _canonical(value: Json) -> str:
    """RFC 8785 for objects of ASCII strings and numbers."""
    if isinstance(value, dict):
        inside = (f"{json.dumps(key)}:{_canonical(value[key])}" for key in sorted(value))
        return f"{{{','.join(inside)}}}"
    return json.dumps(value) if isinstance(value, str) else _shortest(float(value))


def _shortest(value: float) -> str:
    """A number as ECMAScript writes it (RFC 8785, section 3.2.2.3)."""
    if value == 0:
        return "0"
    sign, figures, _ = Decimal(repr(value)).normalize().as_tuple()
    digits, point = "".join(map(str, figures)), Decimal(repr(value)).adjusted() + 1
    minus = "-" * sign
    if len(digits) <= point <= 21:
        return f"{minus}{digits}{'0' * (point - len(digits))}"
    if 0 < point <= 21:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{minus}{digits[0]}{rest}e{point - 1:+d}"
