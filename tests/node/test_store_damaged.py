"""What is no store's content is told in one line, whatever it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batonq.base.errors import StoreError
from batonq.node.store.sqlite import SqliteStore
from batonq.node.team import Team


def opened(path: Path) -> Team:
    team = Team.open(path, gamma=0.9)
    team.add("intake", to=["code"])
    return team


@pytest.mark.parametrize(
    ("statement", "use"),
    [
        ("DELETE FROM opened", SqliteStore.open),
        ("DELETE FROM event WHERE seq=3", lambda path: SqliteStore.open(path).open_before(0.0, 9)),
        ("UPDATE event SET body='[1]'", lambda path: list(SqliteStore.open(path).events())),
        ("UPDATE event SET body=x'ff00'", lambda path: list(SqliteStore.open(path).events())),
        ("UPDATE state SET body='[]' WHERE name='agent/intake'", opened),
        ("UPDATE state SET body='{}' WHERE name='agent/intake'", opened),
        ("UPDATE state SET body='7' WHERE name='units'", opened),
        (
            "UPDATE state SET name=x'ff' WHERE name='units'",
            lambda path: SqliteStore.open(path).states("agent/"),
        ),
    ],
)
def test_a_damaged_store_is_told_in_one_line(
    tmp_path: Path, statement: str, use: Callable[[Path], Any]
) -> None:
    path = tmp_path / "node.db"
    with opened(path) as team:
        for n in range(6):
            team["intake"].decide({"n": n})
    with closing(sqlite3.connect(path)) as file, file:
        assert file.execute(statement).rowcount > 0
    with pytest.raises(StoreError, match=r"^[^\n]+$"):
        use(path)
