"""A store's file: who may open it, what may be in it, what happens when it cannot be written."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
from store_kinds import decide, program, settle

from batonq.base.errors import StoreError
from batonq.node.store import schema
from batonq.node.store.sqlite import SqliteStore
from batonq.wire import chain


@pytest.fixture
def path(tmp_path):
    return tmp_path / "node.db"


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
        "from batonq.node.store.sqlite import SqliteStore\n"
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


FORKED = """
import os, time
from store_kinds import decide
from batonq.node.store.sqlite import SqliteStore
store = SqliteStore.open(sys.argv[1])
decide(store, "h1")
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
try:
    SqliteStore.open(sys.argv[1])
except Exception as error:
    print(child, type(error).__name__, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(path):
    process = program(FORKED, path)
    child, error = process.stdout.readline().split()
    assert error == "StoreError"  # the parent kept its own
    process.wait(60)
    try:
        store = SqliteStore.open(path)
        assert store.last() == 1
        store.close()
    finally:
        os.kill(int(child), 9)
        process.communicate()


def test_a_new_store_is_its_owners_alone(path):
    older(path)
    store = SqliteStore.open(path, version=2, migrations={1: add_note})
    decide(store, "h2")
    modes = {one.name: one.stat().st_mode & 0o777 for one in path.parent.iterdir()}
    names = ("", "-shm", "-wal", ".lock", ".v1.bak")
    assert modes == {f"node.db{name}": 0o600 for name in names}
    store.close()


def test_a_file_that_cannot_be_written_is_named(path):
    SqliteStore.open(path).close()
    path.chmod(0o444)
    code = (
        "import os\n"
        "from batonq.base.errors import StoreError\n"
        "from batonq.node.store import schema\n"
        "from pathlib import Path\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: schema.connect(Path(sys.argv[1]), read_only=False, create=True)\n"
        "except StoreError as error: print(error)\n"
    )
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "node.db"
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o444)
        Path(name).chmod(0o755)
        said, wrong = program(code, copy).communicate(timeout=60)
    assert wrong == ""
    assert "node.db: cannot be written (Permission denied); look at the rights" in said


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
from batonq.node.store.sqlite import SqliteStore
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
        assert "cannot be opened for writing (Permission denied" in line  # the lock
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
        "from batonq.node.store.sqlite import SqliteStore\n"
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
        SqliteStore.open(path)
    store = SqliteStore.open(path, read_only=True)
    for read in (store.events, store.rows):
        with pytest.raises(StoreError, match=r"node.db: .*damaged; restore a backup"):
            list(read())
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
