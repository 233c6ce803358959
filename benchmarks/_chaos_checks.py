"""What must hold of the stores in the end, given what was asked and answered.

Each check yields one line for each violation. Events are read by plain SQL; what must have been
learnt comes from `_chaos_replay`. The store itself is asked for what it thinks is open, and the
package's own functions check its hash chain and tell how events are keyed.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from typing import Any, Final, NamedTuple

from batonq.icq.clocks import Clock
from batonq.node.event import before_key, once
from batonq.node.revising import OURS
from batonq.node.store.sqlite import SqliteStore
from batonq.wire import chain
from batonq.wire.scalar import Scalar
from benchmarks._chaos_replay import Replay, Row

Body = dict[str, Any]
Key = tuple[str, str, str, str]  # node, what was asked, handoff, key of a correction
Asked = Mapping[Key, Sequence[Body]]
Answered = Mapping[Key, tuple[Body, Body]]
EVENTS: Final = (  # in the order of `chain.Row`
    "SELECT seq, at, kind, agent, handoff_id, once, body, salt, digest, link "
    "FROM event ORDER BY seq"
)
ALL: Final = 1 << 60
NEAR: Final = 1e-9  # between values that a revision mended: the same sums in another order


class Node(NamedTuple):
    """A node at the end.

    Attributes:
        agent: its one agent.
        events: of its store.
        chain: what checking its hash chain gave.
        replay: what must have been learnt from the events.
        table: what it says it learnt: information state -> action -> [value, count], after its
            store was opened anew.
        live: what it said before it was killed: information state -> action -> value.
        open: handoffs that its store says are open.
        unsent: handoffs that its store has still to send.
    """

    agent: str
    events: list[Row]
    chain: chain.Verdict
    replay: Replay
    table: dict[str, dict[str, list[float]]]
    live: dict[str, dict[str, float]]
    open: set[str]
    unsent: set[str]


def opened(question: Body) -> list[Node]:
    """Read every store.

    Args:
        question: {"nodes": {agent: {"store": path, "table": table, "live": values, "actions":
            names}}, "clock": 4 numbers, "gamma": discount, "scalar": [low, high, bits, rounding]}.
    """
    nodes = []
    for agent, told in question["nodes"].items():
        with closing(sqlite3.connect(f"file:{told['store']}?mode=ro", uri=True)) as store:
            read = store.execute(EVENTS).fetchall()
        with closing(SqliteStore.open(told["store"], read_only=True)) as kept:
            still = set(kept.open_before(math.inf, ALL))
            unsent = {handoff for handoff, _, _ in kept.unsent(ALL)}
        events = [Row._make((*row[:6], json.loads(row[6]))) for row in read]
        clock, crosses = Clock(*question["clock"]), Scalar(*question["scalar"])
        replay = Replay(clock, question["gamma"], told["actions"], crosses)
        for event in events:
            replay.take(event)
        verdict = chain.verify(chain.Row(*row) for row in read)
        nodes.append(
            Node(agent, events, verdict, replay, told["table"], told["live"], still, unsent)
        )
    return nodes


def violations(nodes: list[Node], asked: Asked, answered: Answered) -> dict[str, list[str]]:
    """By kind of violation, a line for each."""
    each = {
        "lost": lambda node: _lost(answered, node),
        "doubled": _doubled,
        "invented": lambda node: _invented(asked, node),
        "replay": lambda node: iter(node.replay.faults),
        "table": _table,
        "open": lambda node: _open(asked, answered, node),
        "ledger": _ledger,
    }
    found = {kind: [line for node in nodes for line in of(node)] for kind, of in each.items()}
    return {**found, "quotes": list(_quotes(nodes))}


def _lost(answered: Answered, node: Node) -> Iterator[str]:
    """What was acknowledged and is not in the store as it was acknowledged."""
    stored = {event.once: event.body for event in node.events}
    for (agent, do, handoff, key), (call, answer) in answered.items():
        if agent != node.agent:
            continue
        if do == "decide":
            body, right = stored.get(once("decision", handoff)), answer
            fields = ["action", "target", "propensity", "values", "mode", "version", "explored"]
        elif do == "settle":
            ends = call["do"] == "finish" or call.get("end") == "terminal"
            end = "terminal" if ends else call.get("end")
            body, right = stored.get(once("outcome", handoff)), {**call, "end": end}
            fields = ["reward", "duration", "end"]
        else:
            body, right = stored.get(once("revision", handoff, key)), call
            fields = ["reward", "source"]
        if body is None:
            yield f"{agent}: {do} {handoff} was acknowledged and is not in the store"
        elif wrong := [one for one in fields if body[one] != right[one]]:
            yield f"{agent}: {do} {handoff} was acknowledged with another {', '.join(wrong)}"


def _doubled(node: Node) -> Iterator[str]:
    """What is in the store, or was learnt from, more than once."""
    for name, times in Counter(event.once for event in node.events).items():
        if times > 1:
            yield f"{node.agent}: {name} is in the store {times} times"
    clocks = sum(int(count) for row in node.table.values() for _, count in row.values())
    if clocks != len(node.replay.updates):
        right = len(node.replay.updates)
        yield f"{node.agent}: local clocks count {clocks} learning steps of {right} handoffs"


def _invented(asked: Asked, node: Node) -> Iterator[str]:
    """What is in the store and was never asked for."""
    kinds = {"decision": "decide", "outcome": "settle", "revision": "outcomes"}
    for event in node.events:
        if event.kind in kinds:
            revision = event.kind == "revision"
            start = before_key(event.kind, event.handoff_id)
            key = event.once.removeprefix(start) if revision else ""
            name = node.agent, kinds[event.kind], event.handoff_id, key
            if not key.startswith(OURS) and name not in asked:
                yield f"{node.agent}: {event.once} was never asked for"


def _table(node: Node) -> Iterator[str]:
    """Where what the node learnt differs from what follows from its events."""
    right = node.replay
    pairs = {(y, action): cell for y, row in node.table.items() for action, cell in row.items()}
    for pair in pairs.keys() | right.counts.keys():
        value, count = pairs.get(pair, [0.0, 0])
        near = NEAR if pair in right.revised else 0.0
        if count != right.counts[pair] or abs(value - right.values.get(pair, 0.0)) > near:
            told = f"{right.values.get(pair)} after {right.counts[pair]}"
            yield f"{node.agent} {pair}: {value} after {count} updates; a replay gives {told}"
    for y, row in node.live.items():
        for action, value in row.items():
            kept = pairs.get((y, action), [0.0, 0])[0]
            if kept != value:
                yield f"{node.agent} {y} {action}: {value} before the last kill, {kept} after"


def _open(asked: Asked, answered: Answered, node: Node) -> Iterator[str]:
    """Whether what is open is what was never settled, and nothing waits for a quote."""
    settle = node.agent, "settle"
    settled = {handoff for *what, handoff, _ in answered if tuple(what) == settle}
    told = {handoff for *what, handoff, _ in asked if tuple(what) == settle}
    decided = {event.handoff_id for event in node.events if event.kind == "decision"}
    for what, handoffs in (
        ("is open and was settled", node.open & settled),
        ("is closed and was never settled", decided - told - node.open - node.replay.expired),
        ("is open by its store or by its events, but not by both", node.open ^ node.replay.open),
        ("is still to be sent", node.unsent),
    ):
        for handoff in handoffs:
            yield f"{node.agent}: {handoff} {what}"


def _ledger(node: Node) -> Iterator[str]:
    """Whether the hash chain holds, and events never go back in number or time."""
    if node.chain.bad is not None or node.chain.rows != len(node.events):
        yield f"{node.agent}: row {node.chain.bad} of the chain: {node.chain.why}"
    for before, after in pairwise(node.events):
        if after.seq != before.seq + 1 or after.at < before.at:
            yield f"{node.agent}: event {after.seq} at {after.at} follows {before.seq}"


def _quotes(nodes: list[Node]) -> Iterator[str]:
    """Whether what senders learnt from is what receivers answered under the same handoff."""
    answers = {
        (node.agent, event.body["sender"], event.handoff_id): event.body
        for node in nodes
        for event in node.events
        if event.kind == "answer"
    }
    for node in nodes:
        came = {event.handoff_id: event.body for event in node.events if event.kind == "quote"}
        for event in node.events:
            if event.kind != "decision" or event.body["target"] in (node.agent, "end"):
                continue
            target: str = event.body["target"]
            name = event.handoff_id
            quote, answer = came.get(name), answers.get((target, node.agent, name))
            one = node.replay.updates.get(name)
            ended = one is None or node.replay.outcomes[name]["end"] == "terminal"
            used = one is not None and one.weight == 1.0 and not ended
            answers.pop((target, node.agent, name), None)
            if (used or quote is not None) and answer is None:
                yield f"{node.agent}: {name} has a quote that '{target}' never gave"
            elif quote is not None and answer is not None:
                if (quote["code"], quote["quote"]) != (answer["code"], answer["value"]):
                    yield f"{node.agent}: {name} was quoted {quote}, '{target}' answered {answer}"
            elif used and one is not None and answer is not None and one.quote != answer["value"]:
                yield f"{node.agent}: {name} learnt from {one.quote}, not {answer['value']}"
    for receiver, sender, name in answers:
        yield f"{receiver}: answered {name} of '{sender}', who never handed it to it"
