"""Which field to reveal: exact on models, estimated from logs, none where nothing helps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from field_logs import made_log, plain_log, two_bits

from batonq.base.errors import DataError, ModelError
from batonq.bound import blocks
from batonq.bound.features import split
from batonq.bound.gap import gap
from batonq.bound.refine import refine
from batonq.bound.refit import change, returns
from batonq.icq.log import Log
from batonq.icq.observe import observe
from batonq.smdp import durations, interface
from batonq.smdp.exact import aggregated
from batonq.smdp.families import leak
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import uniform


def observed(model: FiniteICSMDP, handoffs: int = 20_000, seed: int = 0) -> dict[str, Log]:
    q = aggregated(model, uniform(model)).q
    return observe(model, q, handoffs=handoffs, seed=seed)


def test_on_a_model_the_field_that_matters_removes_all_of_the_gap():
    model = two_bits()
    answer = refine(model)
    first, second = answer.candidates
    now = gap(model, uniform(model)).rms
    assert answer.best == "first"
    assert answer.gap == pytest.approx(now)
    assert (first.field, second.field) == ("first", "second")
    assert first.gap == pytest.approx(0, abs=1e-6)
    assert first.removed == pytest.approx(now**2)
    assert second.removed == pytest.approx(0, abs=1e-9)
    assert "reveal to every holder: first" in str(answer)


def test_on_a_model_nothing_helps_where_the_interface_hides_nothing():
    model = two_bits()
    shown = model.seen_as(interface.lossless(model))
    answer = refine(shown, {"first": model.fields["first"], "cell": model.cell})
    assert answer.best is None
    assert "none of the candidates" in str(answer)
    assert refine(model, ["second"]).best is None


def test_revealing_to_one_agent_is_not_revealing_to_all():
    """In `leak` the actor has to name a bit that only the reader sees."""
    model = leak().model
    bit = {"bit": np.array([0, 1, 0, 1])}
    assert refine(model, bit, agent="actor").best == "bit"
    assert refine(model, bit, agent="reader").best is None
    assert refine(model, bit).best == "bit"


def test_a_given_behaviour_weighs_the_gap():
    model = two_bits()
    behaviour = np.array([[0.8, 0.2], [0.3, 0.7]])
    refined = model.seen_as(interface.refine(model.cell, model.fields["second"]))
    lifted = np.repeat(behaviour, 2, axis=0)
    (answer,) = refine(model, ["second"], behaviour=behaviour).candidates
    assert answer.gap == pytest.approx(gap(refined, lifted).rms)


def test_from_a_log_the_field_that_matters_is_found_and_the_other_is_not():
    answer = refine(observed(two_bits())["desk"])
    first, second = answer.candidates
    assert answer.best == first.field == "first"
    assert first.adjusted is not None
    assert first.adjusted < 0.001
    assert first.handoffs_needed is None
    assert second.adjusted is not None
    assert second.adjusted > 0.01
    assert second.handoffs_needed is not None
    assert second.handoffs_needed >= 20_000
    assert answer.handoffs == 20_000


def test_what_moves_is_the_change_of_the_fixed_point():
    """`two_bits`: one agent, hence always kept; |Q_f - Q_0|^2 by the exact refined fixed point."""
    model = two_bits()
    before = aggregated(model, uniform(model))
    refined = model.seen_as(interface.refine(model.cell, model.fields["first"]))
    after = aggregated(refined, uniform(refined))
    moved = after.q[refined.cell] - before.q[model.cell]
    wanted = float((before.stationary[:, None] / 2 * moved**2).sum())
    covered = 0
    for seed in range(20):
        log = observed(model, 20_000, seed)["desk"]
        found = change(log, split(log, "first"), log.fields["first"].code, 64)
        covered += found.moved.low <= wanted <= found.moved.high
        shift = float((before.stationary[:, None] / 2 * moved).sum())
        assert found.shift == pytest.approx(shift, rel=0.1)
    assert covered >= 15  # 95 % of 20, less 4 standard deviations


def test_where_control_is_never_kept_and_never_comes_back_only_h_moves_values():
    log = plain_log(2, n=8_000, effect=0.3)  # every decision ends
    assert not returns(log).any()
    (answer,) = refine(log).candidates
    assert answer.removed == pytest.approx(answer.explained)
    assert answer.shift == pytest.approx(0, abs=1e-9)


def test_the_assumed_return_discounts_once_for_each_other_agent():
    model = leak(mean=1.0).model
    log = observed(model, 2_000)["actor"]
    assert returns(log)[:-1] == pytest.approx(0.9 * 0.9)  # one other, all durations 1
    assert returns(log)[-1] == 0


def test_none_when_nothing_helps_over_60_logs(monkeypatch: pytest.MonkeyPatch):
    """Three fields of noise: at error rate .05 at most 3 + 4 sd of 60 logs name one."""
    monkeypatch.setattr(blocks, "FLIPS", 999)
    named = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, 9])
        more = {f"noise{k}": rng.integers(0, 3, 1_000) for k in range(2)}
        log = plain_log(seed, n=1_000, effect=0.0, **more)
        named += refine(log, error_rate=0.05, seed=seed).best is not None
    assert named <= 3 + 4 * np.sqrt(60 * 0.05 * 0.95)


def test_the_table_says_what_cannot_be_had():
    log = plain_log(3, n=4_000, effect=0.2, constant=np.ones(4_000))
    text = str(refine(log))
    assert "reveal to agent 'desk': bit" in text
    assert "4000 own handoffs" in text
    assert "not available: 'constant' is constant" in text
    only = refine(log, ["constant"])
    assert only.best is None


def test_handoffs_needed_shrink_with_the_effect():
    weak, strong = (refine(plain_log(5, n=2_000, effect=e)).candidates[0] for e in (0.03, 0.08))
    assert weak.handoffs_needed is not None
    assert weak.handoffs_needed > 2_000
    assert strong.handoffs_needed is None or strong.handoffs_needed < weak.handoffs_needed


def test_levels_that_permit_fewer_actions_are_no_trouble():
    """Two information states with different masks; values of forbidden actions mean nothing."""
    rng = np.random.default_rng(0)
    n = 4_000
    y, bit = rng.integers(0, 2, n), rng.integers(0, 2, n)
    action = np.where(y == 0, 0, rng.integers(0, 2, n))
    log = made_log(rng.normal(size=n) + 0.4 * bit, y, action, bit=bit)
    values = np.array([[0.0, np.nan], [0.0, 0.0]])
    log = replace(log, mask=np.array([[True, False], [True, True]]), values=values)
    answer = refine(log)
    assert answer.best == "bit"
    assert np.isfinite([answer.candidates[0].removed, answer.candidates[0].score]).all()


def test_bad_input_is_refused():
    model, log = two_bits(), plain_log(0, n=1_000)
    with pytest.raises(ModelError, match="the model has no field 'third'"):
        refine(model, ["third"])
    with pytest.raises(ModelError, match="has no fields"):
        refine(leak().model)
    with pytest.raises(ModelError, match=r"field 'x' is int64 of shape \(3,\)"):
        refine(model, {"x": np.zeros(3, np.int64)})
    with pytest.raises(ModelError, match="one whole number a state"):
        refine(model, {"x": np.zeros(model.n_states)})
    with pytest.raises(ModelError, match="'idle' never decides"):
        refine(replace(model, agents=("desk", "idle")), agent="idle")
    with pytest.raises(ModelError, match="agent: 'nobody' is none of desk"):
        refine(model, agent="nobody")
    with pytest.raises(DataError, match="name fields of the log"):
        refine(log, {"bit": np.zeros(3, np.int64)})
    with pytest.raises(DataError, match="error rate: 0 is not in"):
        refine(log, error_rate=0.0)
    with pytest.raises(DataError, match="longer records needed"):
        refine(plain_log(0, n=90))


def test_records_without_discount_that_never_end_have_no_values() -> None:
    model = replace(two_bits(), gamma=1.0)
    log = observe(model, np.zeros((2, 2)), handoffs=2_000)["desk"]
    with pytest.raises(DataError, match=r"not available: .* gamma < 1"):
        refine(log)


def test_workflows_that_end_elsewhere_do_not_carry_values_over():
    """A clerk hands to a closer, which ends it: the clerk's next row is another workflow.

    Nothing the clerk could learn of its bit comes back, and the bit changes nothing: none.
    """
    model = from_entries(
        agents=("clerk", "closer"),
        holder=np.array([0, 0, 1]),
        cell=np.array([0, 0, 1]),
        reward=np.array([[0.0], [0.0], [1.0]]),
        state=np.array([0, 1]),
        action=np.array([0, 0]),
        successor=np.array([2, 2]),
        probability=np.ones(2),
        durations=durations.fixed(np.array([1, 1])),
        gamma=0.9,
        initial=np.array([0.5, 0.5, 0.0]),
        fields={"bit": np.array([0, 1, 0])},
    )
    answer = refine(observed(model, 4_000)["clerk"])
    assert answer.best is None


def test_a_log_is_of_its_own_agent_and_behaviour():
    log = plain_log(0)
    with pytest.raises(DataError, match="this is the log of agent"):
        refine(log, agent="somebody")
    with pytest.raises(DataError, match="this is the log of agent"):
        refine(log, behaviour=np.ones((1, 1)))
    name = next(iter(log.fields))
    assert [one.field for one in refine(log, name).candidates] == [name]
