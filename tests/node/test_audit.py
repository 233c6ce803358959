"""Audit: what was tampered with is found and named, also beside a running node."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import pytest
from store_kinds import decide, event, settle, store

from batonq.base.errors import DataError
from batonq.node.event import QUOTE
from batonq.node.store import audit
from batonq.node.store.retention import erase_handoff
from batonq.node.store.sqlite import SqliteStore
from batonq.wire.chain import GENESIS

__all__ = ["store"]

PROGRAM = (sys.executable, "-c", "from batonq.cli.main import main; main()")


def batonq(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "node.db"
    store = SqliteStore.open(path)
    fill(store)
    store.close()
    return path


def fill(store):
    decide(store, "h1", 1.0, target="peer", y=1)
    decide(store, "h2", 2.0, target="end", y=2)
    settle(store, "h1", 3.0, reward=0.5, target=0.25)
    store.append(event(QUOTE, "h1", 4.0, peer="peer", quote=0.5))
    store.append(event("answer", "h9", 5.0, sender="other", value=1.0))


def change(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def head_of(path):
    store = SqliteStore.open(path, read_only=True)
    found = audit.verify(store).head
    store.close()
    return found


def test_a_good_store(store):
    assert audit.verify(store).document() == {
        "good": True,
        "rows": 0,
        "erased": 0,
        "recorded_erasures": 0,
        "head": GENESIS.hex(),
        "noted_after_row": None,
        "bad_row": None,
        "why": "",
    }
    fill(store)
    found = audit.verify(store)
    assert (found.good, found.rows, found.bad) == (True, 5, None)
    assert found.head == list(store.rows())[-1].link.hex()


def test_a_head_noted_earlier(store):
    fill(store)
    head = audit.verify(store).head
    settle(store, "h2")
    again = audit.verify(store, f" {head.upper()} ")
    assert (again.good, again.noted, again.rows) == (True, 5, 6)
    assert audit.verify(store, GENESIS.hex()).noted == 0
    other = audit.verify(store, "0" * 64)
    assert (other.good, other.bad) == (False, None)
    assert "the head noted earlier is not met" in other.why
    for bad in ("", "0" * 63, "g" * 64, "0" * 65):
        with pytest.raises(DataError, match="give the 64 digits that audit verify printed"):
            audit.verify(store, bad)


@pytest.mark.parametrize(
    ("statement", "bad", "why"),
    [
        ('UPDATE event SET body=\'{"target":"b"}\' WHERE seq=3', 3, "body is not the one"),
        ("UPDATE event SET at=2.5 WHERE seq=3", 3, "fields, or its place"),
        ("UPDATE event SET agent='b' WHERE seq=5", 5, "fields, or its place"),
        ("UPDATE event SET handoff_id='h2', once='quote:h2' WHERE seq=4", 4, "fields"),
        ("UPDATE event SET at='soon' WHERE seq=1", 1, "holds what no row holds"),
        ("UPDATE event SET kind=x'ff' WHERE seq=2", 2, "holds what no row holds"),
        ("UPDATE event SET kind=CAST(x'ff' AS TEXT) WHERE seq=2", 1, "cannot be read"),
        ("UPDATE event SET link=zeroblob(32) WHERE seq=5", 5, "fields, or its place"),
        ("DELETE FROM event WHERE seq=1", 1, "row 1 is missing"),
        ("DELETE FROM event WHERE seq=4", 4, "row 4 is missing"),
        ("UPDATE event SET body=NULL, salt=NULL WHERE seq=2", None, "lost their body, of which 0"),
    ],
)
def test_the_first_bad_row_is_named(path, statement, bad, why):
    change(path, statement)
    store = SqliteStore.open(path, read_only=True)
    found = audit.verify(store)
    store.close()
    assert (found.good, found.bad) == (False, bad)
    assert why in found.why


def test_rows_cut_off_show_by_the_head_noted_earlier_alone(path):
    head = head_of(path)
    change(path, "DELETE FROM event WHERE seq>3")
    store = SqliteStore.open(path, read_only=True)
    assert audit.verify(store).good
    assert not audit.verify(store, head).good
    store.close()


def test_a_chain_computed_anew_shows_by_the_head_noted_earlier_alone(path, tmp_path):
    head = head_of(path)
    other = SqliteStore.open(tmp_path / "forged.db")
    decide(other, "h1", 1.0, target="peer", y=100)
    for _ in range(4):
        decide(other, f"h{other.last() + 1}", 2.0)
    assert audit.verify(other).good
    assert not audit.verify(other, head).good
    other.close()


def test_recorded_erasures_are_no_damage(path):
    head = head_of(path)
    store = SqliteStore.open(path)
    store.keep_state("agent/a/settings", 0, {})
    store.keep_state("agent/a", 5, {})
    assert erase_handoff(store, "h1", 9.0) == 3
    found = audit.verify(store, head)
    assert (found.good, found.erased, found.recorded, found.noted) == (True, 3, 3, 5)
    store.close()
    change(path, "UPDATE event SET body=NULL WHERE seq=2")
    store = SqliteStore.open(path, read_only=True)
    assert "4 rows have lost their body, of which 3" in audit.verify(store).why
    store.close()


def test_damaged_pages_are_named_by_the_row_after_the_last_good_one(tmp_path):
    path = tmp_path / "node.db"
    store = SqliteStore.open(path)
    with store.transaction():
        for k in range(3000):
            decide(store, f"h{k}", y="x" * 200)
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * 16 * 4096)
    store = SqliteStore.open(path, read_only=True)
    found = audit.verify(store)
    store.close()
    assert not found.good
    assert found.bad is not None
    assert 500 < found.bad < 2900


def test_show_picks_the_latest(store):
    fill(store)
    show = audit.show
    assert [one.seq for one in show(store)] == [1, 2, 3, 4, 5]
    assert [one.seq for one in show(store, limit=2)] == [4, 5]
    assert [one.seq for one in show(store, handoff_id="h1")] == [1, 3, 4]
    assert [one.seq for one in show(store, handoff_id="h1", limit=1)] == [4]
    assert [one.seq for one in show(store, peer="peer")] == [1, 4]
    assert [one.seq for one in show(store, peer="other")] == [5]
    assert show(store, handoff_id="h3") == []


def test_the_command_verifies_beside_a_running_node(path):
    store = SqliteStore.open(path)
    head = audit.verify(store).head
    decide(store, "h3", 6.0)
    done = batonq("audit", "verify", path, "--head", head)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"good\nrows    6\nerased  0\nhead    {audit.verify(store).head}\nnoted   after row 5\n"
    )
    done = batonq("audit", "verify", path, "--json")
    assert json.loads(done.stdout) == audit.verify(store).document()
    decide(store, "h4", 7.0)
    store.close()


def test_the_command_ends_with_1_for_what_is_broken(path):
    change(path, "UPDATE event SET agent='b' WHERE seq=3")
    done = batonq("audit", "verify", path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("broken at row 3: its fields, or its place, are not those")
    done = batonq("audit", "verify", path, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["bad_row"] == 3


def test_the_command_ends_with_2_for_bad_input(path, tmp_path):
    (tmp_path / "text.db").write_text("hello")
    for words, said in (
        (("verify", tmp_path / "none.db"), "no such store"),
        (("show", tmp_path / "text.db"), "it is not a store of batonq, or damaged"),
        (("verify", path, "--head", "12"), "head '12': give the 64 digits"),
    ):
        done = batonq("audit", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert batonq("audit", "show", path, "--limit", "0").returncode == 2


def test_the_command_shows_events(path):
    store = SqliteStore.open(path)
    decide(store, "h\x1b[2J", 1_790_000_000.5, y="é")
    store.close()
    done = batonq("audit", "show", path, "--limit", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "2026-09-21 14:13:20" in done.stdout
    assert '{"peer": "peer", "quote": 0.5}' in done.stdout
    done = batonq("audit", "show", path, "--handoff", "h1", "--peer", "peer", "--json")
    assert json.loads(done.stdout) == [
        {"seq": 1, "at": 1.0, "kind": "decision", "agent": "a", "handoff_id": "h1"}
        | {"body": {"target": "peer", "y": 1}},
        {"seq": 4, "at": 4.0, "kind": "quote", "agent": "a", "handoff_id": "h1"}
        | {"body": {"peer": "peer", "quote": 0.5}},
    ]


def test_the_command_deletes_bodies_of_a_stopped_node(path):
    store = SqliteStore.open(path)
    done = batonq("audit", "erase", path, "--handoff", "h1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "in use by process" in done.stderr
    store.keep_state("agent/a/settings", 0, {})
    store.keep_state("agent/a", 5, {})
    settle(store, "h2", 6.0)
    store.close()
    assert "has event 6, and the states" in batonq("audit", "erase", path, "--handoff", "h2").stderr
    assert batonq("audit", "erase", path, "--handoff", "h1").stdout == "3 bodies deleted\n"
    assert batonq("audit", "retain", path, "--days", "30").stdout == "1 bodies deleted\n"
    assert json.loads(batonq("audit", "verify", path, "--json").stdout)["erased"] == 4
    for words in ((), ("--handoff", "h1", "--workflow", "w")):
        done = batonq("audit", "erase", path, *words)
        assert done.returncode == 2
        assert "give either --handoff or --workflow" in done.stderr
    none = path.with_name("none.db")
    assert "no such store" in batonq("audit", "retain", none, "--days", "1").stderr
    assert not none.exists()
