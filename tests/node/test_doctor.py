from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from batonq.base.errors import ModelError
from batonq.base.seeds import generator
from batonq.node.doctor import diagnosis as doctor
from batonq.node.doctor import examination
from batonq.node.doctor.diagnosis import AgentSetup, PeerSetup, Setup, diagnose
from batonq.node.doctor.examination import ERROR, NOTE, WARNING, Finding
from batonq.node.doctor.symptoms import Spread, examine
from batonq.node.event import ANSWER, DECISION, EXPIRY, OUTCOME, QUOTE, REALISED, Event, once
from batonq.node.exploration import Exploration
from batonq.node.peers.promises import Ledger, Terms, quoted, realised
from batonq.node.store.memory import MemoryStore
from batonq.node.team import Team
from batonq.wire.declaration import Declaration
from batonq.wire.scalar import Scalar, rounding_term

OURS = Declaration(Scalar(-20.0, 20.0), 0.95)
SETUP = Setup(OURS, mode="apply")
NOW = 1_000_000.0


def events(*made: tuple[str, str, dict[str, Any]], agent: str = "intake") -> MemoryStore:
    store = MemoryStore()
    for k, (kind, handoff_id, body) in enumerate(made):
        event = Event(kind, agent, handoff_id, once(kind, handoff_id), NOW - 1_000 + k, body)
        store.append(event, opens=kind == DECISION, closes=kind in (OUTCOME, EXPIRY))
    return store


def decided(y: str, propensity: float = 1.0, mode: str = "apply") -> dict[str, Any]:
    return {"y": y, "action": "code", "target": "code", "propensity": propensity, "mode": mode}


def settled(
    y: str, target: float, duration: float = 1.0, quote: float | None = 0.0, end: str | None = None
) -> dict[str, Any]:
    body = {"reward": 0.0, "duration": duration, "end": end, "y": y, "action": "code"}
    return {**body, "target": target, "quote": quote}


def handoffs(targets: list[float], y: str = '{"k":1}', propensity: float = 0.5) -> MemoryStore:
    made = []
    for k, target in enumerate(targets):
        made += [
            (DECISION, f"h{k}", decided(y, propensity)),
            (OUTCOME, f"h{k}", settled(y, target)),
        ]
    return events(*made)


def found(setup: Setup, store: MemoryStore | None = None, **more: Any) -> list[Finding]:
    return diagnose(store or MemoryStore(), setup, NOW, **more)


def told(findings: list[Finding], words: str) -> list[Finding]:
    return [one for one in findings if words in one.what]


def level(findings: list[Finding], words: str) -> str:
    (one,) = told(findings, words)
    assert one.remedy or one.level == NOTE
    return one.level


def test_a_sound_node_has_notes_only() -> None:
    rng = generator(1)
    store = handoffs([float(x) for x in rng.uniform(-5, 5, 100)])
    setup = replace(SETUP, agents=(AgentSetup("intake", "table"),))
    assert {one.level for one in found(setup, store)} == {NOTE}


def test_errors_come_first() -> None:
    peer = PeerSetup("code", "http://code.example", shows=False, accepts=False)
    findings = found(replace(SETUP, peers=(peer,), host="0.0.0.0", token=False))  # noqa: S104
    ranks = [[ERROR, WARNING, NOTE].index(one.level) for one in findings]
    assert ranks == sorted(ranks) and ranks[0] == 0


def test_what_rounding_adds_is_the_term_of_the_wire() -> None:
    term = rounding_term(OURS.scalar, OURS.gamma)
    (one,) = told(found(SETUP), "rounding quotes to 8 bits")
    assert f"at most {term:.3g}" in one.what and one.level == NOTE
    exact = Declaration(Scalar(-20.0, 20.0, 64, "exact"), 0.95)
    assert not told(found(replace(SETUP, declaration=exact)), "rounding")
    noisy = Declaration(Scalar(-20.0, 20.0, 4, "stochastic"), 0.95)
    assert told(found(replace(SETUP, declaration=noisy)), "adds noise of")


