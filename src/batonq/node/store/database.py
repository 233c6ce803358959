"""Database: one SQLite connection whose writes are kept wholly or not at all.

Safe to use from several threads: who is inside a transaction keeps the others out, so that nobody
reads what may yet be undone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Literal

from batonq.base.errors import StoreError, WireError
from batonq.node.store import sql
from batonq.node.store.schema import explain
from batonq.wire.chain import GENESIS

# What the next event follows: number, time and link of the last one; and how many are open.
Latest = tuple[int, float, bytes, int]


class Database:
    """A connection with transactions that nest.

    Attributes:
        path: its file.
        latest: of the events stored; goes back when a transaction is undone.
        lock: held by every call, and throughout a transaction.
        undone: called after events were undone, with the number of the last one left; with None if
            it is not known what was kept.
        execute: runs a statement; `read` and `write` also translate errors.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, writes: bool) -> None:
        """Take over a connection that is in no transaction; only a writer needs `latest`."""
        self.path = path
        self.lock = RLock()
        self.execute = connection.execute
        self.undone: Callable[[int | None], None] = lambda _seq: None
        self._connection = connection
        self._begun: list[Latest] = []  # of each transaction begun, what it started from
        self._broken = False  # a write in the present transaction failed: none will be kept
        self._transaction = _Transaction(self)
        self.latest: Latest = self.stored() if writes else (0, 0.0, GENESIS, 0)

    def transaction(self) -> AbstractContextManager[None]:
        """Keep together what is written inside; see `Store.transaction`."""
        return self._transaction

    def alone(self) -> bool:
        """Whether no transaction is under way.

        Raises:
            StoreError: if one is and a write in it has failed.
        """
        if self._broken:
            raise StoreError(f"{self.path}: a write in this transaction failed; end it first")
        return not self._begun

    def stored(self) -> Latest:
        """`latest` as the file has it."""
        seq, at, link = self.execute(sql.LATEST).fetchone() or (0, 0.0, GENESIS)
        return seq, at, link, self.execute(sql.COUNT_OPEN).fetchone()[0]

    def read(self, statement: str, *values: object) -> list[Any]:
        """All rows of a query.

        Raises:
            StoreError: if it cannot be read.
        """
        with self.lock:
            try:
                return self.execute(statement, values).fetchall()
            except UnicodeEncodeError:
                return []  # nothing stored has a name that is not Unicode text
            except sqlite3.Error as error:
                raise explain(self.path, error) from error

    def write(self, statement: str, *values: object) -> int:
        """Run a statement; returns how many rows it changed.

        Raises:
            StoreError: if it cannot be written.
            WireError: if a text is not Unicode.
        """
        with self.lock:
            self.alone()
            try:
                return self.execute(statement, values).rowcount
            except UnicodeEncodeError as error:
                raise WireError(f"{values[0]!a}: is not Unicode text; give another") from error
            except BaseException as error:
                raise self.given_up(error) from error

    def write_many(self, statement: str, values: Iterable[tuple[object, ...]]) -> None:
        """Run a statement for each of `values`.

        Raises:
            StoreError: if it cannot be written.
        """
        with self.lock:
            self.alone()
            try:
                self._connection.executemany(statement, values)
            except BaseException as error:
                raise self.given_up(error) from error

    def given_up(self, error: BaseException) -> BaseException:
        """After a write that failed: keep nothing of it; returns what to raise."""
        if self._begun:
            self._broken = True
        else:
            with suppress(sqlite3.Error):  # what was wrong already is what is told
                self.roll_back()
                self.latest = self.stored()
                self.undone(None)
        return explain(self.path, error) if isinstance(error, sqlite3.Error) else error

    def roll_back(self) -> None:
        """Undo what SQLite has not undone by itself, as it does for want of room."""
        if self._connection.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of the file; a transaction under way is undone."""
        with self.lock:
            self._connection.close()

    def begin(self) -> None:
        """Begin a transaction, or one inside another."""
        self.lock.acquire()
        depth = len(self._begun)
        try:
            self.execute(f"SAVEPOINT s{depth}" if depth else "BEGIN IMMEDIATE")
            self._begun.append(self.latest)
        except BaseException as error:
            raised = self.given_up(error)
            self.lock.release()
            raise raised from error

    def end(self, *, failed: bool) -> None:
        """End the innermost transaction: keep it, or undo it if what was inside has failed."""
        started = self._begun.pop()
        broken = self._broken
        try:
            if self._begun:
                self._end_inner(len(self._begun), started, failed)
                return
            self._broken = False
            if not (failed or broken):
                self.execute("COMMIT")
                return
            self.roll_back()
            self._back_to(started)
        except BaseException as error:
            raise self.given_up(error) from error
        finally:
            self.lock.release()
        if not failed:
            raise StoreError(
                f"{self.path}: nothing of the transaction was kept, as a write in it failed; "
                "do it again"
            )

    def _back_to(self, started: Latest) -> None:
        self.latest = started
        self.undone(started[0])

    def _end_inner(self, depth: int, started: Latest, failed: bool) -> None:
        if self._broken:
            return  # the outermost one will undo it
        if failed:
            self.execute(f"ROLLBACK TO s{depth}")
            self._back_to(started)
        self.execute(f"RELEASE s{depth}")


class _Transaction(AbstractContextManager[None]):
    """`with` on a transaction; one for all, as the database counts how deep it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        self._database.end(failed=kind is not None)
        return False
