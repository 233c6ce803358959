"""The one place where a handoff is learnt from: outcome and quote are there, and stored.

What is learnt stands in the event that completed it: `target`, and `n`, the local clock. Versions
of what was learnt are kept here too, as a promotion may be due after learning.
"""

from __future__ import annotations

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.icq import update
from batonq.node import tracing
from batonq.node.core import Core
from batonq.node.event import POLICY, Event
from batonq.node.learning import recall, version_name
from batonq.node.results import Settled
from batonq.node.standing import TERMINAL


def learning_of(
    core: Core,
    decision: Event,
    reward: float,
    duration: float,
    end: str | None,
    quote: float | None,
) -> dict[str, Json]:
    """What the completing event says of what is learnt."""
    discount = update.discount(core.gamma, duration)
    value = 0.0 if end == TERMINAL or quote is None else quote
    y, action = decision.body["y"], decision.body["action"]
    learner = core.agent(decision.agent).learner
    return {
        "y": y,
        "action": action,
        "target": update.target(reward, discount, value),
        "n": learner.values(y).next_count(y, action),
        "version": learner.version,
    }


def learn(core: Core, event: Event, waiting: bool) -> Settled:
    """Let a stored event take effect."""
    learner = core.agent(event.agent).learner
    value = learner.apply(event)
    body = event.body
    learns = "target" in body
    if learns:
        core.counts.learnt += 1
        if learner.due():
            promote(core, event.agent)
    settled = Settled(
        event.handoff_id, learns, waiting and not learns, body.get("quote"), value, False
    )
    tracing.settled(settled)
    return settled


def promote(core: Core, name: str) -> int:
    """Keep what was learnt as a version; a phased learner answers from it. Returns its number.

    Raises:
        ModelError: if the agent has seen nothing yet.
    """
    with core.lock:
        learner = core.agent(name).learner
        if learner.kind is None:
            raise ModelError(f"agent '{name}': has seen nothing yet; there is nothing to promote")
        version = learner.version + 1
        with core.store.transaction():
            body = {"do": "promote", "version": version, "kind": learner.kind}
            event = core.record(POLICY, name, "", body, key=f"{name}/{version}")
            seq = core.store.last()
            core.store.keep_state(version_name(name, version), seq, learner.snapshot())
        learner.apply(event)
        return version


def rollback(core: Core, name: str, version: int) -> None:
    """Answer from an earlier version until the next promotion."""
    with core.lock:
        learner = core.agent(name).learner
        recall(core.store, name, version)
        number = core.store.last() + 1
        body = {"do": "rollback", "version": version, "kind": learner.kind}
        event = core.record(POLICY, name, "", body, key=f"{name}/back/{number}")
        learner.apply(event, lambda one: recall(core.store, name, one))