@pytest.mark.parametrize(
    ("change", "words", "wanted"),
    [
        ({"declaration": Declaration(Scalar(-1.0, 1.0), 1.0)}, "gamma is 1", WARNING),
        ({"mode": "bypass"}, "mode is bypass", WARNING),
        ({"mode": "observe"}, "mode is observe", NOTE),
        ({"exploration": Exploration(0.0)}, "epsilon is 0", WARNING),
        ({"exploration": Exploration(canary=0.0)}, "canary share is 0", WARNING),
        ({"failures": 3}, "3 decisions fell back", WARNING),
        ({"clamped": 3}, "3 of our quotes were outside", WARNING),
        ({"host": "10.0.0.1", "token": False}, "without a token", ERROR),
        ({"host": "10.0.0.1"}, "speaks http", NOTE),
        ({"secrets": {"a.token": 0o100644}}, "a.token: others may read", ERROR),
        ({"disk_free": 10**8, "store_bytes": 10**6}, "100 MB are free", WARNING),
        ({"disk_free": 10**9, "store_bytes": 2 * 10**9}, "1000 MB are free", WARNING),
    ],
)
def test_settings(change: dict[str, Any], words: str, wanted: str) -> None:
    assert level(found(replace(SETUP, **change)), words) == wanted


@pytest.mark.parametrize(
    "change",
    [
        {"exploration": Exploration(0.0, temperature=0.1)},
        {"secrets": {"a.token": 0o100600}},
        {"disk_free": 10**10, "store_bytes": 10**6},
        {"host": "localhost", "token": False},
        {"host": "::1", "token": False},
    ],
)
def test_what_is_right_is_not_told(change: dict[str, Any]) -> None:
    assert not [one for one in found(replace(SETUP, **change)) if one.level != NOTE]


@pytest.mark.parametrize(
    ("change", "words", "wanted"),
    [
        ({"url": "http://code.example"}, "is http", ERROR),
        ({"shows": False}, "we show it no token", WARNING),
        ({"shows": False, "url": "http://127.0.0.1:80"}, "we show it no token", NOTE),
        ({"accepts": False}, "may not ask us", NOTE),
        ({"leak_bits": None}, "any number of our quotes", NOTE),
        ({"answered": 90, "leak_bits": 800}, "720 of 800 bits", WARNING),
        ({"declaration": Declaration(Scalar(-20.0, 20.0), 0.9)}, "gamma: ours 0.95", ERROR),
    ],
)
def test_peers(change: dict[str, Any], words: str, wanted: str) -> None:
    peer = PeerSetup("code", "https://code.example", True, True, leak_bits=10_000, declaration=OURS)
    sound = found(replace(SETUP, peers=(peer,)))
    assert not told(sound, "peer 'code'")
    assert told(sound, "durability is normal")
    assert level(found(replace(SETUP, peers=(replace(peer, **change),))), words) == wanted


def test_handoffs_an_interval_needs_by_hand() -> None:
    # four targets -1, 1, -1, 1: mean 0, variance 4/3; half-width .5
    store = handoffs([-1.0, 1.0, -1.0, 1.0])
    (need,) = examination.needs(examine(store.events(), 0.95), OURS, 0.5)
    assert (need.agent, need.y, need.action, need.have) == ("intake", '{"k":1}', "code", 4)
    assert need.sd == pytest.approx(math.sqrt(4 / 3))
    assert need.estimate == math.ceil((1.96 * math.sqrt(4 / 3) / 0.5) ** 2)
    assert need.guaranteed == math.ceil(1600 * math.log(40) / 0.5)
    (one,) = told(found(SETUP, store, half_width=0.5), "for +-0.5 at 95 %")
    assert f"needs {need.estimate} handoffs" in one.what and "1 of 1 pairs" in one.what
    # fewer than 50 options: contraction gamma, hence 1 / .05^2 as many through all later handoffs
    assert str(math.ceil(need.estimate / 0.05**2)) in one.what


def test_the_estimate_is_right_for_normal_targets() -> None:
    """With as many targets as it says, the mean lies within the half-width in some 95 % of cases.

    Three standard deviations of a share of 400 at .95 are .033.
    """
    rng = generator(2)
    store = handoffs([float(x) for x in rng.normal(3.0, 1.0, 2_000)])
    (need,) = examination.needs(examine(store.events(), 0.95), OURS, 0.25)
    assert need.estimate is not None
    means = rng.normal(3.0, 1.0, (400, need.estimate)).mean(axis=1)
    assert abs((abs(means - 3.0) < 0.25).mean() - 0.95) < 0.033


def test_contraction_counts_ends_as_zero() -> None:
    made = []
    for k in range(100):
        end = "terminal" if k % 2 else None
        made += [
            (DECISION, f"h{k}", decided("1")),
            (OUTCOME, f"h{k}", settled("1", float(k % 3), 2.0, None if end else 0.5, end)),
        ]
    seen = examine(events(*made).events(), 0.9)
    assert seen.discounts["intake", "1", "code"].mean == pytest.approx(0.81 / 2)
    assert seen.quotes[""].count == 50
    (one,) = told(found(SETUP, events(*made)), "contraction 0.451")  # gamma .95: .9025 / 2
    assert one.level == NOTE


