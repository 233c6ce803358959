"""What came of handoffs to peers, and what follows: a flag, a smaller weight, quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from batonq.base.errors import ConflictError, UnknownError
from batonq.node.core import Core
from batonq.node.event import DECISION, REALISED, TRUST, DuplicateError
from batonq.node.peers import trust

if TYPE_CHECKING:
    from batonq.node.peers.peer import Peer

FLAG: Final = "flag"
SHRINK: Final = "shrink"
QUARANTINE: Final = "quarantine"
RELEASE: Final = "release"
ON_INFLATION: Final = (FLAG, SHRINK, QUARANTINE)


def realised(core: Core, handoff_id: str, value: float) -> bool:
    """Record what came of a handoff after it was handed on; False if it was recorded before.

    Raises:
        UnknownError: if this node did not decide it.
        ConflictError: if another value is recorded.
    """
    with core.lock:
        decision = core.needed(DECISION, handoff_id)
        peer = core.peers.get(decision.body["target"])
        body = {"value": value, "peer": None if peer is None else peer.name}
        try:
            event = core.record(REALISED, decision.agent, handoff_id, body)
        except DuplicateError as error:
            if error.stored.body and error.stored.body["value"] != value:
                raise ConflictError(
                    f"handoff '{handoff_id}': {error.stored.body['value']:g} is recorded as what "
                    "came of it"
                ) from error
            return False
        if peer is not None:
            peer.apply(event)
            _follow(core, peer)
        return True


def _follow(core: Core, peer: Peer) -> None:
    """Record what the ledger says for the first time."""
    standing = trust.standing(peer.terms, peer.ledger)
    if standing in (trust.NEW, trust.TRUSTED):
        return
    if not peer.flagged:
        _record(core, peer, FLAG)
    harmful = standing == trust.QUARANTINED and peer.on_inflation == QUARANTINE
    if harmful and not peer.quarantined:
        _record(core, peer, QUARANTINE)


def set_trust(core: Core, name: str, do: str) -> None:
    """Quarantine a peer or release it, by hand.

    Raises:
        UnknownError: if there is no such peer.
    """
    with core.lock:
        if name not in core.peers:
            there = ", ".join(core.peers) or "none"
            raise UnknownError(f"peer '{name}': is not known; there are: {there}")
        _record(core, core.peers[name], do)


def _record(core: Core, peer: Peer, do: str) -> None:
    evidence = trust.evidence(peer.terms, peer.ledger)
    key = f"{peer.name}/{core.store.last() + 1}"
    event = core.record(TRUST, "", "", {"peer": peer.name, "do": do, "evidence": evidence}, key=key)
    peer.apply(event)


def used(peer: Peer, quote: float) -> float:
    """What is learnt from a peer's quote: itself, or shrunk towards what came of its handoffs."""
    if peer.on_inflation != SHRINK:
        return quote
    own = peer.ledger.realised
    share = trust.weight(peer.terms, peer.ledger, own)
    return trust.shrink(quote, own.mean, share) if own.count else quote
