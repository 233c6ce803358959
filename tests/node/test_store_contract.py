"""What `Store` promises, of both kinds of store."""

from __future__ import annotations

import threading

import pytest
from store_kinds import decide, event, settle, store

from batonq.base.errors import ConflictError
from batonq.node.event import (
    DECISION,
    OUTCOME,
    QUOTE,
    REVISION,
    DuplicateError,
    Event,
    once,
)
from batonq.wire import chain

__all__ = ["store"]


def test_events_are_numbered_kept_and_found(store):
    assert (store.last(), list(store.events()), store.find("decision:h1")) == (0, [], None)
    first = event(DECISION, "h1", 5.0, "a", y=[1, "é"], values={"b": -0.1})
    second = event(DECISION, "h2", 6.5, "b", y=None)
    assert store.append(first, opens=True) == 1
    assert store.append(second) == 2
    assert store.last() == 2
    assert store.find("decision:h1") == first._replace(seq=1)
    assert store.find("decision:h3") is None
    assert list(store.events()) == [first._replace(seq=1), second._replace(seq=2)]
    assert list(store.events(after=1)) == [second._replace(seq=2)]
    assert list(store.events(agent="a")) == [first._replace(seq=1)]
    assert list(store.events(after=2)) == list(store.events(agent="c")) == []


def test_numbers_read_back_to_the_last_bit(store):
    values = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 2**60 + 1]
    store.append(event(DECISION, "h1", 1e9 + 1 / 3, values=values))
    found = store.find("decision:h1")
    assert found.at == 1e9 + 1 / 3
    assert found.body["values"] == values
    assert str(found.body["values"][3]) == "-0.0"


def test_revisions_are_those_of_the_handoff_in_order(store):
    decide(store, "h1")
    for handoff_id, key in (("h1", "z"), ("h1", "a"), ("h1:b", "c"), ("h12", "a"), ("h1", "b:c:d")):
        name = once(REVISION, handoff_id, key)
        store.append(Event(REVISION, "a", handoff_id, name, 2.0, {"key": key}))
    assert [one.body["key"] for one in store.revisions("h1")] == ["z", "a", "b:c:d"]
    assert [one.seq for one in store.revisions("h1:b")] == [4]
    assert store.revisions("h") == []
    with pytest.raises(KeyError), store.transaction():
        store.append(Event(REVISION, "a", "h1", once(REVISION, "h1", "x"), 3.0, {}))
        raise KeyError
    assert len(store.revisions("h1")) == 3


def test_the_same_key_twice_is_refused_with_the_first_event(store):
    decide(store, "h1", 5.0, y=1)
    with pytest.raises(DuplicateError, match="decision:h1: is recorded already, as event 1") as e:
        store.append(event(DECISION, "h1", 7.0, y=2), opens=True)
    assert isinstance(e.value, ConflictError)
    assert e.value.stored == event(DECISION, "h1", 5.0, y=1)._replace(seq=1)
    assert (store.last(), store.count_open()) == (1, 1)
    settle(store, "h1")
    with pytest.raises(DuplicateError):
        settle(store, "h1")
    assert store.append(event(QUOTE, "h1")) == 3


def test_a_clock_that_jumps_back_is_held(store):
    for at in (5.0, 3.0, float("nan"), 6.0, 5.5):
        store.append(event(DECISION, f"h{at}", at))
    assert [one.at for one in store.events()] == [5.0, 5.0, 5.0, 6.0, 6.0]
    assert chain.verify(store.rows()).bad is None


def test_open_handoffs_are_counted_and_listed_by_age(store):
    for k in range(5):
        decide(store, f"h{k}", float(k))
    store.append(event(DECISION, "never opened", 4.0))
    settle(store, "h1", 4.0)
    settle(store, "unknown", 4.0)
    assert store.count_open() == 4
    assert store.open_before(3.0, 10) == ["h0", "h2"]
    assert store.open_before(3.0, 1) == ["h0"]
    assert store.open_before(float("inf"), 10) == ["h0", "h2", "h3", "h4"]
    assert store.open_before(0.0, 10) == []
    settle(store, "h0", 4.0)
    assert store.open_before(9.0, 2) == ["h2", "h3"]
    store.append(event(DECISION, "both", 5.0), opens=True, closes=True)
    assert store.count_open() == 3


