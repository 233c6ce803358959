"""The proxy on real sockets: bytes to the last one, what they were, and what breaks off."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.demo.http1 import Reader
from batonq.demo.proxy import HOST, Proxy, Tally
from batonq.wire.messages import Answer, Ask, body

DIGEST = "0" * 64


class Quoting(BaseHTTPRequestHandler):
    """Answers asks with a quote, and counts the bytes it gets and gives."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        refused = asked["artifact"] == "refuse"
        answer = b'{"detail":"no"}' if refused else body(Answer(asked["handoff_id"], 200, 8))
        self._answer(409 if refused else 200, answer)

    def do_GET(self) -> None:
        self._answer(200, b'{"units":"points"}')

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def serving() -> Iterator[int]:
    with ThreadingHTTPServer((HOST, 0), Quoting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_messages_are_told_apart_and_add_up_to_the_bytes_that_crossed() -> None:
    artifact = {"note": "vague"}
    ask = Ask("h-1", "intake", "search", artifact, DIGEST)
    headers = {"content-type": "application/json"}
    second = body(Ask("h-2", "intake", "search", "refuse", DIGEST))
    with (
        serving() as port,
        Proxy([("intake", "search")], {"search": port}) as proxy,
        httpx.Client(base_url=proxy.url("intake", "search"), headers=headers) as client,
    ):
        declared = client.get("/v1/declaration")
        quoted = client.post("/v1/receive", content=body(ask))
        refused = client.post("/v1/receive", content=second)
    tally = proxy.tallies["intake", "search"]
    assert quoted.json() == {"handoff_id": "h-1", "code": 200, "bits": 8}
    assert (tally.quotes, tally.bits, tally.scalar) == (1, 8, len("200"))
    assert tally.handoffs == {"h-1"}
    assert tally.artifact == len('{"note":"vague"}') + len('"refuse"')
    assert tally.artifacts == {json.dumps(artifact), '"refuse"'}
    assert tally.other == len(declared.content) + len(refused.content)
    asks = len(body(ask)) + len(second)
    assert tally.protocol == asks - tally.artifact + len(quoted.content) - tally.scalar
    heads = sum(
        len(raw_head(message))
        for response in (declared, quoted, refused)
        for message in (response, response.request)
    )
    assert tally.heads == heads
    assert tally.broken == 0
    assert tally.unread == 0


def raw_head(message: httpx.Request | httpx.Response) -> bytes:
    """The head of a message as httpx knows it, byte by byte."""
    if isinstance(message, httpx.Request):
        start = b"%s %s HTTP/1.1" % (message.method.encode(), message.url.raw_path)
    else:
        start = f"HTTP/1.1 {message.status_code} {message.reason_phrase}".encode()
    lines = [start, *(b"%s: %s" % pair for pair in message.headers.raw)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def test_every_byte_is_counted_in_both_directions() -> None:
    """Of what is no HTTP at all, with sizes no buffer divides."""
    there, back = 270_001, 330_007

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            got = 0
            while got < there:
                got += len(connection.recv(1 << 16))
            connection.sendall(b"y" * back)

    with socket.create_server((HOST, 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,))
        thread.start()
        with Proxy([("a", "b")], {"b": listening.getsockname()[1]}) as proxy:
            port = int(proxy.url("a", "b").rpartition(":")[2])
            with socket.create_connection((HOST, port), timeout=5) as sender:
                sender.sendall(b"x" * there)
                got = 0
                while data := sender.recv(1 << 16):
                    got += len(data)
        thread.join(5)
    tally = proxy.tallies["a", "b"]
    assert (tally.there, tally.back, got) == (there, back, back)
    assert tally.broken == tally.total == there + back


def test_a_receiver_that_is_away_looks_like_a_closed_connection() -> None:
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
    with Proxy([("a", "b")], {"b": port}) as proxy:
        with pytest.raises(httpx.TransportError):
            httpx.get(proxy.url("a", "b"))
        with serving_at(port):
            assert httpx.get(proxy.url("a", "b")).status_code == 200


@contextmanager
def serving_at(port: int) -> Iterator[None]:
    with ThreadingHTTPServer((HOST, port), Quoting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_closing_ends_connections_that_are_open() -> None:
    with serving() as port:
        with Proxy([("a", "b")], {"b": port}) as proxy:
            where = int(proxy.url("a", "b").rpartition(":")[2])
            sender = socket.create_connection((HOST, where))
        with sender:
            sender.settimeout(5)
            with suppress(ConnectionResetError):  # if it had not been accepted yet
                assert sender.recv(1) == b""
    assert "proxy" not in [thread.name for thread in threading.enumerate()]


@given(st.lists(st.binary(max_size=300), max_size=5), st.data())
def test_a_reader_finds_the_same_messages_however_the_stream_is_cut(
    bodies: list[bytes], data: st.DataObject
) -> None:
    heads = [b"POST /%d HTTP/1.1\r\nA: b\r\nContent-Length: %d\r\n\r\n" % (k, len(one))
             for k, one in enumerate(bodies)]  # fmt: skip
    stream = b"".join(head + one for head, one in zip(heads, bodies, strict=True))
    reader, found = Reader(), []
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, len(stream) - at))
        found += reader.feed(stream[at : at + size])
        at += size
    assert [one.body for one in found] == bodies
    assert [one.head for one in found] == [len(head) for head in heads]


def test_a_stream_of_unknown_length_is_counted_but_not_read() -> None:
    reader = Reader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello") == []
    assert not reader.readable
    assert reader.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") == []


def test_tallies_add_up() -> None:
    first, second = Tally(there=3, quotes=1, artifacts={"a"}), Tally(back=4, artifacts={"b"})
    both = first + second
    assert (both.there, both.back, both.quotes, both.artifacts) == (3, 4, 1, {"a", "b"})
    assert both.total == 7
