"""Off-policy evaluation: cases by hand, laws written out, invariances, refusals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from field_logs import made_log
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_records import (
    BEHAVIOUR,
    GAMMA,
    HAND,
    TARGET,
    WORK,
    every_segment,
    hand_on,
    one_decision,
    recorded,
    step,
    value,
    whole_law,
)

from batonq.base.errors import DataError
from batonq.bound import offpolicy_estimates, offpolicy_refusals
from batonq.bound.offpolicy import evaluate
from batonq.bound.offpolicy_estimates import (
    doubly_robust,
    fitted,
    last,
    observed,
    ratios,
    returns,
    snips,
    weights,
)
from batonq.bound.offpolicy_fit import fit, mean_square
from batonq.bound.offpolicy_intervals import freedom
from batonq.bound.offpolicy_policies import (
    as_default,
    as_permitted,
    as_valued,
    chances,
    fixed,
    greedy,
    uniform,
)
from batonq.bound.segments import Seen, segments, table_of


def table(records, gamma=GAMMA, **more):
    found, dropped = segments(records)
    return table_of(found, gamma, dropped=dropped, **more)


def policy(rows):
    return {y: dict(enumerate(row)) for y, row in rows.items()}


def weighed(found, rows):
    each = chances(found, policy(rows))
    return each, weights(found, ratios(found, each))


# By hand


def test_a_return_is_discounted_over_the_segment_and_takes_the_quote():
    found = table(
        [
            step(reward=1.0, duration=2.0, to="desk"),
            step(reward=2.0, duration=1.0, quote=4.0),  # 1 + .25 (2 + .5 * 4)
            step(reward=3.0, duration=5.0, to=None, end="terminal", quote=None),
            step(reward=0.0, duration=3.0, to="desk", end="truncated", quote=8.0),
        ]
    )
    assert returns(found).tolist() == [2.0, 3.0, 1.0]
    assert observed(found).value == 2.0


def test_importance_sampling_of_two_segments_by_hand():
    found = table(
        [
            step("a", 0, propensity=0.5, reward=1.0, to="desk"),
            step("b", 1, propensity=0.25, reward=2.0, quote=4.0),
            step("a", 1, propensity=0.5, reward=3.0, to=None, end="terminal", quote=None),
        ]
    )
    _, weight = weighed(found, {"a": (0.25, 0.75), "b": (0.5, 0.5)})
    assert weight.tolist() == [0.5, 1.0, 1.5]
    # First decisions: (.5 * 1 + 1.5 * 3) / 2; second: 1 * .5 * (2 + .5 * 4) / (1 + 1.5).
    estimate = snips(found, weight)
    assert estimate.value == pytest.approx(2.5 + 2.0 / 2.5)
    assert estimate.part.sum() == pytest.approx(0.0)


def test_parts_are_the_derivative_of_the_estimate():
    """A segment counted a little more moves the estimate by its part."""
    records = whole_law()
    found = table(records)
    each, weight = weighed(found, TARGET)
    for estimate, again in (
        (snips(found, weight), lambda t, w, c: snips(t, w).value),
        (fitted(found, each)[0], lambda t, w, c: fitted(t, c)[0].value),
    ):
        many = 400
        for k in (0, 40, 100):
            rows = np.flatnonzero(found.segment() == k)
            longer = _with_copy(found, rows, many)
            c = np.vstack([*[each] * many, each[rows]])
            moved = again(longer, weights(longer, ratios(longer, c)), c)
            n = len(longer)
            # Parts of the fit are inflated by sqrt(c / (c - 1)) for c records, at most 6 % here.
            assert n * (moved - estimate.value) == pytest.approx(
                estimate.part[k], rel=0.07, abs=0.02
            )


def _with_copy(found, rows, many):
    """`many` times the same segments, and one of them once more."""
    columns = ("y", "action", "propensity", "reward", "discount", "quote")
    columns += ("permitted", "values", "default")
    n = len(found.y)
    starts = [found.start + k * n for k in range(many)]
    start = np.concatenate([*starts, [many * n]])
    more = {
        name: np.concatenate([*[getattr(found, name)] * many, getattr(found, name)[rows]])
        for name in columns
    }
    return replace(found, start=start, workflow=np.arange(len(start)), **more)


# Against laws that are written out


def test_importance_sampling_is_unbiased_over_all_segments():
    chance, steps = zip(*every_segment(), strict=True)
    assert sum(chance) == 1.0
    records = [
        replace(one, handoff_id=f"{k}-{j}") for k, s in enumerate(steps) for j, one in enumerate(s)
    ]
    found = table(records)
    _, weight = weighed(found, TARGET)
    assert np.dot(chance, last(found, weight)) == pytest.approx(1.0)
    discount = found.discount.copy()
    before = np.ones(len(found.y))
    before[1:][found.goes_on()[:-1]] = discount[:-1][found.goes_on()[:-1]]
    gained = weight * before * (found.reward + discount * found.quote)
    sums = np.bincount(found.segment(), weights=gained)
    assert np.dot(chance, sums) == pytest.approx(value(TARGET))
    assert np.dot(chance, returns(found)) == pytest.approx(value(BEHAVIOUR))
    square = np.dot(chance, last(found, weight) ** 2)
    assert mean_square(table(whole_law()), _ratios(whole_law())) == pytest.approx(square)


def _ratios(records):
    found = table(records)
    return ratios(found, chances(found, policy(TARGET)))


def test_all_estimators_are_exact_on_records_in_exact_proportion():
    found = table(whole_law())
    each, weight = weighed(found, TARGET)
    assert observed(found).value == pytest.approx(value(BEHAVIOUR))
    assert snips(found, weight).value == pytest.approx(value(TARGET))
    assert fitted(found, each)[0].value == pytest.approx(value(TARGET))


def test_doubly_robust_is_right_if_the_fit_is_whatever_the_weights(monkeypatch):
    """What comes of an action follows from it here: a fit knows all, and no record surprises it."""
    monkeypatch.setattr(offpolicy_estimates, "SHRINK", 0.0)
    kinds = [
        [recorded("a", HAND)],
        [recorded("a", WORK, "desk"), recorded("good", WORK)],
        [recorded("a", WORK, "desk"), recorded("good", HAND)],
    ]
    found = table(
        [
            replace(one, handoff_id=f"{k}-{j}")
            for k in range(30)
            for j, one in enumerate(kinds[k % 3])
        ]
    )
    rows = {"a": (0.75, 0.25), "good": (0.5, 0.5)}
    good = 0.5 * (1.0 + 0.5 * 4.0) + 0.5 * (3.0 + 0.5 * 4.0)
    right = 0.75 * (-1.0 + 0.25 * good) + 0.25 * (0.5 + 0.25 * 2.0)
    each, _ = weighed(found, rows)
    wrong = np.random.default_rng(0).uniform(0.1, 10.0, len(found.y))
    estimate = doubly_robust(found, each, wrong)
    assert estimate.value == pytest.approx(right)
    assert estimate.part == pytest.approx(np.zeros(30))


def test_doubly_robust_is_right_if_the_weights_are_whatever_the_fit():
    """Observations that come once each leave nothing to fit; over many logs the mean is right."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        one = one_decision(rng, 200)
        each = hand_on(200)
        blind = replace(one, observations=tuple(range(200)), y=np.arange(200))
        gap = doubly_robust(blind, each, weights(blind, ratios(blind, each))).value
        found.append(gap - _worth_of_one(1))
    assert abs(np.mean(found)) < 4 * np.std(found) / math.sqrt(300)


