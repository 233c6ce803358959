from __future__ import annotations

import numpy as np
import pytest
from certified_models import hidden_mode, verdicts
from hidden_models import lone_bit, sticky

from batonq.base.errors import ModelError
from batonq.bound.gap import gap
from batonq.bound.phased import memory_term, phase_errors, phased
from batonq.bound.premises import attainable_range, discount_bound
from batonq.bound.residual import watched
from batonq.bound.sandwich import sandwich
from batonq.icq.behaviour import epsilon_greedy
from batonq.smdp.exact import aggregated, optimal
from batonq.smdp.policies import uniform


def test_recursion_by_hand() -> None:
    before = np.array([0.5, 0.3, 0.1])
    after = phase_errors(before, np.array([0.2, 0.9, 9.0]), np.array([5, 5, 0]), 0.8, 1.0)
    assert after == pytest.approx([0.6, 1.0, 0.1])  # .8 * .5 + .2; capped at rho; not visited


def test_memory_term_by_hand() -> None:
    count = np.array([1, 8, 800])
    term = memory_term(count, 0.5, 2.0, 4.0)
    assert term == pytest.approx([0.5, 0.5, 2 * (np.sqrt(4 / 1600) + 1 / 800)])
    assert memory_term(count, 0.0, np.inf, 4.0).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.compiled
@pytest.mark.parametrize("source", ["given", "longest discount", "samples"])
def test_covers_with_each_source_of_beta(source: str) -> None:
    model = verdicts(1, twins=2)
    best = optimal(model).q
    settings = {
        "given": {"contraction": model.contraction},
        "longest discount": {},
        "samples": {"estimate_contraction": True},
    }[source]
    found = phased(model, handoffs=400_000, interval=(0.0, 1.0), seed=3, **settings)
    error = np.abs(found.values[model.cell] - best)
    assert (error <= found.radii[model.cell] + 1e-9).all()
    assert found.bound == found.radii.max()
    assert found.contraction >= model.contraction - 1e-12
    assert found.contraction <= discount_bound(model) + 1e-12
    assert found.loss == pytest.approx(2 * found.bound / (1 - found.contraction))
    status = {assumption.name: assumption.status for assumption in found.assumptions}
    wanted = "supplied" if source == "given" else "met"
    assert status["an upper bound on the contraction of the full model"] == wanted


def test_few_handoffs_are_loose_and_still_right() -> None:
    model = verdicts(1, n_cells=3)
    best = optimal(model).q
    for settings in ({}, {"estimate_contraction": True}):
        found = phased(model, handoffs=4_000, interval=(0.0, 1.0), seed=5, **settings)
        assert (np.abs(found.values[model.cell] - best) <= found.radii[model.cell]).all()
        assert found.assumptions[1].status == "met"


@pytest.mark.compiled
def test_wider_than_the_sandwich_on_the_same_samples() -> None:
    model = verdicts(1, twins=2)
    same = {"handoffs": 1_000_000, "interval": (0.0, 1.0), "seed": 4}
    other = phased(model, contraction=model.contraction, **same)
    assert sandwich(model, scalars=2, **same).half_width < other.bound / 3


@pytest.mark.compiled
def test_with_a_gap_it_knows_the_model() -> None:
    for seed in range(4):
        hidden = sticky(seed, gamma=0.8, stay=0.5, n_hidden=2)
        model, behaviour = hidden.model, uniform(hidden.model)
        found = gap(model, behaviour)
        settings = {"contraction": found.contraction, "seed": seed, "gap": found}
        alone = phased(model, handoffs=100_000, **settings)
        both = phased(model, handoffs=100_000, memory=watched(model, behaviour, found), **settings)
        mask = model.cell_mask
        for one in (alone, both):
            distance = np.abs(one.values[mask] - aggregated(model, behaviour).q[mask])
            assert (distance <= one.radii[mask] + 1e-9).all()
            off = np.abs(one.values[model.cell][model.mask] - optimal(model).q[model.mask])
            assert off.max() <= one.bound + 1e-9
        assert both.bound <= alone.bound + 1e-12
        width = np.diff(attainable_range(model))[0]
        assert both.bound <= width + found.sup + 1e-9


def test_refusals() -> None:
    model = hidden_mode()
    found = gap(model, uniform(model))
    for message, settings in (
        ("give the `gap`", {}),
        ("beta cannot be estimated", {"gap": found, "estimate_contraction": True}),
        ("contraction 1 is not", {"gap": found, "contraction": 1.0}),
        ("plan", {"gap": found, "plan": [10, 0]}),
        ("delta", {"gap": found, "delta": 1.0}),
    ):
        with pytest.raises(ModelError, match=message):
            phased(model, **{"handoffs": 10_000, **settings})


@pytest.mark.compiled
def test_samples_tell_no_beta_of_a_pair_never_taken() -> None:
    model = verdicts(1, n_cells=3)
    settings = {"handoffs": 400_000, "interval": (0.0, 1.0), "estimate_contraction": True}
    greedy = phased(model, behaviour=epsilon_greedy(0.0), **settings)
    assert greedy.contraction == discount_bound(model)
    assert phased(model, **settings).contraction < discount_bound(model)


def test_a_gap_wants_the_uniform_behaviour_and_its_own_model() -> None:
    model = hidden_mode()
    found = gap(model, uniform(model))
    with pytest.raises(ModelError, match="behaviour must be fixed"):
        phased(model, handoffs=2_000, gap=found, behaviour=epsilon_greedy(0.1))
    skewed = np.tile([0.7, 0.3], (model.n_cells, 1))
    other = lone_bit(0.9)
    for wrong in (gap(model, skewed), gap(other, uniform(other))):
        with pytest.raises(ModelError, match="not of this model"):
            phased(model, handoffs=2_000, gap=wrong)


def test_events_are_counted_over_the_plan() -> None:
    model = hidden_mode(0.9)
    found = gap(model, uniform(model))
    settings = {"gap": found, "memory": watched(model, uniform(model), found), "plan": [50_000]}
    bounds = {phased(model, handoffs=n, **settings).bound for n in (1, 50_000, 10**9)}
    assert len(bounds) == 1
