"""A client that keeps a server busy: some keep-alive connections, each with one call under way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

CONNECTIONS: Final = 8
HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length: "


def request(path: str, body: Any, token: str) -> bytes:
    """A POST as it is sent."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Connection(asyncio.Protocol):
    """Sends the next of the requests when the answer to the one before is all there."""

    def __init__(self, requests: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self.answers: list[bytes] = []
        self._requests = requests
        self.done = done
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._got += data
        end = self._got.find(HEAD_END)
        if end < 0:
            return
        head = self._got[:end].lower()
        at = head.index(LENGTH) + len(LENGTH)
        length = int(head[at:].split(b"\r\n", 1)[0])
        if len(self._got) >= end + len(HEAD_END) + length:
            self.answers.append(self._got)
            self._got = b""
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))

    def _next(self) -> None:
        sent = next(self._requests, None)
        if sent is not None:
            self._transport.write(sent)
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()


async def _exchange(port: int, requests: Iterable[bytes], connections: int) -> list[bytes]:
    loop = asyncio.get_running_loop()
    shared = iter(requests)
    kept = [Connection(shared, loop.create_future()) for _ in range(connections)]
    for one in kept:
        await loop.create_connection(partial(_same, one), "127.0.0.1", port)
    await asyncio.gather(*(one.done for one in kept))
    return [answer for one in kept for answer in one.answers]


def _same(connection: Connection) -> Connection:
    return connection


def exchange(port: int, requests: Sequence[bytes], connections: int = CONNECTIONS) -> list[Any]:
    """Send all requests; returns the answers' bodies, in the order in which they came.

    Raises:
        AssertionError: if one is not 200.
    """
    answers = asyncio.run(_exchange(port, requests, connections))
    assert len(answers) == len(requests)
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 200"), answer
    return [json.loads(answer.split(HEAD_END, 1)[1]) for answer in answers]
