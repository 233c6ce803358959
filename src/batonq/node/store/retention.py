"""Retention and erasure: bodies of events are deleted, while the audit chain stays verifiable.

What was learnt stays learnt. Only what the kept states hold already is deleted, so that a node
goes on from them as before; a replay from the first event is not possible any more. The caller
holds the node's lock.
"""

from __future__ import annotations

import json
import math

from batonq.base.errors import ConflictError, RefusedError, UnknownError
from batonq.node.event import DECISION, ERASURE, Event, Store, once

SECONDS_PER_DAY = 86_400.0
_SETTINGS = "/settings"


def retain(store: Store, days: float, now: float) -> int:
    """Delete the bodies of handoffs that are closed and had no event for so long.

    Args:
        store: of the node.
        days: how long bodies are kept after the last event of their handoff, >= 0.
        now: seconds since 1970.

    Returns:
        How many bodies were deleted.

    Raises:
        RefusedError: if there are such handoffs, but no state is kept to go on from without them.
        StoreError: if it cannot be written.
    """
    old = _last_before(store, now - days * SECONDS_PER_DAY)
    upto = min(old, covered(store))
    if old and not upto:
        raise RefusedError(
            f"events up to {old} are older than {days:g} days, but no state is kept that holds "
            "them; checkpoint first (a node does so as it closes)"
        )
    with store.transaction():
        count = store.forget(upto)
        if count:
            _record(store, f"handoffs without an event for {days:g} days", count, now)
    store.scrub()  # also if an earlier call could not
    return count


def erase_handoff(store: Store, handoff_id: str, now: float) -> int:
    """Delete the bodies of one handoff; returns how many, 0 if they were deleted before.

    Args:
        store: of the node.
        handoff_id: of which handoff.
        now: seconds since 1970.

    Raises:
        UnknownError: if the store has no event of it.
        ConflictError: if it is still open.
        RefusedError: if no state is kept that holds its last event.
        StoreError: if it cannot be written.
    """
    what = f"handoff '{handoff_id}'"
    return _erase(store, {handoff_id}, what, what, now)


def erase_workflow(store: Store, workflow: str, now: float) -> int:
    """Delete the bodies of all handoffs whose decision was given this workflow.

    Args:
        store: of the node.
        workflow: its name; it is not written down, as it may say who asked for it.
        now: seconds since 1970.

    Raises:
        As `erase_handoff`.
    """
    chosen = _handoffs_of(store, workflow)
    return _erase(store, chosen, f"workflow '{workflow}'", "a workflow", now)


def covered(store: Store) -> int:
    """Number of the last event that no agent or peer needs to go on from the state kept of it.

    A peer's leak budget counts the answers given to it, also while it is not configured.
    """
    agents = [
        name.removeprefix("agent/").removesuffix(_SETTINGS)
        for name in store.states("agent/")
        if name.endswith(_SETTINGS)
    ]
    upto = store.last() if agents else 0
    for agent in agents:
        kept = store.state(f"agent/{agent}")
        needed = next(store.events(kept[0] if kept else 0, agent), None)
        if needed is not None:
            upto = min(upto, needed.seq - 1)
    for name in store.states("peer/"):
        peer, kept = name.removeprefix("peer/"), store.state(name)
        since = store.events(kept[0] if kept else 0)
        needed = next((one for one in since if one.body.get("peer") == peer), None)
        if needed is not None:
            upto = min(upto, needed.seq - 1)
    return upto


def _erase(store: Store, chosen: set[str], what: str, recorded: str, now: float) -> int:
    last = max((row.seq for row in store.rows() if row.handoff_id in chosen), default=0)
    if not last:
        raise UnknownError(f"{what}: not in this store; look with batonq audit show")
    waiting = chosen.intersection(store.open_before(math.inf, store.count_open()))
    if waiting:
        raise ConflictError(f"handoff '{min(waiting)}': is still open; settle it or let it expire")
    upto = covered(store)
    if last > upto:
        raise RefusedError(
            f"{what}: has event {last}, and the states kept hold events up to {upto} only; "
            "checkpoint first (a node does so as it closes)"
        )
    with store.transaction():
        count = store.forget(last, chosen)
        if count:
            _record(store, recorded, count, now)
    store.scrub()
    return count


def _record(store: Store, what: str, count: int, now: float) -> None:
    key = str(store.last() + 1)
    store.append(
        Event(ERASURE, "", "", once(ERASURE, "", key), now, {"what": what, "count": count})
    )


def _last_before(store: Store, at: float) -> int:
    """Number of the last event before `at`, 0 if there is none; times do not decrease."""
    low, high = 0, store.last()
    while low < high:
        middle = (low + high + 1) // 2
        if next(store.rows(middle - 1)).at < at:
            low = middle
        else:
            high = middle - 1
    return low


def _handoffs_of(store: Store, workflow: str) -> set[str]:
    """Handoffs whose decision belongs to a workflow and still has its body."""
    word = json.dumps(workflow)
    return {
        row.handoff_id
        for row in store.rows()
        if row.kind == DECISION
        and row.body is not None
        and word in row.body
        and json.loads(row.body).get("workflow") == workflow
    }
