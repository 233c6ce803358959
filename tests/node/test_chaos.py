"""Chaos, short: what `benchmarks/chaos.py` does at length, and whether its parts tell the truth."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from batonq.base.machine import free_ports
from batonq.node.event import Event
from batonq.node.store.sqlite import SqliteStore


@pytest.fixture(scope="module", autouse=True)
def _benchmarks() -> Iterator[None]:
    """Benchmarks lie beside the package, not in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2])
        yield


@pytest.fixture(scope="module")
def http(_benchmarks: None) -> ModuleType:
    return import_module("benchmarks._chaos_http")


@pytest.fixture(scope="module")
def proxies(_benchmarks: None) -> ModuleType:
    return import_module("benchmarks._chaos_proxy")


def through(
    http: ModuleType,
    proxies: ModuleType,
    chances: dict[str, float],
    use: Callable[[Callable[[str], Awaitable[bytes]]], Awaitable[None]],
) -> tuple[list[str], Any]:
    """Paths that reached a server behind a proxy, and the proxy, after `use` sent through it."""
    reached: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append((await http.read_message(reader)).split(b" ")[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue")
        writer.close()

    async def all_of_it() -> Any:
        door, behind = free_ports(2)
        proxy = proxies.Proxy(chances, seed=1)
        server = await asyncio.start_server(serve, http.HOST, behind)
        front = await proxy.listen(door, behind)
        try:
            await use(lambda path: http.exchange(door, http.request("GET", path), 5.0))
            await proxy.settle()
        finally:
            front.close()
            server.close()
        return proxy

    proxy = asyncio.run(all_of_it())
    return reached, proxy


def test_a_calm_proxy_passes_on(http: ModuleType, proxies: ModuleType) -> None:
    async def use(send: Callable[[str], Awaitable[bytes]]) -> None:
        for n in range(5):
            assert http.parse(await send(f"/{n}")) == (200, True)

    reached, proxy = through(http, proxies, {}, use)
    assert reached == ["/0", "/1", "/2", "/3", "/4"]
    assert +proxy.counts == {"requests": 5}


@pytest.mark.parametrize(
    ("fault", "times", "answered"),
    [("duplicate", 2, True), ("drop_request", 0, False), ("drop_response", 1, False)],
)
def test_faults_do_what_they_are_called(
    http: ModuleType, proxies: ModuleType, fault: str, times: int, answered: bool
) -> None:
    async def use(send: Callable[[str], Awaitable[bytes]]) -> None:
        for n in range(10):
            if answered:
                await send(f"/{n}")
            else:
                with pytest.raises(asyncio.IncompleteReadError):
                    await send(f"/{n}")

    reached, proxy = through(http, proxies, {fault: 1.0}, use)
    assert sorted(reached) == sorted([f"/{n}" for n in range(10)] * times)
    assert proxy.counts[fault] == 10


def test_stale_requests_are_earlier_ones(http: ModuleType, proxies: ModuleType) -> None:
    async def use(send: Callable[[str], Awaitable[bytes]]) -> None:
        for n in range(10):
            await send(f"/{n}")

    reached, proxy = through(http, proxies, {"stale": 1.0}, use)
    assert proxy.counts["stale"] == 9  # before the first there is none
    assert len(reached) == 19
    assert set(reached) == {f"/{n}" for n in range(10)}


def test_delayed_requests_come_in_another_order(http: ModuleType, proxies: ModuleType) -> None:
    async def use(send: Callable[[str], Awaitable[bytes]]) -> None:
        await asyncio.gather(*(send(f"/{n}") for n in range(40)))

    reached, proxy = through(http, proxies, {"delay": 0.5}, use)
    assert sorted(reached) == sorted(f"/{n}" for n in range(40))
    assert 0 < proxy.counts["reorder"] <= proxy.counts["delay"]


def test_a_node_that_is_down_is_a_closed_connection(http: ModuleType, proxies: ModuleType) -> None:
    async def all_of_it() -> Any:
        door, behind = free_ports(2)
        proxy = proxies.Proxy({}, seed=1)
        async with await proxy.listen(door, behind):
            with pytest.raises(asyncio.IncompleteReadError):
                await http.exchange(door, http.request("GET", "/"), 5.0)
        return proxy

    assert asyncio.run(all_of_it()).counts["unreachable"] == 1


@dataclass(frozen=True)
class Storm:
    """A short run of all of it, as it was left.

    Attributes:
        result: events by kind and the verdict.
        lines: all that the referee was told, the question last.
    """

    result: dict[str, Any]
    lines: list[dict[str, Any]]

    def verdict(self) -> dict[str, Any]:
        """The verdict of a referee that is told the same."""
        referees = import_module("benchmarks._chaos_referee")
        referee = referees.Referee()
        for line in self.lines[:-1]:
            referee.hear(line)
        found: dict[str, Any] = referees.check(referee, self.lines[-1])
        return found

    def copy(self, folder: Path) -> Storm:
        """The same with stores of its own, to be changed."""
        lines: list[dict[str, Any]] = json.loads(json.dumps(self.lines))
        for node in lines[-1]["nodes"].values():
            left = Path(node["store"])
            for file in left.parent.glob(f"{left.name}*"):
                shutil.copy(file, folder)
            node["store"] = str(folder / left.name)
        return replace(self, lines=lines)

    def sql(self, agent: str, statement: str, *values: Any) -> list[Any]:
        """Read or change an agent's store."""
        with closing(sqlite3.connect(self.lines[-1]["nodes"][agent]["store"])) as store, store:
            return store.execute(statement, values).fetchall()

    def one(self, kind: str, where: str = "1") -> tuple[str, str, dict[str, Any]]:
        """Agent, handoff and body of some event of a kind."""
        for agent in self.lines[-1]["nodes"]:
            select = f"SELECT handoff_id, body FROM event WHERE kind=? AND {where}"  # noqa: S608
            for handoff, body in self.sql(agent, select, kind):
                return agent, handoff, json.loads(body)
        raise AssertionError(f"no {kind} where {where}")


@pytest.fixture(scope="module")
def storm(_benchmarks: None, tmp_path_factory: pytest.TempPathFactory) -> Storm:
    chaos = import_module("benchmarks.chaos")
    folder = tmp_path_factory.mktemp("chaos")
    result = chaos.storm(
        replace(chaos.QUICK, handoffs=300, every=0.5, kills=3, agents=3, seed=1), folder
    )
    told = (folder / chaos.TRANSCRIPT).read_text().splitlines()
    return Storm(result, [json.loads(line) for line in told])


@pytest.fixture
def left(storm: Storm, tmp_path: Path) -> Storm:
    """The storm's, to be changed."""
    return storm.copy(tmp_path)


def test_nothing_is_lost_or_learnt_twice(storm: Storm) -> None:
    found = storm.result
    assert found["violations"] == 0, found["shown"]
    assert found["kill -9"] >= 1
    assert found["events"]["decision"] >= 300
    for fault in ("duplicate", "drop_request", "drop_response", "delay", "reorder", "stale"):
        assert found[fault] > 0
    assert found["events"]["decision"] >= found["learnt"] + found["still_open"] > 250


def test_another_referee_comes_to_the_same_verdict(storm: Storm, left: Storm) -> None:
    found = left.verdict()
    assert found == {name: storm.result[name] for name in found}


def _drop_the_last_event(left: Storm) -> None:
    agent, *_ = left.one("outcome")
    last = "(SELECT max(seq) FROM event WHERE kind='outcome')"
    left.sql(agent, f"DELETE FROM event WHERE seq >= {last}")  # noqa: S608


def _change_a_reward(left: Storm) -> None:
    agent, handoff, body = left.one("outcome", "body LIKE '%target%'")
    changed = json.dumps({**body, "reward": body["reward"] + 1.0})
    left.sql(agent, "UPDATE event SET body=? WHERE once=?", changed, f"outcome:{handoff}")


def _change_a_quote(left: Storm) -> None:
    agent, handoff, body = left.one("quote", "body LIKE '%target%'")
    changed = json.dumps({**body, "quote": body["quote"] + 0.1})
    left.sql(agent, "UPDATE event SET body=? WHERE once=?", changed, f"quote:{handoff}")


def _change_a_value(left: Storm) -> None:
    agent, _, body = left.one("decision")
    cell = next(iter(left.lines[-1]["nodes"][agent]["table"][body["y"]].values()))
    cell[0] += 1e-6


def _count_a_step_too_many(left: Storm) -> None:
    agent, _, body = left.one("decision")
    cell = next(iter(left.lines[-1]["nodes"][agent]["table"][body["y"]].values()))
    cell[1] += 1


def _learn_twice(left: Storm) -> None:
    agent, handoff, _ = left.one("outcome", "body LIKE '%terminal%'")
    left.sql(
        agent,
        "INSERT INTO event SELECT (SELECT max(seq) + 1 FROM event), at, open, kind, agent,"
        " handoff_id, once || ':again', digest, link, salt, body FROM event WHERE once=?",
        f"outcome:{handoff}",
    )


def _forget_that_it_was_asked(left: Storm) -> None:
    _, handoff, _ = left.one("decision")
    left.lines[:] = [
        line
        for line in left.lines
        if "call" not in line
        or (line["call"]["do"], line["call"]["handoff_id"]) != ("decide", handoff)
    ]


def _close_what_is_open(left: Storm) -> None:
    done = "SELECT handoff_id FROM event WHERE kind IN ('outcome', 'expiry')"
    agent, handoff, _ = left.one("decision", f"handoff_id NOT IN ({done})")
    with closing(SqliteStore.open(left.lines[-1]["nodes"][agent]["store"])) as store:
        store.append(Event("mode", agent, handoff, "mode:x", 0.0, {}), closes=True)


def _leave_something_to_send(left: Storm) -> None:
    agent, handoff, _ = left.one("quote")
    left.sql(agent, "INSERT INTO outbox VALUES(1, ?, 'x', '1')", handoff)


def _answer_otherwise_later(left: Storm) -> None:
    line = next(line for line in left.lines if line["is"] == "ack" and "action" in line["answer"])
    again = json.loads(json.dumps(line))
    again["answer"]["propensity"] /= 2
    left.lines.insert(-1, again)


def _fail_inside(left: Storm) -> None:
    line = next(line for line in left.lines if line["is"] == "ack")
    left.lines.insert(-1, {**line, "is": "fault"})


@pytest.mark.parametrize(
    ("harm", "kinds"),
    [
        (_drop_the_last_event, {"lost", "table"}),
        (_change_a_reward, {"lost", "replay", "ledger"}),
        (_change_a_quote, {"quotes", "replay", "ledger"}),
        (_change_a_value, {"table"}),
        (_count_a_step_too_many, {"doubled", "table"}),
        (_learn_twice, {"replay", "ledger"}),
        (_forget_that_it_was_asked, {"invented"}),
        (_close_what_is_open, {"open", "replay"}),
        (_leave_something_to_send, {"open"}),
        (_answer_otherwise_later, {"told"}),
        (_fail_inside, {"told"}),
    ],
)
def test_the_referee_finds_what_is_wrong(
    left: Storm, harm: Callable[[Storm], None], kinds: set[str]
) -> None:
    harm(left)
    found = left.verdict()
    assert found["violations"] > 0
    assert {kind for kind in kinds if found[kind] > 0} == kinds
