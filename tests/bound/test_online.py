from __future__ import annotations

import math

import numpy as np
import pytest
from certified_models import verdicts
from hypothesis import given
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.bound.gap import gap
from batonq.bound.online import Setting, local_clocks, noise, theorem_1, tuned
from batonq.bound.residual import cover_frames, kappa_ceiling, pair_numbers, pair_visits
from batonq.icq import clocks
from batonq.icq.behaviour import uniform as act_uniformly
from batonq.icq.train import train
from batonq.smdp.chain import mixing_time
from batonq.smdp.exact import optimal
from batonq.smdp.policies import uniform

EXACT = Setting(width=1.0, n_pairs=10, handoffs=1000, delta=0.05)


def weights_of(clock: clocks.Clock, n: int) -> np.ndarray:
    """Weight of each of n updates in the value after them."""
    steps = [clocks.size(clock, k) for k in range(1, n + 1)]
    return np.array([steps[j] * math.prod(1 - a for a in steps[j + 1 :]) for j in range(n)])


def test_noise_behind_an_exact_interface_by_hand() -> None:
    found = noise(EXACT, 0.1)
    log = math.log(2 * 10 * 1000 / 0.05)
    assert found.total == pytest.approx(0.5 * math.sqrt(2 * 0.1 * log / 1.9))
    assert found.total == found.martingale


def test_noise_takes_the_least_of_three_branches() -> None:
    log = math.log(7 * 10 * 1000 / 0.05)
    slow = Setting(1.0, 10, 1000, 0.05, residual=1.0, span=200.0)
    # Theory, noise lemma: a very slow hidden mode; the span alone would give far more than ||eta||.
    found = noise(slow, 1e-4)
    assert found.trivial == 1.0 < found.freedman < found.hoeffding
    assert found.hoeffding == pytest.approx(200 * math.sqrt(1e-4 * log / (2 * 1.9999)) + 0.02)
    variance = 2 * 1e-4 / 1.9999 * 100 + 1e-4 + 1e-6 * 1e4 * math.sqrt(log / 2)
    freedman = math.sqrt(2 * variance * log) + 1e-4 * 200 * (1 + 2 * log / 3)
    assert found.freedman == pytest.approx(freedman)
    fast = noise(Setting(1.0, 10, 1000, 0.05, residual=1.0, span=2.0), 1e-3)
    assert fast.total == pytest.approx(fast.martingale + fast.hoeffding)
    medium = noise(Setting(1.0, 10, 1000, 0.05, residual=0.1, span=4.0), 1e-5)
    assert medium.total < medium.martingale + medium.trivial


@given(st.floats(0, 0.99), st.integers(1, 60))
def test_decreasing_steps_have_squares_below_the_last_step(beta: float, n: int) -> None:
    """Theory, noise lemma: sum w^2 <= alpha_n; alpha_n / (2 - alpha_n) is too little at beta 0."""
    clock = clocks.rescaled_linear(beta)
    weights = weights_of(clock, n)
    assert (np.diff(weights) >= -1e-12).all()
    assert (weights**2).sum() <= clocks.size(clock, n) + 1e-12


def test_constant_steps_have_their_own_squares() -> None:
    weights = weights_of(clocks.constant(0.3), 50)
    assert (weights**2).sum() <= 0.3 / 1.7


def test_local_clocks_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    order = rng.integers(0, 3, 200)
    setting = Setting(1.0, 3, 200_000_000, 0.5, residual=0.01, span=0.05)
    clock, beta = clocks.rescaled_linear(0.5), 0.5
    found = local_clocks(setting, clock, beta, order, 0.9, gap=0.25)
    errors, visits, plain = np.full(3, 0.9), np.zeros(3, np.int64), []

    def bound() -> float:
        nus = [0.0 if n == 0 else noise(setting, a, a).total for n, a in sizes()]
        return min(1.0, float((errors + nus).max()))

    def sizes() -> list[tuple[int, float]]:
        return [(n, clocks.size(clock, max(n, 1))) for n in visits]

    for pair in order:
        plain.append(bound())
        visits[pair] += 1
        step = clocks.size(clock, int(visits[pair]))
        errors[pair] = (1 - step) * errors[pair] + step * beta * plain[-1]
    plain.append(bound())
    assert found == pytest.approx(0.25 + np.array(plain))
    assert found[0] == pytest.approx(1.15)


@pytest.mark.compiled
def test_local_clocks_shrink_and_constant_steps_settle() -> None:
    order = np.tile(np.arange(2), 100_000)
    setting = Setting(1.0, 2, len(order), 0.05)
    falling = local_clocks(setting, clocks.rescaled_linear(0.5), 0.5, order, 0.5)
    assert falling[-1] < 0.1 < falling[1000]
    step = 1e-3
    settled = local_clocks(setting, clocks.constant(step), 0.5, order, 0.5)
    assert settled[-1] == pytest.approx(noise(setting, step).total / 0.5, rel=1e-3)


@pytest.mark.compiled
def test_theorem_1_bounds_what_was_learnt() -> None:
    model = verdicts(2)
    best, handoffs, step = optimal(model).q, 200_000, 0.005
    trained = train(
        model, handoffs=handoffs, clock=clocks.constant(step), behaviour=act_uniformly(), points=1
    )
    values = np.zeros(model.cell_mask.shape)
    for table in trained.tables[0].values():
        values[np.array(table.observations)] = table.q
    setting = Setting(1.0, int(model.cell_mask.sum()), handoffs, 0.05)
    bound = theorem_1(setting, step, model.contraction, 1_000, 1.0)
    assert np.abs(values[model.cell] - best).max() < bound


