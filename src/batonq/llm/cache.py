"""Every call kept in one SQLite file, so that no call is paid for twice, whatever is killed when.

A reply is on disk before anybody sees it. One file may be used by several processes at once.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from batonq.base.errors import DataError
from batonq.base.files import make_folder
from batonq.llm.request import Reply, Request

_APPLICATION: Final = 0x62714C4D  # "bqLM", tells our files from others
_VERSION: Final = 1
_WAIT: Final = 30.0  # seconds to wait for another process's write
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS call(
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
    """

    reply: Reply
    cost: float
    unit: str


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
            self._db = sqlite3.connect(path, timeout=_WAIT, check_same_thread=False)
            self._open()
        except sqlite3.Error as error:
            raise DataError(
                f"{path}: cannot be opened as a cache of calls ({error}); "
                "give another file with --cache"
            ) from error

    def _open(self) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and (application, version) != (_APPLICATION, _VERSION):
            raise DataError(
                f"{self.path}: is another kind of database, or of a newer batonq; "
                "give another file with --cache"
            )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")  # a paid reply outlives a power cut
        with self._db:
            self._db.execute(f"PRAGMA application_id={_APPLICATION}")
            self._db.execute(f"PRAGMA user_version={_VERSION}")
            self._db.execute(_SCHEMA)

    def find(self, request: Request) -> Kept | None:
        """What the same request was answered before, if it was made."""
        with self._lock:
            row = self._run(
                "SELECT reply, cost, unit FROM call WHERE key=?", (request.key(),)
            ).fetchone()
        if row is None:
            return None
        try:
            told = json.loads(row[0])
            told["logprobs"] = tuple(told["logprobs"])
            told["first"] = tuple((token, value) for token, value in told["first"])
            return Kept(Reply(**told), float(row[1]), str(row[2]))
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{self.path}: a kept reply is damaged ({error}); give another file with --cache"
            ) from error

    def keep(self, request: Request, kept: Kept) -> None:
        """Store what a call was answered; on disk when this returns. The first answer stays."""
        asked = json.dumps(asdict(request), sort_keys=True, ensure_ascii=False)
        told = json.dumps(asdict(kept.reply), ensure_ascii=False)
        row = (request.key(), request.model, asked, told, kept.cost, kept.unit, time.time())
        with self._lock, self._db:
            self._run("INSERT OR IGNORE INTO call VALUES(?, ?, ?, ?, ?, ?, ?)", row)

    def spent(self, unit: str) -> float:
        """The cost of all calls kept, of those counted in `unit`."""
        with self._lock:
            (total,) = self._run(
                "SELECT coalesce(sum(cost), 0) FROM call WHERE unit=?", (unit,)
            ).fetchone()
        return float(total)

    def __len__(self) -> int:
        with self._lock:
            return int(self._run("SELECT count(*) FROM call", ()).fetchone()[0])

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

    def _run(self, statement: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise DataError(f"{self.path}: {error}; the calls kept so far are safe") from error
