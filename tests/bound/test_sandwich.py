from __future__ import annotations

import inspect
from functools import cache

import numpy as np
import pytest
from certified_models import hidden_mode, verdicts

from batonq.base.errors import ModelError
from batonq.bound import phases
from batonq.bound.concentration import moments, radius
from batonq.bound.premises import (
    attainable_range,
    check_range,
    discount_bound,
    oscillation,
    oscillation_of,
    settled_range,
)
from batonq.bound.sandwich import Sandwich, sandwich
from batonq.bound.sandwich_step import Reference, Side, sandwich_phase
from batonq.icq.behaviour import epsilon_greedy, uniform
from batonq.icq.kernels import first_state, sample
from batonq.icq.observe import observe
from batonq.smdp import durations
from batonq.smdp.exact import evaluate, optimal
from batonq.smdp.families import keeps_control, long_or_short, random_model, ring
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import policy_of_cells


@cache
def certified(scalars: int, recentre: bool, handoffs: int = 1_000_000) -> Sandwich:
    return sandwich(
        verdicts(0, twins=2),
        handoffs=handoffs,
        scalars=scalars,
        recentre=recentre,
        interval=(0.0, 1.0),
        seed=1,
    )


def holds(model: FiniteICSMDP, found: Sandwich) -> tuple[bool, bool]:
    """Whether the certificate of the values holds, and that of the policy."""
    best = optimal(model)
    deployed = evaluate(model, policy_of_cells(model, found.policy))
    lower, upper = found.lower[model.cell], found.upper[model.cell]
    inside = (lower <= best.q + 1e-9) & (best.q <= upper + 1e-9)
    loss = best.value - deployed.value
    good = (loss <= found.loss[model.cell] + 1e-9) & (lower <= deployed.q + 1e-9).all(axis=1)
    return bool(inside[model.mask].all()), bool(good.all())


@pytest.mark.compiled
@pytest.mark.parametrize("scalars", [1, 2])
@pytest.mark.parametrize("recentre", [False, True])
def test_encloses_values_and_certifies_the_policy(scalars: int, recentre: bool) -> None:
    model, found = verdicts(0, twins=2), certified(scalars, recentre)
    assert holds(model, found) == (True, True)
    assert found.recentred == recentre
    assert found.half_width < 0.09
    assert found.loss.max() < 0.18
    assert found.initial_loss <= found.loss.max()
    assert {assumption.status for assumption in found.assumptions} == {"met"}
    best = optimal(model).q
    never = ~np.isclose(best, best.max(axis=1, keepdims=True))
    assert not (found.worse[model.cell] & ~never).any()
    assert found.worse.any() or not recentre
    assert np.abs(found.middle[model.cell] - best)[model.mask].max() <= found.half_width


@pytest.mark.compiled
def test_recentring_narrows_what_two_scalars_and_one_certify() -> None:
    for scalars in (1, 2):
        plain, recentred = certified(scalars, False), certified(scalars, True)
        assert recentred.half_width < 0.8 * plain.half_width


@pytest.mark.parametrize("scalars", [1, 2])
def test_recentres_on_a_ring_in_closed_form(scalars: int) -> None:
    probe = ring(0.6)
    found = sandwich(probe.model, handoffs=30_000, scalars=scalars, seed=3)
    assert found.recentred
    assert (found.lower <= probe.optimal).all()
    assert (probe.optimal <= found.upper).all()
    assert found.half_width < 0.05 * np.diff(found.range)[0]
    assert found.loss.max() == pytest.approx(2 * found.half_width)  # one action: nothing is lost


def test_too_small_an_oscillation_is_found_out_from_the_tables() -> None:
    with pytest.raises(ModelError, match=r"targets vary by 0\.08 within a cell"):
        sandwich(hidden_mode(), handoffs=1_000, oscillation=0.07)
    found = sandwich(hidden_mode(), handoffs=1_000, oscillation=0.08)
    assert found.oscillation == 0.08
    assert found.assumptions[0].status == "met"


