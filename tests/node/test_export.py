"""Export: a node's store read as one agent's segments and as a log, against what was done."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batonq.base.errors import DataError, StoreError
from batonq.bound.offpolicy import evaluate
from batonq.bound.offpolicy_policies import as_valued, fixed
from batonq.bound.segments import drawn
from batonq.node.logs.export import read_log, read_segments
from batonq.node.logs.importing import import_into, read_traces
from batonq.node.store.retention import erase_handoff
from batonq.node.store.sqlite import SqliteStore
from batonq.node.team import END, Team

GAMMA = 0.9
TO = {"work": "intake", "search": "search", "stop": END}


def opened(path: Path, mode: str = "apply", **options: Any) -> Team:
    team = Team.open(path, gamma=GAMMA, mode=mode, explore=0.5, seed=1)
    team.add("intake", lambda s: {"kind": s["kind"]}, to=TO, **options)
    team.add("search", lambda s: {"kind": s["kind"]}, to=[END])
    return team


def key(kind: str) -> str:
    return json.dumps({"kind": kind}, separators=(",", ":"))


class Desk:
    """Runs many workflows at once through the agent 'intake', and keeps its own book of them."""

    def __init__(self, team: Team, seed: int = 2) -> None:
        self.team = team
        self.rng = random.Random(seed)
        self.book: list[list[tuple[Any, ...]]] = []  # segments in order of arrival
        self.last: dict[str, str] = {}  # of each workflow that left, its last handoff
        self.ids: list[list[str]] = []

    def run(self, workflows: int) -> None:
        waiting = {f"w{k}": self._arrive() for k in range(workflows)}
        while waiting:
            name = self.rng.choice(sorted(waiting))
            kind, at = waiting[name]
            choice = self.team["intake"].decide({"kind": kind}, workflow=name, default="search")
            reward, duration = self.rng.uniform(-1, 1), self.rng.choice([1.0, 2.5])
            shown = self.rng.choice(["good", "bad"])
            artifact = {} if choice.target == END else {"artifact": {"kind": shown}}
            settled = self.team.settle(choice.id, reward, duration, **artifact)
            quote = 0.0 if choice.target in (END, "intake") else settled.quote
            self.book[at].append((key(kind), choice.action, choice.propensity, reward, quote))
            self.ids[at].append(choice.id)
            if choice.action == "work":
                waiting[name] = (shown, at)
            else:
                del waiting[name]
                self.last[name] = choice.id

    def _arrive(self) -> tuple[str, int]:
        self.book.append([])
        self.ids.append([])
        return self.rng.choice(["new", "old"]), len(self.book) - 1

    def by_arrival(self) -> list[list[tuple[Any, ...]]]:
        """The book, in order of the first decisions."""
        order = {one: k for k, one in enumerate(self._decided())}
        pairs = sorted(zip(self.ids, self.book, strict=True), key=lambda pair: order[pair[0][0]])
        return [steps for _, steps in pairs]

    def _decided(self) -> list[str]:
        events = self.team.store.events(agent="intake")
        return [event.handoff_id for event in events if event.kind == "decision"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "desk.db"


@pytest.fixture
def team(path: Path) -> Iterator[Team]:
    made = opened(path)
    yield made
    made.close()


def read(path: Path, **options: Any) -> list[list[tuple[Any, ...]]]:
    exported = read_segments(path, "intake", **options)
    return [
        [
            (
                one.observation,
                exported.actions[one.action],
                one.propensity,
                one.reward,
                0.0 if one.receiver in (None, "intake") else one.quote,
            )
            for one in segment.steps
        ]
        for segment in exported.segments
    ]


def test_interleaved_workflows_are_read_back_as_they_were(team: Team, path: Path) -> None:
    desk = Desk(team)
    desk.run(60)
    assert read(path) == desk.by_arrival()  # beside the running node
    exported = read_segments(path, "intake")
    assert exported.gamma == GAMMA
    assert exported.actions == ("search", "stop", "work")
    assert exported.dropped == 0
    one = exported.segments[0].steps[0]
    seen = exported.seen[one.handoff_id]
    assert seen.permitted == {0, 1, 2}
    assert seen.default == 0
    assert set(seen.values) == {0, 1, 2}
    table = exported.table()
    assert len(table) == 60
    assert table.discount.min() == pytest.approx(GAMMA**2.5)
    assert as_valued(table).sum(axis=1).tolist() == [1.0] * len(table.y)


def test_the_latest_outcome_counts(team: Team, path: Path) -> None:
    state = {"kind": "new"}
    first = team["intake"].decide(state, to=["search"])
    team.settle(first.id, 1.0, 2.0)
    team.revise(first.id, reward=-3.0, source="human", key="1")
    second = team["intake"].decide(state, to=["search"])
    team.settle(second.id, 1.0, 2.0)
    team.finish(second.id, 5.0, 1.0)  # what came after it was handed on
    steps = [one.steps[0] for one in read_segments(path, "intake").segments]
    assert [(one.reward, one.end, one.receiver) for one in steps] == [
        (-3.0, None, "search"),
        (1.0 + GAMMA**2 * 5.0, "terminal", None),
    ]
    assert [one.duration for one in steps] == [2.0, 3.0]


def test_what_has_no_outcome_or_quote_is_left_out_not_zero(path: Path) -> None:
    with Team.open(path, gamma=GAMMA, mode="apply", explore=0.5, seed=1) as team:
        team.add("intake", lambda s: s, to={"work": "intake", "away": "elsewhere", "stop": END})
        team.settle(team["intake"].decide("a", veto=["work", "stop"]).id, 1.0)  # no quote came
        team["intake"].decide("b")  # nothing was told
        work = team["intake"].decide("c", veto=["away", "stop"], workflow="w")
        team.settle(work.id, 1.0, artifact="d")
        unsettled = team["intake"].decide("d", veto=["away", "stop"], workflow="w")
        later = team["intake"].decide("e", veto=["away", "work"], workflow="w")
        team.settle(later.id, 1.0)
        done = team["intake"].decide("f", veto=["away", "work"])
        team.settle(done.id, 2.0)
        quoted = team["intake"].decide("g", veto=["work", "stop"])
        team.quoted(quoted.id, 0.25)
        team.settle(quoted.id, 3.0)
        exported = read_segments(path)
        assert [[one.reward for one in each.steps] for each in exported.segments] == [[2.0], [3.0]]
        assert exported.segments[1].steps[0].quote == 0.25
        assert exported.dropped == 3
        assert unsettled.logged


def test_decisions_that_cannot_be_put_in_order_are_refused(team: Team, path: Path) -> None:
    choice = team["intake"].decide({"kind": "new"}, veto=["search", "stop"])
    team.settle(choice.id, 1.0, artifact={"kind": "good"})
    with pytest.raises(DataError, match="give `workflow` to decide"):
        read_segments(path, "intake")


def test_what_was_erased_is_gone(team: Team, path: Path) -> None:
    choices = [team["intake"].decide({"kind": "new"}, veto=["work"]) for _ in range(3)]
    for one in choices:
        team.settle(one.id, 1.0, **({} if one.target == END else {"artifact": {"kind": "good"}}))
    team.checkpoint()
    erase_handoff(team.store, choices[1].id, 1e10)
    left = [one.steps[0].handoff_id for one in read_segments(path, "intake").segments]
    assert left == [choices[0].id, choices[2].id]


def test_imported_records_lack_what_nobody_wrote_down(team: Team, path: Path) -> None:
    log = path.with_suffix(".jsonl")
    known = {
        "agent": "intake",
        "observation": "x",
        "action": "search",
        "reward": 1.0,
        "duration": 2.0,
    }
    lines = [
        {**known, "quote": 0.5},
        {**known, "quote": 0.5, "propensity": 0.25, "permitted": ["search", "stop"]},
        {**known, "end": "terminal", "duration": None},
        {**known, "workflow": "w", "target": "intake", "action": "work"},
        {**known, "workflow": "w", "end": "terminal", "default": "stop"},
    ]
    log.write_text("".join(json.dumps(one) + "\n" for one in lines))
    import_into(team.store, read_traces(log), 1e9)
    exported = read_segments(path, "intake")
    propensities = [[one.propensity for one in each.steps] for each in exported.segments]
    assert [len(each) for each in propensities] == [1, 1, 2]
    assert math.isnan(propensities[0][0])
    assert propensities[1] == [0.25]
    assert exported.dropped == 1  # the one without a duration
    table = exported.table()
    assert table.permitted.sum(axis=1).tolist() == [3, 2, 3, 3]
    assert len(drawn(table)) == 1
    many = [
        replace(
            each,
            workflow=(k, each.workflow),
            steps=tuple(replace(one, handoff_id=f"{k}-{one.handoff_id}") for one in each.steps),
        )
        for k in range(20)
        for each in exported.segments
    ]
    with pytest.raises(DataError, match="60 of 80 decisions have no propensity"):
        evaluate(replace(exported, segments=tuple(many), seen={}).table(), fixed("search"))


def test_an_agent_must_be_named_where_there_are_several(team: Team, path: Path) -> None:
    with pytest.raises(DataError, match="holds no decision yet"):
        read_segments(path)
    team.settle(team["intake"].decide({"kind": "new"}, veto=["work", "search"]).id, 1.0)
    assert read_segments(path).agent == "intake"
    team.settle(team["search"].decide({"kind": "new"}).id, 1.0)
    with pytest.raises(DataError, match="of the agents intake, search; name one with --agent"):
        read_segments(path)
    with pytest.raises(DataError, match="'code' is none of them"):
        read_segments(path, "code")


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        read_segments(tmp_path / "none.db")
    SqliteStore.open(tmp_path / "bare.db").close()
    with pytest.raises(DataError, match="no node has worked on it yet"):
        read_segments(tmp_path / "bare.db")


def test_a_version_that_did_not_move_is_a_log(path: Path) -> None:
    with opened(path, answers="phased", phase=None, extra=lambda s: {"lang": s["kind"][0]}) as team:
        desk = Desk(team)
        desk.run(40)
        team.promote("intake")
        desk.run(60)
        log = read_log(path, "intake")
        before = read_log(path, "intake", version=0)
    steps = [one for each in desk.book[40:] for one in each]
    assert len(log) == len(steps)
    assert len(before) == sum(map(len, desk.book[:40]))
    assert not before.values.any()
    assert log.gamma == GAMMA
    assert log.agents[0] == "intake"
    assert set(log.observations) <= {key(kind) for kind in ("new", "old", "good", "bad")}
    assert log.mask.all()
    assert sorted(log.reward) == pytest.approx(sorted(one[3] for one in steps))
    assert set(log.fields["lang"].levels) <= {"n", "o", "g", "b"}
    moved = np.abs(log.values[log.y, log.action]).max()
    assert moved > 0
    with pytest.raises(DataError, match="no handoff was decided from version 7; there are: 0, 1"):
        read_log(path, "intake", version=7)


def test_values_that_moved_make_no_log(team: Team, path: Path) -> None:
    Desk(team).run(20)
    with pytest.raises(DataError, match="moved while these handoffs were recorded"):
        read_log(path, "intake")
