"""Hard limits, one by one."""

from __future__ import annotations

import pytest

from batonq.base.errors import ModelError
from batonq.node import limits
from batonq.node.limits import END, Limits, Tallies, Tally, masked

ACTIONS = {"search": "search", "fast": "code", "slow": "code", END: END, "think": "intake"}


def ruled(bounds: Limits, *used: Tally, **more: object) -> set[str]:
    return set(masked(ACTIONS, "intake", bounds, used, **more))  # type: ignore[arg-type]


def test_without_limits_nothing_is_ruled_out() -> None:
    assert ruled(Limits(), Tally(100, {"code": 9}, {"usd": 1e9})) == set()
    assert not Limits().any


def test_a_hop_limit_keeps_control_or_ends() -> None:
    assert ruled(Limits(hops=3), Tally(2), Tally(1)) == {"search", "fast", "slow"}
    assert ruled(Limits(hops=3), Tally(2)) == set()
    assert ruled(Limits(hops=3), Tally(0), hops=3) == {"search", "fast", "slow"}


def test_visits_are_counted_by_target() -> None:
    assert ruled(Limits(visits=2), Tally(0, {"code": 1}), Tally(0, {"code": 1})) == {"fast", "slow"}


def test_a_budget_holds_what_is_spent_and_what_is_expected() -> None:
    bounds = Limits(budget={"usd": 1.0, "tokens": 100})
    spent = Tally(0, {}, {"usd": 0.6})
    costs = {"fast": {"usd": 0.5}, "slow": {"usd": 0.4}, "search": {"tokens": 101}}
    assert ruled(bounds, spent, costs=costs) == {"fast", "search"}
    assert ruled(bounds, Tally(0, {}, {"usd": 1.0})) == {"search", "fast", "slow", "think"}
    assert END not in ruled(Limits(budget={"usd": 0.0}))


def test_vetoes_name_actions_or_targets_and_quarantine_targets() -> None:
    assert ruled(Limits(), veto=["fast", "search", END]) == {"fast", "search", END}
    assert ruled(Limits(), veto=["code"]) == {"fast", "slow"}
    assert ruled(Limits(), quarantined=["code"]) == {"fast", "slow"}


def test_tallies_count_and_forget() -> None:
    tallies = Tallies()
    for target in ("code", "code", "intake", END):
        tallies.handed("w", "intake", target)
    tallies.paid("w", {"usd": 0.25})
    tallies.paid("w", {"usd": 0.25, "tokens": 3})
    found = tallies.get("w")
    assert found == Tally(2, {"code": 2}, {"usd": 0.5, "tokens": 3})
    again = Tallies()
    again.load(tallies.to_json())
    assert again.get("w") == found
    tallies.ended("w")
    assert tallies.get("w") is None


def test_the_oldest_workflows_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 2)
    tallies = Tallies()
    for name in ("a", "b", "c"):
        tallies.handed(name, "intake", "code")
    assert [tallies.get(name) is not None for name in ("a", "b", "c")] == [False, True, True]


@pytest.mark.parametrize("options", [{"hops": -1}, {"visits": -1}, {"budget": {"usd": -1.0}}])
def test_negative_limits_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="limits"):
        Limits(**options)  # type: ignore[arg-type]
