"""Every call kept in one SQLite file, so that no call is paid for twice, whatever is killed when.

A reply is on disk before anybody sees it. One file may be used by several processes at once.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import TypeAdapter

from batonq.base.errors import DataError
from batonq.base.files import make_folder
from batonq.llm.request import Reply, Request

_APPLICATION: Final = 0x62714C4D  # "bqLM", tells our files from others
_VERSION: Final = 1
_WAIT: Final = 30.0  # seconds to wait for another process's write
_PAUSE: Final = 0.01  # seconds between two tries at what SQLite does not wait for
_REPLY: Final = TypeAdapter(Reply)
_SCHEMA: Final = """
CREATE TABLE call(
  key TEXT PRIMARY KEY, model TEXT NOT NULL, request TEXT NOT NULL, reply TEXT NOT NULL,
  cost REAL NOT NULL, unit TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Kept:
    """A call that was made.

    Attributes:
        reply: what came.
        cost: what it cost when it was made.
        unit: of the cost.
        cached: whether it was made before, and came from the cache.
    """

    reply: Reply
    cost: float
    unit: str
    cached: bool = False


class Cache:
    """The calls of a file; made if it is not there.

    Args:
        path: the file.

    Raises:
        DataError: if it cannot be opened or is not a file of this kind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        make_folder(path.parent)
        try:
            # Transactions are begun and ended here alone.
            self._db = sqlite3.connect(
                path, timeout=_WAIT, check_same_thread=False, isolation_level=None
            )
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        try:
            self._open()
        except sqlite3.Error as error:
            self._db.close()
            raise self._unusable(error) from error
        except DataError:
            self._db.close()
            raise

    def _open(self) -> None:
        with self._transaction():
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables and (application, version) != (_APPLICATION, _VERSION):
                raise DataError(
                    f"{self.path}: is another kind of database, or of a newer batonq; "
                    "give another file with --cache"
                )
            if not tables:
                self._db.execute(f"PRAGMA application_id={_APPLICATION}")
                self._db.execute(f"PRAGMA user_version={_VERSION}")
                self._db.execute(_SCHEMA)
        self._use_wal()
        self._db.execute("PRAGMA synchronous=FULL")  # a paid reply outlives a power cut

    def _use_wal(self) -> None:
        """Switch to a write-ahead log. SQLite does not wait for others here, so this does."""
        until = time.monotonic() + _WAIT
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def find(self, request: Request) -> Kept | None:
        """What the same request was answered before, if it was made.

        Raises:
            DataError: if it cannot be read, or is damaged.
        """
        with self._using():
            row = self._db.execute(
                "SELECT reply, cost, unit FROM call WHERE key=?", (request.key(),)
            ).fetchone()
        if row is None:
            return None
        try:
            reply = _REPLY.validate_json(row[0], strict=True)
            return Kept(reply, float(row[1]), str(row[2]), cached=True)
        except (ValueError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{self.path}: a kept reply is damaged ({reason[:200]}); give another file with "
                "--cache"
            ) from error

    def keep(self, request: Request, kept: Kept) -> None:
        """Store what a call was answered; on disk when this returns. The first answer stays.

        Raises:
            DataError: if it cannot be stored.
        """
        asked = json.dumps(asdict(request), sort_keys=True, ensure_ascii=False)
        told = json.dumps(asdict(kept.reply), ensure_ascii=False)
        row = (request.key(), request.model, asked, told, kept.cost, kept.unit, time.time())
        with self._using(), self._transaction():
            self._db.execute("INSERT OR IGNORE INTO call VALUES(?, ?, ?, ?, ?, ?, ?)", row)

    def spent(self, unit: str) -> float:
        """The cost of all calls kept, of those counted in `unit`."""
        with self._using():
            (total,) = self._db.execute(
                "SELECT coalesce(sum(cost), 0) FROM call WHERE unit=?", (unit,)
            ).fetchone()
        return float(total)

    def __len__(self) -> int:
        with self._using():
            return int(self._db.execute("SELECT count(*) FROM call").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise DataError(
                    f"{self.path}: {error}; the calls kept so far are safe, mend the disk and "
                    "start again"
                ) from error

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One transaction, on disk at its end or without a trace."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _unusable(self, error: sqlite3.Error) -> DataError:
        return DataError(
            f"{self.path}: cannot be opened as a cache of calls ({error}); "
            "give another file with --cache"
        )
