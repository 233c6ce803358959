from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hidden_models import iterate, random_behaviour, sticky
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.bound.gap import Gap, drift, gap, is_exact
from batonq.smdp import durations
from batonq.smdp.exact import aggregated, evaluate, optimal
from batonq.smdp.families import leak, random_model, ring, terminal_chain
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import uniform

CLOSE = 1e-7  # solvers leave 1e-10 a solution; resolvents multiply it
SEEDS = st.integers(0, 2**32 - 1)


def redrawn_bit(gamma: float) -> FiniteICSMDP:
    """A hidden bit, drawn anew every epoch, has to be named for reward 1. Theory, section 6."""
    entries = np.repeat(np.arange(4), 2)  # row 2 * state + action, two successors
    return from_entries(
        agents=("guesser",),
        holder=np.zeros(2, np.int64),
        cell=np.zeros(2, np.int64),
        reward=np.eye(2),
        state=entries // 2,
        action=entries % 2,
        successor=np.tile([0, 1], 4),
        probability=np.full(8, 0.5),
        durations=durations.fixed(np.ones(8, np.int64)),
        gamma=gamma,
    )


@pytest.mark.parametrize("seed", range(100))
def test_gap_agrees_with_dense_linear_algebra(seed: int) -> None:
    case = sticky(seed)
    model, psi, mask = case.model, case.psi, case.model.mask
    found = gap(model, case.behaviour)
    law = case.law()
    weights = (law[:, None] * psi / (law @ psi)).T  # w(s | y)
    into = case.kernel @ psi
    mean_reward = (weights @ model.reward)[model.cell]
    mean_into = np.einsum("ys,saz->yaz", weights, into)
    q_star = iterate(case.kernel, model.reward, mask)
    q_hat = iterate(mean_into, weights @ model.reward, model.cell_mask)
    apart = into - mean_into[model.cell]
    eta = np.where(mask, model.reward - mean_reward + apart @ q_hat.max(axis=1), 0.0)
    state = np.arange(model.n_states)

    def evaluated(policy: np.ndarray, reward: np.ndarray) -> np.ndarray:
        onward = np.eye(model.n_states) - case.kernel[state, policy]
        return np.linalg.solve(onward, reward[state, policy])

    deployed, oracle = q_hat.argmax(axis=1)[model.cell], q_star.argmax(axis=1)
    lower = np.where(mask, eta + case.kernel @ evaluated(deployed, eta), 0.0)
    upper = np.where(mask, eta + case.kernel @ evaluated(oracle, eta), 0.0)
    loss = q_star.max(axis=1) - evaluated(deployed, model.reward)
    difference = q_star[mask] - q_hat[model.cell][mask]
    mu = (law[:, None] * case.behaviour[model.cell])[mask]
    for mine, plain in (
        (found.residual, eta),
        (found.difference[mask], difference),
        (found.lower, lower),
        (found.upper, upper),
        (found.loss, loss),
        (found.visits[mask], mu),
        (found.rms, np.sqrt(mu @ difference**2)),
        (found.mismatch.reward, np.abs(model.reward - mean_reward)[mask].max()),
        (found.mismatch.kernel, np.abs(apart).sum(axis=2)[mask].max()),
        (found.mismatch.mass, np.abs(apart.sum(axis=2))[mask].max()),
    ):
        assert np.allclose(mine, plain, rtol=0, atol=CLOSE)


@given(SEEDS, st.floats(0.05, 0.97))
@settings(max_examples=60, deadline=None)
def test_every_bound_of_proposition_1_holds(seed: int, gamma: float) -> None:
    model = sticky(seed, gamma=gamma).model
    one, two = random_behaviour(model, seed), random_behaviour(model, seed + 1)
    found = gap(model, one)
    low, high = found.two_sided
    assert low - CLOSE <= found.sup <= high + CLOSE
    assert high <= found.mismatch_bound + CLOSE
    assert (found.lower <= found.difference + CLOSE).all()
    assert (found.difference <= found.upper + CLOSE).all()
    assert found.resolvent <= high + CLOSE
    assert (found.loss >= -CLOSE).all()
    assert (found.loss <= found.loss_upper + CLOSE).all()
    assert found.loss_upper.max() <= found.loss_bound + CLOSE
    assert found.loss_bound <= 2 * high + CLOSE
    moved = drift(model, one, two)
    assert moved.distance <= moved.bound + CLOSE
    assert moved.bound <= moved.weights * high + CLOSE
    # (iv): the policy of any other table of cells
    table = np.random.default_rng(seed).normal(size=model.cell_mask.shape)
    policy = np.where(model.cell_mask, table, -np.inf).argmax(axis=1)[model.cell]
    off = np.abs(found.optimal.q - table[model.cell])[model.mask].max()
    lost = (found.optimal.value - evaluate(model, policy).value).max()
    assert lost <= 2 * off / (1 - model.contraction) + CLOSE


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_the_residual_is_centred_and_is_the_bellman_residual(seed: int) -> None:
    case = sticky(seed)
    model = case.model
    found = gap(model, case.behaviour)
    centre = np.zeros(model.cell_mask.shape)
    np.add.at(centre, model.cell, found.aggregated.weights[:, None] * found.residual)
    assert np.abs(centre).max() < 1e-12
    backed_up = model.reward + case.kernel @ found.aggregated.value[model.cell]
    plain = backed_up - found.aggregated.q[model.cell]
    assert np.allclose(found.residual[model.mask], plain[model.mask], atol=CLOSE)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99])
