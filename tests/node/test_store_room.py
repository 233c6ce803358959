"""What a store refuses, and what it keeps, when a write fails or is interrupted."""

from __future__ import annotations

import sqlite3

import pytest
from store_kinds import decide, event, program, settle

from batonq.base.errors import StoreError, WireError
from batonq.node.event import DECISION, OUTCOME, QUOTE
from batonq.node.store import openness
from batonq.node.store.sqlite import SqliteStore
from batonq.wire import chain


@pytest.fixture
def path(tmp_path):
    return tmp_path / "node.db"


@pytest.mark.parametrize(
    "body", [{"a": float("nan")}, {"a": float("inf")}, {"a": {1}}, {"a": b"x"}, {(1, 2): 3}]
)
def test_what_is_not_json_is_refused_and_nothing_kept(path, body):
    store = SqliteStore.open(path)
    with pytest.raises(WireError, match="'decision:h1': what is to be stored is not JSON"):
        decide(store, "h1", **{"x": body})
    for call in (lambda: store.to_send("h1", "b", body), lambda: store.keep_state("s", 1, body)):
        with pytest.raises(WireError, match="is not JSON"):
            call()
    assert (store.last(), store.count_open(), store.unsent(1), store.states("")) == (0, 0, [], [])
    assert decide(store, "h1") == 1
    store.close()


def test_half_a_surrogate_pair_is_refused_as_a_name(path):
    store = SqliteStore.open(path)
    bad = "h\ud800"
    with store.transaction():
        for call in (
            lambda: decide(store, bad),
            lambda: store.to_send(bad, "b", 1),
            lambda: store.keep_state(bad, 1, 1),
        ):
            with pytest.raises(WireError, match=r"h\\ud800.* is not Unicode text"):
                call()
        decide(store, "h1", text=bad)
    assert store.find(f"decision:{bad}") is None
    assert store.state(bad) is None
    assert store.find("decision:h1").body == {"text": bad}
    store.close()


def fill(store, events=5000):
    """Append until the medium is full; returns the numbers that were acknowledged."""
    acknowledged = []
    for k in range(events):
        try:
            acknowledged.append(decide(store, f"h{k}", float(k), text="x" * 500))
        except StoreError as error:
            return acknowledged, error
    return acknowledged, None


