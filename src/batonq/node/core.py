"""What every part of a node works on: its store, its agents and peers, its settings."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from batonq.base.errors import UnknownError
from batonq.base.files import Json
from batonq.node.event import Event, Store, once
from batonq.node.exploration import Exploration, HourlyCap
from batonq.node.limits import Limits
from batonq.wire.declaration import Declaration

if TYPE_CHECKING:
    from batonq.node.agent import Agent
    from batonq.node.peers.peer import Peer

OBSERVE: Final = "observe"
APPLY: Final = "apply"
BYPASS: Final = "bypass"
MODES: Final = (OBSERVE, APPLY, BYPASS)
UNLOGGED: Final = "unlogged-"  # how the id of a decision starts that could not be stored


@dataclass
class Counts:
    """What happened since the node was opened, for metrics and the dashboard."""

    decisions: int = 0
    explored: int = 0
    settled: int = 0
    learnt: int = 0
    answered: int = 0
    clamped: int = 0
    failures: int = 0  # decisions that fell back on the default because something of ours failed
    unasked: int = 0  # quotes that could not be had at once
    failure: str = ""  # the latest


@dataclass
class Core:
    """The shared state of one node; `lock` is held while any of it changes."""

    name: str
    store: Store
    declaration: Declaration
    exploration: Exploration
    limits: Limits
    ttl: float
    mode: str
    read_only: bool = False
    agents: dict[str, Agent] = field(default_factory=dict)
    peers: dict[str, Peer] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    lock: RLock = field(default_factory=RLock)
    rng: random.Random = field(default_factory=random.Random)
    clock: Callable[[], float] = time.time
    asking: dict[str, float] = field(default_factory=dict)  # handoffs being asked for, since when
    kept: int = 0  # number of the last event in the states kept
    every: int = 2_000  # events between two times they are kept
    cap: HourlyCap = field(init=False)

    def __post_init__(self) -> None:
        self.cap = HourlyCap(self.exploration.per_hour)

    @property
    def gamma(self) -> float:
        """Discount per unit of time."""
        return self.declaration.gamma

    def agent(self, name: str) -> Agent:
        """The local agent of that name.

        Raises:
            UnknownError: if there is none.
        """
        try:
            return self.agents[name]
        except KeyError:
            there = ", ".join(self.agents) or "none yet"
            raise UnknownError(f"agent '{name}': is not of this node; it has: {there}") from None

    def record(
        self,
        kind: str,
        agent: str,
        handoff_id: str,
        body: dict[str, Json],
        *,
        key: str = "",
        opens: bool = False,
        closes: bool = False,
    ) -> Event:
        """Store an event; returns it as stored. It takes effect only afterwards."""
        event = Event(kind, agent, handoff_id, once(kind, handoff_id, key), self.clock(), body)
        self.store.append(event, opens=opens, closes=closes)
        return event

    def needed(self, kind: str, handoff_id: str) -> Event:
        """The event of this kind of a handoff.

        Raises:
            UnknownError: if the handoff is not known, or its body was erased.
        """
        event = self.store.find(once(kind, handoff_id))
        if event is None:
            raise UnknownError(f"handoff '{handoff_id}': this node knows no {kind} of it")
        if not event.body:
            raise UnknownError(f"handoff '{handoff_id}': its {kind} was erased")
        return event


def new_id() -> str:
    """A new `handoff_id`: 12 digits of the time in milliseconds, and 80 bits that nobody can guess.

    In the order of time, since a store's index is written quicker where keys come in order.
    """
    return f"{time.time_ns() // 1_000_000:012x}{next(_chance)}"


def _drawn() -> Iterator[str]:
    """Pieces of 80 random bits, drawn many at a time."""
    while True:
        block = secrets.token_hex(10 * 256)
        yield from (block[k : k + 20] for k in range(0, len(block), 20))


_chance: Final = _drawn()


ABSENT: Final[Any] = type("Absent", (), {"__repr__": lambda _self: "ABSENT"})()
Options = Mapping[str, str]  # action -> target
