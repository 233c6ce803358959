"""What one agent's part of a node's store says, as records that `bound` works on.

A store is only read, also while its node runs. Each handoff counts with its latest reward,
duration and end, and with the quote that was its own; without one it waits, and never counts as 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from batonq.base.errors import DataError
from batonq.base.files import Json, hashable
from batonq.bound.segments import Seen, Segment, SegmentTable, segments, table_of
from batonq.icq.log import Field, Log
from batonq.icq.record import ENDS, Handoff
from batonq.node.event import DECISION, IMPORT, OUTCOME, QUOTE, REVISION, Event
from batonq.node.limits import END
from batonq.node.standing import TERMINAL
from batonq.node.store.sqlite import SqliteStore

SAME: Final = 1e-12  # relative difference up to which two logged values are one


@dataclass(frozen=True, eq=False)
class Exported:
    """One agent's closed segments, and what was logged with their decisions.

    Attributes:
        agent: whose.
        gamma: discount per unit of time.
        actions: names of the actions by number.
        segments: in order of arrival; actions of their steps are numbers.
        seen: by handoff_id, what was permitted, the values acted on and the default.
        dropped: segments that are not closed: an outcome, a duration or a quote is missing.
        told: by handoff_id, the rest of the decision: its `fields` and `version`.
    """

    agent: str
    gamma: float
    actions: tuple[str, ...]
    segments: tuple[Segment, ...]
    seen: Mapping[str, Seen]
    dropped: int
    told: Mapping[str, Mapping[str, Json]]

    def table(self) -> SegmentTable:
        """The segments as arrays, with their actions by name.

        Raises:
            DataError: if there is none.
        """
        return table_of(
            self.segments, self.gamma, actions=self.actions, seen=self.seen, dropped=self.dropped
        )


@dataclass
class _Kept:
    """What is known of one handoff."""

    handoff_id: str
    body: dict[str, Json]  # of its decision, or of its import
    reward: float = math.nan
    duration: float = math.nan
    end: str | None = None
    quote: float | None = None


@dataclass
class _Gathered:
    """Handoffs by agent, in order of their decisions."""

    agents: dict[str, dict[str, _Kept]] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take in the next event; one whose body was erased says nothing."""
        body = event.body
        if not body:
            return
        if event.kind in (DECISION, IMPORT):
            kept = _imported(event) if event.kind == IMPORT else _Kept(event.handoff_id, body)
            self.agents.setdefault(event.agent, {}).setdefault(event.handoff_id, kept)
            return
        known = self.agents.get(event.agent, {}).get(event.handoff_id)
        if known is None:
            return
        if event.kind in (OUTCOME, REVISION):
            known.reward, known.duration = body["reward"], body["duration"]
            known.end = body["end"]
        if event.kind in (OUTCOME, QUOTE) and body.get("quote") is not None:
            known.quote = body["quote"]


def read_segments(path: str | Path, agent: str | None = None) -> Exported:
    """Read one agent's segments from a node's store.

    Args:
        path: of the store.
        agent: whose; the only one by default.

    Raises:
        DataError: if the agent has no decision there, or its segments cannot be told apart.
        StoreError: if the store cannot be read.
    """
    gathered, gamma = _gather(Path(path))
    name = _chosen(gathered, agent, Path(path))
    kept = list(gathered.agents[name].values())
    actions = tuple(sorted({one for each in kept for one in _permitted(each)}))
    number = {action: k for k, action in enumerate(actions)}
    workflows = {one.handoff_id: _workflow(one, name) for one in kept}
    handoffs = [_handoff(one, name, number) for one in kept]
    found, waiting = segments(handoffs, lambda one: workflows[one.handoff_id])
    whole = [one for one in found if not any(math.isnan(step.reward) for step in one.steps)]
    closed = {step.handoff_id for one in whole for step in one.steps}
    return Exported(
        agent=name,
        gamma=gamma,
        actions=actions,
        segments=tuple(whole),
        seen={one.handoff_id: _seen(one, number) for one in kept if one.handoff_id in closed},
        dropped=waiting + len(found) - len(whole),
        told={
            one.handoff_id: {key: one.body.get(key) for key in ("fields", "version")}
            for one in kept
            if one.handoff_id in closed
        },
    )


def read_log(path: str | Path, agent: str | None = None, version: int | None = None) -> Log:
    """Read one agent's handoffs of one policy version as a log, for `refine` and `bound`.

    Rows stand segment by segment, in order of arrival.

    Args:
        path: of the store.
        agent: whose; the only one by default.
        version: acted from; the one with most handoffs by default.

    Raises:
        DataError: if there is none, or the values acted on moved while it was recorded.
        StoreError: if the store cannot be read.
    """
    exported = read_segments(path, agent)
    steps = [step for one in exported.segments for step in one.steps]
    versions = [exported.told[step.handoff_id]["version"] for step in steps]
    if not steps:
        raise DataError(f"{path}: agent '{exported.agent}' has no closed segment yet")
    wanted = max(set(versions), key=versions.count) if version is None else version
    chosen = [s for s, one in zip(steps, versions, strict=True) if one == wanted]
    if not chosen:
        there = ", ".join(map(str, sorted({one for one in versions if one is not None})))
        raise DataError(f"{path}: no handoff was decided from version {wanted}; there are: {there}")
    order = {y: k for k, y in enumerate(dict.fromkeys(step.observation for step in chosen))}
    mask, values = _tables(exported, chosen, order)
    agents = tuple(dict.fromkeys([exported.agent, *(s.receiver for s in chosen if s.receiver)]))
    return Log(
        agent=exported.agent,
        agents=agents,
        gamma=exported.gamma,
        observations=tuple(order),
        mask=mask,
        values=values,
        y=np.array([order[step.observation] for step in chosen]),
        action=np.array([step.action for step in chosen]),
        receiver=np.array([agents.index(s.receiver) if s.receiver else -1 for s in chosen]),
        end=np.array([ENDS.index(step.end) for step in chosen]),
        propensity=np.array([step.propensity for step in chosen], float),
        reward=np.array([step.reward for step in chosen], float),
        duration=np.array([step.duration for step in chosen], float),
        quote=np.array([step.quote or 0.0 for step in chosen], float),
        fields=_fields(exported, chosen),
    )


