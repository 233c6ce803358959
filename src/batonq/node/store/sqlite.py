"""SqliteStore: events, outbox and states in one SQLite file that one process writes.

A call has happened wholly or not at all, whatever interrupts it. Safe to use from several threads.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Final

from batonq.base.errors import StoreError, WireError
from batonq.base.files import Json
from batonq.node.event import DECISION, REVISION, DuplicateError, Event, before_key, once
from batonq.node.store import schema, sql
from batonq.node.store.database import Database
from batonq.node.store.lock import Lock
from batonq.node.store.openness import Openness
from batonq.wire import chain

DURABILITY: Final = ("normal", "full")
# Decisions kept at hand, as a node reads again what it has just written. Few, as the garbage
# collector comes to look through what is kept for long.
RECENT: Final = 32
_PAGE: Final = 500  # rows read at a time, so that no reader holds back the write-ahead log

_Recent = dict[str, Event]  # decisions by once


class SqliteStore:
    """The `Store` of a node that outlives its process.

    Attributes:
        path: its file.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: Lock | None) -> None:
        """Use `open`."""
        self.path = path
        self._base = Database(path, connection, writes=lock is not None)
        self._lock = lock
        self._recent: _Recent = {}
        self._less_recent: _Recent = {}
        self._salts = _salts()
        self._openness = Openness(self._base)
        if lock is not None:
            self._openness.load()
        self._base.undone = self._undone

    @staticmethod
    def open(
        path: str | Path,
        durability: str = "normal",
        *,
        read_only: bool = False,
        create: bool = True,
        version: int = schema.VERSION,
        migrations: Mapping[int, schema.Step] = schema.MIGRATIONS,
    ) -> SqliteStore:
        """Open a store.

        Args:
            path: its file.
            durability: "normal": what was acknowledged survives the death of the process; "full":
                a power cut as well.
            read_only: look at it, also while another process writes it.
            create: make it if there is none.
            version: schema version to have.
            migrations: by older version, how to get to the next.

        Raises:
            StoreError: if it is missing, damaged, another program's, newer, in use, or cannot be
                read or written.
        """
        if durability not in DURABILITY:
            raise StoreError(f"durability '{durability}': give one of {', '.join(DURABILITY)}")
        real = Path(os.path.realpath(path))
        schema.check_path(real, read_only=read_only, create=create)
        lock = None if read_only else Lock(real.with_name(real.name + ".lock"), str(path))
        connection = None
        try:
            connection = schema.connect(real, read_only=read_only, create=create)
            with schema.sound(real):
                schema.prepare(
                    connection,
                    real,
                    durability,
                    read_only=read_only,
                    create=create,
                    version=version,
                    migrations=migrations,
                )
                return SqliteStore(real, connection, lock)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if lock is not None:
                lock.release()
            if isinstance(error, sqlite3.Error):
                raise schema.explain(real, error) from error
            raise

    def append(self, event: Event, *, opens: bool = False, closes: bool = False) -> int:
        """See `Store.append`."""
        name = event.kind, event.agent, event.handoff_id, event.once
        body = _text(event.body, event.once)
        base = self._base
        with base.lock:
            if base.alone() and base.latest[0] >= self._openness.due:
                self._settle_marks()
            last, latest, previous, count = base.latest
            seq, at = last + 1, max(latest, event.at)
            salt = next(self._salts)
            digest = chain.digest(salt, body)
            mark = None
            try:
                if closes:
                    mark = -1 if not opens and self._is_open(event.handoff_id) else None
                elif opens:
                    mark = 1
                link = chain.link(previous, seq, at, *name, digest)
                base.execute(sql.APPEND, (seq, at, mark, *name, digest, link, salt, body))
                base.latest = seq, at, link, count + (mark or 0)
                if mark == -1:
                    self._openness.closed[event.handoff_id] = seq
            except UnicodeEncodeError as error:
                raise WireError(f"{event.once!a}: a name is not Unicode text") from error
            except sqlite3.IntegrityError as error:
                stored = self.find(event.once)
                if stored is None:
                    raise base.given_up(error) from error
                raise DuplicateError(stored) from None
            except BaseException as error:
                raise base.given_up(error) from error
            if mark == 1:
                self._recent[event.once] = Event(*name, at, event.body, seq)
                if len(self._recent) >= RECENT:
                    self._recent, self._less_recent = {}, self._recent
        return seq

    def find(self, once: str) -> Event | None:
        """See `Store.find`."""
        with self._base.lock:
            recent = self._recent.get(once) or self._less_recent.get(once)
            if recent is not None:
                return recent
            found = self._base.read(sql.FIND, once)
        return self._event(found[0]) if found else None

    def revisions(self, handoff_id: str) -> list[Event]:
        """See `Store.revisions`."""
        start = before_key(REVISION, handoff_id)
        end = f"{start[:-1]};"  # what comes after a colon
        return [self._event(row) for row in self._base.read(sql.BETWEEN, start, end)]

    def events(self, after: int = 0, agent: str | None = None) -> Iterator[Event]:
        """See `Store.events`."""
        while True:
            if agent is None:
                page = self._base.read(sql.AFTER, after, _PAGE)
            else:
                page = self._base.read(sql.AFTER_OF_AGENT, after, agent, _PAGE)
            for row in page:
                yield self._event(row)
            if len(page) < _PAGE:
                return
            after = page[-1][-1]

    def last(self) -> int:
        """See `Store.last`."""
        if self._lock is not None:
            return self._base.latest[0]
        found = self._base.read(sql.LATEST)  # another process may be writing
        return int(found[0][0]) if found else 0

    def open_before(self, at: float, limit: int) -> list[str]:
        """See `Store.open_before`."""
        with self._base.lock:
            if self._lock is None:
                self._openness.load()  # another process may be writing
            with schema.sound(self.path):
                return self._openness.before(self._last_before(at), limit)

    def count_open(self) -> int:
        """See `Store.count_open`."""
        if self._lock is not None:
            return self._base.latest[3]
        return int(self._base.read(sql.COUNT_OPEN)[0][0])

    def transaction(self) -> AbstractContextManager[None]:
        """See `Store.transaction`."""
        with self._base.lock:
            if self._base.alone() and self._base.latest[0] >= self._openness.due:
                self._settle_marks()
        return self._base.transaction()

    def to_send(self, handoff_id: str, receiver: str, artifact: Json) -> None:
        """See `Store.to_send`."""
        self._base.write(sql.TO_SEND, handoff_id, receiver, _text(artifact, handoff_id))

    def sent(self, handoff_id: str) -> None:
        """See `Store.sent`."""
        self._base.write(sql.SENT, handoff_id)

    def unsent(self, limit: int) -> list[tuple[str, str, Json]]:
        """See `Store.unsent`."""
        found = self._base.read(sql.UNSENT, limit)
        return [(one, receiver, self._json(text, one)) for one, receiver, text in found]

    def keep_state(self, name: str, seq: int, state: Json) -> None:
        """See `Store.keep_state`."""
        self._base.write(sql.KEEP_STATE, name, seq, _text(state, name))

    def state(self, name: str) -> tuple[int, Json] | None:
        """See `Store.state`."""
        found = self._base.read(sql.STATE, name)
        return (found[0][0], self._json(found[0][1], name)) if found else None

    def states(self, prefix: str) -> list[str]:
        """See `Store.states`."""
        with schema.sound(self.path):
            names = [name for (name,) in self._base.read(sql.STATES)]
            return [name for name in names if name.startswith(prefix)]

    def rows(self, after: int = 0) -> Iterator[chain.Row]:
        """See `Store.rows`."""
        while True:
            page = self._base.read(sql.ROWS, after, _PAGE)
            yield from map(chain.Row._make, page)
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def forget(self, upto: int, handoffs: Collection[str] | None = None) -> int:
        """See `Store.forget`."""
        with self._base.transaction():
            if handoffs is None:
                count = self._base.write(sql.FORGET_CLOSED, upto, upto)
            else:
                self._base.write(sql.CHOSEN)
                for one in set(handoffs):
                    self._base.write(sql.CHOOSE, one)
                count = self._base.write(sql.FORGET_CHOSEN, upto)
                self._base.write(sql.CHOSEN_NO_MORE)
            self._base.write(sql.FORGET_UNSENT)
            self._no_recent()
        return count

    def scrub(self) -> None:
        """See `Store.scrub`: rewrites the whole file, which takes as much room again.

        Raises:
            StoreError: if it cannot, or another process reads it just now; what was deleted stays
                deleted, but its bytes may still lie in the file.
        """
        try:
            with self._base.lock:
                self._base.execute("VACUUM")
                busy = self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            raise schema.explain(self.path, error) from error
        if busy:
            raise StoreError(
                f"{self.path}: another process reads it, so that deleted bytes may still lie in "
                "it; repeat this later"
            )

    def close(self) -> None:
        """See `Store.close`; what an unfinished transaction holds is not kept."""
        self._base.close()
        if self._lock is not None:
            self._lock.release()

    def _settle_marks(self) -> None:
        with suppress(StoreError):  # what is to be stored may still have room
            self._openness.settle()

    def _undone(self, seq: int | None) -> None:
        self._no_recent()
        if seq is None:
            self._openness.load()
        else:
            self._openness.undo(seq)

    def _no_recent(self) -> None:
        self._recent.clear()
        self._less_recent.clear()

    def _is_open(self, handoff_id: str) -> bool:
        key = once(DECISION, handoff_id)
        decision = self._recent.get(key) or self._less_recent.get(key)
        if decision is None:
            return self._openness.is_open(handoff_id)
        return handoff_id not in self._openness.closed

    def _last_before(self, at: float) -> int:
        """Number of the last event before `at`; times do not decrease with the number."""
        low, high = 0, self.last()
        while low < high:
            middle = (low + high + 1) // 2
            if self._base.read(sql.TIME, middle)[0][0] < at:
                low = middle
            else:
                high = middle - 1
        return low

    def _event(self, row: Any) -> Event:
        kind, agent, handoff_id, name, at, body, seq = row
        content = {} if body is None else self._json(body, name)
        if not isinstance(content, dict):
            raise StoreError(f"{self.path}: {name}: its body is no object; restore a backup")
        return Event(kind, agent, handoff_id, name, at, content, seq)

    def _json(self, text: str, name: str) -> Json:
        try:
            return json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise StoreError(
                f"{self.path}: {name}: what is stored is not JSON ({error}); restore a backup"
            ) from error


def _salts() -> Iterator[bytes]:
    """Random salts, drawn many at a time."""
    while True:
        block = os.urandom(chain.SALT_BYTES * 256)
        for start in range(0, len(block), chain.SALT_BYTES):
            yield block[start : start + chain.SALT_BYTES]


def _text(value: Json, name: str) -> str:
    try:
        return chain.text(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"{name!a}: what is to be stored is not JSON ({error})") from error
