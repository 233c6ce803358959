"""Event: one thing that happened to a node, and the store it is kept in.

Everything a node knows follows from its events in order: what it learnt is a replay of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol

from batonq.base.errors import ConflictError
from batonq.base.files import Json
from batonq.wire.chain import Row

# What can happen. Each kind is recorded at most once per handoff, but for revisions.
DECISION: Final = "decision"  # this node's agent chose an action
OUTCOME: Final = "outcome"  # its option ended: reward, duration, perhaps the quote, perhaps the end
QUOTE: Final = "quote"  # the receiver's quote came after the outcome
EXPIRY: Final = "expiry"  # no quote came in time
REVISION: Final = "revision"  # reward, duration or end of an outcome were corrected
ANSWER: Final = "answer"  # this node's agent received an artifact and quoted its value
REALISED: Final = "realised"  # what came of a handoff after it was handed on
POLICY: Final = "policy"  # a version was promoted, or answers were rolled back to one
MODE: Final = "mode"  # observe, apply or bypass
IMPORT: Final = "import"  # a handoff of an older log, without an effect on what was learnt
TRUST: Final = "trust"  # a peer was flagged, quarantined or released
ERASURE: Final = "erasure"  # bodies of events were deleted


class Event(NamedTuple):
    """One thing that happened. A tuple, as a node makes two for each handoff.

    Attributes:
        kind: one of the kinds of this module.
        agent: which of this node's agents; "" if the whole node.
        handoff_id: of which handoff; "" if of none.
        once: a key that no two events of a store share: what is done twice is found by it.
        at: seconds since 1970, never decreasing within a store.
        body: the rest, as JSON.
        seq: number within the store, from 1; 0 before it is stored.
    """

    kind: str
    agent: str
    handoff_id: str
    once: str
    at: float
    body: dict[str, Json]
    seq: int = 0


def once(kind: str, handoff_id: str, key: str = "") -> str:
    """The `once` of an event: its kind and handoff, with a key of its own for revisions.

    Ids and keys may hold colons; the length of the id tells where it ends.
    """
    return f"{before_key(kind, handoff_id)}{key}" if key else f"{kind}:{handoff_id}"


def before_key(kind: str, handoff_id: str) -> str:
    """How the `once` of every event of this kind and handoff starts that has a key."""
    return f"{kind}+{len(handoff_id)}:{handoff_id}:"


class DuplicateError(ConflictError):
    """An event with the same `once` is stored already.

    Attributes:
        stored: that event.
    """

    def __init__(self, stored: Event) -> None:
        super().__init__(f"{stored.once}: is recorded already, as event {stored.seq}")
        self.stored = stored


class Store(Protocol):
    """Keeps events in order, what is still to be sent, and states to start again from.

    Every method raises a StoreError when the medium fails; nothing of the failed call is kept then.
    """

    def append(self, event: Event, *, opens: bool = False, closes: bool = False) -> int:
        """Keep an event; returns its number. Durable when it returns, unless in a transaction.

        Its time is raised to that of the event before it if a clock jumped back.

        Args:
            event: what to keep; its `seq` is not read, its body must not be changed afterwards.
            opens: mark its handoff open; the event is its decision.
            closes: mark its handoff closed.

        Raises:
            DuplicateError: if one with the same `once` is there.
        """
        ...

    def find(self, once: str) -> Event | None:
        """The event with this `once`. Its body is {} once erased."""
        ...

    def revisions(self, handoff_id: str) -> list[Event]:
        """Its revisions, in order."""
        ...

    def events(self, after: int = 0, agent: str | None = None) -> Iterator[Event]:
        """Events with a larger number than `after`, in order."""
        ...

    def last(self) -> int:
        """Number of the latest event, 0 in an empty store."""
        ...

    def open_before(self, at: float, limit: int) -> list[str]:
        """Handoffs still open that were opened before `at`, oldest first, at most `limit`."""
        ...

    def count_open(self) -> int:
        """How many handoffs are open."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """What is written inside is kept together or not at all.

        May be nested: kept when the outermost ends; an inner one that fails is undone by itself.
        """
        ...

    def to_send(self, handoff_id: str, receiver: str, artifact: Json) -> None:
        """Put an artifact into the outbox until its receiver has quoted it."""
        ...

    def sent(self, handoff_id: str) -> None:
        """Delete it from the outbox."""
        ...

    def unsent(self, limit: int) -> list[tuple[str, str, Json]]:
        """(handoff_id, receiver, artifact) still in the outbox, oldest first."""
        ...

    def keep_state(self, name: str, seq: int, state: Json) -> None:
        """Keep a state that holds all events up to `seq`; it replaces the one of that name."""
        ...

    def state(self, name: str) -> tuple[int, Json] | None:
        """The state kept under `name` and the number of the last event in it."""
        ...

    def states(self, prefix: str) -> list[str]:
        """Names of the states kept, that start with `prefix`, sorted."""
        ...

    def rows(self, after: int = 0) -> Iterator[Row]:
        """The hash chain behind the events with a larger number than `after`, in order."""
        ...

    def forget(self, upto: int, handoffs: Collection[str] | None = None) -> int:
        """Delete bodies of handoffs; returns how many.

        With the body of a decision goes what the outbox holds of its handoff.

        Use `retention`, which checks that nothing still needed goes, and records it.

        Args:
            upto: number of the last event that may lose its body.
            handoffs: of which handoffs; by default of each that is not open and has no later event.
        """
        ...

    def scrub(self) -> None:
        """Make sure that what was deleted is gone from the medium; not inside a transaction."""
        ...

    def close(self) -> None:
        """Let go of the medium."""
        ...
