"""The terms of the bound that one node can tell from its own recent records, agent by agent.

`bound` wants records under values that stand still. A node's values move while it learns, so the
latest records are taken, the latest values stand for all of them, and how far values were from that
is said, or refused if it would blur the residuals.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from batonq.base.errors import BatonqError, DataError
from batonq.base.files import Json
from batonq.icq import update
from batonq.icq.log import Field, Log
from batonq.icq.record import ENDS, NOT_ENDED
from batonq.node import event as kinds
from batonq.node.event import Event, Store

WINDOW: Final = 20_000  # latest event numbers that are looked at
FEWEST: Final = 128  # rows of the shortest log that is tried: `bound` wants as many
STILL: Final = 0.25  # movement of values, over the residuals' size, up to which they count as still


@dataclass(frozen=True)
class Row:
    """One complete handoff as its agent recorded it."""

    y: str
    action: str
    target: str
    propensity: float
    values: dict[str, float]
    permitted: tuple[str, ...]
    reward: float
    duration: float
    end: str | None
    quote: float
    workflow: str | None
    arrival: str | None
    fields: dict[str, Json]


def terms_of(store: Store, agents: Iterable[str], gamma: float) -> dict[str, dict[str, Json]]:
    """For each agent the terms as JSON (`bound.lines.Terms.document`), or why there are none.

    Reads the latest `WINDOW` events once; takes seconds, so not for every look.

    Args:
        store: the node's events.
        agents: which of its agents.
        gamma: discount per unit of time.
    """
    by_agent: dict[str, list[Event]] = {name: [] for name in agents}
    for event in store.events(max(0, store.last() - WINDOW)):
        if event.agent in by_agent:
            by_agent[event.agent].append(event)
    return {name: _terms(name, events, gamma) for name, events in by_agent.items()}


def _terms(agent: str, events: Sequence[Event], gamma: float) -> dict[str, Json]:
    from batonq.bound.from_records import of_log  # SciPy's statistics take a second to import

    try:
        log, note = _still(agent, rows_of(events), gamma)
        document = of_log(log).document()
    except BatonqError as error:
        text = str(error).removeprefix("not available: ")
        return {"of": f"agent '{agent}'", "terms": [], "note": f"not available: {text}"}
    return {**document, "note": note}


def _still(agent: str, rows: Sequence[Row], gamma: float) -> tuple[Log, str]:
    """The log of as many of the latest rows as values stood still in: all, a half, a quarter ..."""
    while True:
        try:
            return log_of(agent, rows, gamma)
        except DataError:
            if len(rows) < 2 * FEWEST:
                raise
            rows = rows[len(rows) // 2 :]


def rows_of(events: Iterable[Event]) -> list[Row]:
    """The handoffs among these events that are complete, in the order they were decided.

    Those without a propensity, a quote or an end are left out, and so are expired and erased ones.
    """
    parts: dict[str, dict[str, dict[str, Json]]] = {}
    for event in events:
        if event.kind == kinds.DECISION:
            parts[event.handoff_id] = {event.kind: event.body}
        elif event.handoff_id in parts and event.kind in (kinds.OUTCOME, kinds.QUOTE):
            parts[event.handoff_id][event.kind] = event.body
        elif event.handoff_id in parts and event.kind == kinds.REVISION:
            outcome = parts[event.handoff_id].get(kinds.OUTCOME, {})
            changes = ("reward", "duration", "end")
            outcome = outcome | {k: event.body[k] for k in changes if event.body.get(k) is not None}
            parts[event.handoff_id][kinds.OUTCOME] = outcome
    made = (_row(one) for one in parts.values())
    return [row for row in made if row is not None]


def _row(parts: dict[str, dict[str, Json]]) -> Row | None:
    decision, outcome = parts[kinds.DECISION], parts.get(kinds.OUTCOME)
    if not decision or not outcome or not decision.get("propensity"):
        return None
    late = parts.get(kinds.QUOTE, {})
    quote = late.get("quote", outcome.get("quote"))
    end = outcome.get("end")
    if end == "terminal":
        quote = 0.0
    if quote is None:
        return None
    arrival = decision.get("arrival")
    return Row(
        y=decision["y"],
        action=decision["action"],
        target=decision["target"],
        propensity=float(decision["propensity"]),
        values=decision["values"],
        permitted=tuple(decision["permitted"]),
        reward=float(outcome["reward"]),
        duration=float(outcome["duration"]),
        end=end,
        quote=float(quote),
        workflow=decision.get("workflow"),
        arrival=None if arrival is None else json.dumps(arrival),
        fields=decision.get("fields") or {},
    )


def log_of(agent: str, rows: Sequence[Row], gamma: float) -> tuple[Log, str]:
    """The rows as a `Log` under the latest values, and how far those moved.

    Args:
        agent: whose rows.
        rows: complete handoffs in the order they were decided.
        gamma: discount per unit of time.

    Raises:
        DataError: if there are none, or values moved too much meanwhile.
    """
    rows = _in_chains(agent, rows)
    if not rows:
        raise DataError("not available: no complete handoff with a propensity is recorded")
    latest = {(row.y, action): float(v) for row in rows for action, v in row.values.items()}
    ys = list(dict.fromkeys(row.y for row in rows))
    actions = list(dict.fromkeys(a for row in rows for a in (*row.permitted, row.action)))
    receivers = list(dict.fromkeys([agent, *(row.target for row in rows)]))
    at_y, at_a = ({one: k for k, one in enumerate(names)} for names in (ys, actions))
    mask = np.zeros((len(ys), len(actions)), np.bool_)
    for row in rows:
        mask[at_y[row.y], [at_a[a] for a in (*row.permitted, row.action)]] = True
    values = np.array([[latest.get((y, a), 0.0) for a in actions] for y in ys])
    best = np.where(mask, values, -math.inf).max(axis=1)
    quotes = [row.quote for row in rows]
    for k, row in enumerate(rows):
        if row.target == agent and row.end is None and k + 1 < len(rows):
            quotes[k] = float(best[at_y[rows[k + 1].y]])
    log = Log(
        agent=agent,
        agents=tuple(receivers),
        gamma=gamma,
        observations=tuple(ys),
        mask=mask,
        values=values,
        y=np.array([at_y[row.y] for row in rows]),
        action=np.array([at_a[row.action] for row in rows]),
        receiver=np.array(
            [-1 if row.end == "terminal" else receivers.index(row.target) for row in rows]
        ),
        end=np.array([ENDS.index(row.end) if row.end else NOT_ENDED for row in rows]),
        propensity=np.array([row.propensity for row in rows]),
        reward=np.array([row.reward for row in rows]),
        duration=np.array([row.duration for row in rows]),
        quote=np.array(quotes),
        fields=_fields(rows),
    )
    return log, _movement(agent, rows, latest, log, gamma)


def _in_chains(agent: str, rows: Sequence[Row]) -> list[Row]:
    """With each row that kept control before the one that followed; those with none left out."""
    if not any(row.target == agent and row.end is None for row in rows):
        return list(rows)
    first: dict[str, int] = {}
    for k, row in enumerate(rows):
        first.setdefault(row.workflow or f"#{k}", k)
    numbered = sorted(enumerate(rows), key=lambda one: first[one[1].workflow or f"#{one[0]}"])
    ordered = [row for _, row in numbered]
    following = [*ordered[1:], None]
    return [
        row
        for row, after in zip(ordered, following, strict=True)
        if row.target != agent
        or row.end is not None
        or (after is not None and row.workflow is not None and after.workflow == row.workflow)
    ]


def _fields(rows: Sequence[Row]) -> dict[str, Field]:
    """What every row logged but did not act on."""
    names = [name for name in rows[0].fields if all(name in row.fields for row in rows)]
    found = {}
    for name in names:
        texts = [json.dumps(row.fields[name], sort_keys=True) for row in rows]
        levels, code = np.unique(texts, return_inverse=True)
        found[name] = Field(tuple(levels.tolist()), code)
    return found


def _movement(
    agent: str, rows: Sequence[Row], latest: dict[tuple[str, str], float], log: Log, gamma: float
) -> str:
    """How far values and quotes of the time were from the latest, for a note.

    Raises:
        DataError: if that is more than `STILL` of the residuals' size.
    """
    own = [float(row.values.get(row.action, 0.0)) - latest[row.y, row.action] for row in rows]
    told = {(row.target, row.arrival): row.quote for row in rows if row.arrival is not None}
    others = [
        update.discount(gamma, row.duration) * (row.quote - told[row.target, row.arrival])
        for row in rows
        if row.arrival is not None and row.end is None and row.target != agent
    ]
    moved = max(_size(own), _size(others))
    size = _size(log.residual().tolist())
    if moved > STILL * size:
        raise DataError(
            f"not available: values moved by {moved:.3g} over the last {len(rows)} records, whose "
            f"residuals have size {size:.3g}; wait until they settle, or let a version answer"
        )
    return (
        f"over the last {len(rows)} records, in which values moved by {moved:.3g} and residuals "
        f"have size {size:.3g}; quotes of other processes are taken to have stood still"
    )


def _size(numbers: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(numbers)))) if numbers else 0.0
