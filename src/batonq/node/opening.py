"""Opening a node's store and going on where it was; keeping states to go on from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from batonq.base.errors import StoreError
from batonq.base.files import Json
from batonq.node.core import Core
from batonq.node.event import Store
from batonq.node.learning import Learner, replay
from batonq.node.store.memory import MemoryStore
from batonq.node.store.schema import sound
from batonq.node.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from batonq.node.peers.peer import Peer

EVERY: Final = 2_000  # events between two checkpoints, at least
PER_CELL: Final = 2  # and so many for each information state that must be written


def store_at(path: str | Path | None, durability: str, read_only: bool) -> Store:
    """The store at a path, made if there is none; in memory without a path.

    Raises:
        StoreError: if it cannot be used.
    """
    if path is None:
        return MemoryStore()
    return SqliteStore.open(path, durability=durability, read_only=read_only)


def begin(core: Core) -> None:
    """Check that the store was made with these units, and take over its mode.

    Raises:
        StoreError: if it was made with others.
    """
    same_settings(core, "units", core.declaration.document())
    kept = core.store.state("mode")
    if kept is not None:
        core.mode = kept[1]


def same_settings(core: Core, name: str, settings: dict[str, Json]) -> None:
    """Keep settings on first use; later ones must be the same, as what was learnt rests on them.

    Raises:
        StoreError: if they differ; names what does.
    """
    kept = core.store.state(name)
    if kept is None:
        if not core.read_only:
            core.store.keep_state(name, 0, settings)
        return
    with sound(f"store: what was kept of {name}"):
        differing = [one for one in settings if kept[1].get(one) != settings[one]]
    if differing:
        told = ", ".join(f"{one} {kept[1].get(one)!r}, now {settings[one]!r}" for one in differing)
        raise StoreError(
            f"store: {name} was {told}; open it as before, or use another store and import the log"
        )


def recall_agent(core: Core, learner: Learner) -> None:
    """Bring a new learner to where its agent was."""
    with sound(f"store: what was kept of agent '{learner.agent}'"):
        replay(core.store, learner, _recalled(core, f"agent/{learner.agent}", learner.load))


def recall_peer(core: Core, peer: Peer) -> None:
    """Bring a new peer to where it was."""
    with sound(f"store: what was kept of peer '{peer.name}'"):
        for event in core.store.events(_recalled(core, f"peer/{peer.name}", peer.load)):
            if event.body.get("peer") == peer.name:
                peer.apply(event)


def _recalled(core: Core, name: str, load: Callable[[Json], None]) -> int:
    """Load a kept state, if there is one; returns the number of the last event in it."""
    kept = core.store.state(name)
    if kept is None:
        return 0
    load(kept[1])
    return kept[0]


def checkpoint(core: Core) -> None:
    """Keep the state of every agent and peer with all events so far in it."""
    with core.lock, core.store.transaction():
        seq = core.store.last()
        cells = 0
        for name, agent in core.agents.items():
            state = agent.learner.to_json()
            cells += len(state["offered"])
            core.store.keep_state(f"agent/{name}", seq, state)
        for name, peer in core.peers.items():
            core.store.keep_state(f"peer/{name}", seq, peer.to_json())
        core.kept = seq
        core.every = max(EVERY, PER_CELL * cells)
