"""Both kinds of store, and the events the tests of them put in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batonq.node.event import DECISION, OUTCOME, Event, Store, once
from batonq.node.store.memory import MemoryStore
from batonq.node.store.sqlite import SqliteStore

KINDS: dict[str, Callable[[Path], Store]] = {
    "sqlite": lambda folder: SqliteStore.open(folder / "node.db"),
    "memory": lambda _folder: MemoryStore(),
}


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of each kind."""
    made = KINDS[request.param](tmp_path)
    yield made
    made.close()


def event(kind: str, handoff_id: str, at: float = 1.0, agent: str = "a", **body: object) -> Event:
    """An event as a node makes it."""
    return Event(kind, agent, handoff_id, once(kind, handoff_id), at, dict(body))


def decide(store: Store, handoff_id: str, at: float = 1.0, **body: object) -> int:
    """Append a decision that opens its handoff."""
    return store.append(event(DECISION, handoff_id, at, **body), opens=True)


def settle(store: Store, handoff_id: str, at: float = 1.0, **body: object) -> int:
    """Append an outcome that closes its handoff."""
    return store.append(event(OUTCOME, handoff_id, at, **body), closes=True)


def program(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """Run code in a process of its own, where what the tests share can be imported."""
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{code}",
        ]
        + [str(one) for one in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