def _worth_of_one(action):
    """Of `one_decision`: rewards y * action, quotes of mean 0."""
    return float(np.mean([y * action for y in range(3)]))


def test_visits_are_those_of_the_policy():
    found = fit(table(whole_law()), chances(table(whole_law()), policy(TARGET)))
    by_name = dict(zip(table(whole_law()).observations, found.visits, strict=True))
    assert by_name["a"] == pytest.approx([0.25 * 0.25, 0.25 * 0.75])
    assert by_name["b"] == pytest.approx([0.75, 0.0])
    reached = 0.0625 * 0.25 * 0.75 + 0.75 * 0.5 * 0.5  # discounted over the work
    assert by_name["good"] == pytest.approx([0.0, reached])


# Invariances


@given(st.integers(0, 1_000), st.floats(0.1, 10), st.floats(-5, 5))
@settings(max_examples=20)
def test_values_scale_and_shift_with_what_is_gained(seed, scale, shift):
    found = one_decision(np.random.default_rng(seed), 400)
    other = replace(found, reward=scale * found.reward + shift, quote=scale * found.quote)
    before = evaluate(found, hand_on(400), estimator=None)
    after = evaluate(other, hand_on(400), estimator=None)
    for one, moved in zip(before.lines, after.lines, strict=True):
        ends = (one.value.value, one.value.low, one.value.high)
        wanted = [scale * end + shift for end in ends]
        assert [moved.value.value, moved.value.low, moved.value.high] == pytest.approx(wanted)
        assert moved.difference.low == pytest.approx(scale * one.difference.low)
    assert after.ess == pytest.approx(before.ess)


