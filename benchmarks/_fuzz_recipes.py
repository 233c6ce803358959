"""Bytes to nearly valid JSON: a fuzzer that mutates bytes then mutates documents.

The first byte says whether the rest is a body as it is, or a recipe: which of the documents given
to start from, and which of its members to replace, delete, add, exchange or wrap.
"""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

RAW: Final = b"\x00"  # what a body starts with that is to be taken as it is
MOST_EDITS: Final = 8

ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 2, 8, 16, 17, 64, 255, 256, 2**31, 2**53, 2**53 + 1, 2**63,
    -(2**63), 10**19, 10**400, 0.0, -0.0, 0.5, 1.0, -1.0, 5e-324, 1e-150, 1e150, 1e151, 1.79e308,
    float("nan"), float("inf"), float("-inf"), "", "a", "end", "terminal", "truncated", "nearest",
    "stochastic", "exact", "..", "../x", "a" * 128, "a" * 129, "\x00", "\n", "\ud800", "é", "<b>",
    "0" * 64, "1", "NaN", [], {}, [[]], [None], {"": {}}, {"a": 1},
)  # fmt: skip


class Reader:
    """Takes numbers off a string of bytes; zeros when it is used up."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.deepest = 100  # once: a few times that is more than can be copied

    @property
    def left(self) -> bool:
        """Whether there is more."""
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """The next bytes, filled up with zeros."""
        part = self._data[self._at : self._at + count]
        self._at += count
        return part.ljust(count, b"\x00")

    def below(self, most: int) -> int:
        """A number in 0..most - 1, for most of at most 65,536."""
        return int.from_bytes(self.take(1 if most <= 256 else 2)) % most

    def value(self) -> Any:
        """A JSON value, or what Python writes instead of one."""
        kind = self.below(8)
        if kind < 4:
            return copy.deepcopy(ODD[self.below(len(ODD))])
        if kind == 4:
            return int.from_bytes(self.take(8), signed=True)
        if kind == 5:
            return struct.unpack(">d", self.take(8))[0]
        text = self.take(self.below(24))
        return text.decode("utf-8", "surrogateescape") if kind == 6 else text.decode("latin-1")


def document_of(data: bytes, starts: Sequence[Any]) -> bytes:
    """The body that `data` describes.

    Args:
        data: what the fuzzer made.
        starts: valid documents.
    """
    if data[:1] == RAW:
        return data[1:]
    reader = Reader(data[1:])
    holder = [copy.deepcopy(starts[reader.below(len(starts))])]
    for _ in range(MOST_EDITS):
        if not reader.left:
            break
        _edit(holder, reader)
    try:
        return json.dumps(holder[0], ensure_ascii=bool(reader.below(2))).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(holder[0]).encode("utf-8")


def _edit(holder: list[Any], reader: Reader) -> None:
    places = list(_places(holder))
    parent, key = places[reader.below(len(places))]
    kind = reader.below(8)
    if kind < 4:
        parent[key] = reader.value()
    elif kind == 4 and parent is not holder:
        del parent[key]
    elif kind == 5:
        other, at = places[reader.below(len(places))]
        with suppress(RecursionError):  # of this very copying, after many such edits
            parent[key] = copy.deepcopy(other[at])
    elif kind == 6:
        depth, reader.deepest = min(reader.below(100), reader.deepest), 0
        for _ in range(depth):
            parent[key] = [parent[key]]
    elif isinstance(parent, dict):
        parent[str(reader.value())] = reader.value()
    else:
        parent[key] = [parent[key], reader.value()]


def _places(holder: list[Any]) -> list[tuple[Any, Any]]:
    """Every container with every key or position in it."""
    found: list[tuple[Any, Any]] = []
    level: list[Any] = [holder]
    while level:
        container = level.pop()
        keys = container if isinstance(container, dict) else range(len(container))
        for key in list(keys)[:50]:
            found.append((container, key))
            if isinstance(container[key], dict | list):
                level.append(container[key])
    return found[:500]
