"""The desk's own pipeline: it carries requests from agent to agent, and keeps a book of its own.

An agent's node says what to do; the pipeline does it, by drawing from the desk, and tells the node
what came of it. A call that fails is made again, with the same `handoff_id`, until it is answered.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Final

import numpy as np

from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.demo import desk
from batonq.demo.desk import END, Outcome, Ticket
from batonq.demo.nodes import Line, Node, NodeError

AT_ONCE: Final = 6  # requests in flight
PATIENCE: Final = 30.0  # seconds for which a call is made again
PAUSE: Final = 0.05  # seconds before it is
RECENT: Final = 200  # requests of the running share of right outcomes


@dataclass
class Entry:
    """What the pipeline knows of one handoff.

    Attributes:
        agent: who was asked to decide.
        action: what it chose, once it has answered.
        outcome: what came of it, once the option is over.
        settled: whether the node has acknowledged that.
        waited: whether the quote was not at hand then.
        calls: how often it was called about it.
    """

    agent: str
    action: str | None = None
    outcome: Outcome | None = None
    settled: bool = False
    waited: bool = False
    calls: int = 0


@dataclass
class Book:
    """Every handoff and request of the pipeline.

    Attributes:
        entries: by `handoff_id`.
        closed: requests done with.
        right: of these, what the customer needed.
        recent: whether the latest ones were.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    closed: int = 0
    right: int = 0
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def handoffs(self) -> int:
        """How many have been begun."""
        return len(self.entries)

    @property
    def passed(self) -> int:
        """How many went from one agent to another."""
        settled = [one for one in list(self.entries.values()) if one.outcome is not None]
        afters = [(one.agent, one.outcome.after) for one in settled if one.outcome is not None]
        return sum(after is not None and after.holder != agent for agent, after in afters)

    def of(self, agent: str) -> dict[str, Entry]:
        """Those that an agent decided, or was asked to."""
        return {name: one for name, one in list(self.entries.items()) if one.agent == agent}


class Pipeline:
    """Carries requests, several at a time, each in a thread, until there were enough handoffs."""

    def __init__(self, nodes: Mapping[str, Node], seed: int, handoffs: int) -> None:
        self.book = Book()
        self._nodes = nodes
        self._seed = seed
        self._handoffs = handoffs
        self._lock = threading.Lock()
        self._requests = 0
        self._stopped = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._work, name=f"request-{number}")
            for number in range(AT_ONCE)
        ]

    def start(self) -> None:
        """Start carrying."""
        for thread in self._threads:
            thread.start()

    def running(self) -> bool:
        """Whether requests are still in flight.

        Raises:
            BaseException: what ended one of the threads.
        """
        if self._errors:
            raise self._errors[0]
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Let go of requests in flight and wait for the threads."""
        self._stopped.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _work(self) -> None:
        lines = {agent: Line(node) for agent, node in self._nodes.items()}
        try:
            while (number := self._next()) is not None:
                self._carry(number, lines)
        except _StoppedError:
            pass
        except BaseException as error:  # the main thread raises it
            self._errors.append(error)
            self._stopped.set()
        finally:
            for line in lines.values():
                line.close()

    def _next(self) -> int | None:
        """The number of the next request, if another is to be begun."""
        with self._lock:
            if self._stopped.is_set() or self.book.handoffs >= self._handoffs:
                return None
            self._requests += 1
            return self._requests

    def _carry(self, number: int, lines: Mapping[str, Line]) -> None:
        """One request from its arrival until it is closed."""
        rng = generator(self._seed, number)
        ticket: Ticket | None = desk.arriving(rng)
        right, hops = False, 0
        while ticket is not None:
            outcome = self._hand(f"r{number}-{hops}", ticket, rng, lines[ticket.holder])
            ticket, right, hops = outcome.after, outcome.right, hops + 1
        with self._lock:
            self.book.closed += 1
            self.book.right += right
            self.book.recent.append(right)

    def _hand(self, name: str, ticket: Ticket, rng: np.random.Generator, line: Line) -> Outcome:
        """One handoff: ask for the decision, do it, tell what came of it."""
        entry = Entry(ticket.holder)
        with self._lock:
            self.book.entries[name] = entry
        seen = ticket.seen()
        asked: dict[str, Json] = {"agent": ticket.holder, "state": seen, "handoff_id": name}
        asked["default"] = desk.fixed_route(ticket.holder, seen)
        decision = self._call(entry, line, "/v1/decide", asked)
        if not decision["logged"]:
            raise NodeError(f"agent '{ticket.holder}': {decision['why']}")
        entry.action = decision["action"]
        outcome = entry.outcome = desk.drawn(ticket, decision["action"], rng)
        told: dict[str, Json] = {"handoff_id": name, "reward": outcome.reward}
        told["duration"] = outcome.minutes
        if outcome.after is not None:
            told["artifact"] = outcome.after.seen()
        elif decision["target"] != END:
            told["end"] = "terminal"  # the customer gave up
        settled = self._call(entry, line, "/v1/settle", told)
        entry.waited = settled["waiting"]
        entry.settled = True
        return outcome

    def _call(self, entry: Entry, line: Line, path: str, body: Json) -> Json:
        """Make a call until it is answered.

        Raises:
            NodeError: if it is refused, or not answered within `PATIENCE`.
        """
        until = time.monotonic() + PATIENCE
        while True:
            if self._stopped.is_set():
                raise _StoppedError
            entry.calls += 1
            try:
                return line.call("POST", path, body)
            except (OSError, HTTPException) as error:
                if time.monotonic() > until:
                    told = f"no answer for {PATIENCE:g} s ({type(error).__name__})"
                    raise NodeError(f"agent '{entry.agent}': {told}") from error
            self._stopped.wait(PAUSE)


class _StoppedError(Exception):
    """The pipeline is told to stop."""
