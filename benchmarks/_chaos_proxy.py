"""A proxy that stands before every node and mistreats requests, as a process of its own.

`python -m benchmarks._chaos_proxy CONFIG` with JSON {"routes": {listen: upstream}, "seed": int,
"chances": {fault: chance}}. It says "ready" on standard output, obeys the line "calm" on standard
input (no more faults), and at the end of its input says how often each fault happened, as JSON.

A fault is counted when it happens, not when it is drawn: `reorder` counts requests that reached a
node after one that had arrived at the proxy later.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks._chaos_http import HOST, LARGEST, TROUBLE, exchange, read_message

DUPLICATE: Final = "duplicate"  # the node gets it twice
DROP_REQUEST: Final = "drop_request"  # the node never gets it
DROP_RESPONSE: Final = "drop_response"  # the node does it, its answer is lost
DELAY: Final = "delay"  # the node gets it later
STALE: Final = "stale"  # the node gets one of the last requests again
REORDER: Final = "reorder"  # a later request overtook it
CHANCES: Final = {
    DUPLICATE: 0.04,
    DROP_REQUEST: 0.03,
    DROP_RESPONSE: 0.03,
    DELAY: 0.15,
    STALE: 0.03,
}
LONGEST_DELAY: Final = 0.08  # seconds
REMEMBERED: Final = 100  # requests of a route, for `stale`
TIMEOUT: Final = 30.0  # seconds a node has for an answer


@dataclass
class Route:
    """What the proxy remembers of one node.

    Attributes:
        upstream: the node's port.
        arrived: requests that arrived for it.
        latest: arrival number of the latest request that was passed on.
        past: the last requests, as they were.
    """

    upstream: int
    arrived: int = 0
    latest: int = 0
    past: deque[bytes] = field(default_factory=lambda: deque(maxlen=REMEMBERED))


class Proxy:
    """Passes requests on, most of them unharmed."""

    def __init__(self, chances: Mapping[str, float], seed: int) -> None:
        self.chances = dict(chances)
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self._loose: set[asyncio.Task[None]] = set()

    def calm(self) -> None:
        """No more faults from now on."""
        self.chances.clear()

    async def listen(self, port: int, upstream: int) -> asyncio.Server:
        """Stand on `port` before the node on `upstream`."""
        route = Route(upstream)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while response := await self._pass_on(route, await read_message(reader)):
                    writer.write(response)
                    await writer.drain()
            except TROUBLE:
                pass
            finally:
                writer.close()

        return await asyncio.start_server(serve, HOST, port, limit=LARGEST)

    async def _pass_on(self, route: Route, message: bytes) -> bytes:
        """The response; empty where it is lost, which the sender sees as a closed connection."""
        route.arrived += 1
        number = route.arrived
        self.counts["requests"] += 1
        if self._happens(DROP_REQUEST):
            return b""
        if self._happens(DELAY):
            await asyncio.sleep(self.random.uniform(0.0, LONGEST_DELAY))
        if number < route.latest:
            self.counts[REORDER] += 1
        route.latest = max(route.latest, number)
        again = self._happens(DUPLICATE)
        at_once = again and self.random.random() < 0.5  # else one after the other
        if route.past and self._happens(STALE):
            self._send_aside(route, self.random.choice(route.past))
        route.past.append(message)
        if at_once:
            self._send_aside(route, message)
        try:
            response = await exchange(route.upstream, message, TIMEOUT)
            if again and not at_once:
                self._send_aside(route, message)
        except TROUBLE:
            self.counts["unreachable"] += 1
            return b""
        return b"" if self._happens(DROP_RESPONSE) else response

    def _happens(self, fault: str) -> bool:
        happens = self.random.random() < self.chances.get(fault, 0.0)
        self.counts[fault] += happens
        return happens

    def _send_aside(self, route: Route, message: bytes) -> None:
        """Send it without anybody waiting for the answer."""

        async def send() -> None:
            try:
                await exchange(route.upstream, message, TIMEOUT)
            except TROUBLE:
                self.counts["unreachable"] += 1

        task = asyncio.create_task(send())
        self._loose.add(task)
        task.add_done_callback(self._loose.discard)

    async def settle(self) -> None:
        """Wait for what was sent aside."""
        while self._loose:
            await asyncio.gather(*self._loose, return_exceptions=True)


async def serve(config: Mapping[str, object]) -> None:
    """Stand before the nodes until standard input ends."""
    chances, routes, seed = config["chances"], config["routes"], config["seed"]
    assert isinstance(chances, dict) and isinstance(routes, dict) and isinstance(seed, int)
    proxy = Proxy(chances, seed)
    servers = [await proxy.listen(int(port), int(to)) for port, to in routes.items()]
    print("ready", flush=True)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        if line.strip() == b"calm":
            proxy.calm()
            await proxy.settle()
            print("calm", flush=True)
    for server in servers:
        server.close()
    print(json.dumps(proxy.counts), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
