"""Schema: the tables of a store, how a file is opened, checked, created and migrated."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from batonq import __version__
from batonq.base.errors import StoreError

APPLICATION_ID: Final = 0x62746E71  # "btnq": how SQLite files of one program are told apart
VERSION: Final = 1
BUSY_SECONDS: Final = 5.0
CACHE_KIB: Final = 16 * 1024  # of pages kept in memory, whatever the size of the store
WAL_BYTES: Final = 16 * 1024 * 1024  # to which the write-ahead log is cut back

# `open` lies ahead of what may be long: closing a handoff then rewrites one page only.
TABLES: Final = (
    """CREATE TABLE event(
        seq INTEGER PRIMARY KEY, at REAL NOT NULL, open INTEGER, kind TEXT NOT NULL,
        agent TEXT NOT NULL, handoff_id TEXT NOT NULL, once TEXT NOT NULL UNIQUE,
        digest BLOB NOT NULL, link BLOB NOT NULL, salt BLOB, body TEXT)""",
    "CREATE TABLE opened(upto INTEGER NOT NULL, count INTEGER NOT NULL, oldest INTEGER NOT NULL)",
    "INSERT INTO opened VALUES(0, 0, 1)",
    """CREATE TABLE outbox(
        place INTEGER PRIMARY KEY, handoff_id TEXT NOT NULL UNIQUE, receiver TEXT NOT NULL,
        artifact TEXT NOT NULL)""",
    "CREATE TABLE state(name TEXT PRIMARY KEY, seq INTEGER NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)

Step = Callable[[sqlite3.Connection], None]
# From each older version, how to get to the next one; run in one transaction.
MIGRATIONS: Final[Mapping[int, Step]] = {}

_MAGIC: Final = b"SQLite format 3\0"
_REMEDIES: Final = {
    "SQLITE_FULL": "the disk, or the limit set for the file, is full; make room and go on",
    "SQLITE_READONLY": "it cannot be written; give it and its folder the right to be",
    "SQLITE_CANTOPEN": "it cannot be opened; look at the rights of the file and its folder",
    "SQLITE_PERM": "it cannot be opened; look at the rights of the file and its folder",
    "SQLITE_CORRUPT": "it is damaged; restore a backup",
    "SQLITE_NOTADB": "it is not a store of batonq, or damaged; give another file or a backup",
    "SQLITE_BUSY": "another program holds it; end that one",
    "SQLITE_LOCKED": "another program holds it; end that one",
    "SQLITE_IOERR": "it cannot be read or written; look at the disk, its room and its limits",
    "SQLITE_TOOBIG": "a text in it would be too long; make it smaller",
}


def explain(path: Path, error: Exception) -> StoreError:
    """A StoreError that names the file and the remedy, for what sqlite3 raised."""
    name = getattr(error, "sqlite_errorname", None) or ""
    primary = "_".join(name.split("_")[:2])
    remedy = _REMEDIES.get(primary, "open it again, and look at it with batonq audit verify")
    return StoreError(f"{path}: {error}: {remedy}")


def check_path(path: Path, *, read_only: bool, create: bool) -> None:
    """Look whether a store can be at `path`, before anything is written there.

    Raises:
        StoreError: if it is missing, a folder, or a file of another kind.
    """
    try:
        if path.is_dir():
            raise StoreError(f"{path}: is a folder; give the file, {path / 'node.db'} say")
        if not path.parent.is_dir():
            raise StoreError(f"{path}: its folder does not exist; create {path.parent}")
        if not path.exists():
            if read_only or not create:
                raise StoreError(f"{path}: no such store; give the file that a node keeps")
            return
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); look at its rights"
        ) from error
    if start not in (b"", _MAGIC):
        raise StoreError(f"{path}: {_REMEDIES['SQLITE_NOTADB']}")


@contextmanager
def sound(path: Path | str) -> Iterator[None]:
    """Around what reads stored things into their form: what has another form is damaged.

    Raises:
        StoreError: instead of whatever Python says of it.
    """
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        raise StoreError(
            f"{path}: holds what no store does ({type(error).__name__}); restore a backup"
        ) from error


def is_database(path: Path) -> bool:
    """Whether there is an SQLite file at `path`."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def connect(path: Path, *, read_only: bool, create: bool) -> sqlite3.Connection:
    """Open a file with SQLite, without changing it yet; a new one is its owner's alone.

    Raises:
        StoreError: if it cannot be made.
        sqlite3.Error: if SQLite cannot open it.
    """
    if create and not read_only:
        _touch(path)
    mode = "mode=ro" if read_only else "mode=rwc" if create else "mode=rw"
    if read_only and not os.access(path.parent, os.W_OK) and not _has_log(path):
        mode = "immutable=1"  # SQLite would need to make a file beside it; nobody can write this
    return sqlite3.connect(
        f"{path.as_uri()}?{mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def prepare(
    connection: sqlite3.Connection,
    path: Path,
    durability: str,
    *,
    read_only: bool,
    create: bool,
    version: int = VERSION,
    migrations: Mapping[int, Step] = MIGRATIONS,
) -> None:
    """Check whose file it is, create or migrate what is in it, and set how it is written.

    Raises:
        StoreError: if it is not a store, newer than `version`, or cannot be migrated.
        sqlite3.Error: if SQLite cannot read or write it.
    """
    found = _version(connection, path)
    if found == 0 and (read_only or not create):
        raise StoreError(f"{path}: is empty, not a store; give the file that a node keeps")
    if found > version:
        raise StoreError(
            f"{path}: schema version {found}, this batonq reads up to {version}; "
            "use the release that wrote it, or a later one"
        )
    if read_only:
        if found < version:
            raise StoreError(
                f"{path}: schema version {found}, this batonq reads {version}; "
                "open it once for writing, that migrates it"
            )
        return
    if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":
        raise StoreError(f"{path}: its file system cannot hold a store; give a local disk")
    connection.execute(f"PRAGMA synchronous={'FULL' if durability == 'full' else 'NORMAL'}")
    if durability == "full":
        connection.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone leaves data in the drive
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
    connection.execute("PRAGMA secure_delete=FAST")
    if found == 0:
        _create(connection, version)
    elif found < version:
        _migrate(connection, path, found, version, migrations)


