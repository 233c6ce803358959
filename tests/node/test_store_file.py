"""A store's file: who may open it, what may be in it, what happens when it cannot be written."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from store_kinds import decide, event, settle

from batonq.base.errors import StoreError, WireError
from batonq.node import schema
from batonq.node.event import DECISION, QUOTE
from batonq.node.store import SqliteStore
from batonq.wire import chain

HERE = Path(__file__).parent


@pytest.fixture
def path(tmp_path):
    return tmp_path / "node.db"


def program(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """Run code in a process of its own, where what the tests share can be imported."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(HERE)!r})\n{code}"]
        + [str(one) for one in arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_what_was_kept_is_there_when_opened_again(path):
    store = SqliteStore.open(path)
    decide(store, "h1", 5.0, y=1)
    decide(store, "h2", 6.0, y=2)
    settle(store, "h1", 7.0)
    store.to_send("h2", "b", {"x": 1})
    store.keep_state("agent/a", 3, {"q": 0.1})
    before = list(store.events()), list(store.rows())
    store.close()
    store.close()
    again = SqliteStore.open(str(path))
    assert (list(again.events()), list(again.rows())) == before
    assert (again.last(), again.count_open(), again.open_before(9.0, 9)) == (3, 1, ["h2"])
    assert (again.unsent(9), again.state("agent/a")) == ([("h2", "b", {"x": 1})], (3, {"q": 0.1}))
    assert decide(again, "h3", 1.0) == 4
    assert again.find("decision:h3").at == 7.0
    assert chain.verify(again.rows()).rows == 4
    again.close()
    with pytest.raises(StoreError, match="closed"):
        again.last() if False else decide(again, "h4")


def test_it_is_a_write_ahead_log_of_the_durability_asked_for(path):
    for durability, level in (("normal", 1), ("full", 2)):
        store = SqliteStore.open(path, durability)
        pragma = {
            name: store._base.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "application_id", "user_version")
        }
        assert pragma == {
            "journal_mode": "wal",
            "synchronous": level,
            "application_id": schema.APPLICATION_ID,
            "user_version": schema.VERSION,
        }
        store.close()
    with pytest.raises(StoreError, match="durability 'fast': give one of normal, full"):
        SqliteStore.open(path, "fast")


def test_one_process_writes_while_others_may_read(path):
    store = SqliteStore.open(path)
    decide(store, "h1")
    with pytest.raises(StoreError, match=f"node.db: in use by process {os.getpid()}; stop"):
        SqliteStore.open(path)
    other = program(
        "from batonq.base.errors import StoreError\n"
        "from batonq.node.store import SqliteStore\n"
        "try: SqliteStore.open(sys.argv[1])\n"
        "except StoreError as error: print(error)\n",
        path,
    )
    said, _ = other.communicate(timeout=60)
    assert f"in use by process {os.getpid()}; stop that one first" in said

    reader = SqliteStore.open(path, read_only=True)
    assert (reader.last(), reader.count_open()) == (1, 1)
    with store.transaction():
        decide(store, "h2")
        assert reader.last() == 1
    assert [one.handoff_id for one in reader.events()] == ["h1", "h2"]
    assert (reader.last(), reader.count_open()) == (2, 2)
    with pytest.raises(StoreError, match="cannot be written"):
        decide(reader, "h3")
    with pytest.raises(StoreError, match="cannot be written"):
        reader.keep_state("s", 1, 1)
    with pytest.raises(StoreError, match="cannot be written"):
        reader.scrub()
    reader.close()
    assert decide(store, "h3") == 3
    store.close()
    SqliteStore.open(path).close()


def test_a_link_to_a_store_is_the_same_store(path, tmp_path):
    store = SqliteStore.open(path)
    link = tmp_path / "other.db"
    link.symlink_to(path)
    with pytest.raises(StoreError, match=r"other.db: in use"):
        SqliteStore.open(link)
    store.close()


