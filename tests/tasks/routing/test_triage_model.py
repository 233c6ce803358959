"""The finite model of triage against problems solved by hand and by plain recursion."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from triage_problems import by_hand, expectimax, small

from batonq.base.errors import ModelError
from batonq.bound.gap import is_exact
from batonq.smdp.chain import stationary
from batonq.smdp.exact import optimal
from batonq.smdp.interface import is_refinement
from batonq.smdp.policies import uniform
from batonq.tasks.routing.triage.instance import SPECIALISTS, Instance, drawn
from batonq.tasks.routing.triage.model import INTERFACES, LAST, OWN, WHOLE, triage
from batonq.tasks.routing.triage.policies import posed, score


def first_values(problem):
    """Optimal value of an empty ticket at each agent."""
    value = optimal(problem.model).value
    start = np.flatnonzero(problem.model.initial > 0)
    assert problem.model.holder[start].tolist() == list(range(problem.instance.size))
    return value[start]


def test_two_coins_are_worth_what_they_are_by_hand():
    problem = triage(by_hand(2.0, 3.0, 0.9))
    g0, g1 = 0.9 / (2 - 0.9), 0.9 / (3 - 2 * 0.9)
    ask_second, ask_first = 0.9 * g1, 0.9 * g0  # to hand over and to measure, then all is known
    assert ask_second > 0.5  # better than to guess
    first = g0 * (0.5 + 0.5 * ask_second)
    second = g1 * ask_first  # after the second coin alone nobody is more likely than .5
    assert first_values(problem) == pytest.approx([first, second], abs=1e-9)
    assert score(problem.model, optimal(problem.model).policy).accuracy == pytest.approx(1)


def test_where_measuring_takes_long_the_oracle_guesses():
    problem = triage(by_hand(2.0, 30.0, 0.9))
    found = score(problem.model, optimal(problem.model).policy)
    # From the first agent right with 3/4; from the second with certainty once both are known.
    assert found.accuracy == pytest.approx((0.75 + 1) / 2)


@pytest.mark.parametrize("seed", range(4))
def test_the_oracle_is_that_of_a_plain_recursion(seed):
    instance = small(seed)
    assert first_values(triage(instance)) == pytest.approx(expectimax(instance), abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_the_senders_name_changes_nothing(seed):
    instance = small(seed)
    bare, full = triage(instance), triage(instance, senders=True)
    number = {
        (int(k), int(t)): s
        for s, (k, t) in enumerate(zip(bare.model.holder, bare.ticket, strict=True))
    }
    same = [number[int(k), int(t)] for k, t in zip(full.model.holder, full.ticket, strict=True)]
    mask = full.model.mask
    assert optimal(full.model).q[mask] == pytest.approx(optimal(bare.model).q[same][mask], abs=1e-8)
    assert is_exact(full.model.seen_as(np.array(same)))


@pytest.mark.parametrize("seed", range(3))
def test_interfaces_are_nested_and_only_the_whole_ticket_is_exact(seed):
    problem = triage(drawn(4, seed, 0), senders=True)
    cells = [problem.seen(name).cell for name in INTERFACES]
    assert INTERFACES == (WHOLE, LAST, OWN)
    for fine, coarse in pairwise(cells):
        assert is_refinement(fine, coarse)
        assert not is_refinement(coarse, fine)
    assert [is_exact(problem.seen(name)) for name in INTERFACES] == [True, False, False]


@pytest.mark.parametrize("senders", [False, True])
def test_every_state_is_met(senders):
    model = triage(small(1), senders=senders).model
    assert (stationary(model, uniform(model)) > 0).all()


def test_measurements_are_geometric_and_handing_over_takes_a_step():
    problem = triage(by_hand(2.0, 3.0))
    model = problem.model
    row = np.repeat(np.arange(model.mask.size), np.diff(model.indptr))
    state, action = np.divmod(row, model.n_actions)
    mean = np.where(action == model.holder[state], np.array([2.0, 3.0])[model.holder[state]], 1.0)
    assert model.durations.mean() == pytest.approx(mean)


@pytest.mark.parametrize("size", [3, 5, 8])
def test_drawn_instances_are_what_they_are_said_to_be(size):
    one, same, other = drawn(size, 7, 1), drawn(size, 7, 1), drawn(size, 7, 2)
    assert np.array_equal(one.prior, same.prior)
    assert np.array_equal(one.specialist, same.specialist)
    assert not (one.values == other.values and np.array_equal(one.prior, other.prior))
    assert sorted(one.values) == [2] * (size - 1) + [3]
    assert one.n_specialists == SPECIALISTS
    for facet in range(size):
        first = np.take(one.specialist, [0], axis=facet)
        assert (one.specialist != first).any()
    assert all(((mean >= 1) & (mean <= 6)).all() for mean in one.means)


@pytest.mark.parametrize("number", range(3))
def test_posed_instances_have_a_sure_oracle_and_need_an_adaptive_order(number):
    found = posed(4, 0, number)
    assert found.best.accuracy == pytest.approx(1, abs=1e-9)
    assert found.fixed.accuracy == pytest.approx(1, abs=1e-9)
    assert found.fixed.value < 0.995 * found.best.value


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"prior": np.array([[0.5, 0.5], [0.0, 0.0]])}, "the prior must be positive"),
        ({"specialist": np.array([0, 1])}, "specialists of shape"),
        ({"specialist": np.array([[0, 1], [-1, 2]])}, "give one number >= 0"),
        ({"means": (np.ones(2), np.ones(3))}, r"means of \[2, 3\] values for facets of \[2, 2\]"),
        ({"means": (np.ones(2), np.full(2, 0.5))}, "each at least 1"),
        ({"gamma": 1.5}, "gamma"),
    ],
)
def test_an_instance_that_cannot_be_right_is_named(changed, said):
    good = by_hand()
    given = {name: getattr(good, name) for name in ("prior", "specialist", "means", "gamma")}
    with pytest.raises(ModelError, match=said):
        Instance(**{**given, **changed})


@pytest.mark.parametrize("size", [2, 13])
def test_a_size_outside_the_range_is_named(size):
    with pytest.raises(ModelError, match=f"triage: {size} facets; give 3 to 12"):
        drawn(size, 0, 0)
