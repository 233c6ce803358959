"""A proxy between the agents, which counts every byte that crosses and says what it was.

Each pair of sender and receiver has a port of its own. Bytes are passed on as they come; beside
that, the messages in them are read, to tell artifact, learning scalar and protocol apart.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from batonq.base.errors import WireError
from batonq.demo.http1 import Message, Reader
from batonq.wire.messages import Answer, Ask, parse, sizes

HOST: Final = "127.0.0.1"
CHUNK: Final = 1 << 16


@dataclass
class Tally:
    """What crossed between one sender and one receiver, in bytes.

    Attributes:
        there: bytes from the sender to the receiver.
        back: bytes from the receiver to the sender.
        quotes: asks that were answered with a quote.
        bits: of the learning scalars in the answers.
        scalar: what these take as they are written.
        artifact: of the artifacts, as they are written.
        protocol: the rest of asks and answers: names, ids, punctuation.
        heads: first lines and headers of all requests and responses.
        other: bodies of all else: declarations, errors.
        unread: connections that could be counted but not read.
        artifacts: the different artifacts, as JSON.
        handoffs: the different handoffs that were quoted; a quote may be asked for again.
        lock: to be held while it is changed.
    """

    there: int = 0
    back: int = 0
    quotes: int = 0
    bits: int = 0
    scalar: int = 0
    artifact: int = 0
    protocol: int = 0
    heads: int = 0
    other: int = 0
    unread: int = 0
    artifacts: set[str] = field(default_factory=set)
    handoffs: set[str] = field(default_factory=set)
    lock: threading.Lock = field(
        default_factory=threading.Lock, init=False, repr=False, compare=False
    )

    @property
    def total(self) -> int:
        """All bytes, both ways."""
        return self.there + self.back

    @property
    def broken(self) -> int:
        """Bytes of messages that were broken off, as by a kill, or could not be read."""
        told = self.scalar + self.artifact + self.protocol + self.heads + self.other
        return self.total - told

    def __add__(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            **{name: count + other.counts[name] for name, count in self.counts.items()},
            artifacts=self.artifacts | other.artifacts,
            handoffs=self.handoffs | other.handoffs,
        )

    @property
    def counts(self) -> dict[str, int]:
        """All that is a number, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}


class _Connection:
    """One connection's two streams, read side by side."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._asks, self._answers = Reader(), Reader()
        self._waiting: deque[bool] = deque()  # whether each open request was an ask

    def sent(self, data: bytes) -> None:
        """Bytes of the sender."""
        with self._tally.lock:  # one pair may have several connections
            self._tally.there += len(data)
            for message in self._read(self._asks, data):
                self._waiting.append(self._ask(message))

    def answered(self, data: bytes) -> None:
        """Bytes of the receiver."""
        with self._tally.lock:
            self._tally.back += len(data)
            for message in self._read(self._answers, data):
                self._answer(message, bool(self._waiting) and self._waiting.popleft())

    def _read(self, reader: Reader, data: bytes) -> Iterable[Message]:
        before = reader.readable
        found = reader.feed(data)
        self._tally.unread += before and not reader.readable
        self._tally.heads += sum(message.head for message in found)
        return found

    def _ask(self, message: Message) -> bool:
        tally = self._tally
        with suppress(WireError):
            if message.start.startswith("POST ") and message.body:
                ask = Ask.from_document(parse(message.body))
                written = sizes(ask)
                tally.artifact += written.artifact_bytes
                tally.protocol += len(message.body) - written.artifact_bytes
                tally.artifacts.add(json.dumps(ask.artifact, sort_keys=True))
                return True
        tally.other += len(message.body)
        return False

    def _answer(self, message: Message, to_ask: bool) -> None:
        tally = self._tally
        with suppress(WireError):
            if to_ask and " 200" in message.start:
                answer = Answer.from_document(parse(message.body))
                written = sizes(answer)
                tally.quotes += 1
                tally.handoffs.add(answer.handoff_id)
                tally.bits += written.scalar_bits
                tally.scalar += written.scalar_bytes
                tally.protocol += len(message.body) - written.scalar_bytes
                return
        tally.other += len(message.body)


class _Passing(socketserver.BaseRequestHandler):
    """Passes the bytes of one connection on, both ways, until either side closes."""

    server: _Port

    def handle(self) -> None:
        """Connect to the receiver; one that is away looks like a connection that is closed."""
        sender, seen = self.request, _Connection(self.server.tally)
        with suppress(OSError), socket.create_connection(self.server.leads_to) as receiver:
            for one in (sender, receiver):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # no waiting for more
            back = threading.Thread(
                target=_pass_on, args=(receiver, sender, seen.answered), name="proxy-back"
            )
            back.start()
            _pass_on(sender, receiver, seen.sent)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket, seen: Callable[[bytes], None]) -> None:
    """Pass bytes on until there are no more, and then end the other direction as well."""
    with suppress(OSError):
        while data := source.recv(CHUNK):
            seen(data)
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


class _Port(socketserver.ThreadingTCPServer):
    """The port of one pair.

    Attributes:
        leads_to: host and port where the receiver really listens.
        tally: what crossed.
        senders: their sockets.
    """

    daemon_threads = False  # closing waits for them
    allow_reuse_address = True

    def __init__(self, leads_to: tuple[str, int], tally: Tally) -> None:
        super().__init__((HOST, 0), _Passing)
        self.leads_to, self.tally = leads_to, tally
        self.senders: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="proxy")
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note the connection before its thread begins, so that none is overlooked by `end`."""
        self.senders.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close it."""
        self.senders.discard(request)
        super().shutdown_request(request)

    def end(self) -> None:
        """Take no more connections and end those there are."""
        self.shutdown()
        self._thread.join()
        for one in list(self.senders):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.server_close()


class Proxy:
    """Ports that lead to the agents, one for each pair of sender and receiver.

    A context manager: it passes bytes on, in threads of its own, until it is left.

    Attributes:
        tallies: what crossed, by (sender, receiver).
    """

    def __init__(self, pairs: Iterable[tuple[str, str]], ports: Mapping[str, int]) -> None:
        """Open a port for each pair.

        Args:
            pairs: (sender, receiver).
            ports: by receiver, the port on this machine where it really listens.
        """
        self.tallies = {pair: Tally() for pair in pairs}
        self._ports = {
            pair: _Port((HOST, ports[pair[1]]), tally) for pair, tally in self.tallies.items()
        }

    def url(self, sender: str, receiver: str) -> str:
        """Where the sender finds the receiver."""
        return f"http://{HOST}:{self._ports[sender, receiver].server_address[1]}"

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_error: object) -> None:
        for port in self._ports.values():
            port.end()