def test_theorem_1_by_hand() -> None:
    transient = (1 - 0.1 * 0.5) ** 20 * 0.8
    wanted = 0.3 + transient + noise(EXACT, 0.1).total / 0.5
    assert theorem_1(EXACT, 0.1, 0.5, 20, 0.8, gap=0.3) == pytest.approx(wanted)


def test_tuned_step_and_its_limits() -> None:
    model = verdicts(2)
    behaviour = uniform(model)
    least = float(pair_visits(gap(model, behaviour), model)[model.cell_mask].min())
    mixing = mixing_time(model, behaviour)
    pairs = int(model.cell_mask.sum())
    settings = [Setting(1.0, pairs, 10**k, 0.025) for k in (8, 10)]
    short, long = (tuned(one, model.contraction, mixing, least, 1.0) for one in settings)
    assert long.step < short.step <= 0.25
    assert short.bound / long.bound > 8  # sqrt(T / log^2 T)
    with pytest.raises(ModelError, match="not available"):
        tuned(Setting(1.0, pairs, 10_000, 0.025), model.contraction, mixing, least, 1.0)


def test_bad_settings_are_refused() -> None:
    for wrong in (
        {"width": 0.0},
        {"n_pairs": 0},
        {"handoffs": 0},
        {"delta": 1.0},
        {"residual": -1.0},
        {"span": math.inf},
    ):
        with pytest.raises(ModelError, match="out of range"):
            Setting(**{"width": 1.0, "n_pairs": 1, "handoffs": 1, "delta": 0.1, **wrong})
    for step, square in ((0.0, None), (0.1, math.nan), (0.1, -1.0)):
        with pytest.raises(ModelError, match="sum of squares"):
            noise(EXACT, step, square)
    with pytest.raises(ModelError, match="updates"):
        local_clocks(EXACT, clocks.constant(0.1), 0.5, np.zeros(1001, np.int64), 1.0)
    with pytest.raises(ModelError, match="weights decrease"):
        local_clocks(EXACT, clocks.Clock(1.0, 0.0, 3.0, 1.0), 0.5, np.zeros(9, np.int64), 1.0)
    for order in ([0, EXACT.n_pairs], [-1]):  # the compiled loop would write outside its arrays
        with pytest.raises(ModelError, match="pairs must be numbered"):
            local_clocks(EXACT, clocks.constant(0.1), 0.5, np.array(order), 1.0)


@pytest.mark.parametrize(
    ("contraction", "start", "distance", "message"),
    [
        (math.nan, 1.0, 0.0, "contraction nan"),
        (-0.1, 1.0, 0.0, "contraction -0.1"),
        (2.0, 1.0, 0.0, "contraction 2"),
        (1.0, 1.0, 0.0, "not available: the contraction is 1"),
        (0.5, math.nan, 0.0, "start nan"),
        (0.5, -1.0, 0.0, "start -1"),
        (0.5, 1.0, math.inf, "gap inf"),
    ],
)
def test_no_bound_comes_from_arguments_out_of_range(
    contraction: float, start: float, distance: float, message: str
) -> None:
    order = np.zeros(3, np.int64)
    with pytest.raises(ModelError, match=message):
        theorem_1(EXACT, 0.1, contraction, 5, start, distance)
    with pytest.raises(ModelError, match=message):
        tuned(EXACT, contraction, 1, 0.25, start, distance)
    with pytest.raises(ModelError, match=message):
        local_clocks(EXACT, clocks.constant(0.1), contraction, order, start, distance)


def test_theorem_1_needs_frames_and_its_corollary_handoffs() -> None:
    with pytest.raises(ModelError, match="-1 cover frames"):
        theorem_1(EXACT, 0.1, 0.5, -1, 1.0)
    with pytest.raises(ModelError, match="not available: 1 handoff"):
        tuned(Setting(1.0, 1, 1, 0.1), 0.5, 1, 0.25, 1.0)


def test_the_minimum_of_local_counts_is_no_number_of_frames() -> None:
    """Theory, section 7: the second cell is updated only after all updates of the first."""
    beta, step, n = 0.9, 0.5, 50
    values = np.ones(2)  # Q* = 0: no reward, each bootstraps on the other
    order = np.repeat([0, 1], n)
    for cell in order:
        values[cell] += step * (beta * values[1 - cell] - values[cell])
    counted = (1 - step * (1 - beta)) ** n
    assert counted < 0.08 < 0.899 < values.max()  # the "certificate" by the minimum is false
    frames = len(cover_frames(order, 2))
    assert frames == 1
    assert values.max() <= (1 - step * (1 - beta)) ** frames


def test_span_ceiling_feeds_the_noise() -> None:
    # span <= kappa_ceiling(t_mix) ||eta||: a bound from the mixing time alone, and finite.
    setting = Setting(1.0, 10, 10**6, 0.05, residual=0.1, span=0.1 * kappa_ceiling(5))
    assert 0 < noise(setting, 1e-4).total < noise(setting, 1e-2).total


def test_pairs_are_numbered_as_the_orders_expect() -> None:
    mask = np.array([[True, False], [True, True]])
    assert pair_numbers(mask).tolist() == [[0, -1], [1, 2]]
