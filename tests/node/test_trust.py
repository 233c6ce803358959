from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.seeds import generator
from batonq.node.peers import trust
from batonq.node.peers.promises import Ledger, Sample, Terms, quoted, realised, released

TERMS = Terms(0.0, 1.0)


def after(
    terms: Terms, quotes: np.ndarray, outcomes: np.ndarray, ledger: Ledger | None = None
) -> Ledger:
    ledger = ledger or Ledger()
    for k, (quote, value) in enumerate(zip(quotes, outcomes, strict=True)):
        name = f"{ledger.kept}-{k}"
        ledger = quoted(terms, ledger, name, float(quote))
        ledger = realised(terms, ledger, name, float(value))
    return ledger


def outcomes(count: int, seed: int, mean: float = 0.7) -> np.ndarray:
    return (generator(seed).random(count) < mean).astype(float)


def test_how_a_peer_stands() -> None:
    assert trust.standing(TERMS, Ledger()) == trust.NEW
    honest = after(TERMS, np.full(300, 0.7), outcomes(300, 1))
    assert trust.standing(TERMS, honest) == trust.TRUSTED
    assert not trust.underquotes(TERMS, honest)
    inflating = after(TERMS, np.full(300, 0.84), outcomes(300, 1))
    assert trust.standing(TERMS, inflating) == trust.QUARANTINED
    assert trust.standing(TERMS, released(inflating)) == trust.NEW
    assert released(inflating).excess == inflating.excess


def test_a_flag_without_much_harm_is_no_quarantine() -> None:
    terms = Terms(0.0, 1.0, harm=0.2)
    inflating = after(terms, np.full(300, 0.84), outcomes(300, 1))
    assert trust.standing(terms, inflating) == trust.FLAGGED


def test_quarantine_ends_with_the_excess_but_the_flag_stays() -> None:
    ledger = after(TERMS, np.full(300, 0.84), outcomes(300, 1))
    better = after(TERMS, np.full(900, 0.7), outcomes(900, 2), ledger)
    assert trust.standing(TERMS, better) == trust.FLAGGED


def test_sandbagging_is_told_apart_and_does_no_harm_to_standing() -> None:
    ledger = after(TERMS, np.full(300, 0.56), outcomes(300, 1))
    assert trust.underquotes(TERMS, ledger)
    assert trust.standing(TERMS, ledger) == trust.TRUSTED


def test_a_peer_that_turns_is_found_out() -> None:
    ledger = after(TERMS, np.full(2_000, 0.7), outcomes(2_000, 5))
    assert trust.standing(TERMS, ledger) == trust.TRUSTED
    ledger = after(TERMS, np.full(300, 0.84), outcomes(300, 6), ledger)
    told = trust.evidence(TERMS, ledger)
    assert told["changed"] and told["standing"] == trust.QUARANTINED
    assert not ledger.over.shows(TERMS.alpha)  # from the start on average it is still honest


def test_weight_by_hand() -> None:
    # own: 9 values, variance 1/4: noise (9/4 + 1/4) / 81; excess: 9 values, mean .4, no variance
    ledger = Ledger(kept=9, excess=Sample(9, 0.4, 0.0))
    noise = 2.5 / 81
    bias = (0.4 - 0.5 / 9) ** 2
    assert trust.weight(TERMS, ledger, Sample(9, 0.5, 0.25)) == pytest.approx(
        noise / (noise + bias), rel=1e-12
    )


def test_weight_where_nothing_is_known() -> None:
    assert trust.weight(TERMS, Ledger(), Sample()) == 1.0
    assert trust.weight(TERMS, Ledger(), Sample(50, 0.5, 0.1)) == 1.0
    assert trust.weight(TERMS, Ledger(kept=9, excess=Sample(9, 0.4, 0.0)), Sample()) == 1.0


@given(st.integers(0, 500), st.floats(-1, 1), st.floats(0, 0.25), st.integers(0, 500))
def test_weight_is_a_share(count: int, mean: float, variance: float, own: int) -> None:
    ledger = Ledger(kept=count, excess=Sample(count, mean, variance))
    assert 0 <= trust.weight(TERMS, ledger, Sample(own, 0.5, variance)) <= 1


@given(st.floats(-10, 10), st.floats(-10, 10), st.floats(0, 1))
def test_shrinking_stays_between(quote: float, own: float, share: float) -> None:
    used = trust.shrink(quote, own, share)
    assert min(quote, own) - 1e-9 <= used <= max(quote, own) + 1e-9
    assert trust.shrink(quote, own, 1.0) == pytest.approx(quote, abs=1e-12)
    assert trust.shrink(quote, own, 0.0) == own


def test_shrinking_takes_most_of_an_inflation_away_and_leaves_honest_quotes() -> None:
    """50 peers worth .6: after 200 handoffs the own mean is known to sqrt(.24 / 200) = .035.

    Whoever inflates by .12 is used with a root mean square error near that, an honest one with
    less than half of it: the rest of its weight is on its quote, which is right.
    """
    errors: dict[float, list[float]] = {1.0: [], 1.2: []}
    for inflation, found in errors.items():
        for seed in range(50):
            ledger = after(TERMS, np.full(200, inflation * 0.6), outcomes(200, seed, 0.6))
            share = trust.weight(TERMS, ledger, ledger.realised)
            found.append(trust.shrink(inflation * 0.6, ledger.realised.mean, share) - 0.6)
    honest, inflating = (math.sqrt(np.mean(np.square(one))) for one in errors.values())
    assert honest < 0.035 / 2
    assert inflating < 1.6 * 0.035


def test_evidence_is_json() -> None:
    for ledger in (Ledger(), after(TERMS, np.full(100, 0.84), outcomes(100, 1))):
        told = trust.evidence(TERMS, ledger)
        assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert 0 < told["p"] <= 1 and told["excess"] == pytest.approx(ledger.excess.mean)
