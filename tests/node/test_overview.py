"""What an operator sees of a node, against cases counted by hand and against counting anew."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import BatonqError, ConflictError, DataError
from batonq.icq import clocks
from batonq.node import standing
from batonq.node.event import DECISION, OUTCOME, Event, once
from batonq.node.overview.curve import BINS, FIRST_WIDTH
from batonq.node.overview.fold import CACHE, LATEST, LONGEST, NAMES, OTHERS, RECENT, Fold
from batonq.node.overview.terms import Row, log_of, rows_of
from batonq.node.overview.watch import STATE, Watch, overview
from batonq.node.store import retention
from batonq.node.store.memory import MemoryStore
from batonq.node.team import END, Team

GAMMA = 0.5
BUG = {"kind": "bug"}
KEY = '{"kind":"bug"}'


def opened(path: Path | None = None, **options: Any) -> Team:
    team = Team.open(path, gamma=GAMMA, mode="apply", seed=1, explore=0.0, **options)
    half = clocks.constant(0.5)
    team.add("intake", to=["code", "far", END], clock=half)
    team.add("code", to=[END], clock=half)
    team.peer("far", "http://127.0.0.1:9", leak_bits=80)
    return team


def chosen(team: Team, target: str, **options: Any) -> str:
    """A decision of "intake" for `target`; returns its id."""
    veto = [one for one in ("code", "far", END) if one != target]
    return team["intake"].decide(BUG, veto=veto, **options).id


def far_quotes(team: Team, handoff_id: str, value: float) -> None:
    from batonq.node.quoting import quote_came

    more = {"peer": "far", "code": None, "told": value, "workflow": None}
    quote_came(team.core, handoff_id, value, more)


def test_numbers_of_a_few_handoffs_counted_by_hand() -> None:
    team = opened()
    a = chosen(team, END, workflow="w")
    team.finish(a, reward=1.0)  # Q(end) 0 -> 0.5, error 1
    b = chosen(team, END)
    team.finish(b, reward=0.0)  # Q(end) was 0.5, target 0: error 0.5
    c = chosen(team, "code")
    team.settle(c, -0.25, 2.0, artifact=BUG)  # quote of "code" 0: target -0.25, error 0.25
    d = chosen(team, "far")
    team.settle(d, 0.25, 1.0)  # waits
    e = chosen(team, "far")  # open
    shown = overview(team)
    assert (shown.open, shown.waiting, shown.behind) == (2, 1, 0)
    assert shown.counts == {"decision": 5, "outcome": 4}
    far_quotes(team, d, 0.5)  # Q(far) was 0: target 0.25 + 0.5 * 0.5 = 0.5, error 0.5
    shown = overview(team)
    assert (shown.open, shown.waiting) == (1, 0)
    edges = {(one.agent, one.target): (one.count, one.share, one.value) for one in shown.edges}
    assert edges == {
        ("intake", END): (2, 0.4, (0.0 + 0.5) / 2),
        ("intake", "code"): (1, 0.2, 0.0),
        ("intake", "far"): (2, 0.4, 0.0),
    }
    assert sum(one.decisions for one in shown.curve) == 5
    assert sum(one.outcomes for one in shown.curve) == 4
    assert len(shown.curve) == 2  # ten events, eight in a window
    first, second = shown.curve
    assert (first.last_event, second.last_event) == (FIRST_WIDTH, 10)
    assert first.outcomes == 4
    assert first.reward == pytest.approx((1.0 + 0.0 - 0.25 + 0.25) / 4)
    assert first.per_workflow == pytest.approx(1.0 / 2)
    assert first.error == pytest.approx((1.0 + 0.5 + 0.25) / 3)
    assert second.error == pytest.approx(0.5)
    assert first.explored == 0.0
    assert [one["handoff_id"] for one in shown.decisions] == [e, d, c, b, a]
    last = shown.decisions[0]
    assert (last["state"], last["reward"], last["quote"]) == ("open", None, None)
    assert shown.decisions[1]["state"] == "learnt"
    assert shown.decisions[1]["quote"] == 0.5
    assert shown.decisions[4]["end"] == "terminal"
    assert "vetoed" in last["why"]
    (peer,) = shown.peers
    assert (peer.quotes_in, peer.bits, peer.budget, peer.flagged) == (1, 0, 80, False)
    intake = shown.agents[0]
    assert (intake.decisions, intake.learnt, intake.explored, intake.kind) == (5, 4, 0, "table")
    json.dumps(shown.document(), allow_nan=False)


def test_corrections_count_where_the_outcome_did() -> None:
    team = opened()
    a = chosen(team, "code")
    team.settle(a, 0.5, 1.0, artifact=BUG)
    for _ in range(FIRST_WIDTH):
        team.finish(chosen(team, END), reward=0.0)
    before = overview(team).curve[0]
    team.revise(a, key="human", reward=0.9)
    after = overview(team).curve[0]
    assert after.outcomes == before.outcomes
    assert before.reward is not None
    assert after.reward == pytest.approx(before.reward + 0.4 / before.outcomes)
    team.finish(a, reward=1.0)  # 0.9 + 0.5 * 1, and the workflow ended with it
    ended = overview(team).curve[0]
    assert ended.reward == pytest.approx(before.reward + (1.4 - 0.5) / before.outcomes)
    assert ended.per_workflow == pytest.approx((0.9 + 0.5) / 4)  # three others ended in it


def test_what_expired_does_not_wait_and_is_counted_for_its_peer() -> None:
    team = opened(ttl=1.0)
    a, b = chosen(team, "far"), chosen(team, "far")
    team.settle(a, 0.0, 1.0)
    assert overview(team).waiting == 1
    assert team.expire(now=team.core.clock() + 10) == 2
    shown = overview(team)
    assert (shown.open, shown.waiting, shown.counts["expiry"]) == (0, 0, 2)
    assert shown.peers[0].expired == 2
    assert {one["state"] for one in shown.decisions} == {"expired"}
    team.settle(b, 0.0, 1.0)  # an outcome after all: neither open nor waiting
    assert (overview(team).open, overview(team).waiting) == (0, 0)


def test_a_peers_quotes_are_counted_out_with_their_bits() -> None:
    team = opened()
    for k in range(3):
        team["code"].receive(f"ask-{k}", BUG, "far")
    (peer,) = overview(team).peers
    assert (peer.quotes_out, peer.bits, peer.budget) == (3, 24, 80)
    team.quarantine("far")
    (peer,) = overview(team).peers
    assert peer.quarantined
    assert overview(team).counts["trust"] == 1


def test_versions_and_what_was_done_with_them() -> None:
    team = opened()
    watch = Watch(team)
    assert watch.versions("intake") == []
    team.finish(chosen(team, END), reward=1.0)
    team.promote("intake")
    team.promote("intake")
    team.rollback("intake", 1)
    shown = watch.overview().agents[0]
    assert (shown.version, shown.answering) == (2, 1)
    assert watch.versions("intake") == [2, 1]
    assert watch.versions("code") == []
    done = [(one["do"], one["version"]) for one in watch.policies("intake")]
    assert done == [("promote", 1), ("promote", 2), ("rollback", 1)]


def test_rounding_is_that_of_the_declared_scalar() -> None:
    team = opened(quote_range=(-1.0, 1.0), bits=1)
    assert overview(team).rounding["value"] == pytest.approx(0.5 * 1.0 / 0.5)  # beta Delta/2 / ...
    whole = Team.open(None, gamma=1.0, quote_range=(0.0, 1.0))
    assert overview(whole).rounding["value"] is None
    assert "not available" in overview(whole).rounding["note"]


OPS = ["end", "local", "far", "keep", "quote", "finish", "revise", "expire", "twice", "promote"]


def act(team: Team, ids: list[str], word: str, pick: int) -> None:
    """One thing that may happen; what the node refuses has not happened."""
    one = ids[pick % len(ids)] if ids else ""
    value = (pick % 9 - 4) / 8
    try:
        match word:
            case "end":
                ids.append(chosen(team, END, workflow=f"w{pick}"))
                team.finish(ids[-1], reward=value)
            case "local":
                ids.append(chosen(team, "code"))
                team.settle(ids[-1], value, 1.0 + pick % 3, artifact=BUG)
            case "far":
                ids.append(chosen(team, "far"))
            case "keep":
                team.settle(one, value, 1.0)
            case "quote":
                far_quotes(team, one, value)
            case "finish":
                team.finish(one, reward=value)
            case "revise":
                team.revise(one, key=f"{pick % 3}", reward=value)
            case "expire":
                team.expire(now=team.core.clock() + 2 * team.core.ttl)
            case "twice":
                team.settle(one, value, 1.0, quote=value)
            case "promote":
                team.promote("intake")
    except BatonqError:
        pass


@settings(max_examples=150)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(OPS), st.integers(0, 50), st.integers(0, 5)), max_size=60
    ),
    keep_at=st.integers(0, 60),
)
def test_counting_as_it_comes_is_counting_at_once(
    steps: list[tuple[str, int, int]], keep_at: int
) -> None:
    team = opened()
    ids: list[str] = []
    slow = Fold(team.store)
    for k, (word, pick, chunk) in enumerate(steps):
        act(team, ids, word, pick)
        for event, _ in zip(team.store.events(slow.seq), range(chunk), strict=False):
            slow.add(event)
        if k == keep_at:  # as after a restart
            kept, latest = json.loads(json.dumps(slow.to_json())), slow.latest
            slow = Fold(team.store)
            slow.load(kept)
            slow.latest = latest
    for event in team.store.events(slow.seq):
        slow.add(event)
    fresh = Fold(team.store)
    for event in team.store.events():
        fresh.add(event)
    assert slow.to_json() == fresh.to_json()
    assert slow.latest == fresh.latest
    shown = overview(team)
    known = [standing.standing(team.core, one) for one in dict.fromkeys(ids)]
    still = set(team.store.open_before(float("inf"), 1_000))
    waiting = [one for one in known if one.outcome and one.decision.handoff_id in still]
    assert shown.waiting == len(waiting)
    assert shown.open == len(still)
    assert sum(one.learnt for one in shown.agents) == sum(one.learnt is not None for one in known)
    rewards = sum(one.reward for one in known if one.outcome)
    assert sum(one.reward * one.outcomes for one in shown.curve if one.reward is not None) == (
        pytest.approx(rewards)
    )


def decided(k: int, agent: str = "a", target: str = END, y: str = KEY) -> Event:
    body = {
        "y": y,
        "action": target,
        "target": target,
        "propensity": 1.0,
        "values": {target: 0.0},
        "permitted": [target],
        "masked": {},
        "mode": "apply",
        "version": 0,
        "explored": k % 4 == 0,
        "default": None,
        "workflow": None,
    }
    return Event(DECISION, agent, f"h{k}", once(DECISION, f"h{k}"), float(k), body)


def settled(k: int, agent: str = "a") -> Event:
    body = {"reward": 1.0, "duration": 1.0, "end": "terminal", "target": 1.0}
    return Event(OUTCOME, agent, f"h{k}", once(OUTCOME, f"h{k}"), float(k), body)


def test_memory_is_bounded_however_many_events_come() -> None:
    store = MemoryStore()
    fold = Fold(store)
    n = 12_000
    for k in range(n):
        target = f"t{k % (2 * NAMES)}"
        for one in (decided(k, f"a{k % (NAMES + 44)}", target, "x" * 2_000), settled(k)):
            store.append(one)
    for event in store.events():
        fold.add(event)
    assert len(fold.curve.bins) <= BINS < len(fold.curve.bins) * 2
    assert len(fold.latest) == LATEST
    assert len(fold.agents) == NAMES + 1
    assert OTHERS in fold.agents
    assert max(len(one.targets) for one in fold.agents.values()) <= NAMES + 1
    assert all(len(one.recent) <= RECENT for one in fold.agents.values())
    assert len(fold._cache) <= CACHE
    assert all(len(one["y"]) == LONGEST for one in fold.decisions())
    assert sum(one.decisions for one in fold.curve.bins) == n
    points = fold.curve.points(fold.seq)
    assert sum(one.outcomes for one in points) == n
    assert all(one.reward == 1.0 for one in points)
    assert points[-1].last_event == 2 * n
    assert len(json.dumps(fold.to_json())) < 1_000_000


def test_a_look_counts_a_bounded_number_of_events_and_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("batonq.node.overview.watch.CHUNK", 1_000)
    team = opened()
    for k in range(750):
        team.store.append(decided(k))
        team.store.append(settled(k))
    watch = Watch(team)
    assert watch.advance(1_000) == 500
    shown = watch.overview()
    assert (shown.behind, shown.seq) == (0, 1_500)
    assert shown.counts == {"decision": 750, "outcome": 750}


def test_sums_are_kept_and_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batonq.node.overview.watch.KEEP_EVERY", 2_000)
    team = opened(tmp_path / "node.db")
    with team.store.transaction():
        for k in range(2_000 // 2 + 5):
            team.store.append(decided(k))
            team.store.append(settled(k))
    watch = Watch(team)
    while watch.advance(500):
        pass
    kept = team.store.state(STATE)
    assert kept is not None
    assert kept[0] == 2_000
    before = watch.overview()
    team.close()
    team = opened(tmp_path / "node.db")
    again = Watch(team)
    assert again._fold.seq == kept[0]
    after = again.overview()
    assert after.behind == 0
    assert (after.curve, after.edges, after.counts) == (before.curve, before.edges, before.counts)
    assert after.decisions == before.decisions
    team.close()


def test_a_store_opened_to_be_read_is_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batonq.node.overview.watch.KEEP_EVERY", 2)
    opened(tmp_path / "node.db").close()
    team = opened(tmp_path / "node.db")
    team.finish(chosen(team, END), reward=1.0)
    looked = Team.open(tmp_path / "node.db", gamma=GAMMA, read_only=True)
    assert overview(looked).counts == {"decision": 1, "outcome": 1}
    looked.close()
    assert team.store.state(STATE) is None
    team.close()


def test_what_is_erased_is_no_longer_shown() -> None:
    team = opened()
    watch = Watch(team)
    a = chosen(team, END, workflow="w1")
    team.finish(a, reward=1.0)
    b = chosen(team, END)
    team.finish(b, reward=1.0)
    assert len(watch.overview().decisions) == 2
    team.checkpoint()
    retention.erase_handoff(team.store, a, team.core.clock())
    shown = watch.overview()
    assert [one["handoff_id"] for one in shown.decisions] == [b]
    fresh = overview(team)
    assert [one["handoff_id"] for one in fresh.decisions] == [b]
    assert fresh.counts["decision"] == 2
    assert fresh.waiting == shown.waiting == 0


def test_a_store_that_fails_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    team = opened(tmp_path / "node.db")
    team.finish(chosen(team, END), reward=1.0)
    watch = Watch(team)
    assert watch.overview().failures == {}
    team.store.close()
    shown = watch.overview()
    assert "store" in shown.failures
    assert shown.waiting is None
    assert shown.counts == {"decision": 1, "outcome": 1}


def test_everything_known_of_a_handoff_in_order() -> None:
    team = opened()
    a = chosen(team, "far")
    team.settle(a, 0.5, 1.0)
    far_quotes(team, a, 0.5)
    team.revise(a, key="late", reward=0.75)
    found = Watch(team).handoff(a)
    assert [one.kind for one in found] == ["decision", "outcome", "quote", "revision"]
    assert Watch(team).handoff("none such") == []


# Terms of the bound


def row(value: float, reward: float, *, y: str = KEY, target: str = "far", **more: Any) -> Row:
    base: dict[str, Any] = {
        "y": y,
        "action": target,
        "target": target,
        "propensity": 0.5,
        "values": {target: value, "end": 0.0},
        "permitted": (target, "end"),
        "reward": reward,
        "duration": 1.0,
        "end": None,
        "quote": 1.0,
        "workflow": None,
        "arrival": None,
        "fields": {},
    }
    return Row(**{**base, **more})


def test_a_log_under_the_latest_values() -> None:
    log, note = log_of("a", [row(0.5, 0.0), row(0.5, 1.0, fields={"x": 1})], GAMMA)
    assert log.residual().tolist() == [0.0, 1.0]  # R + 0.5 * 1 - 0.5
    assert log.agents == ("a", "far")
    assert log.fields == {}  # not every row has it
    assert "moved by 0 " in note
    log, _ = log_of("a", [row(0.0, 1.0, end="terminal", quote=0.0, fields={"x": 1})], GAMMA)
    assert log.receiver.tolist() == [-1]
    assert list(log.fields) == ["x"]


def test_values_that_moved_are_refused_and_others_are_told() -> None:
    with pytest.raises(DataError, match=r"values moved by 0\.707"):
        log_of("a", [row(1.0, 1.0), row(0.0, 0.0)], GAMMA)
    rows = [row(0.01, 1.0), row(0.0, 0.0)]
    assert "moved by 0.00707 " in log_of("a", rows, GAMMA)[1]
    quotes = [row(0.0, 0.5, arrival="k", quote=q) for q in (2.0, 1.0)]  # 0.5 * 1 over sqrt 2
    with pytest.raises(DataError, match=r"values moved by 0\.354"):
        log_of("a", quotes, GAMMA)
    with pytest.raises(DataError, match="no complete handoff"):
        log_of("a", [], GAMMA)


def test_kept_control_is_put_before_what_followed() -> None:
    first = row(0.0, 0.1, y="1", target="a", workflow="w")
    other = row(0.0, 0.2, y="3", target="a", workflow="v")
    second = row(0.25, 0.3, y="2", target="far", workflow="w")
    log, _ = log_of("a", [first, other, second], GAMMA)
    assert [log.observations[k] for k in log.y] == ["1", "2"]  # what followed 3 is not known
    assert log.quote.tolist() == [0.25, 1.0]  # the largest latest value where it went on


def test_rows_are_the_complete_handoffs_with_their_corrections() -> None:
    team = opened()
    chosen(team, "far")  # open
    a = chosen(team, "far")
    team.settle(a, 0.5, 1.0)
    b = chosen(team, END)
    team.finish(b, reward=1.0)
    far_quotes(team, a, 0.25)
    c = chosen(team, "far")
    team.settle(c, 0.0, 1.0)  # waits
    team.revise(a, key="k", reward=0.75, duration=2.0)
    rows = rows_of(team.store.events())
    assert [(one.target, one.reward, one.duration, one.quote, one.end) for one in rows] == [
        ("far", 0.75, 2.0, 0.25, None),
        (END, 1.0, 1.0, 0.0, "terminal"),
    ]


def test_terms_where_values_stand_still_and_why_there_are_none_elsewhere() -> None:
    team = Team.open(None, gamma=GAMMA, mode="apply", seed=1, explore=0.5)
    rng = random.Random(5)
    team.add("still", to=["far", END], clock=clocks.constant(1e-9), extra=lambda _: {"coin": 1})
    team.add("words", to=["far", END])
    team.add("idle", to=[END])
    for _ in range(600):
        one = team["still"].decide({"kind": rng.randrange(2)})
        if one.target == END:
            team.finish(one.id, reward=rng.gauss(0, 1))
        else:
            team.settle(one.id, rng.gauss(0, 1), 1.0, quote=0.5)
    team.finish(team["words"].decide({"text": "hello there"}).id, reward=1.0)
    watch = Watch(team)
    assert "not computed yet" in watch.overview().agents[0].terms["note"]
    watch.compute_terms()
    still, words, idle = (one.terms for one in watch.overview().agents)
    residual = {one["term"]: one["estimate"] for one in still["terms"]}["residual"]
    # A mean of n / 4 of 600 records with variance 1 in each of four pairs: sqrt(4 / 600).
    assert residual["value"] == pytest.approx((4 / 600) ** 0.5, rel=0.25)
    assert "600 records" in still["note"]
    assert words["note"] == "not available: values are linear; these terms are of tables"
    assert "nothing was learnt yet" in idle["note"]


def test_terms_are_wanted_once_and_computed_in_the_background() -> None:
    team = opened()
    team.finish(chosen(team, END), reward=1.0)
    watch = Watch(team)
    watch.overview()
    watch.want_terms()
    watch.want_terms()  # being computed, or just done: nothing more happens
    until = time.monotonic() + 60
    while "not computed" in watch.overview().agents[0].terms["note"]:
        assert time.monotonic() < until, "terms did not come"
        time.sleep(0.01)
    assert "over the last 1 records" in watch.overview().agents[0].terms["note"]


def test_a_conflict_leaves_the_figures_as_they_were() -> None:
    team = opened()
    a = chosen(team, END)
    team.finish(a, reward=1.0)
    before = overview(team)
    with pytest.raises(ConflictError):
        team.settle(a, 0.5, 1.0, end="terminal")
    after = overview(team)
    assert (after.curve, after.edges) == (before.curve, before.edges)
