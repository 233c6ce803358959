"""Rules made by hand, the search for feasible policies, and what learners come to."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from triage_problems import by_hand, small

from batonq.icq.observe import values_of
from batonq.smdp.exact import optimal
from batonq.tasks.routing.triage import settings
from batonq.tasks.routing.triage.learning import learn, narrow, policies, trained
from batonq.tasks.routing.triage.model import LAST, OWN, triage
from batonq.tasks.routing.triage.policies import posed, score
from batonq.tasks.routing.triage.rules import best_order, fixed_rule, rule_of_order
from batonq.tasks.routing.triage.search import feasible


@pytest.mark.parametrize(("seed", "size"), [(0, 3), (1, 3), (2, 4)])
def test_the_best_order_is_the_best_of_all(seed, size):
    problem = triage(small(seed, size))
    values = {
        order: score(problem.model, rule_of_order(problem, order)).value
        for order in permutations(range(size))
    }
    found = score(problem.model, fixed_rule(problem))
    assert found.value == pytest.approx(max(values.values()), abs=1e-12)
    assert values[best_order(problem.instance)] == found.value
    assert found.accuracy == pytest.approx(1)
    assert (
        min(values.values()) < found.value <= problem.model.initial @ optimal(problem.model).value
    )


@pytest.mark.parametrize("first", [1.0, 4.0])
def test_the_search_finds_the_best_of_few_policies(first):
    model = triage(by_hand(first, 3.0), senders=True).seen(OWN)
    choices = [np.flatnonzero(mask) for mask in model.cell_mask]
    best = max(score(model, np.array(policy)[model.cell]).value for policy in product(*choices))
    assert score(model, feasible(model)[model.cell]).value == pytest.approx(best, abs=1e-9)


def test_the_search_is_no_worse_than_what_is_known():
    model = triage(posed(4, 0, 0).problem.instance, senders=True).seen(LAST)
    rng = np.random.default_rng(0)
    known = [
        np.where(model.cell_mask, rng.random(model.cell_mask.shape), -1).argmax(axis=1)
        for _ in range(3)
    ]
    found = score(model, feasible(model, known)[model.cell]).value
    assert found >= max(score(model, policy[model.cell]).value for policy in known)


def test_a_policy_that_goes_round_is_never_right():
    problem = triage(by_hand())
    own = problem.digits[problem.ticket, problem.model.holder] == 0
    passing = np.where(own, problem.model.holder, 1 - problem.model.holder)
    found = score(problem.model, passing)
    assert (found.value, found.accuracy) == (0, pytest.approx(0, abs=1e-9))


@pytest.mark.compiled
def test_icq_learns_what_the_oracle_knows():
    given = posed(3, 0, 0)
    model = given.problem.model
    run = trained(model, "icq", 3, 2, 0)
    for seed, policy in enumerate(policies(model, run)):
        found = score(model, policy)
        assert found.accuracy == pytest.approx(1, abs=1e-9)
        assert found.value >= settings.RATIO * given.best.value
        # Where the oracle goes its values are learnt, up to what noise is left.
        at = np.flatnonzero(model.initial > 0)
        q = values_of(run, model, seed).max(axis=1, initial=-np.inf, where=model.cell_mask)
        assert q[at] == pytest.approx(given.oracle.value[at], abs=0.02)


@pytest.mark.compiled
def test_learners_are_told_apart(monkeypatch):
    monkeypatch.setattr(settings, "HANDOFFS", {3: 200_000})
    found = learn(3, 0, 2, 0)
    told = found["learners"]
    assert told["centralised"] == told["icq"]  # one table of the same cells: bit for bit
    for name in ("no_scalar", "monte_carlo"):
        assert max(told[name]["value"]) < min(told["icq"]["value"])
    assert found["random"]["accuracy"] == pytest.approx(1 / 4, abs=0.05)
    assert found["oracle"]["value"] > found["fixed"]["value"] > found["random"]["value"]
    assert np.shape(found["curve"]) == (2, settings.POINTS)
    hidden = narrow(3, 0, 2, 0)
    assert hidden["oracle"] == found["oracle"]
    for interface in (LAST, OWN):
        one = hidden[interface]
        best = one["feasible"]["value"]
        assert best >= max([*one["learners"]["icq"]["value"], one["aggregated"]["value"]]) - 1e-9
        assert max(one["learners"]["centralised"]["value"]) >= best - 1e-9
    assert hidden[OWN]["feasible"]["value"] < found["oracle"]["value"] - 0.01


@pytest.mark.compiled
def test_the_drawing_counts_what_happens_to_a_request(monkeypatch):
    monkeypatch.setattr(settings, "HANDOFFS", {4: 400_000})
    drawing = learn(4, 0, 1, 0)["drawing"]
    flow = np.array(drawing["flow"])
    assert flow.shape == (8, 9)
    assert flow[:, -1].sum() == pytest.approx(1)  # every request ends once
    assert flow[:4, -1] == pytest.approx(0)  # and with a specialist
    begun = np.array(drawing["start"])
    arrivals = begun[:4] + flow[:4, :4].sum(axis=0) - np.diagonal(flow)[:4]
    assert flow[:4].sum(axis=1) == pytest.approx(arrivals + np.diagonal(flow)[:4])
