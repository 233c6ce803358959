"""Counterexamples of the theory that the certificates must survive or refuse."""

from __future__ import annotations

import numpy as np
import pytest
from certified_models import hidden_mode

from batonq.base.errors import ModelError
from batonq.bound import phases
from batonq.bound.concentration import moments, radius
from batonq.bound.gap import gap
from batonq.bound.phased import phased
from batonq.bound.premises import oscillation
from batonq.bound.sandwich import sandwich
from batonq.bound.sandwich_step import sandwich_phase
from batonq.icq import clocks
from batonq.icq.behaviour import epsilon_greedy
from batonq.icq.behaviour import uniform as act_uniformly
from batonq.smdp import durations
from batonq.smdp.exact import aggregated, evaluate, optimal
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import policy_of_cells, uniform


def test_censoring_by_the_clock_is_biased_and_start_order_is_not() -> None:
    """Theory, section 5: streams cut at 30 steps keep the short ones of options of mean 20."""
    gamma, cut, streams = 0.9, 30, 4_000
    truth = (1 / 20) * gamma / (1 - (1 - 1 / 20) * gamma)  # .310
    tau = np.random.default_rng(0).geometric(1 / 20, size=(streams, 40))
    ends = np.cumsum(tau, axis=1)
    starts = ends - tau
    by_end, by_start = tau[ends <= cut], tau[starts < cut]
    first = tau[:, 0]  # the first of every stream, waited for
    for kept, biased in ((by_end, True), (by_start, False), (first, False)):
        seen = moments(np.zeros(len(kept), np.int64), gamma**kept, 1, 0.5)
        off = abs(float(seen.mean[0]) - truth)
        assert (off > radius(seen, 1.0, 0.025)[0]) == biased
    assert (gamma**by_end).mean() > truth + 0.1


def test_weights_of_decreasing_steps_at_beta_0() -> None:
    """Noise lemma: the weights of 1/(1 + n) are equal; alpha / (2 - alpha) is half of that."""
    n = 1_000
    last = clocks.size(clocks.rescaled_linear(0.0), n)
    squares = n / (n + 1) ** 2
    assert last / (2 - last) < squares * 0.51
    assert squares <= last


def value_equivalent(stay: float = 0.9999, gamma: float = 0.9) -> FiniteICSMDP:
    """Cell 0 hides a sticky mode that decides where to go on, paid so that Q* does not show it.

    Q* = .9 in cell 0, .1 in cell 1, so eta = 0, yet rewards and kernels differ within cell 0.
    States: cell 0 with mode 0 and 1, cell 1 with mode 0 and 1. Mode 0 goes to cell 1, mode 1 stays.
    """
    worth = np.array([0.9, 0.1])
    rows, reward = [], np.zeros((4, 1))
    for cell, mode in np.ndindex(2, 2):
        to = 1 if cell == 0 and mode == 0 else 0
        reward[2 * cell + mode] = worth[cell] - gamma * worth[to]
        for other in range(2):
            rows += [(2 * cell + mode, 2 * to + other, stay if other == mode else 1 - stay)]
    state, successor, probability = (np.array(column) for column in zip(*rows, strict=True))
    return from_entries(
        agents=["one"],
        holder=np.zeros(4, np.int64),
        cell=np.array([0, 0, 1, 1]),
        reward=reward,
        state=state,
        action=np.zeros(len(state), np.int64),
        successor=successor,
        probability=probability,
        durations=durations.fixed(np.ones(len(state), np.int64)),
        gamma=gamma,
    )


@pytest.mark.compiled
def test_zero_residual_does_not_make_targets_independent() -> None:
    """Theory, section 8: eta vanishes at Q*, not at f_l; the recursion of Theorem 2 survives."""
    model = value_equivalent()
    behaviour = uniform(model)
    found = gap(model, behaviour)
    assert found.residual_sup < 1e-9 < found.mismatch.kernel
    kernel = aggregated(model, behaviour).kernel
    start = np.array([[0.0], [1.0]])
    rows = np.repeat(np.arange(2), np.diff(kernel.indptr.astype(np.int64)))
    onward = np.bincount(rows, kernel.weight * start[kernel.successor, 0], minlength=2)
    backed_up = kernel.reward[:, 0] + onward
    outside = 0
    for seed in range(8):
        stream = phases.stream(model, act_uniformly(), seed)
        (seen,) = stream.phase(2_000, [start[:, 0]], [start], start)
        off = np.abs(seen.mean[:, 0] - backed_up)
        outside += bool((off > radius(seen, 2.0, 0.05 / 4)[:, 0]).any())
        run = phased(model, handoffs=20_000, contraction=found.contraction, gap=found, seed=seed)
        assert np.abs(run.values[model.cell] - optimal(model).q).max() <= run.bound + 1e-9
    assert outside >= 7  # of 8; a claim of 5 % would hardly ever allow 2
    with pytest.raises(ModelError, match="refused"):
        sandwich(model, handoffs=10_000)


