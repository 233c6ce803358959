"""All that is known of a handoff by now, and what may be said of one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from batonq.base.errors import DataError
from batonq.base.files import Json
from batonq.node.core import Core
from batonq.node.event import DECISION, EXPIRY, OUTCOME, QUOTE, Event, once
from batonq.node.limits import Costs

TERMINAL: Final = "terminal"
TRUNCATED: Final = "truncated"
LARGEST: Final = 1e300  # of a number given as an integer


@dataclass(frozen=True)
class Standing:
    """All that is known of a handoff by now.

    Attributes:
        decision: its decision.
        outcome: its outcome, if any.
        reward: as last revised.
        duration: as last revised.
        end: as last revised.
        quote: the value that counts, if any.
        learnt: the event from which it was learnt, if any.
        target: what it counts as now, if it was learnt from.
        revisions: how many there were.
    """

    decision: Event
    outcome: Event | None
    reward: float
    duration: float
    end: str | None
    quote: float | None
    learnt: Event | None
    target: float | None
    revisions: int


def standing(core: Core, handoff_id: str) -> Standing:
    """Gather what is known of a handoff.

    Raises:
        UnknownError: if this node did not decide it, or it was erased.
    """
    decision = core.needed(DECISION, handoff_id)
    outcome, quote, expiry = (
        core.store.find(once(kind, handoff_id)) for kind in (OUTCOME, QUOTE, EXPIRY)
    )
    told: dict[str, Json] = dict(outcome.body) if outcome else {}
    value = told.get("quote")
    learnt = outcome if "target" in told else None
    if expiry is not None and "target" in expiry.body:
        learnt, value = expiry, expiry.body["quote"]
    if quote is not None and quote.body:
        value = quote.body["quote"]
        learnt = quote if "target" in quote.body else learnt
    target = learnt.body["target"] if learnt else None
    revisions = core.store.revisions(handoff_id)
    for one in revisions:
        told.update({name: one.body[name] for name in ("reward", "duration", "end")})
        target = one.body.get("now", target)
    return Standing(
        decision=decision,
        outcome=outcome,
        reward=told.get("reward", 0.0),
        duration=told.get("duration", 1.0),
        end=told.get("end"),
        quote=value,
        learnt=learnt,
        target=target,
        revisions=len(revisions),
    )


def check(
    handoff_id: str,
    reward: float | None,
    duration: float | None,
    end: str | None = None,
    quote: float | None = None,
    costs: Costs | None = None,
) -> None:
    """Raise a DataError for a number or word that cannot be."""
    if not isinstance(handoff_id, str) or not handoff_id:
        raise DataError(f"handoff_id {handoff_id!r}: give the `id` of a decision")
    for name, value in (("reward", reward), ("duration", duration), ("quote", quote)):
        if value is not None and not _finite(value):
            raise DataError(f"handoff '{handoff_id}': {name} is {value!r}; give a finite number")
    for unit, amount in (costs or {}).items():
        if not _finite(amount):
            raise DataError(
                f"handoff '{handoff_id}': cost '{unit}' is {amount!r}; give a finite number"
            )
    if duration is not None and duration <= 0:
        raise DataError(f"handoff '{handoff_id}': duration is {duration:g}; give more than 0")
    if end not in (None, TERMINAL, TRUNCATED):
        raise DataError(f"handoff '{handoff_id}': end is {end!r}; None, 'terminal' or 'truncated'")


def _finite(value: object) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return -LARGEST < value < LARGEST