def test_a_name_with_every_kind_of_sign(tmp_path):
    path = tmp_path / "a?b#c%20d é.db"
    store = SqliteStore.open(path)
    decide(store, "h1")
    assert path.exists()
    reader = SqliteStore.open(path, read_only=True)
    assert reader.last() == 1
    reader.close()
    store.close()


READ_ONLY = """
import os
from batonq.base.errors import StoreError
from batonq.node.store import SqliteStore
if os.getuid() == 0:
    os.setuid(65534)  # root may write anywhere
print(SqliteStore.open(sys.argv[1], read_only=True).last())
for name in sys.argv[1:]:
    try:
        SqliteStore.open(name)
    except StoreError as error:
        print(error)
"""


def test_a_store_in_a_folder_that_cannot_be_written_can_be_read():
    with tempfile.TemporaryDirectory() as name:  # others may enter none of pytest's folders
        path = Path(name) / "node.db"
        store = SqliteStore.open(path)
        decide(store, "h1")
        store.close()
        hidden = Path(name) / "hidden"
        hidden.mkdir(mode=0o700 if os.getuid() == 0 else 0)
        path.chmod(0o444)
        path.parent.chmod(0o555)
        new = path.parent / "new.db"
        said, wrong = program(READ_ONLY, path, new, hidden / "node.db").communicate(timeout=60)
        path.parent.chmod(0o755)
    assert wrong == ""
    count, old, new, hidden = said.splitlines()
    assert count == "1"
    for line in (old, new):
        assert "cannot be opened for writing (Permission denied" in line
        assert "give a folder that can be written" in line
    assert "hidden/node.db: cannot be read (Permission denied); look at its rights" in hidden


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "no such store"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "is empty, not a store"),
        (lambda path: path.write_bytes(b"hello" * 1000), "not a store of batonq, or damaged"),
        (lambda path: path.write_bytes(schema._MAGIC + b"\xff" * 4080), "not a database"),
        (lambda path: path.write_bytes(schema._MAGIC), "not a database|of another program|empty"),
        (lambda path: other_database(path, 0), "a database of another program"),
        (lambda path: other_database(path, 7), "a database of another program"),
    ],
)
def test_what_is_not_a_store_is_left_alone(path, make, said):
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for options in ({"read_only": True}, {"create": False}):
        with pytest.raises(StoreError, match=f"node.db: .*({said})"):
            SqliteStore.open(path, **options)
    if before:
        with pytest.raises(StoreError, match=f"node.db: .*({said})"):
            SqliteStore.open(path)
    assert (path.read_bytes() if path.is_file() else None) == before


def other_database(path, owner):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine(a)")
    connection.execute(f"PRAGMA application_id={owner}")
    connection.close()


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"its folder does not exist; create .*there"):
        SqliteStore.open(tmp_path / "there" / "node.db")


def test_a_newer_store_is_left_alone(path):
    SqliteStore.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=2")
    connection.close()
    for read_only in (False, True):
        with pytest.raises(StoreError, match="schema version 2, this batonq reads up to 1; use"):
            SqliteStore.open(path, read_only=read_only)
    assert SqliteStore.open(path, version=2).last() == 0


def add_note(connection):
    connection.execute("ALTER TABLE event ADD COLUMN note TEXT")


def rename_note(connection):
    connection.execute("ALTER TABLE event RENAME COLUMN note TO remark")


def broken(connection):
    rename_note(connection)
    raise ZeroDivisionError("no such thing")


def older(path):
    store = SqliteStore.open(path)
    decide(store, "h1", y=1)
    store.close()
    return path.read_bytes()


