"""The audit notices what is lost, learnt twice, unknown or different; a replay is exact."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from batonq.demo.audit import Table, audited, differing, greedy, replayed, unbroken
from batonq.demo.desk import ACTIONS, END, GAMMA, Outcome, Ticket
from batonq.demo.nodes import INITIAL, QUOTES, STEP
from batonq.demo.optimum import finite_desk
from batonq.demo.pipeline import Entry
from batonq.icq import clocks
from batonq.node.team import Team


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    """Search, whose receivers are elsewhere and quote what the test says."""
    with Team.open(
        tmp_path / "node.db", gamma=GAMMA, mode="apply", quote_range=QUOTES, explore=0.5, seed=1
    ) as opened:
        opened.add("search", to=ACTIONS["search"], initial=INITIAL, clock=clocks.constant(STEP))
        yield opened


def lived(team: Team, handoffs: int) -> dict[str, Entry]:
    """A few handoffs, and the book of who made them."""
    book: dict[str, Entry] = {}
    for number in range(handoffs):
        name = f"h{number}"
        made = team["search"].decide({"note": ("new", "answers")[number % 2]}, handoff_id=name)
        after = Ticket("search", "bug", "none") if made.target == "search" else None
        outcome = Outcome(1.0, after, -0.01 * number, 1 + number % 3)
        if made.target == "search":
            artifact = {"note": "none"}
            team.settle(name, outcome.reward, outcome.minutes, artifact=artifact)
        elif number % 5:
            team.settle(name, outcome.reward, outcome.minutes, end="terminal")
        else:
            team.settle(name, outcome.reward, outcome.minutes)
            team.quoted(name, 0.25 + 0.001 * number)
        book[name] = Entry("search", made.action, outcome, settled=True)
    return book


def store_of(team: Team, tmp_path: Path) -> Path:
    team.close()
    return tmp_path / "node.db"


def test_a_book_that_agrees_is_found_to_agree(team: Team, tmp_path: Path) -> None:
    book = lived(team, 40)
    found = audited(store_of(team, tmp_path), book)
    assert (found.decided, found.settled, found.learnt) == (40, 40, 40)
    assert (found.lost, found.unlearnt, found.twice, found.unknown) == (0, 0, 0, 0)


def test_what_was_acknowledged_and_is_not_there_is_lost(team: Team, tmp_path: Path) -> None:
    book = lived(team, 10)
    book["h-gone"] = Entry("search", "look", Outcome(1.0, None, 0.0, 1), settled=True)
    book["h-decided"] = Entry("search", "look")
    book["h-asked"] = Entry("search")  # never answered: nothing was promised
    book["h3"].action = "another"
    book["h4"].outcome = Outcome(1.0, None, 99.0, 1)
    found = audited(store_of(team, tmp_path), book)
    assert found.decided == 12
    assert found.lost == 4
    assert found.unlearnt == 1  # of h-gone there is nothing at all


def test_what_still_waits_is_not_learnt_from(team: Team, tmp_path: Path) -> None:
    made = team["search"].decide({"note": "new"}, {"draft": "review"}, handoff_id="h0")
    team.settle("h0", -0.02, 2)
    book = {"h0": Entry("search", made.action, Outcome(1.0, None, -0.02, 2), settled=True)}
    found = audited(store_of(team, tmp_path), book)
    assert (found.settled, found.learnt, found.unlearnt, found.lost) == (1, 0, 1, 0)


def test_what_is_in_the_store_alone_is_unknown(team: Team, tmp_path: Path) -> None:
    book = lived(team, 10)
    del book["h7"]
    assert audited(store_of(team, tmp_path), book).unknown == 1


def test_what_is_learnt_twice_is_noticed(team: Team, tmp_path: Path) -> None:
    """The node does not do it, so the store is tampered with."""
    book = lived(team, 10)
    path = store_of(team, tmp_path)
    assert unbroken(path)
    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(event)")]
        copied = ["'again:h1'" if name == "once" else f'"{name}"' for name in columns[1:]]
        names = ", ".join(f'"{name}"' for name in columns[1:])
        connection.execute(
            f"INSERT INTO event ({names}) SELECT {', '.join(copied)} FROM event "  # noqa: S608
            "WHERE once = 'outcome:h1'"
        )
    connection.close()
    assert audited(path, book).twice == 1
    assert not unbroken(path)


def test_a_replay_gives_what_was_learnt_to_the_last_bit(team: Team, tmp_path: Path) -> None:
    lived(team, 200)
    said: Table = {
        (key, action): value
        for key, row in team["search"].table().items()
        for action, (value, _) in row.items()
    }
    log = replayed(store_of(team, tmp_path))
    assert len(said) > 5
    assert said == log
    assert differing(said, log) == 0
    place = next(iter(said))
    assert differing(said | {place: said[place] + 1e-16 + 2**-52}, log) == 1
    assert differing(said | {("never", "met"): INITIAL}, log) == 0


def test_greedy_takes_the_first_of_equals_and_the_best_otherwise() -> None:
    cells = finite_desk().cells
    tables: dict[str, Table] = {agent: {} for agent in ACTIONS}
    first = {cell: next(iter(ACTIONS[cell.agent])) for cell in cells}
    assert greedy(tables, cells) == first
    (cell,) = (one for one in cells if dict(one.seen) == {"draft": "answer", "looks": "odd"})
    key = '{"draft":"answer","looks":"odd"}'
    tables["review"] = {(key, "publish"): -0.1, (key, "to code"): 0.7}
    assert greedy(tables, cells) == first | {cell: "to code"}
    assert END in ACTIONS["review"].values()