@given(st.integers(0, 1_000))
@settings(max_examples=20)
def test_names_and_order_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    found = one_decision(rng, 400)
    order = rng.permutation(400)
    columns = ("action", "propensity", "reward", "discount", "quote")
    other = replace(
        found,
        y=2 - found.y[order],
        actions=("hand", "keep"),
        **{name: getattr(found, name)[order] for name in columns},
    )
    for name in ("snips", "fqe"):
        before = evaluate(found, fixed(1), estimator=name)
        after = evaluate(other, fixed("keep"), estimator=name)
        assert after.value == pytest.approx(before.value)
        assert after.high == pytest.approx(before.high)


@given(st.integers(0, 1_000))
@settings(max_examples=20)
def test_the_behaviour_itself_is_worth_what_was_observed(seed):
    found = one_decision(np.random.default_rng(seed), 200)
    same = np.tile([0.75, 0.25], (200, 1))
    result = evaluate(found, same, estimator="snips")
    assert result.value == pytest.approx(result.behaviour.value)
    assert result.low == pytest.approx(result.behaviour.low)
    assert result.difference.value == pytest.approx(0.0, abs=1e-12)
    assert result.difference.high == pytest.approx(0.0, abs=1e-12)
    assert result.ess == pytest.approx(200)


def test_segments_of_one_workflow_count_as_one():
    """Each segment twice in its workflow tells no more than once."""
    once = one_decision(np.random.default_rng(3), 400)
    columns = ("y", "action", "propensity", "reward", "discount", "quote", "workflow")
    columns += ("permitted", "values", "default")
    twice = replace(
        once,
        start=np.arange(800),
        **{name: np.repeat(getattr(once, name), 2, axis=0) for name in columns},
    )
    for name in ("snips", "fqe"):
        one = evaluate(once, hand_on(400), estimator=name)
        two = evaluate(twice, hand_on(800), estimator=name)
        assert two.value == pytest.approx(one.value)
        # Surprises of a fit are inflated for c records, of which there are twice as many.
        assert two.high - two.low == pytest.approx(one.high - one.low, rel=0.02)
    assert two.ess == pytest.approx(one.ess)


def test_arrivals_that_go_together_in_time_widen_the_interval():
    rng = np.random.default_rng(5)
    found = one_decision(rng, 6_000)
    slow = np.repeat(rng.normal(size=100), 60)
    sticky = replace(found, reward=found.reward + 3 * slow)
    alone = replace(found, reward=found.reward + 3 * rng.permutation(slow))
    widths = [
        one.high - one.low
        for one in (evaluate(each, hand_on(6_000), estimator="snips") for each in (sticky, alone))
    ]
    assert widths[0] > 1.5 * widths[1]


def test_degrees_of_freedom():
    assert freedom(np.ones(100)) == pytest.approx(99.0)
    assert freedom(np.array([1.0, -1.0] * 10 + [0.0] * 1000)) == pytest.approx(19.0)
    assert freedom(np.array([100.0, 1.0, 1.0])) == 4.0
    assert freedom(np.zeros(5)) == math.inf


# Coverage: the benchmark holds it on many settings, this on one


def test_intervals_hold_the_truth():
    """200 logs: at coverage .95 fewer than 176 hits have a chance below 1e-4."""
    rng = np.random.default_rng(11)
    hits = dict.fromkeys(("dr", "snips", "fqe", "difference"), 0)
    for _ in range(200):
        result = evaluate(one_decision(rng, 400, 0.4), hand_on(400), estimator=None)
        for line in result.lines:
            hits[line.estimator] += line.value.low <= 1.0 <= line.value.high
        gain = 1.0 - 0.2 * 1.0
        hits["difference"] += result.difference.low <= gain <= result.difference.high
    assert min(hits.values()) >= 176


# Policies


def test_policies_by_name():
    found = table([step("a", 0), step("b", 1), step("a", 2)])
    assert chances(found, fixed(1)).tolist() == [[0, 1, 0]] * 3
    values = {"a": {0: 1.0, 2: 3.0}, "b": {0: 2.0, 1: 2.0}}
    assert chances(found, greedy(values)).tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    assert chances(found, uniform({"a": (0, 2), "b": (1,)})).tolist() == [
        [0.5, 0, 0.5],
        [0, 1, 0],
        [0.5, 0, 0.5],
    ]
    assert chances(found, lambda y: {"ab".index(y): 1.0}).argmax(axis=1).tolist() == [0, 1, 0]