def hidden_duration(gamma: float = 0.99, leave: float = 1e-6) -> FiniteICSMDP:
    """Reward 1 per step; options last 1 or 500 steps by a sticky hidden mode. Q* = 1/(1-gamma)."""
    lasts = np.array([500, 1])
    return from_entries(
        agents=["one"],
        holder=np.zeros(2, np.int64),
        cell=np.zeros(2, np.int64),
        reward=((1 - gamma**lasts) / (1 - gamma))[:, None],
        state=np.array([0, 0, 1, 1]),
        action=np.zeros(4, np.int64),
        successor=np.array([0, 1, 0, 1]),
        probability=np.array([1 - leave, leave, leave, 1 - leave]),
        durations=durations.fixed(np.repeat(lasts, 2)),
        gamma=gamma,
        initial=np.array([1.0, 0.0]),
    )


def test_beta_from_samples_is_refused_where_durations_are_hidden() -> None:
    """Theory, section 8: what is seen says beta < .05; it is .99."""
    model = hidden_duration()
    found = gap(model, uniform(model))
    assert found.residual_sup < 1e-6
    stream = phases.stream(model, act_uniformly(), 0)
    (seen,) = stream.phase(5_000, [np.ones(1)], [np.zeros((1, 1))], np.zeros((1, 1)), False)
    assert seen.mean[0, 0] + radius(seen, 1.0, 0.05)[0, 0] < 0.05
    assert model.contraction == pytest.approx(0.99)
    with pytest.raises(ModelError, match="hidden states may have longer discounts"):
        phased(model, handoffs=5_000, gap=found, estimate_contraction=True)
    run = phased(model, handoffs=5_000, gap=found, interval=(0.0, 100.0))
    assert run.contraction == pytest.approx(0.99)  # gamma**tau_min
    assert np.abs(run.values[0] - 100).max() <= run.bound


def climb(model: FiniteICSMDP, h: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The recursion of Theorem S by its local steps alone, which trust whatever h is declared."""
    upper, lower = np.ones(model.cell_mask.shape), np.zeros(model.cell_mask.shape)
    stream = phases.stream(model, epsilon_greedy(0.3), seed)
    for _ in range(15):
        answers = [upper.max(axis=1), lower.max(axis=1)]
        above, below = stream.phase(20_000, answers, [upper.copy(), lower.copy()], upper)
        settings = {"width": 1.0, "delta": 0.05 / (8 * 15), "oscillation": h}
        upper = sandwich_phase(upper, "upper", above, **settings)
        lower = sandwich_phase(lower, "lower", below, **settings)
    return upper, lower


@pytest.mark.compiled
@pytest.mark.parametrize("declared", [False, True])
def test_no_declared_oscillation_with_a_gap_is_false_and_refused(declared: bool) -> None:
    """Theory, Theorem S: violated with h = 0 by a sticky hidden mode, never with the true h."""
    model = hidden_mode()
    h = oscillation(model, 0.0, 1.0) if declared else 0.0
    best = optimal(model)
    broken_values = broken_policy = 0
    for seed in range(6):
        upper, lower = climb(model, h, seed)
        deployed = evaluate(model, policy_of_cells(model, lower.argmax(axis=1)))
        inside = (lower[model.cell] <= best.q + 1e-9) & (best.q <= upper[model.cell] + 1e-9)
        broken_values += not inside.all()
        broken_policy += bool((deployed.q < lower[model.cell] - 1e-9).any())
    assert (broken_values, broken_policy) == ((0, 0) if declared else (6, 6))
    if not declared:
        with pytest.raises(ModelError, match="refused"):
            sandwich(model, handoffs=10_000, interval=(0.0, 1.0))
