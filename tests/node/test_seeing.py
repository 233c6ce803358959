"""Information states as keys: equal for equal sights only, and no text in them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import DataError
from batonq.node import seeing

PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.text())
FIELDS = st.dictionaries(st.text(), PLAIN, max_size=4)


@given(FIELDS, FIELDS)
def test_keys_are_equal_for_equal_sights_only(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (seeing.key(one, "a", ()) == seeing.key(other, "a", ())) is same
    assert json.loads(seeing.key(one, "a", ())) == one


def test_one_true_and_a_string_of_it_differ() -> None:
    keys = {seeing.key({"x": one}, "a", ()) for one in (1, True, "1", "true", None, 1.0)}
    assert len(keys) == 6


def test_the_order_of_fields_does_not_matter_nor_what_was_seen_before() -> None:
    assert seeing.key({"b": 1, "a": 2}, "a", ()) == seeing.key({"a": 2, "b": 1}, "a", ())
    assert seeing.key((1, "x"), "a", ()) == seeing.key([1, "x"], "a", ()) == '[1,"x"]'
    assert seeing.key(7, "a", ()) == "7"


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({"x": math.nan}, "field 'x' is a float"),
        ({"x": {1, 2}}, "field 'x' is a set"),
        ({"x": object()}, "field 'x' is a object"),
        (b"bytes", "what is seen"),
        ({"x": "y" * 5_000}, "characters, at most 4096"),
        ({"text": 7}, "a text field holds a int"),
    ],
)
def test_what_cannot_be_kept_is_named(seen: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        seeing.key(seen, "a", ("text",))


def test_text_leaves_no_trace_but_numbers() -> None:
    key = seeing.key({"kind": "bug", "text": "My secret, my Secret!"}, "a", ("text",))
    assert "secret" not in key.lower()
    assert seeing.has_text(key)
    numbers = json.loads(key)["#text"]
    assert numbers == sorted(set(numbers))
    assert 2 <= len(numbers) <= 4  # two words and the two neighbouring pairs of them


@given(FIELDS, st.text())
def test_vectors_have_a_constant_and_parts_of_bounded_length(
    fields: dict[str, Any], text: str
) -> None:
    fields.pop("text", None)
    fields.pop("#text", None)
    x = seeing.vector(seeing.key({**fields, "text": text}, "a", ("text",)))
    assert x.shape == (seeing.WIDTH + 1,)
    assert x[-1] == 1.0
    assert np.isfinite(x).all()
    assert (x[:-1] ** 2).sum() <= 2 * (len(fields) + 1) + 2
