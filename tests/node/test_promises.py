from __future__ import annotations

import json
import math
import sys
from subprocess import run

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import ModelError, WireError
from batonq.base.seeds import generator
from batonq.bound.sequential import Wealth, bet
from batonq.node.peers import promises
from batonq.node.peers.promises import MEMORY, Ledger, Sample, Terms, gone, quoted, realised

UNIT = Terms(0.0, 1.0, burn_in=0)


def kept(terms: Terms, pairs: list[tuple[float, float]]) -> Ledger:
    ledger = Ledger()
    for k, (quote, value) in enumerate(pairs):
        ledger = quoted(terms, ledger, f"h{k}", quote)
        ledger = realised(terms, ledger, f"h{k}", value)
    return ledger


def test_one_promise_by_hand() -> None:
    terms = Terms(-1.0, 1.0, tolerance=0.05, burn_in=0)
    ledger = kept(terms, [(0.5, 0.25)])
    # excess 1/4, tolerance .05 * 2 = .1, width 2 + .1
    assert ledger.over == bet(Wealth(), 0.25 - 0.1, 2.1)
    assert ledger.under == bet(Wealth(), -0.25 - 0.1, 2.1)
    assert (ledger.kept, ledger.excess, ledger.realised) == (
        1,
        Sample(1, 0.25, 0.0),
        Sample(1, 0.25, 0.0),
    )
    assert ledger.waiting == ()


def test_the_burn_in_is_kept_but_not_tested() -> None:
    terms = Terms(0.0, 1.0, burn_in=3)
    ledger = kept(terms, [(1.0, 0.0)] * 4)
    assert ledger.kept == 4 and ledger.over.count == 1 and ledger.excess.count == 4


def test_outcomes_count_in_the_order_of_the_quotes() -> None:
    ledger = Ledger()
    for k in range(3):
        ledger = quoted(UNIT, ledger, f"h{k}", 0.5)
    ledger = realised(UNIT, ledger, "h2", 0.0)
    ledger = realised(UNIT, ledger, "h1", 0.0)
    assert ledger.kept == 0 and len(ledger.waiting) == 3
    ledger = realised(UNIT, ledger, "h0", 1.0)
    assert ledger == kept(UNIT, [(0.5, 1.0), (0.5, 0.0), (0.5, 0.0)])


@given(st.permutations(list(range(6))), st.sets(st.integers(0, 5)))
def test_the_order_of_outcomes_changes_nothing(order: list[int], lost: set[int]) -> None:
    """Whatever comes first, and whatever is never known, the ledger ends the same."""

    def run_through(sequence: list[int]) -> Ledger:
        ledger = Ledger()
        for k in range(6):
            ledger = quoted(UNIT, ledger, f"h{k}", k / 10)
        for k in sequence:
            ledger = (
                gone(UNIT, ledger, f"h{k}") if k in lost else realised(UNIT, ledger, f"h{k}", k % 2)
            )
        return ledger

    assert run_through(order) == run_through(list(range(6)))
    assert run_through(order).unobserved == len(lost)


def test_failures_that_come_back_first_do_not_make_an_honest_peer_look_bad() -> None:
    """Half fail at once, half succeed after 40 further handoffs: by arrival, 40 failures lead."""
    rng = generator(3)
    outcomes = (rng.random(400) < 0.5).astype(float)
    ledger, unordered, pending = Ledger(), Wealth(), []
    width = 1 + UNIT.tolerance
    for k, value in enumerate(outcomes):
        ledger = quoted(UNIT, ledger, f"h{k}", 0.5)
        pending.append((k + (40 if value else 0), k, value))
        for due in sorted(one for one in pending if one[0] <= k):
            ledger = realised(UNIT, ledger, f"h{due[1]}", due[2])
            unordered = bet(unordered, 0.5 - due[2] - UNIT.tolerance, width)
            pending.remove(due)
    assert unordered.shows(0.05)
    assert not ledger.over.shows(0.05) and ledger.kept >= 350


def test_the_same_things_told_twice_change_nothing() -> None:
    ledger = quoted(UNIT, quoted(UNIT, Ledger(), "a", 0.5), "b", 0.5)
    assert quoted(UNIT, ledger, "b", 0.9) == ledger
    once = realised(UNIT, ledger, "b", 1.0)
    assert realised(UNIT, once, "b", 0.0) == once
    assert gone(UNIT, once, "b") == once
    assert gone(UNIT, once, "nobody") == once


@pytest.mark.parametrize("told", ["a", "b"])
def test_one_handoff_of_a_workflow_counts(told: str) -> None:
    ledger = quoted(UNIT, Ledger(), "a", 0.5, workflow="w")
    ledger = quoted(UNIT, ledger, "b", 0.6, workflow="w")
    ledger = quoted(UNIT, ledger, "c", 0.7, workflow="x")
    ledger = realised(UNIT, ledger, told, 1.0)
    assert (ledger.kept, ledger.repeated) == (1, 1)
    assert [one.handoff_id for one in ledger.waiting] == ["c"]
    assert realised(UNIT, ledger, "b" if told == "a" else "a", 1.0).late == 1