def test_policies_of_what_was_logged():
    records = [step("a", 0, name="x"), step("a", 1, name="y")]
    seen = {
        "x": Seen(frozenset({0, 1}), {0: 1.0, 1: 2.0}, 0),
        "y": Seen(frozenset({1, 2}), {1: 1.0, 2: 0.0}, 2),
    }
    found = table(records, actions=("one", "two", "three"), seen=seen)
    assert as_permitted(found).tolist() == [[0.5, 0.5, 0], [0, 0.5, 0.5]]
    assert as_valued(found).argmax(axis=1).tolist() == [1, 1]
    assert as_default(found).argmax(axis=1).tolist() == [0, 2]
    # Masks come before the policy: what was ruled out gives its share to the others.
    assert chances(found, lambda _: {"one": 0.5, "two": 0.25, "three": 0.25}).tolist() == [
        [pytest.approx(2 / 3), pytest.approx(1 / 3), 0],
        [0, 0.5, 0.5],
    ]
    with pytest.raises(DataError, match="was ruled out in 1 of 2"):
        chances(found, fixed("one"))
    with pytest.raises(DataError, match="have no values"):
        as_valued(table(records))
    with pytest.raises(DataError, match="name no default"):
        as_default(table(records))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (fixed(7), "action 7 at observation 'a' is none of the records'"),
        ({"b": {0: 1.0}}, "says nothing of observation 'a'"),
        ({"a": {0: 0.6, 1: 0.6}, "b": {0: 1.0}}, "observation 'a' are negative or do not sum to 1"),
        ({"a": {0: 1.5, 1: -0.5}, "b": {0: 1.0}}, "negative"),
        ({"a": {0: math.nan}, "b": {0: 1.0}}, "do not sum to 1"),
        (np.ones((1, 2)), "has shape"),
    ],
)
def test_a_policy_that_cannot_be_is_named(given, message):
    found = table([step("a", 0), step("b", 1)])
    with pytest.raises(DataError, match=message):
        chances(found, given)


# Refusals


def test_without_propensities_nothing_is_said():
    found = one_decision(np.random.default_rng(0), 100)
    found.propensity[:10] = np.nan
    with pytest.raises(DataError, match="10 of 100 decisions have no propensity"):
        evaluate(found, hand_on(100))


def test_a_behaviour_that_never_tried_tells_nothing_of_another():
    found = one_decision(np.random.default_rng(0), 100)
    never = replace(found, action=np.zeros(100, int), propensity=np.ones(100))
    with pytest.raises(DataError, match="every propensity is 1"):
        evaluate(never, hand_on(100))
    same = evaluate(never, fixed(0), estimator="snips")
    assert same.value == pytest.approx(same.behaviour.value)
    half = replace(found, propensity=np.where(np.arange(100) < 50, 1.0, found.propensity))
    half = replace(half, action=np.where(np.arange(100) < 50, 0, found.action))
    with pytest.raises(DataError, match=r"in 50.0% of its decisions .* propensity was 1"):
        evaluate(half, hand_on(100))


def test_an_action_never_taken_where_the_policy_takes_it_is_named_with_its_share():
    rng = np.random.default_rng(0)
    found = one_decision(rng, 900)
    never = (found.y == 2) & (found.action == 1)
    gone = replace(found, action=np.where(never, 0, found.action))
    share = (found.y == 2).mean()
    with pytest.raises(DataError, match=f"{share:.1%} of the policy's decisions.*1 at 2"):
        evaluate(gone, hand_on(900))


def test_too_small_an_effective_sample_is_refused():
    found = one_decision(np.random.default_rng(1), 300, epsilon=0.2, n_seen=2)
    with pytest.raises(DataError, match=r"effective sample of \d+\.\d segments out of 300"):
        evaluate(found, hand_on(300))
    told = evaluate(found, hand_on(300), estimator=None)
    assert told["snips"].value.note.startswith("not available: effective sample")
    assert told.best.estimator == "fqe"


def test_rare_products_of_weights_count_though_the_records_lack_them():
    """Work is seldom, work after work was never seen: the effective sample knows it must be."""
    records = []
    for k in range(300):
        if k % 30:
            records.append(step("new", 1, propensity=29 / 30))
        else:
            records.append(step("new", 0, propensity=1 / 30, to="desk"))
            records.append(step("new", 1, propensity=29 / 30))
    found = table(records, 0.9)
    each, weight = weighed(found, {"new": (0.5, 0.5)})
    ratio = ratios(found, each)
    final = last(found, weight)
    kish = final.sum() ** 2 / (final**2).sum()
    assert offpolicy_refusals.effective(found, weight, ratio) < kish / 5


