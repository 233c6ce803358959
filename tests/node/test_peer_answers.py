"""What a peer's answers may be, and that one ask is not disturbed by another's end."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from batonq.base.errors import RefusedError, WireError
from batonq.node.peers.line import LARGEST, UnreachableError
from batonq.node.peers.peer import Asked, Peer
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
            assert of.declaration == OURS  # it was fetched again, and has not changed
            assert (await second).value == 1.0

    asyncio.run(both())


def test_a_new_declaration_is_fetched_and_the_handoff_asked_anew(tmp_path: Path) -> None:
    def code_team(bits: int) -> Team:
        team = Team.open(None, gamma=0.9, bits=bits)
        team.add("code", to=["end"])
        team.peer("intake", "http://127.0.0.1:9", accepts=SHOWN)
        return team

    async def later(url: str, of: Peer) -> Asked:
        try:
            return await of.aask(intake.declaration, "b", "intake", 1)
        finally:
            await of.aclose()

    with Team.open(None, gamma=0.9) as intake:
        with code_team(8) as code, serving(code) as url:
            first = intake.peer("code", url, token=SHOWN)
            assert first.ask(intake.declaration, "a", "intake", 1).answer.bits == 8
        port = int(url.rpartition(":")[2])
        with code_team(4) as code, serving(code, port=port):
            assert first.ask(intake.declaration, "b", "intake", 1).answer.bits == 4
            other = Peer("code", url, SHOWN, declaration=first.declaration)
            assert asyncio.run(later(url, other)).answer.bits == 4
        first.close()


@pytest.mark.parametrize("long", [True, False])
def test_an_answer_too_long_or_packed_is_not_read(long: bool) -> None:
    """400 MB of spaces packed into 400 kB would be unpacked into memory by a plain client."""

    async def one() -> None:
        content = b" " * (LARGEST + 1) if long else gzip.compress(b" " * LARGEST * 50)
        async with peer(1, ("a", (200, content))) as of:
            with pytest.raises(WireError):
                await ask(of, "a")

    asyncio.run(one())


def test_a_peer_that_drips_is_given_up_in_time() -> None:
    """Each piece comes soon enough; all of them together do not."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError), closing(writer):
            await reader.readuntil(b"\r\n\r\n")
            for byte in b"HTTP/1.1 200 -\r\ncontent-length: 99\r\n\r\n" + b" " * 99:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)

    async def one() -> float:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        of, started = Peer("code", url, seconds=0.5), time.monotonic()
        with pytest.raises(UnreachableError):
            await ask(of, "a")
        await of.aclose()
        server.close()
        return time.monotonic() - started

    assert asyncio.run(one()) < 3.0  # byte by byte it would take seven seconds


def test_what_a_peer_says_is_logged_as_one_line() -> None:
    async def one() -> None:
        refusal = 403, b'{"detail": "no\\n2026 forged line\\u001b[31m"}'
        async with peer(1, ("a", refusal)) as of:
            with pytest.raises(RefusedError) as caught:
                await ask(of, "a")
            assert str(caught.value).isprintable()

    asyncio.run(one())


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
