"""Openness: which handoffs of a store are open, kept track of without a write of its own.

The row of a decision says that its handoff is open (1), the row of the event that closes it says so
(-1): either goes with the row's own insertion. The marks of decisions that were closed are taken
away in batches, and with each batch the table `opened` says up to which event they are right, how
many handoffs were open then, and before which event none was. So a process that dies loses nothing,
and the next one reads no more than the last batch again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from batonq.node.event import DECISION, once
from batonq.node.store import sql

if TYPE_CHECKING:
    from batonq.node.store.database import Database

BATCH: Final = 1_000  # events, after which marks are brought up to date


class Openness:
    """Marks of open handoffs; the database's lock is held by who calls.

    Attributes:
        closed: by handoff, which event closed it, since the marks were right.
        due: number of the last event, from which on marks should be brought up to date.
    """

    def __init__(self, base: Database) -> None:
        """Know nothing before `load`."""
        self._base = base
        self.closed: dict[str, int] = {}
        self.due = BATCH
        self._oldest = 1

    def load(self) -> None:
        """Take over what the file says.

        Raises:
            sqlite3.Error: if it cannot be read.
        """
        upto, self._oldest = self._base.execute(sql.OPENED).fetchone()
        self.closed = dict(self._base.execute(sql.CLOSED_SINCE, (upto,)).fetchall())
        self.due = upto + BATCH

    def undo(self, seq: int) -> None:
        """Events after `seq` were undone."""
        self.closed = {one: by for one, by in self.closed.items() if by <= seq}
        self._oldest = min(self._oldest, seq + 1)

    def is_open(self, handoff_id: str) -> bool:
        """Whether a handoff is open.

        Raises:
            sqlite3.Error: if it cannot be read.
        """
        if handoff_id in self.closed:
            return False
        row = self._base.execute(sql.MARK, (once(DECISION, handoff_id),)).fetchone()
        return row is not None and row[0] == 1

    def settle(self) -> None:
        """Bring the marks up to date; not inside a transaction.

        Raises:
            StoreError: if that cannot be written; it is tried again a batch later.
        """
        seq, _, _, count = self._base.latest
        self.due = seq + BATCH
        decisions = [(once(DECISION, one),) for one in self.closed]
        with self._base.transaction():
            self._base.write_many(sql.UNMARK, decisions)
            self._base.write(sql.SET_OPENED, seq, count, self._oldest)
        self.closed.clear()

    def before(self, seq: int, limit: int) -> list[str]:
        """Handoffs still open whose decision has at most the number `seq`, oldest first.

        Raises:
            StoreError: if they cannot be read.
        """
        # Some of them have been closed since their marks were right.
        rows = self._base.read(sql.MARKED, self._oldest, seq, limit + len(self.closed))
        self._oldest = rows[0][0] if rows else max(self._oldest, seq + 1)
        return list(_first((one for _, one in rows if one not in self.closed), limit))


def _first(names: Iterator[str], limit: int) -> Iterator[str]:
    for _, name in zip(range(limit), names, strict=False):
        yield name