def test_same_seed_same_bits() -> None:
    model = verdicts(3)
    first, second = (sandwich(model, handoffs=20_000, seed=5) for _ in range(2))
    assert (first.upper == second.upper).all()
    assert (first.lower == second.lower).all()


@pytest.mark.compiled
def test_optimistic_behaviour_is_allowed() -> None:
    model = verdicts(0, twins=2)
    found = sandwich(
        model,
        handoffs=1_000_000,
        behaviour=epsilon_greedy(0.2),
        recentre=False,
        interval=(0.0, 1.0),
        seed=2,
    )
    assert holds(model, found) == (True, True)
    assert found.half_width < 0.15


@pytest.mark.compiled
def test_masked_actions_are_left_out() -> None:
    probe = keeps_control()
    found = sandwich(probe.model, handoffs=100_000, scalars=2, seed=0)
    assert holds(probe.model, found) == (True, True)
    assert (found.lower == -np.inf).tolist() == (~probe.model.cell_mask).tolist()
    assert not found.worse[~probe.model.cell_mask].any()
    assert np.isfinite(found.loss).all()


def test_an_interface_that_hides_is_refused() -> None:
    with pytest.raises(ModelError, match="refused: the interface hides"):
        sandwich(hidden_mode(), handoffs=10_000)
    with pytest.raises(ModelError, match="refused: the interface hides"):
        sandwich(hidden_mode(), handoffs=10_000, oscillation=0.0)
    with pytest.raises(ModelError, match=r"refused: the declared oscillation 0\.001"):
        sandwich(hidden_mode(), handoffs=10_000, oscillation=0.001)


@pytest.mark.compiled
def test_a_declared_oscillation_certifies_with_a_gap() -> None:
    model = hidden_mode()
    h = oscillation(model, 0.0, 1.0)
    assert h == pytest.approx(0.08)  # of rewards, .8 (1 - gamma); kernels into cells agree
    for seed in range(5):
        found = sandwich(model, handoffs=200_000, oscillation=h, seed=seed)
        assert holds(model, found) == (True, True)
        assert not found.recentred
        assert found.half_width > h  # it costs about h / (1 - beta)


def test_argument_errors() -> None:
    model = verdicts(1)
    for message, settings in (
        ("scalars", {"scalars": 3}),
        ("delta", {"delta": 0.0}),
        ("at least", {"handoffs": 100}),
        ("at least", {"handoffs": 0}),
        ("contraction nan", {"contraction": np.nan}),
        ("contraction 2", {"contraction": 2.0}),
        ("range: high", {"interval": (0.0, 0.5)}),
        ("lower one first", {"interval": (1.0, 0.0)}),
        ("declared oscillation", {"oscillation": -1.0}),
    ):
        with pytest.raises(ModelError, match=message):
            sandwich(model, **{"handoffs": 10_000, **settings})


def test_one_agent_alone_gets_what_the_whole_gets() -> None:
    """The protocol is local: an agent's rows depend on its own samples only."""
    rng = np.random.default_rng(0)
    pair, value = rng.integers(0, 6, 500), rng.random(500)
    upper = np.full(6, 0.9)
    whole = sandwich_phase(upper, "upper", moments(pair, value, 6, 0.5), width=1.0, delta=0.01)
    own = pair < 3
    alone = sandwich_phase(
        upper[:3], "upper", moments(pair[own], value[own], 3, 0.5), width=1.0, delta=0.01
    )
    assert (whole[:3] == alone).all()
    assert (whole <= 0.9).all()


