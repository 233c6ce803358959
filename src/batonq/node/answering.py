"""Receiving an artifact and quoting its value: stored before it is told, once per handoff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batonq.base.errors import ConflictError, RefusedError, UnknownError
from batonq.base.files import Json
from batonq.node.core import Core
from batonq.node.event import ANSWER, DECISION, OUTCOME, Event, once
from batonq.node.quoting import quote_came
from batonq.node.results import Quote
from batonq.wire import scalar
from batonq.wire.scalar import EXACT_BITS

if TYPE_CHECKING:
    from batonq.node.agent import Agent
    from batonq.node.peers.peer import Peer


def receive(core: Core, agent: Agent, handoff_id: str, artifact: Any, sender: str) -> Quote:
    """See `Agent.receive`."""
    with core.lock:
        y = agent.sees(artifact)
        known = core.store.find(once(ANSWER, handoff_id))
        if known is not None:
            return _again(known, agent, y, sender)
        peer = core.peers.get(sender)
        if peer is None:
            _check_local(core, agent, handoff_id, sender)
        value = agent.learner.worth(y, tuple(agent.permitted(artifact)))
        body: dict[str, Json] = {"y": y, "sender": sender, "peer": None, "code": None}
        body["bits"] = EXACT_BITS
        if peer is not None:
            value = _across(core, peer, value, body)
        body["value"] = value
        event = core.record(ANSWER, agent.name, handoff_id, body)
        core.counts.answered += 1
        if peer is not None:
            peer.apply(event)
        elif core.store.find(once(OUTCOME, handoff_id)) is not None:
            quote_came(core, handoff_id, value, {"peer": None})
        return Quote(handoff_id, value, body["code"], body["bits"])


def _again(known: Event, agent: Agent, y: str, sender: str) -> Quote:
    body = known.body
    if not body:
        raise ConflictError(f"handoff '{known.handoff_id}': was answered and has been erased")
    if (known.agent, body["sender"], body["y"]) != (agent.name, sender, y):
        raise ConflictError(
            f"handoff '{known.handoff_id}': was answered for another agent, sender or artifact; a "
            "handoff_id is used once"
        )
    return Quote(known.handoff_id, body["value"], body["code"], body["bits"])


def _check_local(core: Core, agent: Agent, handoff_id: str, sender: str) -> None:
    if sender not in core.agents:
        raise UnknownError(
            f"sender '{sender}': is neither an agent nor a peer of this node; add it with "
            "`team.peer` or in node.toml"
        )
    decision = core.needed(DECISION, handoff_id)
    if (decision.agent, decision.body["target"]) != (sender, agent.name):
        raise ConflictError(
            f"handoff '{handoff_id}': went from '{decision.agent}' to "
            f"'{decision.body['target']}', not from '{sender}' to '{agent.name}'"
        )


def _across(core: Core, peer: Peer, value: float, body: dict[str, Json]) -> float:
    """Round the value for its way to a peer; returns what the code means."""
    ours = core.declaration.scalar
    if peer.leak_bits is not None and (peer.answered + 1) * ours.bits > peer.leak_bits:
        raise RefusedError(
            f"peer '{peer.name}': its leak budget of {peer.leak_bits} bits is spent after "
            f"{peer.answered} quotes; raise leak_bits to go on"
        )
    kept, clamped = scalar.clamp(ours, value)
    core.counts.clamped += clamped
    code = scalar.encode(ours, kept, core.rng.random())
    body["peer"], body["bits"] = peer.name, ours.bits
    body["code"] = code if ours.rounding != "exact" else None
    return scalar.decode(ours, code)
