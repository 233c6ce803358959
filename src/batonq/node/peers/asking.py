"""Asking a peer for its quote: one artifact goes, one scalar comes back."""

from __future__ import annotations

import logging
import time
from asyncio import to_thread
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from batonq.base.errors import ConflictError, RefusedError, WireError
from batonq.base.files import Json
from batonq.node.core import Core
from batonq.node.event import DECISION, EXPIRY, QUOTE, once
from batonq.node.peers.line import UnreachableError
from batonq.node.peers.peer import Asked, Peer
from batonq.node.peers.trusting import used
from batonq.node.quoting import quote_came
from batonq.node.results import Settled

LONG: Final = 60.0  # seconds after which whoever asked is taken for gone

logger = logging.getLogger(__name__)


def ask(core: Core, handoff_id: str, artifact: Any) -> Settled | None:
    """Ask the handoff's receiver; None if its quote cannot be had now.

    What cannot be reached is asked again later. What refuses, or answers what cannot be, is not:
    its handoff then waits until it expires.
    """
    found = _whom(core, handoff_id)
    if found is None:
        return None
    peer, sender = found
    asked = None
    with _attempt(core, handoff_id):
        asked = peer.ask(core.declaration, handoff_id, sender, artifact)
    return None if asked is None else _came(core, peer, handoff_id, asked)


async def aask(core: Core, handoff_id: str, artifact: Any, threads: bool = False) -> Settled | None:
    """As `ask`, without blocking; with `threads` the quote is written in a thread."""
    found = _whom(core, handoff_id)
    if found is None:
        return None
    peer, sender = found
    asked = None
    with _attempt(core, handoff_id):
        asked = await peer.aask(core.declaration, handoff_id, sender, artifact)
    if asked is not None and threads:
        return await to_thread(_came, core, peer, handoff_id, asked)
    return None if asked is None else _came(core, peer, handoff_id, asked)


@contextmanager
def _attempt(core: Core, handoff_id: str) -> Iterator[None]:
    """Around one ask: others keep away meanwhile, and a failure is noted."""
    core.asking[handoff_id] = time.monotonic()
    try:
        yield
    except WireError as error:
        _failed(core, handoff_id, error)
    finally:
        core.asking.pop(handoff_id, None)


def again(core: Core, limit: int) -> int:
    """Ask for up to `limit` of the quotes that could not be had; returns how many came."""
    return sum(ask(core, *one) is not None for one in _round(core, limit))


async def aagain(core: Core, limit: int) -> int:
    """As `again`, without blocking."""
    came = 0
    for one in _round(core, limit):
        came += await aask(core, *one) is not None
    return came


def _round(core: Core, limit: int) -> Iterator[tuple[str, Json]]:
    """What to ask for now, oldest first; of a peer that does not answer, only one handoff.

    The rest of such a peer's goes behind everybody else's, who would wait for ever otherwise.
    """
    dumb: set[str] = set()
    left = []
    for handoff_id, receiver, artifact in core.store.unsent(limit):
        if receiver not in dumb and _waits(core, handoff_id) and not _asked(core, handoff_id):
            yield handoff_id, artifact
            peer = core.peers.get(receiver)
            if peer is None or not peer.reachable:
                dumb.add(receiver)
        if receiver in dumb:
            left.append((handoff_id, receiver, artifact))
    with core.lock, core.store.transaction():
        for handoff_id, receiver, artifact in left:
            if _waits(core, handoff_id):
                core.store.sent(handoff_id)
                core.store.to_send(handoff_id, receiver, artifact)


def _asked(core: Core, handoff_id: str) -> bool:
    """Whether somebody else is asking for it now; who has for long will not come back."""
    since = core.asking.get(handoff_id)
    return since is not None and time.monotonic() - since < LONG


def _waits(core: Core, handoff_id: str) -> bool:
    """Whether no quote has come, and it was not given up."""
    return all(core.store.find(once(kind, handoff_id)) is None for kind in (QUOTE, EXPIRY))


def _whom(core: Core, handoff_id: str) -> tuple[Peer, str] | None:
    """Peer to ask and who sends; None if there is none."""
    decision = core.needed(DECISION, handoff_id)
    peer = core.peers.get(decision.body["target"])
    return None if peer is None else (peer, decision.agent)


def _failed(core: Core, handoff_id: str, error: WireError) -> None:
    core.counts.unasked += 1
    core.counts.failure = str(error)
    logger.warning("handoff '%s' waits for its quote: %s", handoff_id, error)
    final = isinstance(error, (RefusedError, ConflictError))
    if final or not isinstance(error, UnreachableError):
        with core.lock:
            core.store.sent(handoff_id)


def _came(core: Core, peer: Peer, handoff_id: str, asked: Asked) -> Settled:
    body: dict[str, Json] = {"peer": peer.name, "code": asked.answer.code, "told": asked.value}
    return quote_came(core, handoff_id, used(peer, asked.value), body)