def test_forgetting_at_once_does_not_close_the_gap(gamma: float) -> None:
    model = redrawn_bit(gamma)
    found = gap(model, uniform(model))
    assert found.residual_sup == pytest.approx(0.5)
    assert found.sup == pytest.approx(0.5 / (1 - gamma))
    assert found.two_sided[1] == pytest.approx(found.sup)
    # What forgetting does buy: an interface policy is evaluated to within eta.
    assert np.allclose(found.lower, found.residual)
    assert found.loss.max() == pytest.approx(found.loss_upper.max())


def test_the_sandwich_closes_where_the_deployed_policy_is_optimal() -> None:
    """Both actions are optimal in state 1; which of them pi* takes decides the upper side."""
    model = from_entries(
        agents=("one",),
        holder=np.zeros(2, np.int64),
        cell=np.zeros(2, np.int64),
        reward=np.array([[0.2, 1.0], [0.0, 0.0]]),
        state=np.array([0, 0, 1, 1]),
        action=np.array([0, 1, 0, 1]),
        successor=np.array([1, 1, 0, 0]),
        probability=np.full(4, 0.9),
        durations=durations.fixed(np.ones(4, np.int64)),
        gamma=0.9,
    )
    found = gap(model, uniform(model))
    assert found.sup > 0.1
    assert np.allclose(found.lower, found.difference)
    assert np.allclose(found.upper, found.difference)
    assert found.loss.max() == pytest.approx(0, abs=1e-9)
    # the other greedy policy of Q*, which an unlucky tie-break would choose
    slack = evaluate(replace(model, reward=found.residual), np.array([1, 0])).q
    assert (slack >= found.difference - CLOSE).all()
    assert (slack > found.difference + 0.1).any()


def hidden_length(long: int) -> FiniteICSMDP:
    """Reward 1 for ever, but a hidden bit sets the discount; kernels into cells differ in mass."""
    return from_entries(
        agents=("one",),
        holder=np.zeros(2, np.int64),
        cell=np.zeros(2, np.int64),
        reward=np.ones((2, 1)),
        state=np.array([0, 0, 1, 1]),
        action=np.zeros(4, np.int64),
        successor=np.array([0, 1, 0, 1]),
        probability=np.full(4, 0.5),
        durations=durations.fixed(np.array([1, 1, long, long])),
        gamma=0.9,
    )


def test_a_bound_by_the_span_alone_is_wrong_where_masses_differ() -> None:
    model = hidden_length(30)
    found = gap(model, uniform(model))
    value = found.aggregated.value
    span_only = found.mismatch.reward + np.ptp(value) / 2 * found.mismatch.kernel
    assert span_only == pytest.approx(0, abs=1e-12)  # one cell: no span at all
    assert found.residual_sup > 0.5
    assert found.mismatch.residual == pytest.approx(found.residual_sup)  # tight with the mass


@pytest.mark.parametrize("ends", [0.1, 0.4])
def test_the_mass_mismatch_contains_termination(ends: float) -> None:
    model = replace(
        hidden_length(1), probability=np.array([0.5, 0.5, (1 - ends) / 2, (1 - ends) / 2])
    )
    found = gap(model, uniform(model))
    spread = 0.9 * ends  # gamma times the difference of the chances to go on
    weights = found.aggregated.weights
    assert found.mismatch.mass == pytest.approx(spread * weights.max())
    assert found.mismatch.kernel == pytest.approx(found.mismatch.mass)


