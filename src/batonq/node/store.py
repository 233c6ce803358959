"""SqliteStore: events, outbox and states in one SQLite file that one process writes.

A call has happened wholly or not at all, whatever interrupts it. One thread at a time.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple

from batonq.base.errors import StoreError, WireError
from batonq.base.files import Json
from batonq.node import schema, sql
from batonq.node.event import DECISION, DuplicateError, Event, once
from batonq.node.lock import Lock
from batonq.wire import chain

DURABILITY: Final = ("normal", "full")
_PAGE: Final = 500  # rows read at a time, so that no reader holds back the write-ahead log


class _Latest(NamedTuple):
    """What the next event follows: number, time and link of the last one; how many are open."""

    seq: int
    at: float
    link: bytes
    open: int


class _Transaction(AbstractContextManager[None]):
    """`with` on a store's transaction; one for all, as the store counts how deep it is."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def __enter__(self) -> None:
        self._store._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        self._store._end(failed=kind is not None)
        return False


class SqliteStore:
    """The `Store` of a node that outlives its process.

    Attributes:
        path: its file.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: Lock | None) -> None:
        """Use `open`."""
        self.path = path
        self._connection = connection
        self._lock = lock
        self._execute = connection.execute
        self._transaction = _Transaction(self)
        self._begun: list[_Latest] = []  # of each transaction begun, what it started from
        self._broken = False
        self._latest = self._stored()

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
        latest = self._latest
        seq = latest.seq + 1
        at = event.at if event.at > latest.at else latest.at
        salt = os.urandom(chain.SALT_BYTES)
        body = _text(event.body, event.once)
        digest = chain.digest(salt, body)
        name = event.kind, event.agent, event.handoff_id, event.once
        try:
            link = chain.link(latest.link, seq, at, *name, digest)
        except UnicodeEncodeError as error:
            raise WireError(f"{event.once!a}: a name is not Unicode text; give another") from error
        self._check_whole()
        is_open = 1 if opens and not closes else None
        row = (seq, at, is_open, *name, digest, link, salt, body)
        alone = closes and not self._begun
        try:
            if alone:
                self._execute("BEGIN IMMEDIATE")
            self._execute(sql.APPEND, row)
            count = latest.open + (is_open or 0)
            if closes:
                count -= self._execute(sql.CLOSE, (once(DECISION, event.handoff_id),)).rowcount
            if alone:
                self._execute("COMMIT")
            self._latest = _Latest(seq, at, link, count)
        except sqlite3.IntegrityError as error:
            if alone:
                self._execute("ROLLBACK")
            stored = self.find(event.once)
            if stored is None:
                self._give_up()
                raise schema.explain(self.path, error) from error
            raise DuplicateError(stored) from None
        except BaseException as error:
            self._give_up()
            raise self._explained(error) from error
        return seq

    def find(self, once: str) -> Event | None:
        """See `Store.find`."""
        found = self._read(sql.FIND, once)
        return self._event(found[0]) if found else None

    def events(self, after: int = 0, agent: str | None = None) -> Iterator[Event]:
        """See `Store.events`."""
        while True:
            if agent is None:
                page = self._read(sql.AFTER, after, _PAGE)
            else:
                page = self._read(sql.AFTER_OF_AGENT, after, agent, _PAGE)
            for row in page:
                yield self._event(row)
            if len(page) < _PAGE:
                return
            after = page[-1][-1]

    def last(self) -> int:
        """See `Store.last`."""
        return self._stored().seq if self._lock is None else self._latest.seq

    def open_before(self, at: float, limit: int) -> list[str]:
        """See `Store.open_before`."""
        # Times do not decrease with the number: those before `at` are the first ones.
        oldest = self._read(sql.OLDEST_OPEN, limit)
        return [handoff_id for handoff_id, opened in oldest if opened < at]

    def count_open(self) -> int:
        """See `Store.count_open`."""
        return self._stored().open if self._lock is None else self._latest.open

    def transaction(self) -> AbstractContextManager[None]:
        """See `Store.transaction`."""
        return self._transaction

    def to_send(self, handoff_id: str, receiver: str, artifact: Json) -> None:
        """See `Store.to_send`."""
        self._write(sql.TO_SEND, handoff_id, receiver, _text(artifact, handoff_id))

    def sent(self, handoff_id: str) -> None:
        """See `Store.sent`."""
        self._write(sql.SENT, handoff_id)

    def unsent(self, limit: int) -> list[tuple[str, str, Json]]:
        """See `Store.unsent`."""
        found = self._read(sql.UNSENT, limit)
        return [(one, receiver, self._json(text, one)) for one, receiver, text in found]

    def keep_state(self, name: str, seq: int, state: Json) -> None:
        """See `Store.keep_state`."""
        self._write(sql.KEEP_STATE, name, seq, _text(state, name))

    def state(self, name: str) -> tuple[int, Json] | None:
        """See `Store.state`."""
        found = self._read(sql.STATE, name)
        return (found[0][0], self._json(found[0][1], name)) if found else None

    def states(self, prefix: str) -> list[str]:
        """See `Store.states`."""
        names = (name for (name,) in self._read(sql.STATES))
        return [name for name in names if name.startswith(prefix)]

    def rows(self, after: int = 0) -> Iterator[chain.Row]:
        """See `Store.rows`."""
        while True:
            page = self._read(sql.ROWS, after, _PAGE)
            yield from map(chain.Row._make, page)
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    def forget(self, upto: int, handoffs: Collection[str] | None = None) -> int:
        """See `Store.forget`."""
        with self._transaction:
            if handoffs is None:
                count = self._write(sql.FORGET_CLOSED, upto, upto)
            else:
                self._write(sql.CHOSEN)
                for one in set(handoffs):
                    self._write(sql.CHOOSE, one)
                count = self._write(sql.FORGET_CHOSEN, upto)
                self._write(sql.CHOSEN_NO_MORE)
            self._write(sql.FORGET_UNSENT)
        return count

    def scrub(self) -> None:
        """See `Store.scrub`: rewrites the whole file, which takes as much room again.

        Raises:
            StoreError: if it cannot, or another process reads it just now; what was deleted stays
                deleted, but its bytes may still lie in the file.
        """
        try:
            self._execute("VACUUM")
            busy = self._execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            raise schema.explain(self.path, error) from error
        if busy:
            raise StoreError(
                f"{self.path}: another process reads it, so that deleted bytes may still lie in "
                "it; scrub it again later"
            )

    def close(self) -> None:
        """See `Store.close`; what an unfinished transaction holds is not kept."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()

    def _begin(self) -> None:
        depth = len(self._begun)
        self._begun.append(self._latest)
        try:
            self._execute(f"SAVEPOINT s{depth}" if depth else "BEGIN IMMEDIATE")
        except BaseException as error:
            self._begun.pop()
            self._give_up()
            raise self._explained(error) from error

    def _end(self, *, failed: bool) -> None:
        started = self._begun.pop()
        depth = len(self._begun)
        try:
            if depth:
                self._end_inner(depth, started, failed)
            elif failed or self._broken:
                self._roll_back(started)
            else:
                self._execute("COMMIT")
        except BaseException as error:
            self._give_up()
            raise self._explained(error) from error
        if self._broken and not depth:
            self._broken = False
            if not failed:
                raise StoreError(
                    f"{self.path}: nothing of the transaction was kept, as a write in it failed; "
                    "do it again"
                )

    def _end_inner(self, depth: int, started: _Latest, failed: bool) -> None:
        if self._broken:
            return  # the outermost one will undo it
        if failed:
            self._execute(f"ROLLBACK TO s{depth}")
            self._latest = started
        self._execute(f"RELEASE s{depth}")

    def _roll_back(self, started: _Latest) -> None:
        if self._connection.in_transaction:  # else SQLite has done it, for want of room say
            self._execute("ROLLBACK")
        self._latest = started

    def _give_up(self) -> None:
        """After a write that failed: keep nothing of it."""
        if self._begun:
            self._broken = True
            return
        with suppress(sqlite3.Error):  # what was wrong already is what is told
            if self._connection.in_transaction:
                self._execute("ROLLBACK")
            self._latest = self._stored()

    def _stored(self) -> _Latest:
        seq, at, link = self._execute(sql.LATEST).fetchone() or (0, 0.0, chain.GENESIS)
        return _Latest(seq, at, link, self._execute(sql.COUNT_OPEN).fetchone()[0])

    def _write(self, statement: str, *values: object) -> int:
        """Run a statement; returns how many rows it changed."""
        self._check_whole()
        try:
            return self._execute(statement, values).rowcount
        except UnicodeEncodeError as error:
            raise WireError(f"{values[0]!a}: is not Unicode text; give another name") from error
        except BaseException as error:
            self._give_up()
            raise self._explained(error) from error

    def _check_whole(self) -> None:
        if self._broken:
            raise StoreError(f"{self.path}: a write in this transaction failed; end it first")

    def _read(self, statement: str, *values: object) -> list[Any]:
        try:
            return self._execute(statement, values).fetchall()
        except UnicodeEncodeError:
            return []  # nothing stored has a name that is not Unicode text
        except sqlite3.Error as error:
            raise schema.explain(self.path, error) from error

    def _event(self, row: Any) -> Event:
        kind, agent, handoff_id, name, at, body, seq = row
        content = {} if body is None else self._json(body, name)
        return Event(kind, agent, handoff_id, name, at, content, seq)

    def _json(self, text: str, name: str) -> Json:
        try:
            return json.loads(text)
        except ValueError as error:
            raise StoreError(
                f"{self.path}: {name}: what is stored is not JSON ({error}); restore a backup"
            ) from error

    def _explained(self, error: BaseException) -> BaseException:
        return schema.explain(self.path, error) if isinstance(error, sqlite3.Error) else error


def _text(value: Json, name: str) -> str:
    try:
        return chain.text(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"{name!a}: what is to be stored is not JSON ({error})") from error