def test_the_oldest_is_given_up_when_too_many_wait() -> None:
    terms = Terms(0.0, 1.0, burn_in=0, window=2)
    ledger = Ledger()
    for k in range(3):
        ledger = quoted(terms, ledger, f"h{k}", 0.5)
    assert ledger.unobserved == 1 and [one.handoff_id for one in ledger.waiting] == ["h1", "h2"]
    ledger = realised(terms, ledger, "h0", 1.0)
    assert ledger.late == 1 and ledger.kept == 0


def test_giving_up_the_oldest_lets_those_behind_it_count() -> None:
    terms = Terms(0.0, 1.0, burn_in=0, window=3)
    ledger = Ledger()
    for k in range(3):
        ledger = quoted(terms, ledger, f"h{k}", 0.5)
        if k:
            ledger = realised(terms, ledger, f"h{k}", 1.0)
    assert ledger.kept == 0
    ledger = quoted(terms, ledger, "h3", 0.5)
    assert (ledger.kept, ledger.unobserved, len(ledger.waiting)) == (2, 1, 1)


def test_what_waited_too_long_is_given_up_at_the_next_quote() -> None:
    terms = Terms(0.0, 1.0, burn_in=0, patience=60.0)
    ledger = quoted(terms, Ledger(), "a", 0.5, at=100.0)
    ledger = quoted(terms, ledger, "b", 0.5, at=130.0)
    ledger = realised(terms, ledger, "b", 1.0)
    ledger = quoted(terms, ledger, "c", 0.5, at=160.0)
    assert (ledger.kept, len(ledger.waiting)) == (0, 3)
    ledger = quoted(terms, ledger, "d", 0.5, at=161.0)
    assert (ledger.kept, ledger.unobserved) == (1, 1)
    assert [one.handoff_id for one in ledger.waiting] == ["c", "d"]


def test_outside_the_range_counts_as_its_end() -> None:
    ledger = kept(UNIT, [(0.5, 7.0), (0.5, -7.0), (0.5, 1.0)])
    assert ledger.outside == 2
    assert ledger == kept(UNIT, [(0.5, 1.0), (0.5, 0.0), (0.5, 1.0)]).__class__(
        **{**kept(UNIT, [(0.5, 1.0), (0.5, 0.0), (0.5, 1.0)]).__dict__, "outside": 2}
    )


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_must_be_finite(value: float) -> None:
    with pytest.raises(WireError, match="'a': quote"):
        quoted(UNIT, Ledger(), "a", value)
    with pytest.raises(WireError, match="'a': realised"):
        realised(UNIT, quoted(UNIT, Ledger(), "a", 0.5), "a", value)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"low": 1.0}, "range"),
        ({"high": math.inf}, "range"),
        ({"tolerance": 1.0}, "tolerance"),
        ({"alpha": 0.0}, "alpha"),
        ({"run_length": 1.0}, "run_length"),
        ({"burn_in": -1}, "burn_in"),
        ({"window": 0}, "window"),
        ({"patience": 0.0}, "patience"),
        ({"harm": -0.1}, "harm"),
    ],
)
def test_terms_that_cannot_be(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(ModelError, match=named):
        Terms(**{"low": 0.0, "high": 1.0, **wrong})


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=MEMORY))
def test_a_sample_is_mean_and_variance(values: list[float]) -> None:
    sample = Sample()
    for value in values:
        sample = sample.add(value)
    mean = math.fsum(values) / len(values)
    assert sample.mean == pytest.approx(mean, abs=1e-9)
    variance = math.fsum((one - mean) ** 2 for one in values) / len(values)
    assert sample.variance == pytest.approx(variance, abs=1e-7)


def test_a_sample_forgets() -> None:
    sample = Sample()
    for _ in range(MEMORY):
        sample = sample.add(0.0)
    for _ in range(3 * MEMORY):
        sample = sample.add(1.0)
    assert sample.mean == pytest.approx(1 - (1 - 1 / MEMORY) ** (3 * MEMORY), rel=1e-6)
    assert Sample().noise(1.0) == math.inf
    assert Sample(4, 0.0, 0.25).noise(2.0) == pytest.approx((4 * 0.25 + 1.0) / 16)


steps = st.lists(
    st.tuples(
        st.sampled_from(["quote", "realised", "gone"]),
        st.integers(0, 8),
        st.floats(0, 1),
        st.sampled_from([None, "w", "x"]),
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(steps)
def test_whatever_happens_nothing_is_lost_and_json_brings_it_back(
    sequence: list[tuple[str, int, float, str | None]],
) -> None:
    terms = Terms(0.0, 1.0, burn_in=2, window=4)
    ledger, taken = Ledger(), 0
    for what, k, value, workflow in sequence:
        before = ledger
        if what == "quote":
            ledger = quoted(terms, ledger, f"h{k}", value, workflow)
            taken += f"h{k}" not in {one.handoff_id for one in before.waiting}
        elif what == "realised":
            ledger = realised(terms, ledger, f"h{k}", value)
        else:
            ledger = gone(terms, ledger, f"h{k}")
        stored = json.loads(json.dumps(promises.to_json(ledger), allow_nan=False))
        assert promises.from_json(stored) == ledger
    counted = ledger.kept + ledger.unobserved + ledger.repeated
    assert taken == counted + len(ledger.waiting)
    assert len(ledger.waiting) <= terms.window
    assert ledger.over.count == max(0, ledger.kept - terms.burn_in)


def test_no_compiler_is_loaded() -> None:
    code = "import sys, batonq.node.peers.trust; sys.exit('numba' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