def test_a_half_width_must_be_positive() -> None:
    with pytest.raises(ModelError, match="half-width"):
        found(SETUP, half_width=0.0)


def test_features_too_fine_and_text_in_a_table() -> None:
    fine = events(*((DECISION, f"h{k}", decided(f'{{"n":{k}}}', 0.5)) for k in range(60)))
    assert level(found(SETUP, fine), "seen only once") == WARNING
    text = events(*((DECISION, f"h{k}", decided(f'{{"#text":[{k}]}}', 0.5)) for k in range(60)))
    assert not told(found(SETUP, text), "seen only once")
    table = replace(SETUP, agents=(AgentSetup("intake", "table"),))
    assert level(found(table, text), "sees free text") == WARNING


def test_nothing_left_to_chance() -> None:
    assert level(found(SETUP, handoffs([0.0, 1.0] * 30, propensity=1.0)), "left to chance") == NOTE
    assert not told(found(SETUP, handoffs([0.0, 1.0] * 30)), "left to chance")


def test_a_ttl_that_is_too_short() -> None:
    made: list[tuple[str, str, dict[str, Any]]] = []
    made += [(DECISION, f"h{k}", decided("1")) for k in range(60)]
    made += [(OUTCOME, f"h{k}", settled("1", 0.0)) for k in range(60)]  # each 60 s later
    assert level(found(replace(SETUP, ttl=100.0), events(*made)), "one in 20") == WARNING
    assert not told(found(replace(SETUP, ttl=1_000.0), events(*made)), "one in 20")


def test_handoffs_open_for_longer_than_ttl() -> None:
    store = events((DECISION, "old", decided("1")))
    (one,) = told(found(replace(SETUP, ttl=500.0), store), "open for longer")
    assert one.level == WARNING and "'old'" in one.what
    assert not told(found(replace(SETUP, ttl=5_000.0), store), "open for longer")


def test_quotes_that_never_come() -> None:
    bare = {"reward": 0.0, "duration": 1.0, "end": None}
    made: list[tuple[str, str, dict[str, Any]]] = []
    for k in range(60):
        made += [(DECISION, f"h{k}", decided("1")), (OUTCOME, f"h{k}", bare)]
    assert level(found(SETUP, events(*made)), "60 of 60 handoffs wait") == WARNING
    gone = [(EXPIRY, f"h{k}", {"quote": None}) for k in range(60)]
    assert level(found(SETUP, events(*made, *gone)), "60 of 60 handoffs expired") == WARNING


def test_a_clock_that_jumped() -> None:
    store = MemoryStore()
    for k in range(30):
        at = NOW + 500 if k == 0 else NOW + k
        store.append(Event(DECISION, "a", f"h{k}", once(DECISION, f"h{k}"), at, decided("1")))
    findings = found(SETUP, store)
    assert level(findings, "500 s in the future") == WARNING
    assert level(findings, "30 events in a row") == NOTE


def test_ranges() -> None:
    narrow = handoffs([0.1 * (k % 10) for k in range(60)])
    (one,) = told(found(SETUP, narrow), "of the declared -20 .. 20")
    assert one.level == WARNING and "2.2%" in one.what
    assert level(found(SETUP, handoffs([-30.0, 10.0] * 30)), "outside the declared") == WARNING
    answer = {"y": "1", "sender": "x", "value": 20.0, "code": 255, "bits": 8, "peer": "x"}
    low = {**answer, "value": -20.0, "code": 0}
    made = [(ANSWER, f"h{k}", answer if k % 2 else low) for k in range(60)]
    assert level(found(SETUP, events(*made)), "60 of 60 of our quotes were an end") == WARNING
    gains = replace(SETUP, declaration=Declaration(Scalar(0.0, 20.0), 0.95))
    assert level(found(gains, events(*made)), "30 of 60 of our quotes") == WARNING


def promised(terms: Terms, quote: float, count: int = 300) -> Ledger:
    ledger = Ledger()
    for k, value in enumerate((generator(5).random(count) < 0.7).astype(float)):
        ledger = realised(terms, quoted(terms, ledger, f"{k}", quote), f"{k}", float(value))
    return ledger


