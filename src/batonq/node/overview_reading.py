"""Reading a store that a node is writing: a little at a time, so that no decision waits long."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from batonq.node.core import Core
from batonq.node.event import Event

PAGE: Final = 100  # events read while the node is held up: about a millisecond


class Reading:
    """The events of a node, for readers in other threads than those that write them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def find(self, once: str) -> Event | None:
        """See `Store.find`."""
        with self._core.lock:
            return self._core.store.find(once)

    def revisions(self, handoff_id: str) -> list[Event]:
        """See `Store.revisions`."""
        with self._core.lock:
            return self._core.store.revisions(handoff_id)

    def last(self) -> int:
        """See `Store.last`."""
        with self._core.lock:
            return self._core.store.last()

    def count_open(self) -> int:
        """See `Store.count_open`."""
        with self._core.lock:
            return self._core.store.count_open()

    def events(self, after: int, upto: int) -> Iterator[Event]:
        """Events with a larger number than `after`, up to the number `upto`, in order."""
        while after < upto:
            with self._core.lock:
                page = list(islice(self._core.store.events(after), min(PAGE, upto - after)))
            if not page:
                return
            yield from page
            after = page[-1].seq
