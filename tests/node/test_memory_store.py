"""What is particular to the store in memory."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from store_kinds import decide, event

from batonq.node.event import DECISION, OUTCOME, Event, once
from batonq.node.store.memory import MemoryStore
from batonq.wire import chain


def test_an_event_given_is_not_changed_and_not_copied():
    store = MemoryStore()
    given = event(DECISION, "h1", 5.0, y=1)
    store.append(given)
    late = event(DECISION, "h2", 3.0)
    store.append(late)
    assert (given.seq, late.seq, late.at) == (0, 0, 3.0)
    assert store.find("decision:h1").body is given.body


def test_the_chain_is_the_same_function_whenever_it_is_asked_for():
    store = MemoryStore()
    for k in range(4):
        decide(store, f"h{k}", float(k), k=k)
        if k == 1:
            half = list(store.rows())
    rows = list(store.rows())
    assert rows[:2] == half
    link = chain.GENESIS
    for row in rows:
        digest = chain.digest(row.salt, row.body)
        link = chain.link(link, *row[:6], digest)
        assert (row.digest, row.link) == (digest, link)


def test_a_chain_asked_for_inside_a_transaction_that_fails_is_undone_with_it():
    store = MemoryStore()
    decide(store, "h1")
    with pytest.raises(KeyError), store.transaction():
        decide(store, "h2")
        assert chain.verify(store.rows()).rows == 2
        raise KeyError
    decide(store, "h3")
    verdict = chain.verify(store.rows())
    assert (verdict.rows, verdict.bad) == (2, None)


def test_nothing_is_kept_of_transactions_that_are_over():
    store = MemoryStore()
    with store.transaction():
        for k in range(100):
            decide(store, f"h{k}")
    assert store._undo == []


def test_appending_costs_microseconds():
    store = MemoryStore()
    body = {"y": "x", "values": {"a": 0.5}}
    events = [
        (
            Event(DECISION, "a", f"h{k}", once(DECISION, f"h{k}"), 1.0, body),
            Event(OUTCOME, "a", f"h{k}", once(OUTCOME, f"h{k}"), 1.0, body),
        )
        for k in range(3000)
    ]
    best = float("inf")
    for part in range(30):
        start = time.perf_counter()
        for decision, outcome in events[part * 100 : part * 100 + 100]:
            store.append(decision, opens=True)
            store.append(outcome, closes=True)
        best = min(best, (time.perf_counter() - start) / 200)
    assert best < 3e-6  # about 0.5 us where this was written


def test_it_holds_little_beside_the_events():
    tracemalloc.start()
    store = MemoryStore()
    shared = {"y": 1}
    before = tracemalloc.get_traced_memory()[0]
    for k in range(5000):
        store.append(
            Event(DECISION, "a", f"h{k}", once(DECISION, f"h{k}"), 1.0, shared), opens=True
        )
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert used / 5000 < 1000  # bytes; event and names alone are about 400
