"""Asking a peer for its quote: one artifact goes, one scalar comes back."""

from __future__ import annotations

import logging
from typing import Any

from batonq.base.errors import ConflictError, RefusedError, WireError
from batonq.base.files import Json
from batonq.node.core import Core
from batonq.node.event import DECISION
from batonq.node.peer import Asked, Peer, UnreachableError
from batonq.node.quoting import quote_came
from batonq.node.results import Settled
from batonq.node.trusting import used

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
    try:
        asked = peer.ask(core.declaration, handoff_id, sender, artifact)
    except WireError as error:
        _failed(core, handoff_id, error)
        return None
    return _came(core, peer, handoff_id, asked)


async def aask(core: Core, handoff_id: str, artifact: Any) -> Settled | None:
    """As `ask`, without blocking."""
    found = _whom(core, handoff_id)
    if found is None:
        return None
    peer, sender = found
    try:
        asked = await peer.aask(core.declaration, handoff_id, sender, artifact)
    except WireError as error:
        _failed(core, handoff_id, error)
        return None
    return _came(core, peer, handoff_id, asked)


def _whom(core: Core, handoff_id: str) -> tuple[Peer, str] | None:
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
