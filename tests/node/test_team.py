"""A team: what it decides, learns and keeps, against cases solved by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batonq.base.errors import (
    ConflictError,
    DataError,
    ModelError,
    RefusedError,
    StoreError,
    UnknownError,
)
from batonq.icq import clocks
from batonq.node.event import DECISION, MODE, OUTCOME
from batonq.node.exploration import Exploration
from batonq.node.learning import Learner, Learning, replay
from batonq.node.limits import Limits
from batonq.node.team import END, Team

GAMMA = 0.9


def kind(state: dict[str, Any]) -> dict[str, Any]:
    return {"kind": state["kind"]}


def opened(path: Path | None = None, **options: Any) -> Team:
    options = {"gamma": GAMMA, "mode": "apply", "seed": 1, **options}
    team = Team.open(path, **options)
    half = clocks.constant(0.5)
    team.add("intake", kind, to=["search", "code"], clock=half)
    team.add("search", kind, to=["search", "code", END], clock=half)
    team.add("code", kind, to=[END], clock=half)
    return team


@pytest.fixture(params=["memory", "file"])
def team(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Team]:
    made = opened(None if request.param == "memory" else tmp_path / "desk.db")
    yield made
    made.close()


BUG = {"kind": "bug"}
KEY = '{"kind":"bug"}'


def test_one_step_of_learning_is_that_of_the_theory(team: Team) -> None:
    team.settle(team["code"].decide(BUG).id, 1.0, 3.0)  # "end": terminal
    assert team["code"].table() == {KEY: {END: (0.5, 1)}}
    handed = team["intake"].decide(BUG, default="code", veto=["search"])
    settled = team.settle(handed.id, -0.1, 2.0)
    assert settled.learnt
    assert settled.quote == 0.5
    assert settled.value == 0.5 * (-0.1 + math.pow(GAMMA, 2.0) * 0.5)
    assert team["intake"].table() == {KEY: {"code": (settled.value, 1)}}


def test_an_agent_that_keeps_control_bootstraps_on_what_it_sees_after_its_work(team: Team) -> None:
    team.settle(team["search"].decide({"kind": "found"}, to=[END]).id, 1.0)
    work = team["search"].decide(BUG, to=["search"])
    with pytest.raises(DataError, match="keeps control; give `artifact`"):
        team.settle(work.id, -0.2, 1.0)
    settled = team.settle(work.id, -0.2, 1.0, artifact={"kind": "found"})
    assert settled.quote == 0.5
    assert settled.value == 0.5 * (-0.2 + GAMMA * 0.5)


def test_settling_twice_learns_once_and_another_content_is_refused(team: Team) -> None:
    handed = team["intake"].decide(BUG)
    first = team.settle(handed.id, -0.1, 2.0)
    table = team["intake"].table()
    again = team.settle(handed.id, -0.1, 2.0)
    assert (first.repeated, again.repeated, again.learnt) == (False, True, True)
    with pytest.raises(ConflictError, match="use outcomes"):
        team.settle(handed.id, -0.2, 2.0)
    assert team["intake"].table() == table
    assert sum(one.kind == OUTCOME for one in team.store.events()) == 1


def test_a_missing_quote_is_waited_for_and_never_nought(team: Team) -> None:
    handed = team["intake"].decide(BUG, to=["elsewhere"])
    settled = team.settle(handed.id, 1.0, 2.0)
    assert settled.waiting
    assert not settled.learnt
    assert team["intake"].table() == {}
    assert team.store.count_open() == 1
    late = team.quoted(handed.id, 0.8)
    assert late.learnt
    assert late.value == 0.5 * (1.0 + math.pow(GAMMA, 2.0) * 0.8)
    assert team.store.count_open() == 0
    assert team.quoted(handed.id, 0.8).repeated
    with pytest.raises(ConflictError, match="already"):
        team.quoted(handed.id, 0.7)


def test_a_quote_may_come_before_the_outcome(team: Team) -> None:
    handed = team["intake"].decide(BUG, to=["elsewhere"])
    assert not team.quoted(handed.id, 0.8).learnt
    settled = team.settle(handed.id, 1.0, 1.0)
    assert settled.value == 0.5 * (1.0 + GAMMA * 0.8)
    assert team.store.count_open() == 0


def test_finish_after_settle_adds_the_reward_from_there_and_takes_the_quote_back(
    team: Team,
) -> None:
    team.settle(team["code"].decide(BUG).id, 1.0)
    handed = team["intake"].decide(BUG, veto=["search"])
    team.settle(handed.id, -0.1, 2.0)
    done = team.finish(handed.id, 1.0, 4.0)
    assert done.learnt
    assert done.value == pytest.approx(0.5 * (-0.1 + GAMMA**2 * 1.0), abs=1e-15)
    assert team.finish(handed.id, 1.0, 4.0).repeated
    with pytest.raises(ConflictError, match="finished with reward 1"):
        team.finish(handed.id, 2.0, 4.0)


def test_a_correction_gives_what_the_right_reward_would_have_given(team: Team) -> None:
    """With three updates of a pair, correcting the first equals having had it right."""
    wrong, right = team["code"], opened()["code"]
    ids = [wrong.decide(BUG).id for _ in range(3)]
    for k, one in enumerate(ids):
        team.finish(one, [5.0, 0.3, 0.7][k])
    settled = team.revise(ids[0], key="typo", reward=0.5, source="a person")
    other = right._core
    for reward in (0.5, 0.3, 0.7):
        from batonq.node import settling

        settling.settle(other, right.decide(BUG).id, reward, 1.0)
    assert settled.value == pytest.approx(right.table()[KEY][END][0], abs=1e-12)
    assert team.revise(ids[0], key="typo", reward=0.5).repeated
    with pytest.raises(ConflictError, match="key 'typo'"):
        team.revise(ids[0], key="typo", reward=0.6)


def test_a_correction_of_what_still_waits_counts_when_the_quote_comes(team: Team) -> None:
    handed = team["intake"].decide(BUG, to=["elsewhere"])
    team.settle(handed.id, 1.0, 1.0)
    assert team.revise(handed.id, key="a", reward=0.0).waiting
    assert team.quoted(handed.id, 0.8).value == pytest.approx(0.5 * GAMMA * 0.8)


def test_what_waited_and_ended_after_all_is_learnt_without_a_quote(team: Team) -> None:
    handed = team["intake"].decide(BUG, to=["elsewhere"])
    team.settle(handed.id, 0.2, 1.0)
    assert team.finish(handed.id, 1.0).value == pytest.approx(0.5 * (0.2 + GAMMA))
    assert team.quoted(handed.id, 0.8).repeated  # too late, and of no matter
    assert team.store.count_open() == 0


def test_expiry_learns_from_the_last_quote_of_the_pair_with_half_weight(team: Team) -> None:
    first = team["intake"].decide(BUG, to=["elsewhere"])
    team.settle(first.id, 0.0, 1.0)
    value = team.quoted(first.id, 1.0).value
    lost, unsettled, new = (
        team["intake"].decide({"kind": one}, to=["elsewhere"]) for one in ("bug", "bug", "new")
    )
    team.settle(lost.id, 0.0, 1.0)
    team.settle(new.id, 0.0, 1.0)
    assert team.expire(now=team.core.clock() + 4_000) == 3
    expected = value + 0.5 * 0.5 * (GAMMA - value)
    assert team["intake"].table()[KEY]["elsewhere"][0] == pytest.approx(expected)
    assert '{"kind":"new"}' not in team["intake"].table()  # no quote known: not learnt from
    assert team.store.count_open() == 0
    late = team.quoted(lost.id, 0.4)  # replaces the stale one
    assert late.learnt
    corrected = value + 0.5 * 0.5 * (GAMMA * 0.4 - value)
    assert team["intake"].table()[KEY]["elsewhere"][0] == pytest.approx(corrected)
    assert team.settle(unsettled.id, 1.0, 1.0, quote=0.0).learnt


def test_an_outcome_after_the_expiry_waits_for_nothing(team: Team) -> None:
    handed = team["intake"].decide(BUG, to=["elsewhere"])
    team.expire(now=team.core.clock() + 4_000)
    late = team.settle(handed.id, 1.0, 1.0)
    assert (late.learnt, late.waiting) == (False, False)
    assert not team.settle(handed.id, 1.0, 1.0).waiting
    assert team.quoted(handed.id, 0.5).learnt  # but a quote that comes after all counts


def test_ids_and_keys_may_hold_colons(team: Team) -> None:
    for name in ("h", "h:x"):
        team["intake"].decide(BUG, to=["code"], handoff_id=name)
        team.settle(name, 0.0)
    assert not team.revise("h", key="x:k", reward=1.0).repeated
    assert not team.revise("h:x", key="k", reward=0.5).repeated
    assert [one.body["reward"] for one in team.store.revisions("h")] == [1.0]
    assert [one.body["reward"] for one in team.store.revisions("h:x")] == [0.5]


def test_observe_takes_the_default_and_learns_from_it() -> None:
    team = opened(mode="observe")
    handed = team["intake"].decide(BUG, default="code")
    assert (handed.action, handed.propensity, handed.explored) == ("code", 1.0, False)
    assert team.settle(handed.id, 1.0, quote=0.0).learnt
    for _ in range(5):
        assert team["intake"].decide({"kind": "x"}, default="search").action == "search"


def test_bypass_logs_and_learns_nothing(team: Team) -> None:
    team.set_mode("bypass", by="operator")
    before = team.store.last()
    handed = team["intake"].decide(BUG, default="code")
    assert (handed.target, handed.logged) == ("code", False)
    assert not team.settle(handed.id, 1.0).learnt
    assert not team.finish(handed.id, 1.0).learnt
    assert team.store.last() == before
    assert [one.body["mode"] for one in team.store.events() if one.kind == MODE] == ["bypass"]


def test_the_mode_and_the_table_stay_over_a_restart_and_equal_a_replay(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    team = opened(path)
    played(team, 300)
    tables = {name: agent.table() for name, agent in team.agents.items()}
    team.set_mode("observe")
    team.close()
    team = opened(path)
    assert team.mode == "observe"
    assert {name: agent.table() for name, agent in team.agents.items()} == tables
    for name in tables:
        fresh = Learner(name, Learning(clock=clocks.constant(0.5)), GAMMA)
        assert replay(team.store, fresh).table() == tables[name]
    team.close()


def test_without_a_checkpoint_all_is_read_from_the_events(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    team = opened(path)
    played(team, 100)
    tables = {name: agent.table() for name, agent in team.agents.items()}
    team.store.close()  # as after kill -9: nothing kept at the end
    team = opened(path)
    assert {name: agent.table() for name, agent in team.agents.items()} == tables
    team.close()


def played(team: Team, workflows: int, seed: int = 0) -> None:
    chance = random.Random(seed)
    for _ in range(workflows):
        state, holder = {"kind": chance.choice(["bug", "question"])}, "intake"
        while holder != END:
            handed = team[holder].decide(state, to=None if holder != "search" else ["code", END])
            right = (state["kind"] == "bug") == (holder == "code")
            reward = float(right) if handed.target == END else -0.1
            team.settle(handed.id, reward, 2.0)
            holder = handed.target


def test_it_learns_the_desk(team: Team) -> None:
    played(team, 600)
    team.core.exploration = Exploration(0.0)
    assert team["intake"].decide(BUG).target == "code"
    assert team["intake"].decide({"kind": "question"}).target == "search"
    assert team["search"].decide({"kind": "question"}, to=["code", END]).target == END


def test_propensities_are_the_shares_that_are_drawn() -> None:
    team = opened(explore=0.3)
    team.settle(team["intake"].decide(BUG, veto=["search"]).id, 1.0, quote=0.0)
    drawn = [team["intake"].decide(BUG) for _ in range(4_000)]
    share = sum(one.action == "search" for one in drawn) / len(drawn)
    assert {one.propensity for one in drawn if one.action == "search"} == {0.15}
    assert {one.propensity for one in drawn if one.action == "code"} == {0.85}
    assert abs(share - 0.15) < 4 * math.sqrt(0.15 * 0.85 / 4_000)


def test_limits_rule_out_before_the_policy() -> None:
    team = opened(limits=Limits(hops=2, visits=1, budget={"usd": 1.0}))
    first = team["intake"].decide(BUG, workflow="w", veto=["code"])
    team.settle(first.id, 0.0, costs={"usd": 0.4})
    second = team["search"].decide(
        BUG, ["search", "code", END], workflow="w", costs={"code": {"usd": 0.7}}
    )
    assert second.masked == {"code": "budget of 1 usd: 0.4 spent, 0.7 more expected"}
    third = team["intake"].decide(BUG, workflow="w", veto=["code"], default="search")
    assert "nothing is permitted" in third.why  # search was visited: the default goes on
    assert third.target == "search"
    fourth = team["search"].decide(BUG, ["code", END], workflow="w")
    assert fourth.masked == {"code": "hop limit 2 reached"}
    assert fourth.target == END
    assert team["intake"].decide(BUG, workflow="other").masked == {}
    with pytest.raises(RefusedError, match="nothing is permitted"):
        team["intake"].decide(BUG, veto=["search", "code"])


def test_a_failure_of_ours_takes_the_default_and_the_request_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    team = opened(tmp_path / "desk.db")
    team.store.close()
    handed = team["intake"].decide(BUG, default="code")
    assert (handed.target, handed.logged) == ("code", False)
    assert "failed" in handed.why
    assert not team.settle(handed.id, 1.0).learnt
    assert team.counts.failures == 1
    bad = opened()["intake"].decide({"no": "kind"}, default="search")
    assert (bad.target, bad.logged) == ("search", False)
    assert "took its default" in caplog.text


def test_a_dry_run_stores_nothing(team: Team) -> None:
    handed = team["intake"].decide(BUG, dry_run=True)
    assert handed.why.startswith("dry run: ")
    assert team.store.last() == 0
    with pytest.raises(UnknownError, match="knows no decision"):
        team.settle(handed.id, 1.0)


def test_a_decision_repeated_under_its_own_id_is_the_same(team: Team) -> None:
    first = team["intake"].decide(BUG, handoff_id="mine")
    assert all(team["intake"].decide(BUG, handoff_id="mine") == first for _ in range(20))
    with pytest.raises(ConflictError, match="another decision"):
        team["intake"].decide({"kind": "question"}, handoff_id="mine")
    assert sum(one.kind == DECISION for one in team.store.events()) == 1


def test_receive_within_a_team_is_the_quote_of_its_handoff(team: Team) -> None:
    team.settle(team["code"].decide(BUG).id, 1.0)
    handed = team["intake"].decide(BUG, veto=["search"])
    quote = team["code"].receive(handed.id, BUG, "intake")
    assert (quote.value, quote.code) == (0.5, None)
    team.settle(team["code"].decide(BUG).id, 1.0)  # its value moves on
    assert team["code"].receive(handed.id, BUG, "intake") == quote
    assert team.settle(handed.id, 0.0, 1.0).quote == 0.5
    with pytest.raises(ConflictError, match="used once"):
        team["code"].receive(handed.id, {"kind": "other"}, "intake")
    with pytest.raises(ConflictError, match="not from 'intake'"):
        team["search"].receive(team["intake"].decide(BUG, veto=["search"]).id, BUG, "intake")
    with pytest.raises(UnknownError, match="neither an agent nor a peer"):
        team["search"].receive(handed.id + "x", BUG, "stranger")


def test_a_peer_gets_a_rounded_quote_once_and_within_its_leak_budget() -> None:
    team = opened(quote_range=(-1.0, 1.0), bits=8)
    team.peer("remote", "http://127.0.0.1:9", accepts="secret-secret-secret", leak_bits=16)
    team.settle(team["code"].decide(BUG).id, 1.0)
    quote = team["code"].receive("h1", BUG, "remote")
    assert quote.bits == 8
    assert quote.code == round((0.5 + 1) / 2 * 255)
    assert abs(quote.value - 0.5) <= 1 / 255
    assert team["code"].receive("h1", BUG, "remote") == quote
    team["code"].receive("h2", BUG, "remote")
    with pytest.raises(RefusedError, match="leak budget of 16 bits is spent"):
        team["code"].receive("h3", BUG, "remote")
    assert team.peers["remote"].answered == 2


def test_text_is_learnt_linearly_from_hashes_and_never_kept(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    team = Team.open(path, gamma=GAMMA, mode="apply", seed=2, explore=0.3)
    team.add("intake", lambda one: {"tier": "a", "text": one}, to=["code", "search"], phase=50)
    chance = random.Random(1)
    words = {"code": "traceback in the parser crashes", "search": "where is the manual page"}
    for _ in range(400):
        right = chance.choice(["code", "search"])
        handed = team["intake"].decide(words[right] + f" {chance.randrange(50)}")
        team.finish(handed.id, float(handed.target == right))
    assert team["intake"].learner.kind == "linear"
    assert team["intake"].learner.version >= 4
    team.core.exploration = Exploration(0.0)
    assert team["intake"].decide("the parser crashes").target == "code"
    assert team["intake"].decide("where is the page").target == "search"
    state = team["intake"].learner.to_json()
    team.store.close()
    again = Team.open(path, gamma=GAMMA, mode="apply")
    agent = again.add("intake", lambda one: {"tier": "a", "text": one}, to=["code"], phase=50)
    assert agent.learner.to_json() == state
    again.close()
    assert b"traceback" not in path.read_bytes()


def test_versions_can_be_gone_back_to(team: Team) -> None:
    team.settle(team["code"].decide(BUG).id, 1.0)
    assert team.promote("code") == 1
    team.settle(team["code"].decide(BUG).id, -1.0)
    team.rollback("code", 1)
    now = team["code"].decide(BUG)
    assert now.values == {END: 0.5}
    assert now.version == 1
    team.promote("code")
    assert team["code"].decide(BUG).values == {END: -0.25}
    with pytest.raises(UnknownError, match="no version 9"):
        team.rollback("code", 9)


def test_a_store_made_with_other_units_or_steps_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    opened(path).close()
    with pytest.raises(StoreError, match=r"gamma 0.9, now 0.5"):
        opened(path, gamma=0.5)
    team = Team.open(path, gamma=GAMMA)
    with pytest.raises(StoreError, match="clock"):
        team.add("code", kind)
    team.close()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda t, h: t.settle(h, math.nan), "reward is nan"),
        (lambda t, h: t.settle(h, "1"), "reward is '1'"),
        (lambda t, h: t.settle(h, True), "reward is True"),
        (lambda t, h: t.settle(h, 10**400), "reward is 1000"),
        (lambda t, h: t.settle(h, 0.0, 0.0), "duration is 0"),
        (lambda t, h: t.settle(h, 0.0, math.inf), "duration is inf"),
        (lambda t, h: t.settle(h, 0.0, end="over"), "end is 'over'"),
        (lambda t, h: t.settle(h, 0.0, quote=math.inf), "quote is inf"),
        (lambda t, h: t.settle(h, 0.0, costs={"usd": "x"}), "cost 'usd'"),
        (lambda t, h: t.settle(7), "handoff_id 7"),
        (lambda t, h: t.quoted(h, math.nan), "quote is nan"),
        (lambda t, h: t.finish(h, math.nan), "reward is nan"),
    ],
)
def test_bad_numbers_are_named_and_nothing_changes(team: Team, call: Any, told: str) -> None:
    handed = team["intake"].decide(BUG)
    before = team.store.last()
    with pytest.raises(DataError, match=told):
        call(team, handed.id)
    assert team.store.last() == before


def test_bad_uses_are_named(team: Team) -> None:
    with pytest.raises(UnknownError, match="agent 'nobody'"):
        team["nobody"]
    with pytest.raises(DataError, match="default 'x' is none of"):
        team["intake"].decide(BUG, default="x")
    with pytest.raises(DataError, match="no candidates"):
        team["intake"].decide(BUG, to=[])
    with pytest.raises(ConflictError, match="is taken"):
        team.add("code")
    with pytest.raises(ConflictError, match="is taken"):
        team.peer(END, "http://localhost")
    with pytest.raises(DataError, match="no http or https"):
        team.peer("file", "file:///etc/passwd")
    with pytest.raises(DataError, match="give a token by `token`"):
        team.peer("p", "https://user:secret@host")
    with pytest.raises(ModelError, match="mode: 'on'"):
        team.set_mode("on")
    with pytest.raises(ConflictError, match="no outcome yet"):
        team.revise(team["intake"].decide(BUG).id, key="k", reward=1.0)
    with pytest.raises(ModelError, match="epsilon"):
        Team.open(None, gamma=GAMMA, explore=2.0)
