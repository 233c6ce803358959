"""Chaos, short: what `benchmarks/chaos.py` does at length, and whether its parts tell the truth."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


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
        door, behind = http.free_ports(2, random.Random(1))
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
        door, behind = http.free_ports(2, random.Random(2))
        proxy = proxies.Proxy({}, seed=1)
        async with await proxy.listen(door, behind):
            with pytest.raises(asyncio.IncompleteReadError):
                await http.exchange(door, http.request("GET", "/"), 5.0)
        return proxy

    assert asyncio.run(all_of_it()).counts["unreachable"] == 1
