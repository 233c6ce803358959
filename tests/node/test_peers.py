"""Agents of two organisations: two stores, real HTTP between them, one scalar across."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from batonq.icq import clocks
from batonq.node.event import ANSWER, QUOTE
from batonq.node.team import Team
from batonq.service.run import serving
from batonq.wire import scalar

GAMMA = 0.9
ASKING, CODE = "intake-shows-this-token", "code-shows-this-token-"
BUG = {"kind": "bug", "note": "for the code team's eyes"}


def code_team(path: Path, **options: Any) -> Team:
    team = Team.open(path, gamma=GAMMA, mode="apply", quote_range=(-1, 1), **options)
    team.add("code", lambda s: s["kind"], to=["end"], clock=clocks.constant(0.5))
    team.peer("intake", "http://127.0.0.1:9", accepts=ASKING)
    return team


def intake_team(path: Path, url: str, **options: Any) -> Team:
    peer = {name: options.pop(name) for name in ("token", "on_inflation") if name in options}
    options = {"gamma": GAMMA, "quote_range": (-1, 1), **options}
    team = Team.open(path, mode="apply", **options)
    team.add("intake", lambda s: s["kind"], to=["code"], clock=clocks.constant(0.5))
    team.peer("code", url, **{"token": ASKING, **peer})
    return team


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[tuple[Team, Team, str]]:
    with ExitStack() as stack:
        code = stack.enter_context(code_team(tmp_path / "code.db"))
        code.settle(code["code"].decide(BUG).id, 0.7)
        url = stack.enter_context(serving(code))
        intake = stack.enter_context(intake_team(tmp_path / "intake.db", url))
        yield intake, code, url


def test_a_quote_crosses_rounded_and_both_ledgers_hold_it(
    parties: tuple[Team, Team, str],
) -> None:
    intake, code, _ = parties
    handed = intake["intake"].decide(BUG)
    settled = intake.settle(handed.id, -0.1, 2.0, artifact=BUG)
    assert settled.learnt
    spacing = scalar.spacing(code.declaration.scalar)
    assert settled.quote == pytest.approx(0.35, abs=spacing / 2)
    assert settled.value == pytest.approx(0.5 * (-0.1 + GAMMA**2 * settled.quote), abs=1e-15)
    (got,) = [one for one in intake.store.events() if one.kind == QUOTE]
    (gave,) = [one for one in code.store.events() if one.kind == ANSWER]
    assert got.body["code"] == gave.body["code"]
    assert got.body["quote"] == gave.body["value"]
    assert got.handoff_id == gave.handoff_id == handed.id
    assert (intake.peers["code"].asked, code.peers["intake"].answered) == (1, 1)


def test_without_blocking_it_is_the_same(parties: tuple[Team, Team, str]) -> None:
    intake, _, _ = parties

    async def both() -> list[float | None]:
        ids = [intake["intake"].decide(BUG).id for _ in range(2)]
        done = [await intake.asettle(one, 0.0, artifact=BUG) for one in ids]
        await intake.peers["code"].aclose()
        return [one.quote for one in done]

    first, second = asyncio.run(both())
    assert first == second is not None


def test_an_exact_quote_crosses_bit_for_bit(tmp_path: Path) -> None:
    with ExitStack() as stack:
        code = stack.enter_context(code_team(tmp_path / "code.db", rounding="exact"))
        for reward in (0.1, 0.3):
            code.settle(code["code"].decide(BUG).id, reward)
        url = stack.enter_context(serving(code))
        intake = stack.enter_context(intake_team(tmp_path / "i.db", url, rounding="exact"))
        settled = intake.settle(intake["intake"].decide(BUG).id, 0.0, artifact=BUG)
        assert settled.quote == code["code"].table()['"bug"']["end"][0]


def test_a_peer_that_is_down_is_asked_again_and_nothing_is_lost(tmp_path: Path) -> None:
    with ExitStack() as stack:
        code = stack.enter_context(code_team(tmp_path / "code.db"))
        with serving(code) as url:
            pass
        path = tmp_path / "intake.db"
        with intake_team(path, url) as intake:
            handed = intake["intake"].decide(BUG)
            settled = intake.settle(handed.id, 0.5, artifact=BUG)
            assert settled.waiting
            assert intake.counts.unasked == 1
            assert intake.send_unsent() == 0
            assert intake.settle(handed.id, 0.5, artifact=BUG).repeated
        port = int(url.rpartition(":")[2])
        stack.enter_context(serving(code, port=port))
        with intake_team(path, url) as intake:  # after a restart
            assert intake.send_unsent() == 1
            assert intake.send_unsent() == 0
            ours = code.declaration.scalar
            quote = scalar.decode(ours, scalar.encode(ours, 0.0, 0.5))  # it has learnt nothing yet
            value = 0.5 * (0.5 + GAMMA * quote)
            assert intake["intake"].table() == {'"bug"': {"code": (pytest.approx(value), 1)}}
            assert intake.store.count_open() == 0


def test_units_that_differ_are_refused_and_the_handoff_waits(
    tmp_path: Path, parties: tuple[Team, Team, str]
) -> None:
    _, _, url = parties
    with intake_team(tmp_path / "other.db", url, reward_unit="usd") as intake:
        settled = intake.settle(intake["intake"].decide(BUG).id, 0.5, artifact=BUG)
        assert settled.waiting
        assert "reward_unit: ours 'usd', theirs 'reward'" in intake.counts.failure
        assert intake.store.unsent(10) == []
        assert intake["intake"].table() == {}


def test_a_wrong_token_is_refused(tmp_path: Path, parties: tuple[Team, Team, str]) -> None:
    _, code, url = parties
    with intake_team(tmp_path / "other.db", url, token="x" * 24) as intake:
        assert intake.settle(intake["intake"].decide(BUG).id, 0.5, artifact=BUG).waiting
        assert "401" in intake.counts.failure
        assert "x" * 24 not in intake.counts.failure + repr(intake.peers["code"])
    assert code.peers["intake"].answered == 0


def test_a_peer_that_promises_too_much_is_flagged_and_quarantined(
    tmp_path: Path, parties: tuple[Team, Team, str]
) -> None:
    """Its value of `bug` is .35, what comes of it is -.5."""
    _, code, url = parties
    options = {"on_inflation": "quarantine"}
    with intake_team(tmp_path / "strict.db", url, **options) as intake:
        peer = intake.peers["code"]
        for _ in range(200):
            handed = intake["intake"].decide(BUG, to=["code", "end"], default="end", veto=["end"])
            intake.settle(handed.id, 0.0, artifact=BUG)
            assert intake.realised(handed.id, -0.5)
            if peer.quarantined:
                break
        assert peer.flagged
        assert peer.quarantined
        assert not intake.realised(handed.id, -0.5)
        masked = intake["intake"].decide(BUG, to=["code", "end"]).masked
        assert masked == {"code": "'code' is quarantined"}
        evidence = peer.ledger.excess.mean
        assert math.isclose(evidence, 0.85, abs_tol=0.01)
        intake.release("code")
        assert not peer.quarantined
        assert intake["intake"].decide(BUG, to=["code", "end"]).masked == {}
        state = peer.to_json()
    with intake_team(tmp_path / "strict.db", url, **options) as intake:
        assert intake.peers["code"].to_json() == state
    del code
