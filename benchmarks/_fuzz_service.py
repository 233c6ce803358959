"""What is fuzzed of the service: several requests in a row, with any body, to the application."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from contextlib import suppress
from typing import Any, Final

from starlette.types import ASGIApp, Message

from batonq.base.errors import BatonqError
from batonq.node.team import Team
from batonq.service.app import application
from batonq.wire import messages
from benchmarks._fuzz_recipes import document_of

FRESH: Final = 500  # inputs after which a new team is made
ROUTES: Final = (
    "decide", "settle", "finish", "outcomes", "receive", "batch", "mode", "health", "declaration",
    "handoffs",
)  # fmt: skip
STATE: Final[dict[str, Any]] = {"kind": "bug", "body": "it crashes"}
FIRST: Final = {"agent": "intake", "state": STATE, "handoff_id": "h-1", "to": {"x": "peer"}}
DECIDE: Final = FIRST | {"default": "x", "hops": 1, "veto": [], "costs": {"x": {"usd": 1}}}
SETTLE: Final = {"handoff_id": "h-1", "reward": -0.1, "duration": 2.0, "artifact": STATE}
FINISH: Final = {"handoff_id": "h-1", "reward": 1.0}
OUTCOME: Final = {"handoff_id": "h-1", "key": "k", "reward": 0.5, "realised": 0.2, "source": "s"}
RECEIVE: Final = {
    "handoff_id": "r-1", "sender": "peer", "receiver": "search", "artifact": STATE,
}  # fmt: skip


def _calls(digest: str) -> list[Any]:
    """Requests to start from: (route, body) each."""
    receive = RECEIVE | {"declaration": digest}
    batch = [
        {"do": "decide", **FIRST, "handoff_id": "h-2"},
        {"do": "settle", **SETTLE, "handoff_id": "h-2"},
        {"do": "outcomes", **OUTCOME, "handoff_id": "h-2"},
    ]
    return [
        [["decide", DECIDE], ["settle", SETTLE], ["finish", FINISH], ["outcomes", OUTCOME]],
        [["receive", receive], ["receive", receive], ["handoffs", {}]],
        [["batch", {"calls": batch}], ["mode", {"mode": "apply", "by": "x"}]],
        [["decide", FIRST | {"to": ["search", "end"], "dry_run": True}], ["health", {}]],
    ]


class Service:
    """An application over a team in memory, made anew now and then."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)
        self._loop = asyncio.new_event_loop()
        self._count = 0
        self.team, self._app = self._make()
        self.calls = _calls(self.team.declaration.digest())

    def _make(self) -> tuple[Team, ASGIApp]:
        team = Team.open(None, gamma=0.95, mode="apply", seed=1)
        team.add("intake", lambda s: {"kind": s["kind"]}, to=["search", "peer", "end"])
        team.add("search", to=["intake", "end"])
        # Never reached: what is sent to it fails at once, and waits.
        team.peer("peer", "http://127.0.0.1:1", accepts="a" * 16, leak_bits=800, seconds=0.05)
        return team, application(team)

    def run(self, data: bytes) -> None:
        """Send what `data` describes; every answer is below 500 and keeps its form."""
        self._count += 1
        if self._count % FRESH == 0:
            self.team.close()
            self.team, self._app = self._make()
        try:
            calls = messages.parse(document_of(data, self.calls))
        except BatonqError:
            return
        for call in calls[:8] if isinstance(calls, list) else ():
            if isinstance(call, list) and len(call) == 2:
                self._one(call[0] if call[0] in ROUTES else "decide", call[1])
        for agent in self.team.agents.values():
            for row in agent.table().values():
                assert all(math.isfinite(value) for value, _ in row.values())

    def _one(self, route: str, body: Any) -> None:
        get = route in ("health", "declaration", "handoffs")
        path = f"/v1/{route}{'/h-1' if route == 'handoffs' else ''}"
        sent = b"" if get else json.dumps(body).encode()
        status, content = self._loop.run_until_complete(
            request(self._app, "GET" if get else "POST", path, sent)
        )
        assert status < 500, f"{status} from {path}: {content[:300]!r}"
        document = messages.parse(content)
        assert isinstance(document, dict)
        if status >= 400:
            assert document["status"] == status, document


async def request(app: ASGIApp, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """One request to an ASGI application."""
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }  # fmt: skip
    status, parts = 0, []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    with suppress(asyncio.CancelledError):
        await app(scope, receive, send)
    return status, b"".join(parts)
