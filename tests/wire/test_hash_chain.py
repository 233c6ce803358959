"""The hash chain: what it is made of, what it shows, what it survives."""

from __future__ import annotations

import struct
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.wire import chain

NAMES = st.text(max_size=6)
BODIES = st.dictionaries(NAMES, st.integers() | st.floats(allow_nan=False, allow_infinity=False))
EVENTS = st.lists(st.tuples(NAMES, NAMES, NAMES, NAMES, BODIES), min_size=1, max_size=6)


def chained(events):
    """Rows of events (kind, agent, handoff_id, once, body), one a second."""
    rows, previous = [], chain.GENESIS
    for seq, (*name, body) in enumerate(events, 1):
        salt, text = bytes([seq]) * chain.SALT_BYTES, chain.text(body)
        digest = chain.digest(salt, text)
        previous = chain.link(previous, seq, float(seq), *name, digest)
        rows.append(chain.Row(seq, float(seq), *name, text, salt, digest, previous))
    return rows


def three():
    return chained(
        [
            ("decision", "a", "h1", "decision:h1", {"y": 1}),
            ("outcome", "a", "h1", "outcome:h1", {"reward": -0.5}),
            ("quote", "a", "h1", "quote:h1", {"quote": 0.25}),
        ]
    )


def test_a_link_covers_these_bytes_in_this_order():
    digest = sha256(b"s" * 16 + b'{"y":1}').digest()
    assert chain.digest(b"s" * 16, '{"y":1}') == digest
    framed = (
        bytes(range(32))
        + struct.pack(">Q", 7)
        + struct.pack(">d", 1.5)
        + struct.pack(">IIII", 8, 2, 2, 11)
        + "decisionäh1decision:h1".encode()
        + digest
    )
    assert chain.link(bytes(range(32)), 7, 1.5, "decision", "ä", "h1", "decision:h1", digest) == (
        sha256(framed).digest()
    )


def test_the_link_of_a_whole_chain_stays_what_it_was():
    # Computed apart from the module, from the bytes that its documentation names.
    assert sha256(b"batonq chain 1").digest() == chain.GENESIS
    assert (
        three()[-1].link.hex() == "c5354064a34c3553cad0cbc9f44546e646089c39aee346db48c208095af18ca6"
    )


def test_a_good_chain():
    rows = three()
    assert chain.verify(rows) == chain.Verdict(3, 0, None, "", rows[-1].link.hex())
    assert chain.verify([]) == chain.Verdict(0, 0, None, "", chain.GENESIS.hex())


def test_an_erased_body_leaves_the_chain_as_it_is():
    rows = three()
    rows[0] = rows[0]._replace(body=None, salt=None)
    rows[2] = rows[2]._replace(body=None, salt=None)
    assert chain.verify(rows) == chain.Verdict(3, 2, None, "", rows[-1].link.hex())


def test_a_head_noted_earlier_is_met_or_not():
    rows = three()
    assert chain.verify(rows, rows[1].link.hex()).noted == 2
    assert chain.verify(rows, chain.GENESIS.hex()).noted == 0
    cut = chain.verify(rows[:2], rows[2].link.hex())
    assert (cut.bad, cut.noted) == (None, None)
    other = chained([("decision", "b", "h1", "decision:h1", {})])
    assert chain.verify(other, rows[0].link.hex()).noted is None


CHANGES = {
    "at": 1.25,
    "kind": "outcomes",
    "agent": "b",
    "handoff_id": "h2",
    "once": "outcome:h2",
    "body": '{"reward":0.5}',
    "salt": b"x" * chain.SALT_BYTES,
    "digest": b"x" * 32,
    "link": b"x" * 32,
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_field_is_found(field):
    rows = three()
    rows[1] = rows[1]._replace(**{field: CHANGES[field]})
    verdict = chain.verify(rows)
    assert (verdict.rows, verdict.bad) == (1, 2)
    assert verdict.why
    assert verdict.head == three()[0].link.hex()


@pytest.mark.parametrize("field", chain.Row._fields)
@pytest.mark.parametrize("value", [None, 5, "x", b"x", -1.0, float("nan"), "\ud800", 2**70])
def test_a_field_of_any_other_kind_is_found_and_breaks_nothing(field, value):
    rows = three()
    if value == getattr(rows[1], field):
        return
    rows[1] = rows[1]._replace(**{field: value})
    verdict = chain.verify(rows)
    if field in ("body", "salt") and value is None:
        rows[1] = rows[1]._replace(body=None, salt=None)
        assert chain.verify(rows).bad is None
        assert verdict.bad == (None if field == "body" else 2)
    else:
        assert verdict.bad == 2


def test_a_byte_cannot_move_from_the_salt_to_the_body():
    rows = three()
    salt, body = rows[1].salt, rows[1].body
    rows[1] = rows[1]._replace(salt=salt[:-1], body=salt[-1:].decode() + body)
    assert chain.verify(rows).bad == 2


def test_rows_removed_put_in_or_moved_are_found():
    rows = three()
    assert "row 1 is missing" in chain.verify(rows[1:]).why
    assert "row 2 is missing" in chain.verify([rows[0], rows[2]]).why
    assert chain.verify([rows[0], rows[1], rows[1], rows[2]]).bad == 3
    assert chain.verify([rows[1], rows[0], rows[2]]).bad == 1
    moved = [rows[0], rows[2]._replace(seq=2), rows[1]._replace(seq=3)]
    assert chain.verify(moved).bad == 2


def test_time_that_runs_back_is_found():
    previous = chain.GENESIS
    rows = []
    for seq, at in ((1, 5.0), (2, 4.0)):
        digest = chain.digest(b"s" * 16, "{}")
        previous = chain.link(previous, seq, at, "k", "a", "h", str(seq), digest)
        rows.append(chain.Row(seq, at, "k", "a", "h", str(seq), "{}", b"s" * 16, digest, previous))
    assert "4.0 lies before" in chain.verify(rows).why


@given(EVENTS, st.data())
def test_any_other_texts_give_another_link(events, data):
    rows = chained(events)
    assert chain.verify(rows).bad is None
    k = data.draw(st.integers(0, len(rows) - 1))
    other = data.draw(st.tuples(NAMES, NAMES, NAMES, NAMES))
    changed = rows[k]._replace(
        **dict(zip(("kind", "agent", "handoff_id", "once"), other, strict=True))
    )
    verdict = chain.verify([*rows[:k], changed, *rows[k + 1 :]])
    assert verdict.bad == (None if changed == rows[k] else k + 1)


@given(st.tuples(NAMES, NAMES, NAMES, NAMES), st.integers(0, 12), st.integers(0, 12))
def test_the_same_letters_split_otherwise_give_another_link(name, first, second):
    letters = "".join(name)
    i, j = sorted((min(first, len(letters)), min(second, len(letters))))
    other = (letters[:i], letters[i:j], letters[j:], "")
    links = {one: chain.link(chain.GENESIS, 1, 1.0, *one, bytes(32)) for one in (name, other)}
    assert len(set(links.values())) == len(links)


def test_bodies_are_json():
    assert chain.text({"a": [1, 2.5, None, "ä"]}) == '{"a":[1,2.5,null,"\\u00e4"]}'
    for body in ({"a": float("nan")}, {"a": float("inf")}):
        with pytest.raises(ValueError, match="not JSON compliant"):
            chain.text(body)
    with pytest.raises(TypeError):
        chain.text({"a": {1, 2}})