def test_a_transaction_is_kept_whole(store):
    with store.transaction():
        decide(store, "h1")
        store.to_send("h1", "b", {"text": "x"})
        store.keep_state("agent/a", 1, {"n": 1})
        assert store.last() == 1
        assert store.find("decision:h1") is not None
    assert (store.last(), store.count_open()) == (1, 1)
    assert store.unsent(9) == [("h1", "b", {"text": "x"})]
    assert store.state("agent/a") == (1, {"n": 1})


def test_a_transaction_that_fails_leaves_nothing(store):
    decide(store, "h0", 1.0)
    decide(store, "h1", 2.0)
    store.to_send("h0", "b", 0)
    store.to_send("h1", "b", 1)
    store.keep_state("kept", 1, 1)
    with pytest.raises(KeyError), store.transaction():
        settle(store, "h0", 9.0)
        decide(store, "h2", 9.0)
        settle(store, "h2", 9.0)
        decide(store, "h3", 9.0)
        store.sent("h0")
        store.to_send("h1", "c", 2)
        store.to_send("h3", "c", 3)
        store.keep_state("kept", 5, 5)
        store.keep_state("new", 5, 5)
        store.forget(2, ["h1"])
        raise KeyError
    assert (store.last(), store.count_open()) == (2, 2)
    assert store.open_before(9.0, 9) == ["h0", "h1"]
    assert store.unsent(9) == [("h0", "b", 0), ("h1", "b", 1)]
    assert (store.state("kept"), store.state("new")) == ((1, 1), None)
    assert store.states("") == ["kept"]
    settle(store, "h0", 3.0)
    assert [one.at for one in store.events()] == [1.0, 2.0, 3.0]
    assert chain.verify(store.rows()).bad is None
    assert chain.verify(store.rows()).erased == 0


def test_an_inner_transaction_that_fails_is_undone_alone(store):
    with store.transaction():
        decide(store, "h1")
        with pytest.raises(KeyError), store.transaction():
            settle(store, "h1")
            with store.transaction():
                decide(store, "h2")
            raise KeyError
        with store.transaction():
            decide(store, "h3")
    assert [one.handoff_id for one in store.events()] == ["h1", "h3"]
    assert store.open_before(9.0, 9) == ["h1", "h3"]


def test_an_inner_transaction_goes_with_the_outer_one(store):
    with pytest.raises(KeyError), store.transaction():
        with store.transaction():
            decide(store, "h1")
        raise KeyError
    assert (store.last(), store.count_open()) == (0, 0)


def test_a_duplicate_inside_a_transaction_undoes_only_what_the_caller_lets_go(store):
    decide(store, "h1")
    with store.transaction():
        store.append(event(QUOTE, "h1"))
        with pytest.raises(DuplicateError):
            decide(store, "h1")
    assert store.last() == 2
    with pytest.raises(DuplicateError), store.transaction():
        store.append(event(OUTCOME, "h1"), closes=True)
        store.append(event(QUOTE, "h1"))
    assert (store.last(), store.count_open()) == (2, 1)


def test_the_outbox_keeps_order_until_sent(store):
    for k in range(4):
        store.to_send(f"h{k}", "b", {"k": k})
    store.to_send("h1", "c", [1, None])
    store.sent("h2")
    store.sent("never there")
    assert store.unsent(9) == [("h0", "b", {"k": 0}), ("h1", "c", [1, None]), ("h3", "b", {"k": 3})]
    assert store.unsent(1) == [("h0", "b", {"k": 0})]


def test_states_are_replaced_by_name(store):
    store.keep_state("agent/b", 1, {"q": [0.1, None]})
    store.keep_state("agent/a", 2, [])
    store.keep_state("agent_x", 3, 0)
    store.keep_state("agent/b", 4, {"q": [0.2]})
    assert store.state("agent/b") == (4, {"q": [0.2]})
    assert store.state("agent/c") is None
    assert store.states("agent/") == ["agent/a", "agent/b"]
    assert store.states("%") == []
    assert store.states("") == ["agent/a", "agent/b", "agent_x"]


