from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import RefusedError, WireError
from batonq.base.files import Json
from batonq.wire.declaration import Declaration, _shortest, agree, check_digest
from batonq.wire.messages import parse
from batonq.wire.scalar import Scalar

OURS = Declaration(Scalar(-20.0, 20.0), 0.95, "second", "points")

units = st.from_regex(r"[A-Za-z0-9_.:/%$-]{1,64}", fullmatch=True)
scalars = st.builds(
    Scalar,
    st.floats(-1e100, -1e-100),
    st.floats(1e-100, 1e100),
    st.integers(1, 16),
    st.sampled_from(["nearest", "stochastic"]),
) | st.builds(Scalar, st.floats(-1e9, 0), st.floats(1e-9, 1e9), st.just(64), st.just("exact"))
declarations = st.builds(
    Declaration,
    scalars,
    st.floats(0, 1),
    units,
    units,
    st.floats(0, exclude_min=True, allow_infinity=False),
)


@given(declarations)
def test_a_declaration_comes_back_as_it_was(declaration: Declaration) -> None:
    text = json.dumps(declaration.document()).encode()
    assert Declaration.from_document(parse(text)) == declaration
    assert Declaration.from_document(parse(text)).digest() == declaration.digest()


@given(declarations, declarations)
def test_digests_differ_if_declarations_do(one: Declaration, other: Declaration) -> None:
    assert (one.digest() == other.digest()) == (one == other)


def test_the_digest_by_hand() -> None:
    text = (
        '{"gamma":0.95,"protocol":1,"reward_scale":1,"reward_unit":"points",'
        '"scalar":{"bits":8,"high":20,"low":-20,"rounding":"nearest"},"time_unit":"second"}'
    )
    assert OURS.digest() == hashlib.sha256(text.encode()).hexdigest()
    ints = replace(OURS, scalar=Scalar(-20, 20), reward_scale=1)  # 1 and 1.0 are one number
    assert ints.digest() == OURS.digest()
    assert (
        replace(OURS, scalar=Scalar(-0.0, 20)).digest()
        == replace(OURS, scalar=Scalar(0, 20)).digest()
    )


# RFC 8785, appendix B: bits of the number, and how it is written.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_numbers_are_written_as_rfc_8785_says(bits: str, text: str) -> None:
    assert _shortest(struct.unpack(">d", bytes.fromhex(bits))[0]) == text


def test_agreement_with_oneself_and_with_a_narrower_range() -> None:
    agree(OURS, OURS)
    agree(OURS, replace(OURS, scalar=Scalar(-5, 20, 4, "stochastic")))
    agree(OURS, replace(OURS, scalar=Scalar(-20, 20 * (1 + 1e-12), 64, "exact")))  # computed apart


def test_a_refusal_names_every_difference_with_both_values() -> None:
    theirs = Declaration(Scalar(-20.0, 30.0), 0.9, "step", "usd", 0.01)
    with pytest.raises(RefusedError) as caught:
        agree(OURS, theirs)
    assert str(caught.value) == (
        "declarations differ: gamma: ours 0.95, theirs 0.9; time_unit: ours 'second', theirs "
        "'step'; reward_unit: ours 'points', theirs 'usd'; reward_scale: ours 1.0, theirs 0.01; "
        "range: ours [-20, 20], theirs [-20, 30], which is not within ours; agree with the peer "
        "on one, and set it in both configurations"
    )


@pytest.mark.parametrize("wide", [Scalar(-20.1, 20), Scalar(-20, 20.1), Scalar(0, 1e100)], ids=str)
def test_a_wider_range_is_refused(wide: Scalar) -> None:
    with pytest.raises(RefusedError, match="which is not within ours"):
        agree(OURS, replace(OURS, scalar=wide))


def test_another_digest_is_refused() -> None:
    check_digest(OURS, OURS.digest())
    other = replace(OURS, scalar=Scalar(-20, 20, 4)).digest()
    with pytest.raises(RefusedError, match=rf"made by {other[:12]}, ours is {OURS.digest()[:12]}"):
        check_digest(OURS, other)


def changed(**fields: Any) -> dict[str, Json]:
    return {**OURS.document(), **fields}


def scalar_changed(**fields: Any) -> dict[str, Json]:
    return changed(scalar={**OURS.document()["scalar"], **fields})


BAD: list[tuple[Json, str]] = [
    (None, "declaration: must be an object, is null"),
    ({}, "declaration: lacks 'protocol'"),
    (changed(more=1), "unknown field 'more'"),
    (changed(protocol=True), "protocol: must be a whole number"),
    (changed(protocol=1.0), "protocol: must be a whole number"),
    (changed(gamma=1.1), "gamma: 1.1 is not in"),
    (changed(gamma=-0.1), "gamma: -0.1 is not in"),
    (changed(gamma="0.9"), "gamma: must be a number"),
    (changed(gamma=None), "gamma: must be a number"),
    (changed(gamma=float("nan")), "gamma: must be finite"),
    (changed(time_unit=""), "time_unit: must be 1 to 64"),
    (changed(time_unit=1), "time_unit: must be 1 to 64"),
    (changed(reward_unit="a" * 65), "reward_unit: must be 1 to 64"),
    (changed(reward_unit=" usd"), "reward_unit: must be"),
    (changed(reward_unit="usd\n"), "reward_unit: must be"),
    (changed(reward_unit="<b>"), "reward_unit: must be"),
    (changed(reward_scale=0), "reward_scale: 0 is not above 0"),
    (changed(reward_scale=10**400), "reward_scale: must be finite"),
    (changed(scalar=[]), "declaration: scalar: must be an object, is a list"),
    (scalar_changed(more=1), "declaration: scalar: has the unknown field 'more'"),
    (scalar_changed(bits=99), "bits of the rounding 'nearest'"),
    (scalar_changed(rounding=None), "rounding must be one of"),
    (scalar_changed(low=1), "must contain 0"),
    (scalar_changed(high="x"), "high: must be a number"),
]


@pytest.mark.parametrize(("document", "message"), BAD, ids=range(len(BAD)))
def test_a_declaration_that_cannot_be_is_refused(document: Json, message: str) -> None:
    with pytest.raises(WireError, match=message):
        Declaration.from_document(document)


def test_another_protocol_is_refused_whatever_its_fields() -> None:
    with pytest.raises(RefusedError, match="protocol: 2, this release speaks 1"):
        Declaration.from_document({"protocol": 2, "something": "else"})


@pytest.mark.parametrize("unit", ["s", "points", "EUR/ticket", "1000 tokens", "$", "usd-cents"])
def test_units_as_people_write_them(unit: str) -> None:
    assert replace(OURS, reward_unit=unit).reward_unit == unit