def test_an_older_store_is_migrated_in_steps_and_a_copy_kept(path):
    older(path)
    with pytest.raises(
        StoreError, match="version 1, this batonq reads 3; open it once for writing"
    ):
        SqliteStore.open(path, read_only=True, version=3)
    steps = {1: add_note, 2: rename_note}
    store = SqliteStore.open(path, version=3, migrations=steps)
    assert decide(store, "h2") == 2
    assert store._base.execute("SELECT remark FROM event").fetchall() == [(None,), (None,)]
    assert store._base.execute("PRAGMA user_version").fetchone() == (3,)
    store.close()
    copy = SqliteStore.open(path.with_name("node.db.v1.bak"))
    assert [one.body for one in copy.events()] == [{"y": 1}]
    copy.close()
    SqliteStore.open(path, version=3, migrations=steps).close()
    with pytest.raises(StoreError, match="reads up to 1"):
        SqliteStore.open(path)


def test_a_migration_that_fails_changes_nothing(path):
    older(path)
    steps = {1: add_note, 2: broken}
    with pytest.raises(
        StoreError, match=r"from schema version 1 to 3 \(.*no such thing\); it is unch"
    ):
        SqliteStore.open(path, version=3, migrations={1: add_note, 2: broken})
    with pytest.raises(StoreError, match="from which this batonq cannot migrate"):
        SqliteStore.open(path, version=3, migrations={2: steps[2]})
    store = SqliteStore.open(path)
    columns = [row[1] for row in store._base.execute("PRAGMA table_info(event)")]
    assert "note" not in columns
    assert decide(store, "h2") == 2
    store.close()


def test_a_copy_includes_what_a_killed_process_left_in_the_log(path):
    killed = program(
        "from store_kinds import decide\n"
        "from batonq.node.store import SqliteStore\n"
        "import os\n"
        "decide(SqliteStore.open(sys.argv[1]), 'h1', y=1)\n"
        "os.kill(os.getpid(), 9)\n",
        path,
    )
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    assert path.with_name("node.db-wal").stat().st_size > 0
    SqliteStore.open(path, version=2, migrations={1: add_note}).close()
    copy = SqliteStore.open(path.with_name("node.db.v1.bak"))
    assert [one.body for one in copy.events()] == [{"y": 1}]
    copy.close()


def test_damage_inside_is_named_where_it_is_met(path):
    store = SqliteStore.open(path)
    with store.transaction():
        for k in range(300):
            decide(store, f"h{k}", y="x" * 200)
    store.close()
    with path.open("r+b") as file:
        for page in range(5, path.stat().st_size // 4096 - 2):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    with pytest.raises(StoreError, match=r"node.db: .*damaged; restore a backup"):
        store = SqliteStore.open(path)
        list(store.events())
    with pytest.raises(StoreError, match="damaged"):
        list(store.rows())
    store.close()


def test_a_body_that_is_no_json_is_named(path):
    older(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE event SET body='{'")
    connection.commit()
    connection.close()
    store = SqliteStore.open(path)
    with pytest.raises(StoreError, match="decision:h1: what is stored is not JSON"):
        store.find("decision:h1")
    store.close()


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
from batonq.node.store import SqliteStore
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
        "from batonq.node.store import SqliteStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, resource.RLIM_INFINITY))\n"
        "try: SqliteStore.open(sys.argv[1])\n"
        "except StoreError as error: print(error)\n"
    )
    said, wrong = program(code, path).communicate(timeout=60)
    assert (wrong, "node.db: disk I/O error" in said) == ("", True)
    store = SqliteStore.open(path)
    assert decide(store, "h1") == 1
    store.close()


def test_interrupted_at_any_point_the_counts_are_those_of_the_file(path):
    """Ctrl-C comes between two steps of an append; what follows is in step with the file."""
    store = SqliteStore.open(path)
    real, calls = store._base.execute, []

    for stop in range(12):
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
            calls.append(stop)
        store._base.execute = real
        stored = store._base.stored()
        assert store._base.latest == stored
        store.append(event(QUOTE, f"c{stop}"))
    assert len(calls) > 8
    assert chain.verify(store.rows()).bad is None
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
        "from batonq.node.store import SqliteStore\n"
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