def test_wrong_propensities_are_found_out():
    found = one_decision(np.random.default_rng(0), 2_000)
    wrong = replace(found, propensity=np.where(found.action == 1, 0.4, 0.6))
    with pytest.raises(DataError, match="the mean weight is"):
        evaluate(wrong, hand_on(2_000), estimator="dr")


def test_a_fit_wants_records_of_what_the_policy_does():
    rng = np.random.default_rng(0)
    found = one_decision(rng, 400, n_seen=100)
    with pytest.raises(DataError, match="fewer than 5 records"):
        evaluate(found, hand_on(400), estimator="fqe")
    both = evaluate(found, hand_on(400), estimator=None)
    assert both["fqe"].value.value is None
    assert both.best.estimator == "dr"
    assert any("too seldom" in one.note for one in both.assumptions)


def test_control_that_never_leaves_has_no_value_without_a_discount():
    records = []
    for k in range(100):
        records += [step("new", 0, to="desk"), step("new", 1, name=f"out{k}")]
    found = table(records, 1.0)
    with pytest.raises(DataError, match="hardly ever leave the agent"):
        evaluate(found, fixed(0), estimator="fqe")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "best"}, "estimator 'best': give one of dr, snips, fqe"),
        ({"confidence": 1.0}, "confidence 1"),
        ({"gamma": 0.5}, "gamma: 0.5, but the records have 0.9"),
    ],
)
def test_options_that_cannot_be_are_named(options, message):
    with pytest.raises(DataError, match=message):
        evaluate(one_decision(np.random.default_rng(0), 100), hand_on(100), **options)


def test_few_workflows_are_refused():
    with pytest.raises(DataError, match="20 workflows of 20 segments, wanted 30"):
        evaluate(one_decision(np.random.default_rng(0), 20), hand_on(20))


def test_records_need_a_discount_and_a_log_has_one():
    action = np.random.default_rng(0).integers(2, size=200)
    records = [step("a", k, reward=float(k)) for k in action.tolist()]
    with pytest.raises(DataError, match="gamma is None"):
        evaluate(records, fixed(1))
    assert evaluate(records, fixed(1), gamma=0.9, estimator="snips").value == pytest.approx(1.0)
    log = made_log(action.astype(float), np.zeros(200, int), action)
    told = evaluate(log, fixed(1), estimator="fqe")
    assert told.difference.value == pytest.approx(1 - action.mean())


# What is told


def test_what_was_found_is_told_in_words_and_as_json():
    found = replace(one_decision(np.random.default_rng(2), 500), dropped=7)
    result = evaluate(found, hand_on(500), estimator=None, confidence=0.9)
    text = str(result)
    assert "500 segments of 500 decisions" in text
    assert "90% intervals" in text
    assert "7 left out" in text
    assert result.low < result.value < result.high
    told = result.document()
    assert told["n"] == 500
    assert [one["estimator"] for one in told["lines"]] == ["dr", "snips", "fqe"]
    assert told["lines"][0]["difference"]["low"] == result.difference.low
    narrower = evaluate(found, hand_on(500), confidence=0.5)
    assert narrower.high - narrower.low < 0.5 * (result.high - result.low)


def test_a_fit_that_the_weights_contradict_is_said_to_be_wrong():
    """Work shows the same wherever it began, but is worth 1 if it began at "b", else -1."""
    rng = np.random.default_rng(4)
    records = []
    for _ in range(4_000):
        y, works, worth = ("a", 0.25, -1.0) if rng.random() < 0.5 else ("b", 0.75, 1.0)
        if rng.random() < works:
            records.append(step(y, WORK, propensity=works, to="desk"))
            records.append(step("shown", HAND, propensity=1.0, reward=worth))
        else:
            records.append(step(y, HAND, propensity=1 - works))
    result = evaluate(
        records,
        {"a": {WORK: 1.0}, "b": {HAND: 1.0}, "shown": {HAND: 1.0}},
        gamma=1.0,
        estimator=None,
    )
    assert result.low <= -0.5 <= result.high
    assert result["fqe"].value.low > 0  # the records at "shown" are mostly those from "b"
    told = next(one for one in result.assumptions if "fqe" in one.name)
    assert told.status == "not met"
