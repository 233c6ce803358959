"""Audit: is what a store holds what was recorded, and what was it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from batonq.base.errors import DataError, StoreError
from batonq.base.files import Json
from batonq.node.event import ERASURE, Event, Store
from batonq.wire import chain

_HEAD_DIGITS: Final = 64
_PEER_FIELDS: Final = ("peer", "target", "sender")  # where a body names a peer


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        rows: how many rows are good, from the first on.
        erased: how many of these have lost their body.
        recorded: how many erasures were recorded among them.
        head: link of the last good row, as hex: note it elsewhere.
        noted: after which row the head noted earlier stands; None if nowhere, or none was given.
        bad: number of the first row that is wrong; None if all are good.
        why: what is wrong, "" if nothing.
    """

    rows: int
    erased: int
    recorded: int
    head: str
    noted: int | None
    bad: int | None
    why: str

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.why

    def document(self) -> dict[str, Json]:
        """As JSON."""
        return {
            "good": self.good,
            "rows": self.rows,
            "erased": self.erased,
            "recorded_erasures": self.recorded,
            "head": self.head,
            "noted_after_row": self.noted,
            "bad_row": self.bad,
            "why": self.why,
        }


class _Reading:
    """The rows of a store; counts recorded erasures and stops where it cannot be read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.recorded = 0
        self.failure = ""

    def __iter__(self) -> Iterator[chain.Row]:
        try:
            for row in self._store.rows():
                yield row
                if row.kind == ERASURE and row.body is not None:
                    self.recorded += json.loads(row.body)["count"]
        except StoreError as error:
            self.failure = f"it cannot be read ({error})"


def verify(store: Store, head: str | None = None) -> Audit:
    """Check the hash chain of a store from its first row on.

    Args:
        store: read only is enough; its node may go on meanwhile.
        head: a head noted earlier, 64 hexadecimal digits: it must be met, or rows were cut off or
            replaced.

    Raises:
        DataError: if `head` is not one.
    """
    wanted = None if head is None else head.strip().lower()
    if wanted is not None and not _is_head(wanted):
        raise DataError(f"head '{head}': give the {_HEAD_DIGITS} digits that audit verify printed")
    reading = _Reading(store)
    found = chain.verify(reading, wanted)
    audit = Audit(
        found.rows, found.erased, reading.recorded, found.head, found.noted, found.bad, found.why
    )
    if reading.failure:
        return replace(audit, bad=found.rows + 1, why=reading.failure)
    if found.why:
        return audit
    if found.erased > reading.recorded:
        return replace(
            audit,
            why=f"{found.erased} rows have lost their body, of which {reading.recorded} by a "
            "recorded erasure",
        )
    if wanted is not None and found.noted is None:
        return replace(
            audit, why="the head noted earlier is not met: rows were cut off, or all was replaced"
        )
    return audit


def show(
    store: Store, *, handoff_id: str | None = None, peer: str | None = None, limit: int = 20
) -> list[Event]:
    """The latest events, oldest first.

    Args:
        store: read only is enough.
        handoff_id: those of this handoff only.
        peer: those that name this peer only.
        limit: at most so many, >= 1.
    """
    after = 0 if handoff_id is not None or peer is not None else max(0, store.last() - limit)
    chosen = (
        event
        for event in store.events(after)
        if (handoff_id is None or event.handoff_id == handoff_id)
        and (peer is None or any(event.body.get(name) == peer for name in _PEER_FIELDS))
    )
    return list(deque(chosen, maxlen=limit))


def _is_head(head: str) -> bool:
    return len(head) == _HEAD_DIGITS and not set(head) - set("0123456789abcdef")
