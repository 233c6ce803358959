"""Holding the pipeline's book against the agents' stores, and a log against what was learnt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from batonq.demo.desk import ACTIONS, GAMMA
from batonq.demo.nodes import INITIAL, STEP, Line, Node
from batonq.demo.optimum import Cell
from batonq.demo.pipeline import Entry
from batonq.icq import clocks, update
from batonq.node import seeing
from batonq.node.event import DECISION, OUTCOME, QUOTE, Event
from batonq.node.store.audit import verify
from batonq.node.store.sqlite import SqliteStore

Table = dict[tuple[str, str], float]  # (key of the information state, action) -> value


@dataclass(frozen=True)
class Audit:
    """One agent's store against the pipeline's book.

    Attributes:
        decided: handoffs that the pipeline was given.
        settled: of these, acknowledged with what came of them.
        learnt: handoffs learnt from, by the store.
        lost: acknowledged, and not in the store as they were acknowledged.
        unlearnt: acknowledged, and not learnt from.
        twice: learnt from more than once.
        unknown: in the store, and not in the book.
    """

    decided: int
    settled: int
    learnt: int
    lost: int
    unlearnt: int
    twice: int
    unknown: int


def audited(store: Path, book: Mapping[str, Entry]) -> Audit:
    """Compare a store with what the pipeline knows of its agent's handoffs."""
    decisions: dict[str, Event] = {}
    outcomes: dict[str, Event] = {}
    learnt: Counter[str] = Counter()
    for event in _events(store):
        if event.kind == DECISION:
            decisions[event.handoff_id] = event
        elif event.kind == OUTCOME:
            outcomes[event.handoff_id] = event
        learnt[event.handoff_id] += _completes(event)
    decided = {name for name, entry in book.items() if entry.action is not None}
    settled = {name for name, entry in book.items() if entry.settled}
    kept = {
        name
        for name in decided & set(decisions)
        if decisions[name].body["action"] == book[name].action
        and (name not in settled or _as_told(outcomes.get(name), book[name]))
    }
    return Audit(
        decided=len(decided),
        settled=len(settled),
        learnt=sum(learnt.values()),
        lost=len(decided - kept),
        unlearnt=sum(not learnt[name] for name in settled),
        twice=sum(times > 1 for times in learnt.values()),
        unknown=len(set(decisions) - set(book)),
    )


def unbroken(store: Path) -> bool:
    """Whether the hash chain of a store's events holds: none was changed, removed or put in."""
    with closing(SqliteStore.open(store, read_only=True)) as opened:
        return verify(opened).good


def _completes(event: Event) -> bool:
    """Whether its handoff is learnt from with this event: outcome and quote are there."""
    return event.kind in (OUTCOME, QUOTE) and "target" in event.body


def _as_told(stored: Event | None, entry: Entry) -> bool:
    """Whether an outcome is stored as the pipeline has told it."""
    told = entry.outcome
    if stored is None or told is None:
        return False
    return (stored.body["reward"], stored.body["duration"]) == (told.reward, told.minutes)


def replayed(store: Path) -> Table:
    """What the log of an agent comes to, worked out anew from rewards, durations and quotes."""
    clock = clocks.constant(STEP)
    values: Table = {}
    counts: Counter[tuple[str, str]] = Counter()
    decisions: dict[str, Event] = {}
    outcomes: dict[str, Event] = {}
    for event in _events(store):
        if event.kind == DECISION:
            decisions[event.handoff_id] = event
        if event.kind == OUTCOME:
            outcomes[event.handoff_id] = event
        if not _completes(event):
            continue
        decision, outcome = decisions[event.handoff_id].body, outcomes[event.handoff_id].body
        ended = outcome["end"] == "terminal"
        target = update.target(
            outcome["reward"],
            update.discount(GAMMA, outcome["duration"]),
            0.0 if ended else event.body["quote"],
        )
        pair = decision["y"], decision["action"]
        counts[pair] += 1
        value = values.get(pair, INITIAL)
        values[pair] = update.step(value, target, clocks.size(clock, counts[pair]))
    return values


def asked(node: Node, cells: tuple[Cell, ...]) -> Table:
    """What the agent itself says that it has learnt: by dry runs, which store nothing."""
    values: Table = {}
    with Line(node) as line:
        for cell in cells:
            if cell.agent == node.agent:
                seen = dict(cell.seen)
                body = {"agent": cell.agent, "state": seen, "dry_run": True}
                answer = line.call("POST", "/v1/decide", body)
                key = seeing.key(seen, cell.agent, ())
                values |= {(key, one): value for one, value in answer["values"].items()}
    return values


def differing(said: Table, log: Table) -> int:
    """In how many places two tables differ, to the last bit; what is not in one is `INITIAL`."""
    return sum(said.get(one, INITIAL) != log.get(one, INITIAL) for one in said.keys() | log.keys())


def greedy(tables: Mapping[str, Table], cells: tuple[Cell, ...]) -> dict[Cell, str]:
    """The action of largest value in each cell; the first of equals."""
    choice: dict[Cell, str] = {}
    for cell in cells:
        key = seeing.key(dict(cell.seen), cell.agent, ())
        table = tables[cell.agent]
        choice[cell] = max(ACTIONS[cell.agent], key=lambda one: table.get((key, one), INITIAL))
    return choice


def _events(store: Path) -> list[Event]:
    with closing(SqliteStore.open(store, read_only=True)) as opened:
        return list(opened.events())