@pytest.mark.parametrize(
    ("terms", "quote", "words", "wanted"),
    [
        (Terms(0.0, 1.0), 0.84, "promised more than came of it", WARNING),
        (Terms(0.0, 1.0), 0.56, "promises less", NOTE),
        (Terms(0.0, 1.0), 0.7, "handoffs to find", NOTE),
        (Terms(0.0, 5.0), 0.7, "handoffs to find", NOTE),
        (Terms(-20.0, 20.0), 0.7, "would never be found", WARNING),
    ],
)
def test_promises(terms: Terms, quote: float, words: str, wanted: str) -> None:
    peer = PeerSetup(
        "code", "https://x.example", True, True, 10**6, terms=terms, ledger=promised(terms, quote)
    )
    assert level(found(replace(SETUP, peers=(peer,))), words) == wanted


def test_a_range_declared_too_wide_hides_inflation() -> None:
    """+20 % of .7, less 1 % of the range: .13 of 1, .09 of 5; in 0 .. 9.5 some .045."""
    needed = []
    for high in (1.0, 5.0, 9.5):
        terms = Terms(0.0, high)
        peer = PeerSetup(
            "code", "https://x.example", True, True, 10**6, terms=terms, ledger=promised(terms, 0.7)
        )
        (one,) = told(found(replace(SETUP, peers=(peer,))), "handoffs to find")
        needed.append(int(one.what.split("take some ")[1].split()[0]))
        assert bool(one.remedy) == (needed[-1] > 300)
    assert 75 < needed[0] < 300 < needed[1] < needed[2]


def test_promises_that_nobody_checks() -> None:
    quote = {"quote": 1.0, "told": 1.5, "peer": "code", "code": 1}
    made = [(QUOTE, f"h{k}", quote) for k in range(60)]
    peer = PeerSetup("code", "https://x.example", True, True, 10**6)
    setup = replace(SETUP, peers=(peer,))
    assert level(found(setup, events(*made)), "never was it told") == NOTE
    some = events(*made, (REALISED, "h1", {"value": 1.0, "peer": "code"}))
    assert not told(found(setup, some), "never was it told")
    assert examine(some.events(), 0.9).quotes["code"].high == 1.5  # before trust was applied


def test_erased_bodies_count_nowhere() -> None:
    store = events((DECISION, "a", {}), (OUTCOME, "a", {}))
    seen = examine(store.events(), 0.9)
    assert (seen.decisions, seen.outcomes) == (0, 0) and seen.last_at == NOW - 999


def test_only_the_latest_events_are_looked_at() -> None:
    store = handoffs([0.0] * 50 + [3.0] * 50)
    (one,) = told(found(SETUP, store, latest=100), "values and quotes lie in")
    assert "0 .. 3" in one.what  # quotes are 0
    seen = examine(store.events(100), 0.95)
    assert seen.targets["intake", '{"k":1}', "code"].low == 3.0


def test_what_a_real_team_writes_is_understood() -> None:
    with Team.open(None, gamma=0.9, mode="apply", seed=1, quote_range=(-5.0, 5.0)) as team:
        team.add("intake", to=["search", "end"])
        team.add("search", to=["end"])
        for k in range(200):
            made = team["intake"].decide({"kind": k % 3}, workflow=f"w{k}")
            if made.target == "search":
                team.settle(made.id, reward=-0.5, duration=2.0, artifact={"hits": k % 2})
                last = team["search"].decide({"hits": k % 2}, workflow=f"w{k}")
                team.settle(last.id, reward=float(k % 2))
            else:
                team.settle(made.id, reward=-1.0)
        setup = Setup(team.declaration, mode=team.mode)
        seen = examine(team.store.events(), 0.9)
        assert seen.decisions == seen.outcomes and seen.waiting == 0 and seen.by_chance > 0
        assert sum(one.count for one in seen.targets.values()) == seen.outcomes
        findings = diagnose(team.store, setup, team.core.clock())
    assert not [one for one in findings if one.level == ERROR]
    assert told(findings, "agent 'intake': for +-0.1") and told(findings, "agent 'search'")


def test_a_spread_by_hand() -> None:
    spread = Spread()
    assert (spread.width, math.isnan(spread.sd)) == (0.0, True)
    for value in (1.0, 2.0, 6.0):
        spread.add(value)
    assert (spread.mean, spread.low, spread.high, spread.width) == (3.0, 1.0, 6.0, 5.0)
    assert spread.sd == pytest.approx(math.sqrt(7.0))
    assert doctor.LATEST >= 100_000
