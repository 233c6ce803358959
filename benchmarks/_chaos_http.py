"""The little of HTTP that the chaos benchmark needs, for its proxy and its pipeline.

Messages are handled as bytes, so that what is sent twice is the same to the last byte. Only bodies
with a content-length are understood: the routes used here send no others.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

HOST: Final = "127.0.0.1"
LARGEST: Final = 1 << 24  # bytes of a head or a body
TROUBLE: Final = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError)


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """One whole request or response.

    Raises:
        asyncio.IncompleteReadError: if the other side closed before its end.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length) if length else head


async def exchange(port: int, message: bytes, timeout: float) -> bytes:
    """Send a request on a connection of its own; returns the response.

    Raises:
        OSError, asyncio.IncompleteReadError, TimeoutError: if no whole response comes in time.
    """

    async def there_and_back() -> bytes:
        reader, writer = await asyncio.open_connection(HOST, port, limit=LARGEST)
        try:
            writer.write(message)
            await writer.drain()
            return await read_message(reader)
        finally:
            writer.close()

    return await asyncio.wait_for(there_and_back(), timeout)


def request(method: str, path: str, body: Any = None, token: str = "") -> bytes:
    """The bytes of a request with a JSON body, or without one if `body` is None."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", f"host: {HOST}", f"content-length: {len(content)}"]
    if body is not None:
        lines.append("content-type: application/json")
    if token:
        lines.append(f"authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode() + content


def parse(response: bytes) -> tuple[int, Any]:
    """Status and JSON body of a response; None where there is no body."""
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), json.loads(body) if body else None