@pytest.mark.compiled
def test_protocol_by_agents_that_have_their_own_logs_only() -> None:
    """One scalar a handoff in alternating phases; every agent's tables from its own log."""
    model, delta, share = verdicts(0), 0.05, 12
    pairs = int(model.cell_mask.sum())
    tables = {"upper": np.ones(model.cell_mask.shape), "lower": np.zeros(model.cell_mask.shape)}
    for phase in range(share):
        side: Side = "upper" if phase % 2 == 0 else "lower"
        logs = observe(model, tables[side].copy(), handoffs=20_000, seed=phase)
        for name, log in logs.items():
            own = np.flatnonzero(model.cell_agent == model.agents.index(name))
            assert [log.observations[k] for k in range(len(own))] == own.tolist()
            pair = log.y * model.n_actions + log.action
            target = log.reward + log.gamma**log.duration * log.quote
            seen = moments(pair, target, len(own) * model.n_actions, 0.5)
            moved = sandwich_phase(
                tables[side][own].ravel(), side, seen, width=1.0, delta=delta / share / pairs
            )
            tables[side][own] = moved.reshape(len(own), model.n_actions)
    best = optimal(model).q
    assert (tables["lower"][model.cell] <= best).all()
    assert (best <= tables["upper"][model.cell]).all()
    assert (tables["upper"] - tables["lower"]).max() < 0.5
    deployed = evaluate(model, policy_of_cells(model, tables["lower"].argmax(axis=1)))
    assert (deployed.q >= tables["lower"][model.cell] - 1e-9).all()


def test_phase_by_hand() -> None:
    seen = moments(np.array([0, 0, 2]), np.array([0.2, 0.4, 0.5]), 3, 0.0)
    slack = radius(seen, 1.0, 0.5)
    lower = sandwich_phase(
        np.array([-3.0, 0.0, 0.9]), "lower", seen, width=1.0, delta=0.5, oscillation=0.1
    )
    assert lower == pytest.approx([max(-3.0, 0.3 - slack[0] - 0.1), 0.0, 0.9])
    reference = Reference(np.array([0.1, 0.0, 0.2]), np.array([0.05, np.inf, 0.0]))
    upper = sandwich_phase(
        np.full(3, 9.0), "upper", seen, width=1.0, delta=0.5, reference=reference
    )
    assert upper == pytest.approx([0.3 + slack[0] + 0.15, 9.0, 0.5 + slack[2] + 0.2])
    with pytest.raises(ModelError, match="exact interface only"):
        sandwich_phase(
            upper, "upper", seen, width=1.0, delta=0.5, oscillation=0.1, reference=reference
        )
    with pytest.raises(ModelError, match="side 'up'"):
        unchecked = inspect.unwrap(sandwich_phase)  # as outside of tests, where no type is checked
        unchecked(upper, "up", seen, width=1.0, delta=0.5)
    with pytest.raises(ModelError, match="NaN"):
        sandwich_phase(np.full(3, np.nan), "upper", seen, width=1.0, delta=0.5)


def test_moments_of_a_phase_agree_with_a_plain_loop() -> None:
    model = verdicts(2, twins=2)
    shape = model.cell_mask.shape
    answers = [np.linspace(0, 1, model.n_cells), np.linspace(1, 0, model.n_cells)]
    table = np.zeros(shape)
    stream = phases.stream(model, uniform(), 7)
    seen = stream.phase(2_000, answers, [table, table], table, (True, False))
    again = phases.stream(model, uniform(), 7)
    pairs: list[int] = []
    values: list[tuple[float, float]] = []
    state = again.state
    for _ in range(2_000):
        action = 0 if again.rng.random() < 0.5 else 1
        following, duration = sample(again.prepared.sampler, state * 2 + action, again.rng)
        paid = model.reward[state, action]
        pairs.append(int(model.cell[state]) * 2 + action)
        if following < 0:
            values.append((paid, 0.0))
            state = int(first_state(again.prepared.initial_cumulative, again.rng))
        else:
            discount = model.gamma**duration
            onto = model.cell[following]
            values.append((paid + discount * answers[0][onto], discount * answers[1][onto]))
            state = int(following)
    assert state == stream.state
    for k in range(2):
        plain = moments(np.array(pairs), np.array(values)[:, k], model.n_cells * 2, 0.0)
        assert (seen[k].count.ravel() == plain.count).all()
        assert seen[k].mean.ravel() == pytest.approx(plain.mean)
        assert seen[k].spread.ravel() == pytest.approx(plain.spread)


