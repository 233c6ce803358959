"""Any sequence of calls does the same to both kinds of store, reopened or not."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from batonq.node.event import DECISION, OUTCOME, REVISION, DuplicateError, Event, once
from batonq.node.store import openness
from batonq.node.store.memory import MemoryStore
from batonq.node.store.sqlite import SqliteStore
from batonq.wire import chain

HANDOFFS = st.sampled_from(["h1", "h2", "h3", "h4"])
TIMES = st.sampled_from([0.0, 1.0, 2.5, 9.0])
JSON = st.sampled_from([{}, {"a": 1}, {"a": [0.1, None], "b": {"c": "é"}}])


BATCHES = (1, 4, 1_000)


class Stores(RuleBasedStateMachine):
    """A SQLite store and one in memory, told the same things."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.file = SqliteStore.open(self.folder / "node.db")
        self.memory = MemoryStore()
        self.inside: list[tuple[object, object]] = []
        self.usual = openness.BATCH

    @initialize(batch=st.sampled_from(BATCHES))
    def batch(self, batch):
        self.usual, openness.BATCH = openness.BATCH, batch

    def both(self, call):
        results = []
        for store in (self.file, self.memory):
            try:
                results.append(call(store))
            except DuplicateError as error:
                results.append(("duplicate", error.stored, str(error)))
        assert results[0] == results[1]
        return results[0]

    @rule(handoff=HANDOFFS, at=TIMES, body=JSON, agent=st.sampled_from("ab"))
    def decide(self, handoff, at, body, agent):
        event = Event(DECISION, agent, handoff, once(DECISION, handoff), at, body)
        self.both(lambda store: store.append(event, opens=True))

    @rule(handoff=HANDOFFS, at=TIMES, body=JSON, closes=st.booleans())
    def settle(self, handoff, at, body, closes):
        event = Event(OUTCOME, "a", handoff, once(OUTCOME, handoff), at, body)
        self.both(lambda store: store.append(event, closes=closes))

    @rule(handoff=HANDOFFS, key=st.sampled_from("xyz"), at=TIMES, body=JSON)
    def revise(self, handoff, key, at, body):
        event = Event(REVISION, "b", handoff, once(REVISION, handoff, key), at, body)
        self.both(lambda store: store.append(event))

    @rule(handoff=HANDOFFS, artifact=JSON, receiver=st.sampled_from("bc"))
    def to_send(self, handoff, artifact, receiver):
        # An artifact goes with its decision: a node puts none in of a handoff it has erased.
        found = self.memory.find(once(DECISION, handoff))
        if found is None or next(self.memory.rows(found.seq - 1)).body is not None:
            self.both(lambda store: store.to_send(handoff, receiver, artifact))

    @rule(handoff=HANDOFFS)
    def sent(self, handoff):
        self.both(lambda store: store.sent(handoff))

    @rule(name=st.sampled_from(["agent/a", "agent/b", "peer/c"]), state=JSON)
    def keep_state(self, name, state):
        self.both(lambda store: store.keep_state(name, store.last(), state))

    @rule(upto=st.integers(0, 12), handoffs=st.none() | st.sets(HANDOFFS, max_size=2))
    def forget(self, upto, handoffs):
        self.both(lambda store: store.forget(upto, handoffs))

    @precondition(lambda self: len(self.inside) < 3)
    @rule()
    def begin(self):
        pair = self.file.transaction(), self.memory.transaction()
        for one in pair:
            one.__enter__()
        self.inside.append(pair)

    @precondition(lambda self: self.inside)
    @rule(fails=st.booleans())
    def end(self, fails):
        error = KeyError() if fails else None
        for one in self.inside.pop():
            one.__exit__(error and KeyError, error, None)

    @precondition(lambda self: not self.inside)
    @rule(scrub=st.booleans())
    def reopen(self, scrub):
        if scrub:
            self.file.scrub()
        self.file.close()
        self.file = SqliteStore.open(self.folder / "node.db")

    @invariant()
    def same(self):
        self.both(lambda store: list(store.events()))
        self.both(lambda store: list(store.events(2, "a")))
        self.both(lambda store: [store.revisions(one) for one in ("h1", "h2")])
        self.both(lambda store: (store.last(), store.count_open(), store.unsent(3)))
        self.both(lambda store: [store.open_before(at, 3) for at in (0.0, 2.5, 99.0)])
        self.both(lambda store: [(n, store.state(n)) for n in store.states("")])
        self.both(lambda store: [row[:7] for row in store.rows()])

    def teardown(self):
        while self.inside:
            self.end(fails=False)
        for store in (self.file, self.memory):
            verdict = chain.verify(store.rows())
            assert (verdict.bad, verdict.rows) == (None, store.last())
        openness.BATCH = self.usual
        self.file.close()
        shutil.rmtree(self.folder)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
