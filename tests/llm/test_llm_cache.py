"""The cache: what is kept comes back equal, in any process; nothing foreign or damaged is used."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llm_parts import request

from batonq.base.errors import DataError
from batonq.llm.cache import Cache, Kept
from batonq.llm.request import Reply, Request

UNIT = "US cents"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
REQUESTS = st.builds(
    Request,
    model=TEXTS,
    system=TEXTS,
    prompt=TEXTS,
    max_tokens=st.integers(1, 10**6),
    alternatives=st.integers(0, 20),
    temperature=st.floats(0, 2),
    seed=st.integers(0, 2**31),
)
REPLIES = st.builds(
    Reply,
    text=TEXTS,
    finish=TEXTS,
    tokens_in=st.integers(0, 10**6),
    tokens_out=st.integers(0, 10**6),
    seconds=st.floats(0, 1e6),
    logprobs=st.lists(NUMBERS, max_size=4).map(tuple),
    first=st.lists(st.tuples(TEXTS, NUMBERS), max_size=4).map(tuple),
)
REPLY = Reply("42", "stop", 7, 3, 0.5, (-0.25, -1e4), (("4", -0.25), ("\n", -3.0)))


@given(REQUESTS, REPLIES, st.floats(0, 1e9))
@settings(max_examples=20)
def test_what_is_kept_comes_back_equal(tmp_path_factory, asked, reply, cost):
    path = tmp_path_factory.mktemp("cache") / "calls.db"
    with Cache(path) as cache:
        assert cache.find(asked) is None
        cache.keep(asked, Kept(reply, cost, UNIT))
    with Cache(path) as again:
        assert again.find(asked) == Kept(reply, cost, UNIT, cached=True)
        assert again.spent(UNIT) == cost


@given(REQUESTS, REQUESTS)
def test_a_key_is_equal_exactly_where_requests_are(one, other):
    assert (one.key() == other.key()) == (one == other)


def test_a_key_is_what_it_was_when_calls_were_first_recorded():
    asked = Request("some-model", "", "What is 6 times 7?", 16)
    assert asked.key() == ("16043de50474bb5f5db570b7b70841682c479f1ce0be4cb51cf9e3c306e8f936")


def test_the_first_answer_stays(cache):
    cache.keep(request(), Kept(REPLY, 1.0, UNIT))
    cache.keep(request(), Kept(Reply("43", "stop", 1, 1, 1.0), 5.0, UNIT))
    assert cache.find(request()) == Kept(REPLY, 1.0, UNIT, cached=True)
    assert (len(cache), cache.spent(UNIT)) == (1, 1.0)


def test_what_is_spent_is_counted_by_unit(cache):
    for prompt, cost, unit in (("a", 1.0, UNIT), ("b", 2.0, UNIT), ("c", 4.0, "kilotokens")):
        cache.keep(request(prompt), Kept(REPLY, cost, unit))
    assert (cache.spent(UNIT), cache.spent("kilotokens"), cache.spent("other")) == (3.0, 4.0, 0.0)


def test_another_kind_of_database_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE thing(x)")
    before = path.read_bytes()
    with pytest.raises(DataError, match="another kind of database"):
        Cache(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_release_is_refused(tmp_path):
    path = tmp_path / "calls.db"
    Cache(path).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version=99")
    with pytest.raises(DataError, match="newer batonq"):
        Cache(path)


@pytest.mark.parametrize(
    "content", [b"not a database at all" * 60, b"SQLite format 3\0" + b"x" * 99]
)
def test_what_is_no_database_is_refused(tmp_path, content):
    path = tmp_path / "calls.db"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be opened"):
        Cache(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be opened"):
        Cache(tmp_path)


@pytest.mark.parametrize(
    "damaged",
    [
        "{",
        "[]",
        "{}",
        '{"text": 3}',
        json.dumps({"text": "", "finish": "", "tokens_in": "7", "tokens_out": 3, "seconds": 1}),
        json.dumps(
            {"text": "", "finish": "", "tokens_in": 7, "tokens_out": 3, "seconds": 1, "first": [1]}
        ),
    ],
)
def test_a_damaged_reply_is_refused_by_name(tmp_path, damaged):
    path = tmp_path / "calls.db"
    with Cache(path) as cache:
        cache.keep(request(), Kept(REPLY, 1.0, UNIT))
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE call SET reply=?", (damaged,))
        with pytest.raises(DataError, match=r"calls\.db: a kept reply is damaged"):
            cache.find(request())


def test_a_full_disk_is_an_error_and_loses_nothing(tmp_path):
    with Cache(tmp_path / "calls.db") as cache:
        cache.keep(request("a"), Kept(REPLY, 1.0, UNIT))
        (pages,) = cache._db.execute("PRAGMA page_count").fetchone()
        cache._db.execute(f"PRAGMA max_page_count={pages}")
        large = Reply("x" * 100_000, "stop", 1, 1, 1.0)
        with pytest.raises(DataError, match="full"):
            cache.keep(request("b"), Kept(large, 1.0, UNIT))
        assert cache.find(request("b")) is None
        cache._db.execute("PRAGMA max_page_count=100000")
        cache.keep(request("b"), Kept(large, 1.0, UNIT))
        assert len(cache) == 2


def test_a_closed_cache_says_so(tmp_path):
    cache = Cache(tmp_path / "calls.db")
    cache.close()
    with pytest.raises(DataError, match="closed"):
        cache.find(request())


def test_opening_a_new_file_waits_for_who_else_is_opening_it(tmp_path):
    path = tmp_path / "calls.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute(
            "SELECT count(*) FROM sqlite_master"
        ).fetchall()  # reads, so nobody may switch
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(Cache, path)
            assert not wait([opening], timeout=0.3).done  # neither open nor refused
            other.execute("COMMIT")
            with opening.result(timeout=60) as cache:
                assert len(cache) == 0


OPENING = """
import sys
from pathlib import Path
from batonq.llm.cache import Cache, Kept
from batonq.llm.request import Reply, Request
print("ready", flush=True)
names = sys.stdin.readline().split()
for name in names:
    with Cache(Path(sys.argv[1]) / name) as cache:
        asked = Request("m", "", sys.argv[2], 1)
        cache.keep(asked, Kept(Reply("t", "stop", 1, 1, 0.0), 1.0, "u"))
        print(len(cache), flush=True)
"""


def test_processes_may_open_a_new_file_at_the_same_moment(tmp_path):
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, str(tmp_path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n", worker.stderr.read()
    names = [f"{n}.db" for n in range(30)]
    for worker in workers:
        worker.stdin.write(" ".join(names) + "\n")
        worker.stdin.flush()
    for worker in workers:
        _, errors = worker.communicate(timeout=60)
        assert (worker.returncode, errors) == (0, "")
    for name in names:
        with Cache(tmp_path / name) as cache:
            assert len(cache) == 3
