"""The receiver's quote when it comes later than the outcome, or not at all."""

from __future__ import annotations

from typing import Final

from batonq.base.errors import ConflictError, UnknownError
from batonq.base.files import Json
from batonq.node.completing import learn, learning_of
from batonq.node.core import Core
from batonq.node.event import EXPIRY, QUOTE, DuplicateError, Event
from batonq.node.results import Settled
from batonq.node.revising import OURS, correct, corrected
from batonq.node.standing import TERMINAL, Standing, standing

LATE_QUOTE: Final = f"{OURS}quote"  # key of the correction
STALE_WEIGHT: Final = 0.5  # of a quote that is not this handoff's own


def quote_came(core: Core, handoff_id: str, value: float, more: dict[str, Json]) -> Settled:
    """Take in the receiver's quote, before or after the outcome.

    Args:
        core: the node.
        handoff_id: of which handoff.
        value: what is learnt from.
        more: what else is recorded: `peer`, `code`, `told` (the value before trust was applied).
    """
    with core.lock:
        now = standing(core, handoff_id)
        workflow = now.decision.body["workflow"]
        body: dict[str, Json] = {**more, "quote": value, "workflow": workflow}
        stale = now.learnt is not None and now.learnt.kind == EXPIRY
        if now.outcome is not None and now.end != TERMINAL and now.learnt is None:
            body |= learning_of(core, now.decision, now.reward, now.duration, now.end, value)
        try:
            with core.store.transaction():
                event = core.record(
                    QUOTE, now.decision.agent, handoff_id, body, closes=now.outcome is not None
                )
                core.store.sent(handoff_id)
                # In one piece with the quote: nobody would ask for it again.
                correction = _replace_stale(core, handoff_id) if stale else None
        except DuplicateError as error:
            stored = error.stored.body
            known = stored.get("quote")  # None: the workflow ended without one
            # What the peer told, as trust in it may have changed since.
            if known is not None and stored.get("told", known) != body.get("told", value):
                raise ConflictError(
                    f"handoff '{handoff_id}': has the quote {known:g} already"
                ) from error
            return Settled(
                handoff_id,
                now.learnt is not None,
                now.outcome is None,
                value if known is None else known,
                None,
                True,
            )
        peer = core.peers.get(more.get("peer") or "")
        if peer is not None:
            peer.apply(event)
        settled = learn(core, event, waiting=now.outcome is None)
        return settled if correction is None else corrected(core, *correction)


def _replace_stale(core: Core, handoff_id: str) -> tuple[Standing, Event]:
    """Store the correction of what was learnt from another quote, now that its own has come."""
    now = standing(core, handoff_id)
    body: dict[str, Json] = {
        "reward": now.reward,
        "duration": now.duration,
        "end": now.end,
        "source": "quote",
        "asked": [None, None, None],
    }
    return now, correct(core, now, body, LATE_QUOTE)


def expire(core: Core, before: float, limit: int = 1_000) -> int:
    """Close handoffs opened before a time; returns how many.

    One that has its outcome and waits for a quote is learnt from the last quote known of its pair,
    with weight `STALE_WEIGHT`; if none is known it is not learnt from. A missing quote is never 0.
    """
    with core.lock:
        ids = core.store.open_before(before, limit)
        for handoff_id in ids:
            try:
                now = standing(core, handoff_id)
            except UnknownError:  # erased: only its mark is left
                continue
            body: dict[str, Json] = {"quote": None}
            y, action = now.decision.body["y"], now.decision.body["action"]
            learner = core.agent(now.decision.agent).learner
            last = learner.last.get(y, {}).get(action)
            if now.outcome is not None and now.learnt is None and last is not None:
                body |= learning_of(core, now.decision, now.reward, now.duration, now.end, last)
                body |= {"quote": last, "weight": STALE_WEIGHT}
            with core.store.transaction():
                event = core.record(EXPIRY, now.decision.agent, handoff_id, body, closes=True)
                core.store.sent(handoff_id)
            learn(core, event, waiting=False)
        return len(ids)