def test_phase_lengths_grow_and_sum() -> None:
    plan = phases.lengths(1_000_000, 80, 0.8)
    assert sum(plan) == 1_000_000
    assert plan[0] >= 40 * 80
    assert plan[-1] / plan[-2] == pytest.approx(0.8 ** (-2 / 3), rel=0.01)
    assert len(phases.lengths(3_200, 80, 1.0)) == 1


def test_ranges_in_closed_form() -> None:
    # 1 an epoch, at least one step: from 0 to 1 / (1 - gamma) for ever, 0 for nothing.
    assert attainable_range(ring(0.9).model) == pytest.approx((0.0, 10.0))
    # x >= P gamma^6 where it ends, x >= p gamma^3 + gamma^3 x where it goes on.
    g = 0.9**3
    assert attainable_range(long_or_short(0.9).model) == pytest.approx((g, g / (1 - g)))
    assert attainable_range(long_or_short(0.9, long_prize=9.0).model)[1] == pytest.approx(
        9 * 0.9**6
    )
    costs = ring(0.9, rewards=(-1.0, -2.0)).model
    low, high = attainable_range(costs)
    assert low == pytest.approx(-20.0)
    assert high == pytest.approx(-1.0)  # a long option postpones all that follows


def test_a_range_is_kept_and_is_the_smallest() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        model = random_model(rng, n_cells=6, n_agents=2, termination=0.1 * (seed % 2))
        low, high = attainable_range(model)
        check_range(model, low, high)
        for wrong in ((low, high - 1e-6), (low + 1e-6, high)):
            with pytest.raises(ModelError, match="range"):
                check_range(model, *wrong)


def test_range_and_discount_with_laws_of_duration_of_every_kind() -> None:
    laws = durations.finite(
        np.array([0, 1]), [np.array([3, 5]), np.array([2])], [np.array([0.5, 0.5]), np.array([1.0])]
    )
    model = from_entries(
        agents=["one"],
        holder=np.zeros(2, np.int64),
        reward=np.array([[1.0], [-1.0]]),
        state=np.array([0, 1]),
        action=np.zeros(2, np.int64),
        successor=np.array([1, 0]),
        probability=np.array([1.0, 0.5]),
        durations=laws,
        gamma=0.5,
    )
    # State 0: 1 + x / 8 or x / 32; state 1: -1 + x / 4, or -1 as it ends.
    assert attainable_range(model) == pytest.approx((-4 / 3, 8 / 7))
    assert discount_bound(model) == pytest.approx(1 / 4)


def test_a_range_that_is_a_point_is_widened() -> None:
    probe = ring(0.9, rewards=(0.0, 0.0))
    assert attainable_range(probe.model) == (0.0, 0.0)
    assert settled_range(probe.model, None) == (0.0, 1.0)
    found = sandwich(probe.model, handoffs=5_000)
    assert holds(probe.model, found) == (True, True)


def test_undiscounted_pay_on_the_way_has_no_range() -> None:
    with pytest.raises(ModelError, match="unbounded"):
        attainable_range(random_model(np.random.default_rng(0), gamma=1.0, termination=0.1))


def test_discount_bound_and_oscillation_of_one_table() -> None:
    model = hidden_mode()
    assert discount_bound(model) == pytest.approx(0.9)
    values = np.array([0.3, 0.7])
    assert oscillation_of(model, values) == pytest.approx(0.08)
    assert oscillation_of(model, values) <= oscillation(model, 0.0, 1.0) + 1e-12
    assert oscillation(verdicts(0, twins=2), 0.0, 1.0) < 1e-12
