"""Lock: one process at a time, held by the operating system and so let go when the process dies."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final
from weakref import WeakSet

from batonq.base.errors import StoreError

_BEYOND: Final = 1 << 30  # the byte locked on Windows, where locked bytes cannot be read


class Lock:
    """A lock on `path`, with the number of the process that holds it written inside.

    The file stays when the lock is let go: to delete it would let two processes hold it.
    """

    def __init__(self, path: Path, what: str) -> None:
        """Take the lock.

        Args:
            path: a file of its own; made if missing.
            what: what it guards, for the message.

        Raises:
            StoreError: if it is held, by another process or by this one, or cannot be written.
        """
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(
                f"{what}: cannot be opened for writing ({error.strerror}: {path.name}); "
                "give a folder that can be written, or open it for reading only"
            ) from error
        try:
            _take(self._file)
        except OSError as error:
            holder = os.read(self._file, 20)
            os.close(self._file)
            raise StoreError(
                f"{what}: in use by process {holder.decode('ascii', 'replace').strip() or '?'}; "
                "stop that one first, or open it for reading only"
            ) from error
        _held.add(self)
        with suppress(OSError):  # on a full disk the lock holds without a number in it
            os.ftruncate(self._file, 0)
            os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let go; more than once is the same as once."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


_held: WeakSet[Lock] = WeakSet()


def _let_go_in_child() -> None:
    """A forked child does not hold what its parent holds, or it would outlive the parent."""
    for lock in list(_held):
        lock.release()


if sys.platform == "win32":
    import msvcrt

    def _take(file: int) -> None:
        os.lseek(file, _BEYOND, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(file, 0, os.SEEK_SET)
else:
    import fcntl

    def _take(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    os.register_at_fork(after_in_child=_let_go_in_child)
