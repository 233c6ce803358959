"""What came of a handoff: stored first, then learnt from if the receiver's quote is at hand."""

from __future__ import annotations

import time
from typing import Any

from batonq.base.errors import ConflictError, DataError
from batonq.base.files import Json
from batonq.node.completing import learn, learning_of
from batonq.node.core import ABSENT, UNLOGGED, Core
from batonq.node.event import ANSWER, DECISION, EXPIRY, OUTCOME, QUOTE, DuplicateError, Event, once
from batonq.node.limits import END, Costs
from batonq.node.results import Settled
from batonq.node.standing import TERMINAL, check, standing


def settle(
    core: Core,
    handoff_id: str,
    reward: float,
    duration: float,
    artifact: Any = ABSENT,
    end: str | None = None,
    quote: float | None = None,
    costs: Costs | None = None,
) -> Settled:
    """Store an outcome and learn if the quote can be had here; see `Team.settle`."""
    check(handoff_id, reward, duration, end, quote, costs)
    if handoff_id.startswith(UNLOGGED):
        return Settled(handoff_id, False, False, None, None, False)
    with core.lock:
        decision = core.needed(DECISION, handoff_id)
        if decision.body["target"] == END and end is None:
            end = TERMINAL
        body: dict[str, Json] = {"reward": reward, "duration": duration, "end": end}
        workflow = decision.body["workflow"]
        if costs:
            body["costs"] = dict(costs)
        if workflow:
            body["workflow"] = workflow
        value = None if end == TERMINAL else quote
        if end != TERMINAL and quote is None:
            value = _quote_here(core, decision, artifact)
        if value is not None:
            body["quote"] = value
        learns = value is not None or end == TERMINAL
        if learns:
            body |= learning_of(core, decision, reward, duration, end, value)
        waits = not learns and core.store.find(once(EXPIRY, handoff_id)) is None
        agent, target = decision.agent, decision.body["target"]
        try:
            if waits and artifact is not ABSENT and target in core.peers:
                core.asking[handoff_id] = time.monotonic()  # the caller asks, once this is kept
                with core.store.transaction():
                    event = core.record(OUTCOME, agent, handoff_id, body)
                    core.store.to_send(handoff_id, target, artifact)
            else:  # without a transaction of its own it is kept sooner
                event = core.record(OUTCOME, agent, handoff_id, body, closes=learns)
        except DuplicateError as error:
            return _repeated(core, error.stored, reward, duration, end, costs)
        core.counts.settled += 1
        return learn(core, event, waiting=waits)


def _quote_here(core: Core, decision: Event, artifact: Any) -> float | None:
    """The receiver's value if this process can tell; None if it must be waited for."""
    target, body = decision.body["target"], decision.body
    receiver = core.agents.get(target)
    if receiver is None:
        early = core.store.find(once(QUOTE, decision.handoff_id))
        return early.body["quote"] if early is not None and early.body else None
    if artifact is not ABSENT:
        y = receiver.sees(artifact)
        return receiver.learner.worth(y, tuple(receiver.permitted(artifact)))
    if target == decision.agent:
        raise DataError(
            f"handoff '{decision.handoff_id}': agent '{target}' keeps control; give `artifact`, "
            "what it sees after its work"
        )
    answer = core.store.find(once(ANSWER, decision.handoff_id))
    if answer is not None and answer.body:
        value: float = answer.body["value"]
        return value
    if "arrival" not in body:
        return None
    return receiver.learner.worth(body["arrival"], ())


def _repeated(
    core: Core, stored: Event, reward: float, duration: float, end: str | None, costs: Costs | None
) -> Settled:
    """What is answered to an outcome given again."""
    body = stored.body
    told = (reward, duration, end, dict(costs or {}))
    if body and told != (body["reward"], body["duration"], body["end"], body.get("costs", {})):
        raise ConflictError(
            f"handoff '{stored.handoff_id}': was settled with reward {body['reward']:g}, duration "
            f"{body['duration']:g}, end {body['end']}; to correct it, use outcomes (revise)"
        )
    if not body:
        return Settled(stored.handoff_id, False, False, None, None, True)
    now = standing(core, stored.handoff_id)
    learnt = now.learnt is not None
    waiting = not learnt and core.store.find(once(EXPIRY, stored.handoff_id)) is None
    return Settled(stored.handoff_id, learnt, waiting, now.quote, None, True)
