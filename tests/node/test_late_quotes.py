"""A quote that comes after its handoff was learnt from another one; keys of corrections."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from batonq.base.errors import ConflictError, DataError, StoreError
from batonq.icq import clocks
from batonq.node.event import QUOTE, REVISION
from batonq.node.quoting import quote_came
from batonq.node.team import Team

GAMMA = 0.9


def opened(path: Path | None) -> Team:
    team = Team.open(path, gamma=GAMMA)
    team.add("intake", to=["elsewhere"], clock=clocks.constant(0.5))
    return team


def with_a_stale_one(team: Team) -> str:
    """A handoff that expired and was learnt from the quote 1.0 of another one."""
    first, second = (team["intake"].decide("bug").id for _ in range(2))
    team.settle(first, 0.0, quote=1.0)
    team.settle(second, 0.0)
    assert team.expire(now=team.core.clock() + 4_000) == 1
    return second


def test_quote_and_correction_are_kept_together_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    with opened(path) as team:
        handoff = with_a_stale_one(team)
        before = team["intake"].table()
        with closing(sqlite3.connect(path)) as other:
            other.execute(
                "CREATE TRIGGER no BEFORE INSERT ON event WHEN new.kind='revision'"
                " BEGIN SELECT RAISE(FAIL, 'no revision'); END"
            )
        with pytest.raises(StoreError, match="no revision"):
            team.quoted(handoff, 0.4)
        assert [one for one in team.store.events() if one.kind in (QUOTE, REVISION)] == []
        assert team["intake"].table() == before
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TRIGGER no")
        assert team.quoted(handoff, 0.4).learnt
        value = 0.5 * GAMMA
        value += 0.5 * 0.5 * (GAMMA * 0.4 - value)
        assert team["intake"].table() == {'"bug"': {"elsewhere": (pytest.approx(value), 2)}}
        learnt = team["intake"].table()
        assert team.quoted(handoff, 0.4).repeated
    with opened(path) as team:  # by a replay
        assert team["intake"].table() == learnt


def test_a_late_quote_after_a_correction(tmp_path: Path) -> None:
    with opened(tmp_path / "node.db") as team:
        handoff = with_a_stale_one(team)
        team.revise(handoff, key="a", reward=0.2)
        team.quoted(handoff, 0.4)
        team.revise(handoff, key="b", reward=0.3, duration=2.0)
        value = 0.5 * GAMMA
        value += 0.5 * 0.5 * (0.3 + GAMMA**2 * 0.4 - value)
        assert team["intake"].table() == {'"bug"': {"elsewhere": (pytest.approx(value), 2)}}


def test_keys_of_the_node_itself_are_not_given_to_others() -> None:
    with opened(None) as team:
        handed = team["intake"].decide("bug").id
        team.settle(handed, 0.0, quote=0.0)
        with pytest.raises(DataError, match="does not start with '#'"):
            team.revise(handed, key="#finish", reward=1.0)
        team.revise(handed, key="finish", reward=1.0)  # a key as any other
        assert team.finish(handed, 0.5).value == pytest.approx(0.5 * (1.0 + GAMMA * 0.5))


def test_a_quote_told_again_is_no_conflict_though_trust_has_changed() -> None:
    with opened(None) as team:
        handed = team["intake"].decide("bug").id
        team.settle(handed, 0.0)
        for used in (0.5, 0.4):  # what is learnt from it, at either time
            settled = quote_came(team.core, handed, used, {"peer": None, "told": 0.6})
        assert (settled.repeated, settled.quote) == (True, 0.5)
        with pytest.raises(ConflictError, match="has the quote"):
            quote_came(team.core, handed, 0.5, {"peer": None, "told": 0.7})
