"""MemoryStore: a store that ends with its process; it behaves as `SqliteStore` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from copy import deepcopy
from itertools import islice
from threading import RLock
from types import TracebackType
from typing import Literal

from batonq.base.files import Json
from batonq.node.event import DECISION, REVISION, DuplicateError, Event
from batonq.wire import chain

Undo = Callable[[], object]


class _Transaction(AbstractContextManager[None]):
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __enter__(self) -> None:
        self._store._lock.acquire()
        self._store._begun.append(len(self._store._undo))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        self._store._end(failed=kind is not None)
        return False


class MemoryStore:
    """The `Store` of a node that need not outlive its process.

    Bodies, artifacts and states are kept as they are given, unchecked, and must not be changed
    afterwards. The hash chain is computed when asked for. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._at = 0.0
        self._numbers: dict[str, int] = {}  # seq by once
        self._revised: dict[str, list[int]] = {}  # seq of its revisions by handoff
        self._open: dict[str, int] = {}  # seq of the decision by handoff, oldest first
        self._outbox: dict[str, tuple[int, str, Json]] = {}  # with the place, oldest first
        self._places = 0
        self._states: dict[str, tuple[int, Json]] = {}
        self._rows: list[chain.Row] = []  # of the first events; the rest on demand
        self._begun: list[int] = []  # of each transaction begun, how long `_undo` was
        self._undo: list[Undo] = []
        self._transaction = _Transaction(self)
        self._lock = RLock()

    def append(self, event: Event, *, opens: bool = False, closes: bool = False) -> int:
        """See `Store.append`."""
        kind, agent, handoff_id, key, at, body, _ = event
        with self._lock:
            number = self._numbers.get(key)
            if number is not None:
                raise DuplicateError(self._event(number))
            before = self._at
            at = self._at = max(before, at)
            seq = len(self._events) + 1
            self._events.append(Event(kind, agent, handoff_id, key, at, body, seq))
            self._numbers[key] = seq
            if kind == REVISION:
                self._revised.setdefault(handoff_id, []).append(seq)
            opened = None
            if closes:
                opened = self._open.pop(handoff_id, None)
            elif opens:
                self._open[handoff_id] = seq
            if self._begun:
                self._undo.append(lambda: self._take_back(event, before, opens, opened))
            return seq

    def find(self, once: str) -> Event | None:
        """See `Store.find`."""
        with self._lock:
            number = self._numbers.get(once)
            return None if number is None else self._event(number)

    def revisions(self, handoff_id: str) -> list[Event]:
        """See `Store.revisions`."""
        with self._lock:
            return [self._event(seq) for seq in self._revised.get(handoff_id, ())]

    def events(self, after: int = 0, agent: str | None = None) -> Iterator[Event]:
        """See `Store.events`."""
        while after < self.last():
            after += 1
            event = self._event(after)
            if agent is None or event.agent == agent:
                yield event

    def last(self) -> int:
        """See `Store.last`."""
        with self._lock:
            return len(self._events)

    def open_before(self, at: float, limit: int) -> list[str]:
        """See `Store.open_before`."""
        with self._lock:
            oldest = islice(self._open.items(), limit)
            return [one for one, seq in oldest if self._events[seq - 1].at < at]

    def count_open(self) -> int:
        """See `Store.count_open`."""
        with self._lock:
            return len(self._open)

    def transaction(self) -> AbstractContextManager[None]:
        """See `Store.transaction`."""
        return self._transaction

    def to_send(self, handoff_id: str, receiver: str, artifact: Json) -> None:
        """See `Store.to_send`."""
        with self._lock:
            before = self._outbox.get(handoff_id)
            self._places += 1
            place = self._places if before is None else before[0]
            self._outbox[handoff_id] = (place, receiver, artifact)
            self._on_undo(lambda: self._put_back(handoff_id, before))

    def sent(self, handoff_id: str) -> None:
        """See `Store.sent`."""
        with self._lock:
            before = self._outbox.pop(handoff_id, None)
            self._on_undo(lambda: self._put_back(handoff_id, before))

    def unsent(self, limit: int) -> list[tuple[str, str, Json]]:
        """See `Store.unsent`."""
        with self._lock:
            first = islice(self._outbox.items(), limit)
            return [(one, receiver, artifact) for one, (_, receiver, artifact) in first]

    def keep_state(self, name: str, seq: int, state: Json) -> None:
        """See `Store.keep_state`."""
        with self._lock:
            before = self._states.get(name)
            self._states[name] = (seq, state)
            if before is None:
                self._on_undo(lambda: self._states.pop(name))
            else:
                self._on_undo(lambda: self._states.update({name: before}))

    def state(self, name: str) -> tuple[int, Json] | None:
        """See `Store.state`."""
        with self._lock:
            kept = self._states.get(name)
        return None if kept is None else (kept[0], deepcopy(kept[1]))

    def states(self, prefix: str) -> list[str]:
        """See `Store.states`."""
        with self._lock:
            return sorted(name for name in self._states if name.startswith(prefix))

    def rows(self, after: int = 0) -> Iterator[chain.Row]:
        """See `Store.rows`."""
        while after < self.last():
            after += 1
            yield self._row(after)

    def forget(self, upto: int, handoffs: Collection[str] | None = None) -> int:
        """See `Store.forget`."""
        with self._transaction:
            upto = min(upto, len(self._events))
            if handoffs is None:
                later = {event.handoff_id for event in self._events[upto:]}
                kept = later | {"", *self._open}
                chosen = {event.handoff_id for event in self._events[:upto]} - kept
            else:
                chosen = set(handoffs)
            return sum(
                self._forget(seq)
                for seq in range(1, upto + 1)
                if self._events[seq - 1].handoff_id in chosen
            )

    def scrub(self) -> None:
        """See `Store.scrub`; nothing to do."""

    def close(self) -> None:
        """See `Store.close`; nothing to do."""

    def _event(self, seq: int) -> Event:
        with self._lock:
            return self._events[seq - 1]

    def _row(self, seq: int) -> chain.Row:
        with self._lock:
            for event in self._events[len(self._rows) : seq]:
                previous = self._rows[-1].link if self._rows else chain.GENESIS
                salt, body = os.urandom(chain.SALT_BYTES), chain.text(event.body)
                number, at = len(self._rows) + 1, float(event.at)
                name = event.kind, event.agent, event.handoff_id, event.once
                digest = chain.digest(salt, body)
                link = chain.link(previous, number, at, *name, digest)
                self._rows.append(chain.Row(number, at, *name, body, salt, digest, link))
            return self._rows[seq - 1]

    def _forget(self, seq: int) -> bool:
        """Delete a body; returns whether there was one."""
        row, event = self._row(seq), self._events[seq - 1]
        if row.body is None:
            return False
        self._events[seq - 1] = event._replace(body={})
        self._rows[seq - 1] = row._replace(body=None, salt=None)
        if event.kind == DECISION:
            self.sent(event.handoff_id)

        def undo() -> None:
            self._events[seq - 1] = event
            self._rows[seq - 1] = row

        self._on_undo(undo)
        return True

    def _on_undo(self, undo: Undo) -> None:
        if self._begun:
            self._undo.append(undo)

    def _end(self, *, failed: bool) -> None:
        start = self._begun.pop()
        if failed:
            while len(self._undo) > start:
                self._undo.pop()()
        if not self._begun:
            self._undo.clear()
        self._lock.release()

    def _take_back(self, event: Event, before: float, opens: bool, opened: int | None) -> None:
        del self._events[-1]
        if event.kind == REVISION:
            self._revised[event.handoff_id].pop()
        del self._rows[len(self._events) :]
        del self._numbers[event.once]
        self._at = before
        if opened is not None:
            self._open[event.handoff_id] = opened
            self._open = dict(sorted(self._open.items(), key=lambda one: one[1]))
        elif opens:
            self._open.pop(event.handoff_id, None)

    def _put_back(self, handoff_id: str, before: tuple[int, str, Json] | None) -> None:
        if before is None:
            self._outbox.pop(handoff_id, None)
        else:
            self._outbox[handoff_id] = before
            self._outbox = dict(sorted(self._outbox.items(), key=lambda one: one[1][0]))
