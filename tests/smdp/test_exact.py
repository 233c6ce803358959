from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import dense_kernel, iterate_values, models, random_behaviour, small_model

from batonq.base.errors import ModelError
from batonq.smdp import durations
from batonq.smdp.chain import stationary
from batonq.smdp.exact import aggregated, evaluate, kernel_of, optimal, solve
from batonq.smdp.families import keeps_control, leak, random_model, ring, terminal_chain
from batonq.smdp.interface import coarsen, lossless
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import policy_of_cells, uniform
from batonq.smdp.sweeps import kernel

seeds = st.integers(0, 2**32 - 1)


def far(one: np.ndarray, other: np.ndarray, mask: np.ndarray) -> float:
    return float(np.abs(one[mask] - other[mask]).max())


@given(models())
@settings(max_examples=60)
def test_optimal_is_what_plain_value_iteration_finds(model: FiniteICSMDP) -> None:
    found = optimal(model)
    slow = iterate_values(dense_kernel(model), model.reward, model.mask, 1_500)
    assert far(found.q, slow, model.mask) <= found.error + 1e-12
    assert found.error <= 1e-10
    assert (found.q[~model.mask] == -np.inf).all()
    assert found.value.tolist() == found.q.max(axis=1).tolist()
    assert found.policy.tolist() == found.q.argmax(axis=1).tolist()


@given(models(), st.floats(1e-9, 1.0))
def test_the_error_reported_is_a_bound_at_any_tolerance(
    model: FiniteICSMDP, tolerance: float
) -> None:
    rough, fine = optimal(model, tolerance), optimal(model)
    assert rough.error <= tolerance
    assert far(rough.q, fine.q, model.mask) <= rough.error + fine.error
    assert np.abs(rough.value - fine.value).max() <= rough.error + fine.error


@given(models(), seeds)
def test_evaluation_solves_the_linear_system(model: FiniteICSMDP, seed: int) -> None:
    policy = policy_of_cells(model, random_behaviour(model, seed))
    gam = dense_kernel(model)
    system = np.eye(model.n_states) - np.einsum("sa,san->sn", policy, gam)
    value = np.linalg.solve(system, (policy * model.reward).sum(axis=1))
    found = evaluate(model, policy)
    np.testing.assert_allclose(found.value, value, atol=2e-10)
    q = model.reward + gam @ value
    np.testing.assert_allclose(found.q[model.mask], q[model.mask], atol=2e-10)


@given(st.integers(0, 10**6))
@settings(max_examples=15)
def test_optimal_is_the_best_of_all_policies(seed: int) -> None:
    model = random_model(
        np.random.default_rng(seed), n_agents=2, n_cells=4, n_successors=2, termination=0.1
    )
    values = [
        evaluate(model, np.array(policy)).value for policy in itertools.product((0, 1), repeat=4)
    ]
    best = optimal(model)
    np.testing.assert_allclose(np.max(values, axis=0), best.value, atol=1e-9)
    np.testing.assert_allclose(evaluate(model, best.policy).value, best.value, atol=1e-9)


@given(models(), seeds)
def test_behind_a_lossless_interface_the_aggregated_is_the_optimal(
    model: FiniteICSMDP, seed: int
) -> None:
    everything = model.seen_as(lossless(model))
    merged = aggregated(everything, random_behaviour(everything, seed))
    best = optimal(model)
    assert merged.weights.tolist() == [1.0] * model.n_states
    assert np.isclose(merged.contraction, model.contraction, rtol=1e-12)
    assert far(merged.q, best.q, model.mask) <= 1e-9


@given(models(), seeds)
@settings(max_examples=60)
def test_aggregated_is_the_fixed_point_of_the_averaged_model(
    model: FiniteICSMDP, seed: int
) -> None:
    behaviour = random_behaviour(model, seed)
    law = stationary(model, behaviour)
    shape = (model.n_cells, model.n_actions)
    gam, reward, total = np.zeros((*shape, model.n_cells)), np.zeros(shape), np.zeros(shape[0])
    for s in range(model.n_states):
        total[model.cell[s]] += law[s]
    for s in range(model.n_states):
        weight = law[s] / total[model.cell[s]]
        reward[model.cell[s]] += weight * model.reward[s]
        for n in range(model.n_states):
            gam[model.cell[s], :, model.cell[n]] += weight * dense_kernel(model)[s, :, n]
    found = aggregated(model, behaviour)
    slow = iterate_values(gam, reward, model.cell_mask, 800)
    assert far(found.q, slow, model.cell_mask) <= 1e-9
    assert found.value.tolist() == found.solution.value.tolist()
    assert found.policy.tolist() == found.q.argmax(axis=1).tolist()
    assert found.contraction <= model.contraction + 1e-12
    np.testing.assert_allclose(np.bincount(model.cell, weights=found.weights), 1)


