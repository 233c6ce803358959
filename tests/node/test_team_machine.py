"""Whatever is called in whatever order: what was learnt is a replay of the events, once each."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from batonq.base.errors import ConflictError, ModelError
from batonq.icq import clocks
from batonq.node.event import EXPIRY, OUTCOME, QUOTE
from batonq.node.learning import Learner, Learning, replay
from batonq.node.team import Team

GAMMA = 0.9
KINDS = st.sampled_from(["bug", "question"])
REWARDS = st.sampled_from([-0.5, 0.0, 1.0])
CLOCK = clocks.power(0.7)


class Calls(RuleBasedStateMachine):
    handoffs: Bundle[str] = Bundle("handoffs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "desk.db"
        self.team = self.opened()
        self.settled: dict[str, tuple[float, float]] = {}
        self.now = 0.0

    def opened(self) -> Team:
        team = Team.open(self.path, gamma=GAMMA, mode="apply", seed=3, explore=0.5)
        for name, to in (("intake", ["code", "far"]), ("code", ["code", "far", "end"])):
            team.add(name, lambda kind: {"kind": kind}, to=to, clock=CLOCK)
        return team

    @rule(target=handoffs, agent=st.sampled_from(["intake", "code"]), kind=KINDS)
    def decide(self, agent: str, kind: str) -> str:
        return self.team[agent].decide(kind).id

    @rule(handoff=handoffs, reward=REWARDS, kind=KINDS)
    def settle(self, handoff: str, reward: float, kind: str) -> None:
        known = self.settled.get(handoff)
        if known is not None and known != (reward, 2.0):
            with pytest.raises(ConflictError):
                self.team.settle(handoff, reward, 2.0, artifact=kind)
        else:
            settled = self.team.settle(handoff, reward, 2.0, artifact=kind)
            assert settled.repeated is (known is not None)
            self.settled[handoff] = (reward, 2.0)

    @rule(handoff=handoffs, quote=REWARDS)
    def quoted(self, handoff: str, quote: float) -> None:
        target = self.team.core.needed("decision", handoff).body["target"]
        if target == "far":
            try:
                self.team.quoted(handoff, quote)
            except ConflictError as error:
                assert "already" in str(error)

    @rule(handoff=handoffs, reward=REWARDS)
    def finish(self, handoff: str, reward: float) -> None:
        before = self.settled.get(handoff)
        try:
            self.team.finish(handoff, reward)
        except ConflictError:
            assert before is not None
        if before is None:
            self.settled[handoff] = (reward, 1.0)

    @rule(handoff=handoffs, reward=REWARDS, key=st.sampled_from("ab"))
    def revise(self, handoff: str, reward: float, key: str) -> None:
        try:
            self.team.revise(handoff, key=key, reward=reward)
        except ConflictError as error:
            assert "no outcome" in str(error) or "otherwise" in str(error)

    @rule()
    def expire(self) -> None:
        self.team.expire(now=self.team.core.clock() + 4_000)

    @rule(agent=st.sampled_from(["intake", "code"]))
    def promote(self, agent: str) -> None:
        if self.team[agent].learner.kind is None:
            with pytest.raises(ModelError, match="nothing to promote"):
                self.team.promote(agent)
            return
        version = self.team.promote(agent)
        self.team.rollback(agent, version)

    @rule(kept=st.booleans())
    def restart(self, kept: bool) -> None:
        if kept:
            self.team.close()
        else:
            self.team.store.close()  # as after kill -9
        self.team = self.opened()

    @invariant()
    def what_is_learnt_is_a_replay(self) -> None:
        events = list(self.team.store.events())
        for name, agent in self.team.agents.items():
            again = replay(self.team.store, Learner(name, Learning(clock=CLOCK), GAMMA))
            assert again.to_json() == agent.learner.to_json()
            completed = [
                one.handoff_id
                for one in events
                if one.agent == name
                and one.kind in (OUTCOME, QUOTE, EXPIRY)
                and "target" in one.body
            ]
            assert len(completed) == len(set(completed)) == agent.learner.learnt
            counted = sum(n for row in agent.table().values() for _, n in row.values())
            assert counted == agent.learner.learnt

    def teardown(self) -> None:
        self.team.close()
        self.folder.cleanup()


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
