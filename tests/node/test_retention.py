"""Retention and erasure: what goes, what stays, and that its bytes are gone."""

from __future__ import annotations

import time

import pytest
from store_kinds import KINDS, decide, event, settle, store

from batonq.base.errors import ConflictError, RefusedError, StoreError, UnknownError
from batonq.node.event import DECISION, ERASURE, Event, once
from batonq.node.store import audit
from batonq.node.store.retention import (
    SECONDS_PER_DAY,
    covered,
    erase_handoff,
    erase_workflow,
    retain,
)
from batonq.node.store.sqlite import SqliteStore
from batonq.node.team import END, Team

__all__ = ["store"]

DAY = SECONDS_PER_DAY


def checkpoint(store, *agents):
    """Keep states as a node does."""
    for agent in agents or ("a",):
        store.keep_state(f"agent/{agent}/settings", 0, {})
        store.keep_state(f"agent/{agent}", store.last(), {"learnt": True})


def fill(store):
    """Handoffs h0..h5, one a day; h3 stays open, h1 is corrected on day 5, h5 is unsent."""
    for k in range(6):
        decide(store, f"h{k}", k * DAY, secret=f"decided-{k}", workflow=f"w{k // 2}")
        if k != 3:
            settle(store, f"h{k}", k * DAY + 1, secret=f"settled-{k}", workflow=f"w{k // 2}")
    name = once("revision", "h1", "1")
    store.append(Event("revision", "a", "h1", name, 5 * DAY + 2, {"secret": "revised-1"}))
    store.to_send("h5", "b", {"secret": "artifact-5"})


def kept_of(store):
    return {one.handoff_id for one in store.events() if one.body and one.handoff_id}


def test_what_is_closed_and_old_goes(store):
    fill(store)
    checkpoint(store)
    # Handoffs without an event since day 4: h0 and h2, h4 not, as it was settled 1 s later.
    assert retain(store, 3.0, 7 * DAY) == 4
    assert kept_of(store) == {"h1", "h3", "h4", "h5"}
    found = store.find(once(ERASURE, "", "13"))
    assert (found.body, found.at) == (
        {"what": "handoffs without an event for 3 days", "count": 4},
        7 * DAY,
    )
    assert retain(store, 3.0, 7 * DAY) == 0
    assert store.last() == 13
    assert retain(store, 3.0, 30 * DAY) == 7
    assert kept_of(store) == {"h3"}
    assert store.unsent(9) == []
    found = audit.verify(store)
    assert (found.good, found.erased, found.recorded) == (True, 11, 11)
    assert (store.count_open(), store.open_before(99 * DAY, 9)) == (1, ["h3"])


def test_the_end_of_the_period_is_exact(store):
    decide(store, "h1", 10.0)
    settle(store, "h1", 10.0)
    checkpoint(store)
    assert retain(store, 1.0, 10.0 + DAY) == 0
    assert retain(store, 1.0, 10.5 + DAY) == 2


def test_nothing_goes_that_no_state_holds_yet(store):
    assert retain(store, 1.0, 99 * DAY) == 0
    fill(store)
    with pytest.raises(RefusedError, match="events up to 12 are older than 3 days, but no state"):
        retain(store, 3.0, 99 * DAY)
    store.keep_state("agent/a/settings", 0, {})
    with pytest.raises(RefusedError, match="checkpoint first"):
        retain(store, 3.0, 99 * DAY)
    store.keep_state("agent/a", 6, {})
    assert covered(store) == 6
    assert retain(store, 0.0, 99 * DAY) == 4  # h0 and h2; h1 has a later event
    assert kept_of(store) == {"h1", "h3", "h4", "h5"}


def test_an_agent_without_events_since_its_state_holds_nothing_back(store):
    decide(store, "h1")
    settle(store, "h1")
    checkpoint(store, "a", "b")
    decide(store, "h2")
    settle(store, "h2")
    store.keep_state("agent/a", 4, {})
    assert covered(store) == 4
    store.append(event(DECISION, "h3", agent="b"))
    store.append(event(DECISION, "h4", agent="a"))
    assert covered(store) == 4
    store.append(event(DECISION, "h5", agent="c"))
    store.keep_state("agent/c/settings", 0, {})
    assert covered(store) == 4
    store.keep_state("agent/b", 5, {})
    assert covered(store) == 5


def test_one_handoff_is_erased(store):
    fill(store)
    checkpoint(store)
    assert erase_handoff(store, "h1", 9 * DAY) == 3
    assert kept_of(store) == {"h0", "h2", "h3", "h4", "h5"}
    assert store.find(once(ERASURE, "", "13")).body == {"what": "handoff 'h1'", "count": 3}
    assert erase_handoff(store, "h1", 9 * DAY) == 0
    assert audit.verify(store).good
    assert erase_handoff(store, "h5", 9 * DAY) == 2
    assert store.unsent(9) == []


def test_a_workflow_is_erased_and_its_name_not_written_down(store):
    fill(store)
    checkpoint(store)
    with pytest.raises(ConflictError, match="handoff 'h3': is still open; settle it"):
        erase_workflow(store, "w1", 9 * DAY)
    assert erase_workflow(store, "w2", 9 * DAY) == 4
    assert kept_of(store) == {"h0", "h1", "h2", "h3"}
    assert store.find(once(ERASURE, "", "13")).body == {"what": "a workflow", "count": 4}
    with pytest.raises(UnknownError, match="workflow 'w2': not in this store"):
        erase_workflow(store, "w2", 9 * DAY)
    with pytest.raises(UnknownError, match="workflow 'decided-0': not in this store"):
        erase_workflow(store, "decided-0", 9 * DAY)