def _touch(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror}); look at the rights of the file and "
            "its folder"
        ) from error


def _has_log(path: Path) -> bool:
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Schema version of a store, 0 of an empty file."""
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner == 0 and version == 0 and tables == 0:
        return 0
    if owner != APPLICATION_ID or version < 1:
        raise StoreError(f"{path}: a database of another program; give another file")
    return version


def _create(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for table in TABLES:
        connection.execute(table)
    connection.execute("INSERT INTO meta VALUES('created_by', ?)", (f"batonq {__version__}",))
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={version}")
    connection.execute("COMMIT")


def _migrate(
    connection: sqlite3.Connection,
    path: Path,
    found: int,
    version: int,
    migrations: Mapping[int, Step],
) -> None:
    missing = [step for step in range(found, version) if step not in migrations]
    if missing:
        raise StoreError(
            f"{path}: schema version {found}, from which this batonq cannot migrate; "
            "open it with a release in between first"
        )
    backup = _back_up(connection, path, found)
    connection.execute("BEGIN IMMEDIATE")
    try:
        for step in range(found, version):
            migrations[step](connection)
        connection.execute(f"PRAGMA user_version={version}")
        connection.execute("COMMIT")
    except Exception as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise StoreError(
            f"{path}: could not be migrated from schema version {found} to {version} ({error}); "
            f"it is unchanged, and {backup} is a copy; make room, or use the release that wrote it"
        ) from error


def _back_up(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """Copy a store to PATH.vVERSION.bak, whole or not at all."""
    backup = path.with_name(f"{path.name}.v{version}.bak")
    unfinished = path.with_name(f"{backup.name}.part")
    unfinished.unlink(missing_ok=True)
    _touch(unfinished)
    try:
        with closing(sqlite3.connect(unfinished)) as copy:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        unfinished.replace(backup)
    except (sqlite3.Error, OSError) as error:
        unfinished.unlink(missing_ok=True)
        raise StoreError(
            f"{path}: no copy could be made before migrating ({error}); it is unchanged; "
            "make room beside it"
        ) from error
    return backup