@given(models(), seeds)
def test_gap_is_two_sided_and_the_residual_is_centred(model: FiniteICSMDP, seed: int) -> None:
    """Theory, section 2.3 (i): eta sums to 0 in each cell, and bounds the gap from both sides."""
    merged = aggregated(model, random_behaviour(model, seed))
    gam = dense_kernel(model)
    eta = np.zeros(model.mask.shape)
    lifted = policy_of_cells(model, merged.q)
    eta[model.mask] = (model.reward + gam @ merged.value[model.cell] - lifted)[model.mask]
    centred = np.zeros(merged.q.shape)
    np.add.at(centred, model.cell, merged.weights[:, None] * eta)
    assert np.abs(centred).max() <= 1e-8
    gap, size, beta = (
        far(optimal(model).q, lifted, model.mask),
        np.abs(eta).max(),
        model.contraction,
    )
    assert size / (1 + beta) - 1e-8 <= gap <= size / (1 - beta) + 1e-8


def test_nothing_is_changed_by_solving() -> None:
    model = random_model(np.random.default_rng(1), n_agents=2, n_cells=6, n_hidden=2)
    before = [model.indptr.copy(), model.successor.copy(), model.probability.copy()]
    aggregated(model, uniform(model))
    optimal(model)
    for array, kept in zip((model.indptr, model.successor, model.probability), before, strict=True):
        assert array.tolist() == kept.tolist()


def line(n: int, gamma: float, slip: float) -> FiniteICSMDP:
    """Steps left or right on a line, cost 0.01 each; the last state ends it with 1."""
    state = np.arange(n - 1)
    sides = np.stack([np.maximum(state - 1, 0), state + 1], axis=1)
    chances = np.array([[1 - slip, slip], [slip, 1 - slip]])
    reward = np.full((n, 2), -0.01)
    reward[-1] = 1
    return from_entries(
        agents=("walker",),
        holder=np.zeros(n, np.int64),
        reward=reward,
        state=np.repeat(state, 4),
        action=np.tile([0, 0, 1, 1], n - 1),
        successor=np.repeat(sides, 2, axis=0).reshape(n - 1, 2, 2).ravel(),
        probability=np.tile(chances.ravel(), n - 1),
        durations=durations.fixed(np.ones(4 * (n - 1), np.int64)),
        gamma=gamma,
    )


@pytest.mark.parametrize("gamma", [0.95, 0.999, 0.9999])
def test_slow_problems_where_leaps_mislead_still_converge(gamma: float) -> None:
    model = line(60, gamma, 0.1)
    found = optimal(model)
    slow = iterate_values(dense_kernel(model), model.reward, model.mask, 4_000)
    assert found.error <= 1e-10
    assert far(found.q, slow, model.mask) <= 1e-9


def test_random_problems_with_a_horizon_of_ten_thousand_converge() -> None:
    rng = np.random.default_rng(0)
    model = random_model(rng, n_cells=50, gamma=0.9999, mean_duration=(1.0, 2.0))
    found = optimal(model, 1e-6)
    assert found.error <= 1e-6
    assert found.sweeps < 2_000  # plain sweeps: about log(1e-6) / log(0.9999) = 140,000
    again = evaluate(model, found.policy, 1e-6)
    assert np.abs(again.value - found.value).max() <= found.error + again.error


@pytest.mark.parametrize("seed", [414157965, 1331243711, 3100950802, 1061043829])
def test_small_problems_with_modes_that_no_leap_catches_converge(seed: int) -> None:
    """Plain sweeps would need up to 100,000: the third chain has period 2 under the sweeps."""
    model = small_model(seed, gamma=0.9999, terminating=0.0)
    found = optimal(model, 1e-6)
    chosen = np.arange(model.n_states), found.policy
    gam = dense_kernel(model)
    value = np.linalg.solve(np.eye(model.n_states) - gam[chosen], model.reward[chosen])
    backed_up = np.where(model.mask, model.reward + gam @ value, -np.inf).max(axis=1)
    np.testing.assert_allclose(backed_up, value, atol=1e-8)  # so the policy is optimal
    assert np.abs(found.value - value).max() <= found.error
    assert found.error <= 1e-6
    assert found.sweeps < 10_000


def test_rounding_is_part_of_the_error() -> None:
    found = optimal(ring(gamma=0.9999).model, tolerance=0.0)
    assert 0 < found.error < 1e-6
    assert far(found.q, ring(gamma=0.9999).optimal, np.ones((2, 1), np.bool_)) <= found.error