def limit_pages(store, pages):
    store._base.execute(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_keeps_what_was_acknowledged_and_goes_on_with_room(path):
    store = SqliteStore.open(path)
    decide(store, "open")
    limit_pages(store, 60)
    acknowledged, error = fill(store)
    assert "node.db: database or disk is full" in str(error)
    assert "make room" in str(error)
    assert acknowledged == list(range(2, len(acknowledged) + 2))
    count = len(acknowledged) + 1
    assert (store.last(), store.count_open()) == (count, count)
    with pytest.raises(StoreError, match="full"):
        store.keep_state("agent/a", 1, "x" * 100_000)
    with pytest.raises(StoreError, match="full"):
        store.to_send("h1", "b", "x" * 100_000)
    with pytest.raises(StoreError, match="full"), store.transaction():
        decide(store, "small")
        decide(store, "large", text="x" * 100_000)
    assert (store.last(), store.count_open(), store.unsent(9)) == (count, count, [])

    with (
        pytest.raises(StoreError, match="nothing of the transaction was kept"),
        store.transaction(),
    ):
        decide(store, "small")
        with pytest.raises(StoreError, match="full"), store.transaction():
            decide(store, "large", text="x" * 100_000)
        with pytest.raises(StoreError, match="a write in this transaction failed; end it first"):
            decide(store, "other")
    assert (store.last(), store.count_open()) == (count, count)

    limit_pages(store, 100_000)
    assert decide(store, "large", text="x" * 100_000) == count + 1
    settle(store, "open")
    assert store.count_open() == count
    store.close()
    store = SqliteStore.open(path)
    assert store.count_open() == count
    assert chain.verify(store.rows()).rows == count + 2
    store.close()


def test_settling_on_a_full_disk_leaves_the_handoff_open(path):
    store = SqliteStore.open(path)
    decide(store, "h0")
    limit_pages(store, 20)
    with pytest.raises(StoreError, match="full"):
        settle(store, "h0", text="x" * 100_000)
    assert (store.last(), store.open_before(9.0, 9)) == (1, ["h0"])
    limit_pages(store, 1000)
    settle(store, "h0", text="x" * 100_000)
    assert store.count_open() == 0
    store.close()


LIMITED = """
import resource
from store_kinds import decide
from batonq.base.errors import StoreError
from batonq.node.store.sqlite import SqliteStore
store = SqliteStore.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
for k in range(5000):
    try:
        print("kept", decide(store, f"h{k}", text="x" * 500), flush=True)
    except StoreError as error:
        print(error)
        break
print(store.last(), store.count_open())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("kept", decide(store, "more", text="x"), store.count_open())
store.close()
"""


def test_a_limit_of_the_system_on_files_is_a_full_disk(path):
    said, wrong = program(LIMITED, path).communicate(timeout=60)
    assert wrong == ""
    *kept, error, counts, more = said.splitlines()
    assert len(kept) > 10
    assert "node.db: disk I/O error: it cannot be read or written; look at the disk" in error
    assert counts == f"{len(kept)} {len(kept)}"
    assert more == f"kept {len(kept) + 1} {len(kept) + 1}"
    store = SqliteStore.open(path)
    assert chain.verify(store.rows()).rows == len(kept) + 1
    store.close()


def test_creating_without_room_says_so(path):
    code = (
        "import resource\n"
        "from batonq.base.errors import StoreError\n"
        "from batonq.node.store.sqlite import SqliteStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, resource.RLIM_INFINITY))\n"
        "try: SqliteStore.open(sys.argv[1])\n"
        "except StoreError as error: print(error)\n"
    )
    said, wrong = program(code, path).communicate(timeout=60)
    assert (wrong, "node.db: disk I/O error" in said) == ("", True)
    store = SqliteStore.open(path)
    assert decide(store, "h1") == 1
    store.close()


@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_interrupted_at_any_point_the_counts_are_those_of_the_file(path, monkeypatch, batch):
    """Ctrl-C comes after any statement; what follows is in step with the file."""
    monkeypatch.setattr(openness, "BATCH", batch)
    store = SqliteStore.open(path)
    real = store._base.execute
    stops = 0
    for stop in range(40):
        left = [stop]

        def execute(*arguments, left=left):
            done = real(*arguments)
            left[0] -= 1
            if left[0] == -1:
                raise KeyboardInterrupt
            return done

        store._base.execute = execute
        try:
            with store.transaction():
                decide(store, f"a{stop}")
                settle(store, f"a{stop}")
            decide(store, f"b{stop}")
            settle(store, f"b{stop}")
        except KeyboardInterrupt:
            stops += 1
        store._base.execute = real
        assert store._base.latest == store._base.stored()
        store.append(event(QUOTE, f"c{stop}"))
        assert store.count_open() == len(open_handoffs(store))
        assert store.open_before(9.0, 99) == open_handoffs(store)
    assert stops >= 6  # begin, two events, commit, two events; more where marks are settled
    assert chain.verify(store.rows()).bad is None
    store.close()


def open_handoffs(store):
    closed = {one.handoff_id for one in store.events() if one.kind == OUTCOME}
    decided = [one.handoff_id for one in store.events() if one.kind == DECISION]
    return [one for one in decided if one not in closed]


def test_marks_that_cannot_be_brought_up_to_date_fail_nothing(path, monkeypatch):
    monkeypatch.setattr(openness, "BATCH", 4)
    store = SqliteStore.open(path)
    for k in range(3):
        decide(store, f"h{k}")
        settle(store, f"h{k}")
        if k == 0:
            decide(store, "open")
    failing = "CREATE TEMP TRIGGER no BEFORE UPDATE ON event BEGIN SELECT RAISE(FAIL, 'no'); END"
    store._base.execute(failing)
    for k in range(3, 9):
        decide(store, f"h{k}")
        settle(store, f"h{k}")
    assert (store.count_open(), store.open_before(9.0, 99)) == (1, ["open"])
    store._base.execute("DROP TRIGGER no")
    settle(store, "open")
    decide(store, "last")
    assert (store.count_open(), store.open_before(9.0, 99)) == (1, ["last"])
    store.close()
    store = SqliteStore.open(path)
    assert (store.count_open(), store.open_before(9.0, 99)) == (1, ["last"])
    store.close()


def test_rows_of_a_foreign_hand_do_not_make_it_lose_any(path):
    """Somebody wrote beside the lock: the store refuses rather than overwrite, then goes on."""
    store = SqliteStore.open(path)
    decide(store, "h1")
    other = sqlite3.connect(path)
    other.execute(
        "INSERT INTO event SELECT 2, at, NULL, kind, agent, 'x', 'x', digest, link, salt, body"
        " FROM event"
    )
    other.commit()
    other.close()
    with pytest.raises(StoreError, match=r"UNIQUE constraint failed: event.seq: open it again"):
        decide(store, "h2")
    assert decide(store, "h2") == 3
    assert store.find(f"{DECISION}:h2").seq == 3
    assert chain.verify(store.rows()).bad == 2
    store.close()


def test_memory_does_not_grow_with_the_number_of_open_handoffs(path):
    code = (
        "import resource\n"
        "from store_kinds import event\n"
        "from batonq.node.store.sqlite import SqliteStore\n"
        "store = SqliteStore.open(sys.argv[1])\n"
        "def fill(start, stop):\n"
        "    with store.transaction():\n"
        "        for k in range(start, stop):\n"
        "            store.append(event('decision', f'{k:032d}', y='x' * 200), opens=True)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = fill(0, 20_000)\n"  # more than the cache of 16 MiB
        "after = fill(20_000, 60_000)\n"
        "import time\n"
        "start = time.perf_counter()\n"
        "for _ in range(100): store.count_open(), store.open_before(0.0, 10)\n"
        "print(before, after, store.count_open(), time.perf_counter() - start)\n"
    )
    said, wrong = program(code, path).communicate(timeout=120)
    assert wrong == ""
    before, after, count, seconds = said.split()
    assert int(count) == 60_000
    # 40,000 handoffs are 30 MB of file; a list of their names alone would be 3 MB.
    assert int(after) - int(before) < 2_000  # KiB
    assert float(seconds) / 100 < 0.01