def test_what_cannot_be_erased_yet_stays_whole(store):
    fill(store)
    with pytest.raises(UnknownError, match="handoff 'h9': not in this store"):
        erase_handoff(store, "h9", 9 * DAY)
    with pytest.raises(ConflictError, match="is still open"):
        erase_handoff(store, "h3", 9 * DAY)
    with pytest.raises(RefusedError, match="has event 12, and the states kept hold events up to 0"):
        erase_handoff(store, "h1", 9 * DAY)
    assert (store.last(), len(kept_of(store))) == (12, 6)


def files(path):
    """All bytes that lie in a store's files."""
    return b"".join(one.read_bytes() for one in sorted(path.parent.iterdir()))


def test_the_bytes_are_gone_from_every_file(tmp_path):
    path = tmp_path / "node.db"
    store = SqliteStore.open(path)
    long = "x" * 9000  # spills over several pages
    for k in range(200):
        decide(store, f"h{k}", k * DAY, secret=f"decided-{k}-", more=long if k % 9 == 0 else "")
        settle(store, f"h{k}", k * DAY, secret=f"settled-{k}-")
        store.to_send(f"h{k}", "b", {"secret": f"artifact-{k}-"})
        if k % 2:
            store.sent(f"h{k}")
    checkpoint(store)
    salts = {row.seq: row.salt for row in store.rows()}
    before = files(path)
    assert all(f"{word}-{k}-".encode() in before for word in ("decided", "settled") for k in (0, 9))
    assert salts[1] in before
    reader = SqliteStore.open(path, read_only=True)
    assert next(reader.rows()).salt == salts[1]
    assert retain(store, 50.0, 200 * DAY) == 300
    after = files(path)
    for k in range(200):
        gone = k < 150
        for word in ("decided", "settled"):
            assert (f"{word}-{k}-".encode() in after) is not gone, (word, k)
        assert (f"artifact-{k}-".encode() in after) is (not gone and k % 2 == 0), k
        assert (salts[2 * k + 1] in after) is not gone
    assert len(after) < len(before)
    assert audit.verify(reader).good
    assert audit.verify(store).erased == 300
    reader.close()
    assert erase_handoff(store, "h199", 200 * DAY) == 2
    store.close()
    assert b"decided-199-" not in files(path)


def test_a_reader_in_the_middle_of_reading_is_named(tmp_path):
    path = tmp_path / "node.db"
    store = SqliteStore.open(path)
    fill(store)
    checkpoint(store)
    reader = SqliteStore.open(path, read_only=True)
    reader._base.execute("BEGIN")
    reader._base.execute("SELECT count(*) FROM event").fetchone()
    store._base.execute("PRAGMA busy_timeout=50")
    with pytest.raises(StoreError, match=r"another process reads it.*repeat this later"):
        retain(store, 3.0, 7 * DAY)
    assert kept_of(store) == {"h1", "h3", "h4", "h5"}
    assert b"decided-0" in files(path)
    reader._base.execute("COMMIT")
    assert retain(store, 3.0, 7 * DAY) == 0
    assert b"decided-0" not in files(path)
    reader.close()
    store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_team_goes_on_as_if_nothing_had_gone(tmp_path, kind):
    """The same handoffs with and without retention in the middle: the same values, bit by bit."""
    tables = []
    for name in ("plain", "retained"):
        path = tmp_path / f"{name}.db" if kind == "sqlite" else None
        team = made(path)
        for k in range(40):
            step(team, k)
        waiting = team["a"].decide({"x": "waits"}, to=["b"], handoff_id="waits")
        team.checkpoint()
        if name == "retained":
            assert retain(team.store, 0.0, time.time() + 1) == 80
            assert kept_of(team.store) == {waiting.id}
            found = audit.verify(team.store)
            assert found.good
            assert found.erased == found.recorded
        if path is not None:
            team.close()
            team = made(path)
        for k in range(40, 60):
            step(team, k)
        team.settle("waits", 0.25, artifact={"x": "arrived"})
        if name == "retained":
            with pytest.raises(UnknownError, match="was erased"):
                team.settle("h3", 1.0, artifact={"x": 0})
        tables.append({one: team[one].table() for one in "ab"})
        assert audit.verify(team.store).good
        team.close()
    assert tables[0] == tables[1]
    assert tables[0]["a"] != {}


def made(path):
    team = Team.open(path, gamma=0.9, mode="apply", seed=7)
    team.add("a", lambda s: {"x": s["x"]}, to=["b", END])
    team.add("b", lambda s: {"x": s["x"]}, to=["a", END])
    return team


def step(team, k):
    one = team["ab"[k % 2]].decide({"x": str(k % 3)}, handoff_id=f"h{k}")
    team.settle(one.id, k / 50, artifact={"x": str(k % 2)})


def test_answers_to_a_peer_that_is_not_configured_stay_counted(tmp_path: Path) -> None:
    def opened(*, with_peer: bool) -> Team:
        team = Team.open(tmp_path / "n.db", gamma=0.9)
        team.add("code", to=["end"])
        if with_peer:
            team.peer("intake", "http://127.0.0.1:9", accepts="a-token-of-16-characters")
        return team

    with opened(with_peer=True) as team:
        team["code"].receive("h0", 0, "intake")
        team.checkpoint()
        team["code"].receive("h1", 1, "intake")
        team.store.close()  # as after kill -9
    with opened(with_peer=False) as team:
        team.checkpoint()
        retain(team.store, 1.0, team.core.clock() + 1e6)
    with opened(with_peer=True) as team:
        assert team.peers["intake"].answered == 2