class TestWithoutDiscount:
    """gamma = 1: the model must end."""

    @given(st.integers(0, 10**6))
    @settings(max_examples=30)
    def test_a_model_that_ends_under_every_policy_has_a_bound(self, seed: int) -> None:
        model = small_model(seed, gamma=1.0, terminating=0.4)
        ended = model.seen_as(model.cell)
        probability = model.probability * 0.9  # every option may end
        ended = FiniteICSMDP(**{**vars_of(model), "probability": probability})
        found = optimal(ended)
        slow = iterate_values(dense_kernel(ended), ended.reward, ended.mask, 1_500)
        assert found.error <= 1e-9
        assert far(found.q, slow, ended.mask) <= found.error + 1e-10

    def test_a_line_of_sure_steps_ends_though_no_option_may(self) -> None:
        probe = terminal_chain(n_agents=40, gamma=1.0, success=1.0, cost=0.01)
        found = optimal(probe.model)
        assert found.error <= 1e-9
        assert far(found.q, probe.optimal, probe.model.mask) <= found.error

    def test_one_that_ends_too_late_to_find_the_horizon_gives_no_bound(self) -> None:
        found = optimal(line(200, 1.0, 0.1))
        assert found.error == np.inf
        expected = 1 - 0.01 * 199 / 0.8  # about 1 / (1 - 2 slip) steps a state
        assert np.isclose(found.value[0], expected, atol=0.01)

    def test_where_a_policy_never_ends_the_optimum_is_still_found(self) -> None:
        probe = keeps_control(gamma=1.0)
        found = optimal(probe.model)
        assert found.error == np.inf
        assert far(found.q, probe.optimal, probe.model.mask) <= 1e-9

    def test_loops_without_reward_are_worth_what_they_lead_to(self) -> None:
        circle = hand_round(reward=0.0, end=0.5)
        np.testing.assert_allclose(optimal(circle).q, [[0.5, 0.5], [0.5, 0.5]])

    def test_a_loop_that_pays_is_refused_with_the_reason(self) -> None:
        with pytest.raises(
            ModelError, match=r"200 sweeps still .* 0 has reached 201\); .* end to every loop"
        ):
            solve(kernel_of(hand_round(reward=1.0, end=0.0)), max_sweeps=200)

    def test_evaluating_a_policy_that_never_ends_is_refused(self) -> None:
        with pytest.raises(ModelError, match=r"state or cell 0 has reached -1000"):
            evaluate(hand_round(reward=-1.0, end=0.0), np.array([0, 0]))


def vars_of(model: FiniteICSMDP) -> dict[str, object]:
    return {name: getattr(model, name) for name in FiniteICSMDP.__dataclass_fields__}


def hand_round(reward: float, end: float) -> FiniteICSMDP:
    """Two agents that hand to each other (action 0) or end it (action 1), without discount."""
    return from_entries(
        agents=("left", "right"),
        holder=np.array([0, 1]),
        reward=np.array([[reward, end], [reward, end]]),
        state=np.array([0, 1]),
        action=np.array([0, 0]),
        successor=np.array([1, 0]),
        probability=np.ones(2),
        durations=durations.fixed(np.ones(2, np.int64)),
        gamma=1.0,
    )


def test_giving_up_under_discount_names_the_remedy() -> None:
    problem = kernel_of(random_model(np.random.default_rng(0), gamma=0.999))
    with pytest.raises(ModelError, match=r"3 sweeps still change .* a larger tolerance"):
        solve(problem, max_sweeps=3)


def test_a_circle_on_which_values_travel_is_solved() -> None:
    """Node 7 pays 1 for going on to 8; best is to go there the shorter way, then to and fro."""
    n = 60
    problem = kernel(
        np.arange(2 * n + 1),
        np.stack([np.roll(np.arange(n), -1), np.roll(np.arange(n), 1)], axis=1).ravel(),
        np.full(2 * n, 0.99),
        np.stack([np.eye(n)[7], np.zeros(n)], axis=1),
        np.ones((n, 2), np.bool_),
    )
    found = solve(problem)
    steps = np.minimum((7 - np.arange(n)) % n, (np.arange(n) - 7) % n)
    assert found.error <= 1e-10
    np.testing.assert_allclose(found.value, 0.99**steps / (1 - 0.99**2), atol=1e-10)


def test_an_optimum_of_options_that_all_end_is_the_reward() -> None:
    model = from_entries(
        agents=("only",),
        holder=np.array([0]),
        reward=np.array([[1.0, 3.0]]),
        state=np.array([], dtype=np.int64),
        action=np.array([], dtype=np.int64),
        successor=np.array([], dtype=np.int64),
        probability=np.array([]),
        durations=durations.fixed(np.array([], dtype=np.int64)),
        gamma=0.9,
    )
    assert optimal(model).q.tolist() == [[1.0, 3.0]]
    assert aggregated(model, uniform(model)).q.tolist() == [[1.0, 3.0]]


def test_refusals() -> None:
    model = leak().model
    with pytest.raises(ModelError, match="tolerance: -1 is negative"):
        optimal(model, -1)
    with pytest.raises(ModelError, match="tolerance: nan is negative"):
        optimal(model, float("nan"))
    with pytest.raises(ModelError, match="policy: state 0 gives"):
        evaluate(model, np.array([1, 0, 0, 0]))
    with pytest.raises(ModelError, match="policy: cell 2 gives"):
        aggregated(model, np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.4]]))


def test_coarser_interfaces_of_one_model_solve_alike() -> None:
    model = random_model(np.random.default_rng(4), n_agents=1, n_cells=6, n_hidden=2)
    blind = model.seen_as(coarsen(model.cell, [range(6)]))
    found = aggregated(blind, uniform(blind))
    law = stationary(model, uniform(model))
    average = law @ model.reward
    mass = law @ model.sum_rows(model.discounted)
    value = max(average + mass * np.max(found.value))
    np.testing.assert_allclose(found.value, [value], atol=1e-9)
    np.testing.assert_allclose(found.stationary, law, atol=1e-12)
