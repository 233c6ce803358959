"""What a peer's answers may be, and that one ask is not disturbed by another's end."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from batonq.base.errors import RefusedError
from batonq.node.peer import Asked, Peer, UnreachableError
from batonq.node.team import Team
from batonq.service.run import serving
from batonq.wire.declaration import Declaration
from batonq.wire.scalar import Scalar

OURS = Declaration(Scalar(-1.0, 1.0), 0.9, "step", "reward", 1.0)
SHOWN = "a-token-of-intake-to-code"
REFUSED = 403, b'{"detail": "no"}'


def answer(handoff_id: str, code: int) -> tuple[int, bytes]:
    return 200, json.dumps({"handoff_id": handoff_id, "code": code, "bits": 8}).encode()


@asynccontextmanager
async def peer(
    together: int, *answers: tuple[str, tuple[int, bytes] | None]
) -> AsyncIterator[Peer]:
    """A peer that gives answers in the order listed, once `together` handoffs were asked for.

    None closes the connection.
    """
    left, asked = list(answers), set[str]()

    async def answered(body: bytes) -> tuple[int, bytes] | None:
        name = json.loads(body)["handoff_id"]
        asked.add(name)
        while len(asked) < together or left[0][0] != name:
            await asyncio.sleep(0.001)
        return left.pop(0)[1]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError), closing(writer):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                given: tuple[int, bytes] | None = 200, json.dumps(OURS.document()).encode()
                if head.startswith(b"POST"):
                    (length,) = re.findall(rb"content-length: (\d+)", head.lower())
                    given = await answered(await reader.readexactly(int(length)))
                if given is None:
                    return
                status, content = given
                told = f"HTTP/1.1 {status} -\r\ncontent-length: {len(content)}\r\n\r\n"
                writer.write(told.encode() + content)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made = Peer("code", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield made
    finally:
        await made.aclose()
        server.close()


def ask(of: Peer, handoff_id: str) -> asyncio.Task[Asked]:
    return asyncio.create_task(of.aask(OURS, handoff_id, "intake", {"kind": "bug"}))


def test_a_refusal_does_not_disturb_an_ask_under_way() -> None:
    async def both() -> None:
        async with peer(2, ("a", REFUSED), ("b", answer("b", 255))) as of:
            first, second = ask(of, "a"), ask(of, "b")
            with pytest.raises(RefusedError):
                await first
            assert of.declaration is None  # it is fetched again before the next ask
            assert (await second).value == 1.0

    asyncio.run(both())


def test_what_cannot_be_reached_is_no_strike() -> None:
    async def all_of_it() -> None:
        down = 503, b"{}"
        answers = ("a", down), ("b", None), ("c", (200, b"?")), ("d", answer("d", 0))
        async with peer(1, *answers) as of:
            for name in "ab":
                with pytest.raises(UnreachableError):
                    await ask(of, name)
            assert (of.failures, of.strikes) == (2, 0)
            with pytest.raises(Exception, match="JSON"):
                await ask(of, "c")
            assert (of.failures, of.strikes) == (2, 1)
            assert (await ask(of, "d")).value == -1.0

    asyncio.run(all_of_it())


def test_a_peer_that_is_down_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    with ExitStack() as stack:
        code = stack.enter_context(Team.open(None, gamma=0.9, name="code"))
        code.add("code", to=["end"])
        code.peer("intake", "http://127.0.0.1:9", accepts=SHOWN)
        url = stack.enter_context(serving(code))
        intake = stack.enter_context(Team.open(tmp_path / "intake.db", gamma=0.9))
        intake.add("intake", to=["gone", "code"])
        gone = intake.peer("gone", "http://127.0.0.1:9")
        there = intake.peer("code", url, token=SHOWN)
        for _ in range(30):
            intake.settle(intake["intake"].decide(1, ["gone"]).id, artifact=1)
        with intake.store.transaction():  # as if `code` had been down too
            late = intake["intake"].decide(1, ["code"])
            intake.settle(late.id)
            intake.store.to_send(late.id, "code", 1)
        assert gone.failures == 30
        assert intake.send_unsent(10) == 0
        assert gone.failures == 31

        async def once_more() -> int:
            came = await intake.asend_unsent(30)
            for one in (gone, there):
                await one.aclose()
            return came

        assert asyncio.run(once_more()) == 1
        assert (gone.failures, there.failures) == (32, 0)
        assert len(intake.store.unsent(100)) == intake.store.count_open() == 30