def _gather(path: Path) -> tuple[_Gathered, float]:
    store = SqliteStore.open(path, read_only=True)
    try:
        units = store.state("units")
        if units is None:
            raise DataError(f"{path}: no node has worked on it yet; record handoffs first")
        gathered = _Gathered()
        for event in store.events():
            gathered.add(event)
        return gathered, float(units[1]["gamma"])
    finally:
        store.close()


def _chosen(gathered: _Gathered, agent: str | None, path: Path) -> str:
    there = sorted(gathered.agents)
    if agent is not None and agent in gathered.agents:
        return agent
    if agent is None and len(there) == 1:
        return there[0]
    if not there:
        raise DataError(f"{path}: holds no decision yet; record handoffs first")
    which = "name one with --agent" if agent is None else f"'{agent}' is none of them"
    raise DataError(f"{path}: has records of the agents {', '.join(there)}; {which}")


def _imported(event: Event) -> _Kept:
    body = event.body
    told = {"y": body["observation"], "target": body["receiver"] or END}
    duration = body["duration"]
    return _Kept(
        event.handoff_id,
        {**body, **told},
        body["reward"],
        math.nan if duration is None else duration,
        body["end"],
        body["quote"],
    )


def _permitted(one: _Kept) -> list[str]:
    return list(dict.fromkeys([*(one.body["permitted"] or ()), one.body["action"]]))


def _workflow(one: _Kept, agent: str) -> Hashable:
    """The key of its workflow; one of its own if it needs none."""
    workflow: str | None = one.body["workflow"]
    if workflow is None and one.body["target"] == agent:
        raise DataError(
            f"handoff '{one.handoff_id}': agent '{agent}' keeps control, but which decision comes "
            "next cannot be told; give `workflow` to decide"
        )
    return ("handoff", one.handoff_id) if workflow is None else ("workflow", workflow)


def _handoff(one: _Kept, agent: str, number: Mapping[str, int]) -> Handoff:
    target = one.body["target"]
    ended = one.end == TERMINAL or (target == END and one.end is None)
    lacks = math.isnan(one.duration)
    return Handoff(
        handoff_id=one.handoff_id,
        agent=agent,
        observation=one.body["y"],
        action=number[one.body["action"]],
        propensity=math.nan if one.body["propensity"] is None else one.body["propensity"],
        reward=math.nan if lacks else one.reward,
        duration=one.duration,
        receiver=None if ended or target == END else target,
        quote=None if ended else one.quote,
        end=TERMINAL if ended else one.end,
    )


def _seen(one: _Kept, number: Mapping[str, int]) -> Seen:
    """Imported records may not say what was permitted: then everything counts as such."""
    default = one.body["default"]
    permitted = _permitted(one) if one.body["permitted"] else number
    return Seen(
        permitted=frozenset(number[action] for action in permitted),
        values={number[a]: value for a, value in (one.body.get("values") or {}).items()},
        default=None if default is None else number.get(default),
    )


def _tables(
    exported: Exported, steps: Iterable[Handoff], order: Mapping[Hashable, int]
) -> tuple[np.ndarray, np.ndarray]:
    """What was permitted at each observation, and the values, which must not have moved."""
    shape = (len(order), len(exported.actions))
    mask, values = np.zeros(shape, np.bool_), np.zeros(shape)
    for step in steps:
        row, seen = order[step.observation], exported.seen[step.handoff_id]
        for action in seen.permitted:
            value = seen.values.get(action, 0.0)
            before = values[row, action] if mask[row, action] else value
            if abs(value - before) > SAME * max(1.0, abs(before)):
                raise DataError(
                    f"agent '{exported.agent}': the value of '{exported.actions[action]}' moved "
                    "while these handoffs were recorded; use an agent with answers='phased' and "
                    "one of its versions"
                )
            mask[row, action], values[row, action] = True, value
    return mask, values


def _fields(exported: Exported, steps: Iterable[Handoff]) -> dict[str, Field]:
    """What was logged beside every decision."""
    rows = [exported.told[step.handoff_id]["fields"] or {} for step in steps]
    names = [name for name in rows[0] if all(name in row for row in rows)]
    found = {}
    for name in names:
        column = [_level(row[name]) for row in rows]
        number = {value: k for k, value in enumerate(dict.fromkeys(column))}
        found[name] = Field(tuple(number), np.array([number[value] for value in column]))
    return found


def _level(value: Json) -> Hashable:
    """A value of a field; one with parts of its own counts by its text."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else hashable(value)
