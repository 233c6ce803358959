"""The demo from beginning to end: four processes learn, one is killed, everything is checked."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final, Protocol

from batonq.base.files import Json
from batonq.demo import audit
from batonq.demo.audit import Table
from batonq.demo.desk import AGENTS
from batonq.demo.nodes import Line, Node, NodeError, configure, prepared, stopped_at_the_end
from batonq.demo.optimum import Desk, finite_desk, marks
from batonq.demo.options import Options
from batonq.demo.pipeline import Book, Pipeline
from batonq.demo.proxy import Proxy, Tally

KILLED: Final = "search"
KILLED_AT: Final = 0.5  # share of the handoffs
LEAST_OPEN: Final = 3  # handoffs in its hands then
SECONDS_TO_AIM: Final = 1.0  # for as many to be so
DOWN: Final = 0.5  # seconds for which it stays away before it is started again
SNAPSHOTS: Final = 24
PAUSE: Final = 0.02  # seconds between two looks
SECONDS: Final = 30.0  # for quotes that wait, at the end
PAIRS: Final = tuple((one, other) for one in AGENTS for other in AGENTS if one != other)


class Watch(Protocol):
    """Is told how far the demo has come."""

    def stage(self, text: str) -> None:
        """What it does now."""
        ...

    def progress(self, book: Book) -> None:
        """What the pipeline has done."""
        ...


def run(options: Options, folder: Path, watch: Watch) -> Json:
    """Run the demo and return all that came out.

    Args:
        options: how.
        folder: an empty one, for the nodes' configurations, tokens, stores and logs.
        watch: is told how far it has come.

    Raises:
        NodeError: if a node does not come up, ends by itself, or refuses a call.
    """
    began = time.monotonic()
    nodes = prepared(folder)
    ports = {agent: node.port for agent, node in nodes.items()}
    pipeline = Pipeline(nodes, options.seed, options.handoffs)
    with Proxy(PAIRS, ports) as proxy, stopped_at_the_end(nodes):
        configure(nodes, {pair: proxy.url(*pair) for pair in PAIRS}, options.seed)
        watch.stage("four agents start, each in a process of its own")
        for node in nodes.values():
            node.start()
        world = finite_desk()  # while they start
        found = marks(world)
        for node in nodes.values():
            node.wait()
        lived = _Lived(options, nodes, world, pipeline, watch)
        try:
            lived.through()
        finally:
            pipeline.stop()
        tables = {agent: audit.asked(node, world.cells) for agent, node in nodes.items()}
    watch.stage("the book is held against the stores")
    return {
        "marks": {name: asdict(score) for name, score in vars(found).items()},
        "after": asdict(world.score_of(audit.greedy(tables, world.cells))),
        "curve": lived.curve,
        "policy": _policy(tables, world),
        "kill": lived.killed,
        "agents": {
            agent: _checked(node, pipeline.book, tables[agent]) for agent, node in nodes.items()
        },
        "crossed": [_crossed(pair, tally) for pair, tally in proxy.tallies.items() if tally.total],
        "shown": _shown(proxy.tallies, world),
        "handoffs": pipeline.book.handoffs,
        "passed": pipeline.book.passed,
        "requests": pipeline.book.closed,
        "seconds": round(time.monotonic() - began, 2),
    }


class _Lived:
    """The time in which the agents learn, with a kill in the middle."""

    def __init__(
        self,
        options: Options,
        nodes: Mapping[str, Node],
        world: Desk,
        pipeline: Pipeline,
        watch: Watch,
    ) -> None:
        self.curve: list[dict[str, float]] = []
        self.killed: dict[str, Json] = {}
        self._options = options
        self._nodes = nodes
        self._world = world
        self._pipeline = pipeline
        self._watch = watch

    def through(self) -> None:
        """From the first request to the last quote, after which nothing is learnt any more."""
        self._look()
        self._watch.stage("they learn")
        self._pipeline.start()
        while self._pipeline.running():
            for node in self._nodes.values():
                node.check()
            done = self._pipeline.book.handoffs / self._options.handoffs
            if not self.killed and done >= KILLED_AT:
                self._kill()
            if len(self.curve) / SNAPSHOTS <= done < 1:
                self._look()
            self._watch.progress(self._pipeline.book)
            time.sleep(PAUSE)
        self._watch.stage("the last quotes come in")
        _wait_for_quotes(self._nodes)
        self._look()

    def _look(self) -> None:
        """What the agents would do now without exploring, and what that is worth."""
        book = self._pipeline.book
        tables = {
            agent: audit.asked(node, self._world.cells) for agent, node in self._nodes.items()
        }
        score = self._world.score_of(audit.greedy(tables, self._world.cells))
        recent = list(book.recent)
        self.curve.append(
            {
                "handoffs": book.handoffs,
                "value": score.value,
                "right": score.right,
                "recent": sum(recent) / len(recent) if recent else 0.0,
            }
        )

    def _kill(self) -> None:
        """Kill -9 one node while requests are in flight, and start it again."""
        node, book = self._nodes[KILLED], self._pipeline.book
        until = time.monotonic() + SECONDS_TO_AIM
        while len(_open(book)) < LEAST_OPEN and time.monotonic() < until:
            time.sleep(0)
        node.kill()
        began, mine = time.monotonic(), book.of(KILLED).values()
        self.killed = {
            "agent": KILLED,
            "handoffs": book.handoffs,
            "decided": sum(one.action is not None for one in mine),
            "settled": sum(one.settled for one in mine),
            "open": len(_open(book)),
        }
        self._watch.stage(f"{KILLED} is killed with kill -9")
        time.sleep(DOWN)
        node.start()
        self._watch.stage(f"{KILLED} starts again from its store")
        node.wait()
        self.killed["seconds"] = round(time.monotonic() - began, 2)
        self._watch.stage("they learn on")


def _open(book: Book) -> list[str]:
    """Handoffs that the agent to be killed has been asked to decide and not yet settled."""
    return [name for name, one in book.of(KILLED).items() if not one.settled]


def _wait_for_quotes(nodes: Mapping[str, Node]) -> None:
    """Wait until no handoff is open: nodes ask again for quotes that could not be had.

    Raises:
        NodeError: if one still is after `SECONDS`.
    """
    until = time.monotonic() + SECONDS
    for node in nodes.values():
        with Line(node) as line:
            while line.call("GET", "/v1/health")["open"]:
                node.check()
                if time.monotonic() > until:
                    raise NodeError(f"agent '{node.agent}': handoffs still wait for their quotes")
                time.sleep(PAUSE)


def _checked(node: Node, book: Book, table: Table) -> dict[str, Json]:
    """One agent's store against the book, and its log against what it says it has learnt."""
    mine = book.of(node.agent)
    log = audit.replayed(node.store)
    return {
        **asdict(audit.audited(node.store, mine)),
        "waited": sum(one.waited for one in mine.values()),
        "calls": sum(one.calls for one in mine.values()),
        "pairs": len(log),
        "differing": audit.differing(table, log),
        "unbroken": audit.unbroken(node.store),
    }


def _crossed(pair: tuple[str, str], tally: Tally) -> dict[str, Json]:
    told = {**tally.counts, "handoffs": len(tally.handoffs), "broken": tally.broken}
    return {"sender": pair[0], "receiver": pair[1], **told}


def _shown(tallies: Mapping[tuple[str, str], Tally], world: Desk) -> dict[str, int]:
    """How many different artifacts crossed, and how many hold what their receiver is not shown."""
    shown = {(one.agent, json.dumps(dict(one.seen), sort_keys=True)) for one in world.cells}
    crossed = {(pair[1], one) for pair, tally in tallies.items() for one in tally.artifacts}
    return {"artifacts": len(crossed), "strange": len(crossed - shown)}


def _policy(tables: Mapping[str, Table], world: Desk) -> list[dict[str, str]]:
    """What each agent does with what it is shown."""
    choice = audit.greedy(tables, world.cells)
    ordered = sorted(world.cells, key=lambda one: AGENTS.index(one.agent))
    return [
        {"agent": one.agent, "seen": ", ".join(value for _, value in one.seen), "does": choice[one]}
        for one in ordered
    ]