def test_exactness() -> None:
    assert is_exact(ring().model)
    assert is_exact(leak(shown=True).model)
    assert not is_exact(leak(shown=False).model)
    model = random_model(np.random.default_rng(0), n_agents=2, n_cells=4, n_hidden=2)
    assert not is_exact(model)
    # A copy of every state, indistinguishable: exact, with a gap of 0.
    base = random_model(np.random.default_rng(1), n_agents=2, n_cells=6)
    twin = doubled(base)
    assert is_exact(twin)
    found = gap(twin, uniform(twin))
    assert found.exact
    assert found.sup <= found.error
    assert found.residual_sup < 1e-12
    assert found.resolvent < 1e-9


def doubled(model: FiniteICSMDP) -> FiniteICSMDP:
    """Every state twice in one cell, with unequal chances of being entered."""
    n, a = model.n_states, model.n_actions
    row = np.repeat(np.arange(n * a), np.diff(model.indptr))
    state, action = np.divmod(row, a)
    rng = np.random.default_rng(5)
    share = rng.uniform(0.2, 0.8, size=(2, len(row)))
    parts = [(here, there) for here in range(2) for there in range(2)]
    return from_entries(
        agents=model.agents,
        holder=np.tile(model.holder, 2),
        cell=np.tile(model.cell, 2),
        reward=np.tile(model.reward, (2, 1)),
        state=np.concatenate([state + here * n for here, _ in parts]),
        action=np.tile(action, 4),
        successor=np.concatenate([model.successor + there * n for _, there in parts]),
        probability=np.concatenate(
            [
                model.probability * (share[here] if there else 1 - share[here])
                for here, there in parts
            ]
        ),
        durations=replace(
            model.durations,
            law=np.tile(model.durations.law, 4),
            parameter=np.tile(model.durations.parameter, 4),
        ),
        gamma=model.gamma,
    )


def test_value_equivalent_states_leave_no_gap_though_they_differ() -> None:
    """eta = 0 with unequal rewards and kernels: not exact, but no gap. Theory, section 5."""
    model = hidden_length(5)
    short, long = 0.9, 0.9**5
    model = replace(model, reward=np.array([[(1 - short) * 2.0], [(1 - long) * 2.0]]))
    found = gap(model, uniform(model))
    assert not found.exact
    assert found.mismatch.reward > 0.1
    assert found.residual_sup < 1e-9
    assert found.sup < 1e-9


def test_drift_is_nought_for_one_behaviour_and_symmetric() -> None:
    model = sticky(3).model
    one, two = random_behaviour(model, 0), random_behaviour(model, 1)
    assert drift(model, one, one).distance == 0
    there, back = drift(model, one, two), drift(model, two, one)
    assert there.distance == pytest.approx(back.distance)
    assert there.bound == pytest.approx(back.bound)
    direct = aggregated(model, one).q - aggregated(model, two).q
    assert there.distance == pytest.approx(np.abs(direct[model.cell_mask]).max())


def test_no_discount_is_allowed_where_every_option_may_end() -> None:
    model = sticky(4, gamma=1.0, ends=(0.2, 0.5)).model
    found = gap(model, random_behaviour(model, 4))
    assert found.contraction < 1
    assert found.two_sided[0] - CLOSE <= found.sup <= found.two_sided[1] + CLOSE


def test_no_discount_and_a_sure_but_late_end_leaves_the_sandwich() -> None:
    model = terminal_chain(gamma=1.0, success=1.0).model
    found = gap(model, uniform(model))
    assert found.sup < 1e-9
    assert found.resolvent < 1e-9
    for name in ("two_sided", "mismatch_bound", "loss_bound"):
        with pytest.raises(ModelError, match="not available: the contraction is 1"):
            getattr(found, name)


def test_no_discount_and_no_end_is_refused() -> None:
    model = redrawn_bit(1.0)
    with pytest.raises(ModelError, match="give a smaller gamma"):
        gap(model, uniform(model))
    idle = replace(model, reward=np.zeros((2, 2)))  # converges, but nothing bounds the error
    with pytest.raises(ModelError, match="not available"):
        gap(idle, uniform(idle))


def test_a_behaviour_without_a_chance_for_an_action_is_refused() -> None:
    model = redrawn_bit(0.9)
    with pytest.raises(ModelError, match="cell 0 never takes action 1"):
        gap(model, np.array([[1.0, 0.0]]))


def test_ten_thousand_states() -> None:
    model = random_model(np.random.default_rng(0), n_cells=1000, n_hidden=10, gamma=0.9)
    found: Gap = gap(model, uniform(model))
    assert found.two_sided[0] <= found.sup <= found.resolvent + CLOSE
    assert optimal(model).error < 1e-6
