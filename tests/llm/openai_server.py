"""An OpenAI-compatible server on a real socket, for tests: what it answers is written beforehand.

`serving(text, script)` gives a `Server`. `text` writes the reply to a request's body. `script` says
how the n-th request with the same prompt is answered, counted from 1; None is a plain answer. Its
parts are `whole`, `stream`, `status`, `raw`, `cut`, `reset`, `hold` below.

    def script(body, nth):
        return status(429, "slow down", {"retry-after": "1"}) if nth == 1 else None

    with serving(lambda body: "#### 42", script) as server:
        Endpoint(server.url, "some-model")

What it saw: `server.asked[prompt]`, `server.answered[prompt]`, `server.bodies`, `server.keys`.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Answer = Callable[["Handler", Body], None]
Script = Callable[[Body, int], Answer | None]
Text = Callable[[Body], str]

HOST = "127.0.0.1"


@dataclass
class Server:
    """What a server is told, and what it has seen."""

    text: Text
    script: Script
    url: str = ""
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    bodies: list[Body] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    held: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else every kept connection waits 40 ms an answer
    server: Any

    def do_POST(self) -> None:
        seen: Server = self.server.seen
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = prompt_of(body)
        with seen.lock:
            seen.asked[prompt] += 1
            nth = seen.asked[prompt]
            seen.bodies.append(body)
            seen.keys.append(self.headers.get("authorization"))
            seen.paths.append(self.path)
        answer = seen.script(body, nth) or (stream() if body.get("stream") else whole())
        with suppress(OSError):  # the caller may have gone
            answer(self, body)

    def send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        """One answer of a stated length."""
        self.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def pieces(self, content: list[bytes]) -> None:
        """An event stream, chunk by chunk, not ended."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for one in content:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(one), one))
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def prompt_of(body: Body) -> str:
    """What the user says in a request."""
    return str(body["messages"][-1]["content"])


def whole(
    text: str | None = None,
    finish: str = "stop",
    usage: tuple[int, int] | None = (7, 3),
    logprobs: bool = True,
) -> Answer:
    """A completion in one piece; `text` is the server's own where None."""

    def answer(handler: Handler, body: Body) -> None:
        said = handler.server.seen.text(body) if text is None else text
        told = completion(body, said, finish, usage, logprobs)
        _answered(handler, body)
        handler.send(200, json.dumps(told).encode(), {})

    return answer


def stream(
    finish: str = "stop", ends: bool = True, text: str | None = None, counts: bool = True
) -> Answer:
    """A completion as an event stream, a word a piece.

    Without its last event if not `ends`; without usage, asked for or not, if not `counts`.
    """

    def answer(handler: Handler, body: Body) -> None:
        said = handler.server.seen.text(body) if text is None else text
        pieces = events(body if counts else body | {"stream_options": None}, said, finish)
        if ends:
            _answered(handler, body)
        handler.pieces(pieces if ends else pieces[:-1])
        handler.wfile.write(b"0\r\n\r\n")

    return answer


def status(code: int, message: str = "no", headers: Mapping[str, str] | None = None) -> Answer:
    """A refusal as such servers put it."""
    content = json.dumps({"error": {"message": message, "type": "test"}}).encode()
    return raw(content, code, headers)


def raw(content: bytes, code: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Any bytes at all."""
    return lambda handler, body: handler.send(code, content, headers or {})


def cut(text: str = "half of an answer") -> Answer:
    """A connection reset in the middle of a stream."""

    def answer(handler: Handler, body: Body) -> None:
        handler.pieces(events(body, text, "stop")[:2])
        _reset(handler)

    return answer


def reset() -> Answer:
    """A connection reset before any answer."""
    return lambda handler, body: _reset(handler)


def hold() -> Answer:
    """No answer until `server.release` is set; `server.held` is raised when the request is in."""

    def answer(handler: Handler, body: Body) -> None:
        seen: Server = handler.server.seen
        seen.held.release()
        seen.release.wait()
        handler.close_connection = True

    return answer


def completion(
    body: Body, text: str, finish: str, usage: tuple[int, int] | None, logprobs: bool
) -> dict[str, Any]:
    """A completion as JSON."""
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish,
    }
    if logprobs and body.get("logprobs"):
        choice["logprobs"] = {"content": tokens(body, text)}
    told = {"id": "c-1", "object": "chat.completion", "model": body["model"], "choices": [choice]}
    return told if usage is None else told | {"usage": counted(usage)}


def events(body: Body, text: str, finish: str) -> list[bytes]:
    """A completion as server-sent events, `[DONE]` the last."""
    words = [one + " " for one in text.split(" ")]
    words[-1] = words[-1][:-1]
    told: list[dict[str, Any]] = []
    for word in words:
        choice: dict[str, Any] = {"index": 0, "delta": {"content": word}, "finish_reason": None}
        if body.get("logprobs"):
            choice["logprobs"] = {"content": tokens(body, word)}
        told.append({"choices": [choice]})
    told.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if body.get("stream_options"):
        told.append({"choices": [], "usage": counted((7, 3))})
    lines = [b": a comment\n\n", *(f"data: {json.dumps(one)}\n\n".encode() for one in told)]
    return [*lines, b"data: [DONE]\n\n"]


def tokens(body: Body, text: str) -> list[dict[str, Any]]:
    """Words of a text as tokens with their log-probability: -0.5, -1, -1.5, ..."""
    likely = [{"token": f"t{n}", "logprob": -0.5 * n} for n in range(body.get("top_logprobs", 0))]
    return [
        {"token": word, "logprob": -0.5 * (n + 1), "top_logprobs": likely}
        for n, word in enumerate(text.split())
    ]


def counted(usage: tuple[int, int]) -> dict[str, int]:
    """Token counts as servers tell them."""
    return {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}


@contextmanager
def serving(text: Text = lambda body: "fine", script: Script | None = None) -> Iterator[Server]:
    """A server that runs meanwhile."""
    seen = Server(text, script or (lambda body, nth: None))
    with _Listening((HOST, 0), Handler) as server:
        server.seen = seen
        seen.url = f"http://{HOST}:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield seen
        finally:
            seen.release.set()
            server.shutdown()
            thread.join()


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # idle connections of clients stay open
    request_queue_size = 64
    seen: Server

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # callers that go away are part of the tests


def _answered(handler: Handler, body: Body) -> None:
    with handler.server.seen.lock:
        handler.server.seen.answered[prompt_of(body)] += 1


def _reset(handler: Handler) -> None:
    linger = struct.pack("ii", 1, 0)  # closing sends a reset, no orderly end
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True
    os.close(handler.connection.detach())  # at once, whoever else holds the socket
