"""HTTP/1.1 as it passes by: where messages begin and end in a stream of bytes, and what is in them.

For counting only: bodies of a stated length, as the nodes of the demo send them. A stream that
cannot be read that way is reported as such and never guessed at.
"""

from __future__ import annotations

from dataclasses import dataclass

END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True)
class Message:
    """One request or response.

    Attributes:
        start: its first line, such as "POST /v1/receive HTTP/1.1".
        head: bytes of the first line, the headers and the empty line.
        body: what follows.
    """

    start: str
    head: int
    body: bytes


class Reader:
    """Cuts one direction of a connection into messages.

    Attributes:
        readable: false from the first message on whose length it cannot tell.
    """

    def __init__(self) -> None:
        self.readable = True
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete."""
        if not self.readable:
            return []
        self._bytes += data
        found: list[Message] = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> Message | None:
        end = self._bytes.find(END_OF_HEAD)
        if end < 0:
            return None
        head = end + len(END_OF_HEAD)
        start, *headers = bytes(self._bytes[:end]).decode("latin-1").split("\r\n")
        length = _length(headers)
        if length is None:
            self.readable = False
            self._bytes.clear()
            return None
        if len(self._bytes) < head + length:
            return None
        message = Message(start, head, bytes(self._bytes[head : head + length]))
        del self._bytes[: head + length]
        return message


def _length(headers: list[str]) -> int | None:
    """The length of the body; None if the headers do not tell."""
    named = dict(line.lower().partition(":")[::2] for line in headers)
    if "transfer-encoding" in named:
        return None
    value = named.get("content-length", "0").strip()
    return int(value) if value.isdigit() else None