def test_a_state_read_is_a_copy(store):
    store.keep_state("s", 1, {"q": [1]})
    store.state("s")[1]["q"].append(2)
    assert store.state("s") == (1, {"q": [1]})


def test_forgetting_takes_bodies_of_closed_handoffs_and_what_is_unsent_of_them(store):
    for k in range(4):
        decide(store, f"h{k}", float(k), secret=k)
        store.to_send(f"h{k}", "b", {"secret": k})
    for k in (0, 1):
        settle(store, f"h{k}", 4.0 + k, secret=k)
    store.append(event("policy", "", 9.0, version=1))
    settle(store, "h2", 10.0, secret=2)
    assert store.forget(7) == 4  # of h2 event 8 is later, h3 is open, the policy no handoff's
    assert [one.body != {} for one in store.events()] == [
        False,
        False,
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    assert [one for one, _, _ in store.unsent(9)] == ["h2", "h3"]
    assert store.forget(7) == 0
    verdict = chain.verify(store.rows())
    assert (verdict.bad, verdict.erased) == (None, 4)
    assert store.forget(3, {"h2"}) == 1
    assert store.forget(99, {"h2", "nothing"}) == 1
    assert chain.verify(store.rows()).erased == 6
    with pytest.raises(DuplicateError) as e:
        decide(store, "h0")
    assert e.value.stored.body == {}
    assert e.value.stored.seq == 1
    store.scrub()


def test_rows_are_the_chain_behind_the_events(store):
    for k in range(3):
        decide(store, f"h{k}", float(k), k=k)
    rows = list(store.rows())
    assert [(row.seq, row.at, row.handoff_id, row.body) for row in rows] == [
        (k + 1, float(k), f"h{k}", f'{{"k":{k}}}') for k in range(3)
    ]
    assert chain.verify(rows).rows == 3
    assert list(store.rows(after=2)) == rows[2:]
    assert len({row.salt for row in rows}) == 3


def test_many_events_are_read_in_pages(store):
    with store.transaction():
        for k in range(1203):
            store.append(event(DECISION, f"h{k}", float(k), agent=f"a{k % 2}"))
    assert [one.seq for one in store.events()] == list(range(1, 1204))
    assert [one.seq for one in store.events(after=3, agent="a0")] == list(range(5, 1204, 2))
    assert chain.verify(store.rows()).rows == 1203


def test_reading_is_not_disturbed_by_what_is_written_meanwhile(store):
    for k in range(3):
        decide(store, f"h{k}")
    seen = []
    for one in store.events():
        seen.append(one.seq)
        if one.seq <= 3:
            settle(store, one.handoff_id)
    assert seen in ([1, 2, 3], [1, 2, 3, 4, 5, 6])  # what came meanwhile is seen or not
    assert store.last() == 6


def test_threads_do_not_see_what_may_be_undone(store):
    inside, tried = threading.Event(), threading.Event()
    seen: list[int] = []

    def look():
        inside.wait(10)
        tried.set()
        seen.append(len(list(store.events())))

    thread = threading.Thread(target=look)
    thread.start()
    with pytest.raises(KeyError), store.transaction():
        decide(store, "h1")
        inside.set()
        tried.wait(10)
        thread.join(0.05)
        raise KeyError
    thread.join(10)
    assert seen == [0]


def test_threads_append_without_losing_any(store):
    def work(name):
        for k in range(50):
            with store.transaction():
                decide(store, f"{name}{k}")
                settle(store, f"{name}{k}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (store.last(), store.count_open()) == (400, 0)
    assert chain.verify(store.rows()).rows == 400


@pytest.mark.parametrize("name", ["é", "a\x00b", "x" * 10_000, "'; DROP TABLE event; --", "🙂"])
def test_any_text_is_a_name(store, name):
    decide(store, name, y=name)
    store.to_send(name, name, name)
    store.keep_state(name, 1, name)
    assert store.find(once(DECISION, name)).body == {"y": name}
    assert store.open_before(9.0, 9) == [name]
    assert store.unsent(1) == [(name, name, name)]
    assert (store.state(name), store.states(name)) == ((1, name), [name])
    settle(store, name)
    assert store.count_open() == 0
    assert store.forget(2, [name]) == 2
