from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hidden_models import Hidden, lone_bit, sticky
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov

from batonq.base.errors import ModelError
from batonq.bound.asymptotic import Asymptotic, Memory, asymptotic
from batonq.bound.gap import Gap, gap
from batonq.icq import clocks
from batonq.icq.clocks import Clock
from batonq.icq.train import train
from batonq.smdp import durations
from batonq.smdp.families import random_model, ring
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.smdp.policies import uniform


def estimate(case: Hidden) -> tuple[Gap, Asymptotic]:
    found = gap(case.model, case.behaviour)
    return found, asymptotic(case.model, case.behaviour, found)


def plain_noise(case: Hidden, found: Gap) -> tuple[np.ndarray, np.ndarray]:
    """Omega lag by lag over the chain of (state, action), and the variance of options alone."""
    model, value = case.model, found.aggregated.value[case.model.cell]
    n, a = model.mask.shape
    own = np.where(model.mask, model.reward - found.aggregated.q[model.cell], 0.0)
    ends = 1 - case.chance.sum(axis=2)
    mu = (case.law()[:, None] * case.behaviour[model.cell]).ravel()
    # E[noise; next state] of each row, and E[noise^2]
    onward = case.chance * (own[:, :, None] + case.discount * value)
    onward += (ends * own)[:, :, None] * model.initial
    twice = case.chance * (
        own[:, :, None] ** 2 + 2 * own[:, :, None] * case.discount * value + case.square * value**2
    )
    square = (twice.sum(axis=2) + ends * own**2).ravel()
    mean = onward.sum(axis=2).ravel()
    pairs = np.flatnonzero(model.cell_mask.ravel())
    pair_of = (model.cell[:, None] * a + np.arange(a)).ravel()
    member = (pair_of[:, None] == pairs).astype(float)  # (row, pair)
    weighted = (member * mu[:, None]).T @ onward.reshape(n * a, n)  # E[noise of p; next state]
    lag = member * mean[:, None]  # mean noise of q, by row now
    later = np.zeros((len(pairs), len(pairs)))
    chances = np.zeros((n, n * a))
    for s in range(n):
        chances[s, s * a : (s + 1) * a] = case.behaviour[model.cell[s]]
    for _ in range(20_000):
        term = weighted @ (chances @ lag)
        later += term
        if np.abs(term).max() < 1e-13:
            break
        lag = case.pair_step @ lag
    martingale = np.diag(member.T @ (mu * (square - mean**2)))
    return np.diag(member.T @ (mu * square)) + later + later.T, martingale


def plain_lyapunov(pull: np.ndarray, push: np.ndarray) -> np.ndarray:
    one = np.eye(len(pull))
    flat = np.linalg.solve(np.kron(pull, one) + np.kron(one, pull), push.ravel())
    return flat.reshape(pull.shape)


@pytest.mark.parametrize("seed", range(100))
def test_drift_and_noise_agree_with_dense_sums_over_lags(seed: int) -> None:
    case = sticky(seed)
    model = case.model
    found, near = estimate(case)
    noise, martingale = plain_noise(case, found)
    scale = 1 + np.abs(noise).max()
    assert np.allclose(near.noise, noise, atol=1e-7 * scale)
    assert np.allclose(near.martingale, martingale, atol=1e-7 * scale)
    weights = (case.law()[:, None] * case.psi / (case.law() @ case.psi)).T
    merged = np.einsum("ys,saz->yaz", weights, case.kernel @ case.psi)
    pairs = np.argwhere(model.cell_mask)
    drift = np.zeros((len(pairs), len(pairs)))
    for i, (y, b) in enumerate(pairs):
        mu = (case.law() @ case.psi)[y] * case.behaviour[y, b]
        assert near.visits[i] == pytest.approx(mu)
        for j, (z, c) in enumerate(pairs):
            greedy = found.aggregated.policy[z] == c
            drift[i, j] = mu * (float(i == j) - (merged[y, b, z] if greedy else 0.0))
    assert np.allclose(near.drift, drift, atol=1e-9)

    beta, many = model.contraction, 10**9
    tiny = near.scatter(clocks.constant(1e-8), 10**12)
    sigma = plain_lyapunov(drift, noise)
    assert np.allclose(tiny.covariance / 1e-8, sigma, atol=1e-4 * np.abs(sigma).max())
    linear = near.scatter(clocks.rescaled_linear(beta), many)
    gains = np.diag(1 / ((1 - beta) * near.visits))
    wanted = plain_lyapunov(gains @ drift - np.eye(len(pairs)) / 2, gains @ noise @ gains)
    assert np.allclose(linear.covariance * many, wanted, atol=1e-4 * np.abs(wanted).max())
    inverse = np.linalg.inv(drift)
    averaged = near.averaged(many).covariance * many
    assert np.allclose(averaged, inverse @ noise @ inverse.T, rtol=1e-6, atol=1e-6 * scale)
    assert linear.rms == pytest.approx(
        math.sqrt(near.visits @ linear.sd[model.cell_mask] ** 2), rel=1e-9
    )


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.99))
@settings(max_examples=30, deadline=None)
def test_covariances_are_covariances(seed: int, stay: float) -> None:
    case = sticky(seed, stay=stay)
    _, near = estimate(case)
    size = np.abs(near.noise).max() + 1e-12
    assert np.allclose(near.noise, near.noise.T)
    assert np.linalg.eigvalsh(near.noise).min() >= -1e-8 * size
    assert np.diagonal(near.martingale).min() >= -1e-9 * size
    spread = near.scatter(clocks.constant(1e-4), 10**7)
    assert np.linalg.eigvalsh(spread.covariance).min() >= -1e-6 * spread.largest**2


@pytest.mark.parametrize("stay", [0.0, 0.9, 0.999])
@pytest.mark.parametrize("alpha", [0.2, 0.02, 0.001])
def test_a_hidden_bit_in_closed_form(stay: float, alpha: float) -> None:
    """The error follows an AR(1) equation driven by telegraph noise of correlation `stay`."""
    gamma = 0.9
    model = lone_bit(stay, gamma)
    near = asymptotic(model, uniform(model), gap(model, uniform(model)))
    assert near.noise == pytest.approx(np.array([[0.25 * (1 + stay) / (1 - stay)]]))
    assert near.martingale == pytest.approx(np.zeros((1, 1)))
    keep = 1 - alpha * (1 - gamma)
    exact = alpha**2 * 0.25 * (1 + keep * stay) / ((1 - keep * stay) * (1 - keep**2))
    found = near.scatter(clocks.constant(alpha), 10**6)
    assert found.rms == pytest.approx(math.sqrt(exact), rel=alpha * (1 - gamma) + 1e-9)
    assert found.largest == pytest.approx(found.rms)
    assert near.scatter(clocks.constant(alpha), 10**6, hidden=False).rms == pytest.approx(
        0, abs=1e-7
    )


def test_without_a_gap_the_options_alone_make_the_noise() -> None:
    model = random_model(np.random.default_rng(0), n_agents=2, n_cells=5)
    near = asymptotic(model, uniform(model), gap(model, uniform(model)))
    assert np.allclose(near.noise, near.martingale)
    clock = clocks.rescaled_linear(model.contraction)
    whole, part = near.scatter(clock, 10**5), near.scatter(clock, 10**5, hidden=False)
    assert whole.rms == pytest.approx(part.rms)
    assert near.averaged(10**5).rms <= whole.rms


def learnt(model: FiniteICSMDP, clock: clocks.Clock, handoffs: int, seeds: int) -> np.ndarray:
    """Values of the permitted pairs, one row a seed."""
    run = train(model, handoffs=handoffs, seeds=seeds, clock=clock, points=1, workers=1)
    values = np.zeros((seeds, *model.cell_mask.shape))
    for number, tables in enumerate(run.tables):
        for table in tables.values():
            values[number, list(table.observations)] = table.q
    return values[:, model.cell_mask]


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("seed", "clock", "handoffs"),
    [
        (1, "linear", 20_000),
        (3, "linear", 20_000),
        (4, "power", 20_000),
        (5, "constant", 20_000),
    ],
)
def test_training_scatters_as_estimated(seed: int, clock: str, handoffs: int) -> None:
    model = sticky(seed, stay=0.9, n_hidden=2, ends=(0.0, 0.1)).model
    found = gap(model, uniform(model))
    near = asymptotic(model, uniform(model), found)
    steps = {
        "linear": clocks.rescaled_linear(model.contraction),
        "power": clocks.power(0.7),
        "constant": clocks.constant(0.02),
    }[clock]
    seeds = 200
    values = learnt(model, steps, handoffs, seeds)
    variance = values.var(axis=0, ddof=1)
    guess = near.scatter(steps, handoffs)
    # A variance from n normal values is off by sqrt(2 / n), its root by half of that; 4 of these,
    # and 5 % for the terms of higher order in the step.
    noise = 1 / math.sqrt(2 * seeds)
    measured = math.sqrt(near.visits @ variance)
    assert measured == pytest.approx(guess.rms, rel=4 * noise + 0.05)
    sd = guess.sd[model.cell_mask]
    assert np.allclose(np.sqrt(variance), sd, rtol=5 * noise + 0.05)
    centre = values.mean(axis=0) - found.aggregated.q[model.cell_mask]
    assert (np.abs(centre) <= 5 * sd / math.sqrt(seeds) + 0.5 * sd).all()  # bias of the maximum
    alone = near.scatter(steps, handoffs, hidden=False)
    assert measured > 1.2 * alone.rms  # the hidden part cannot be left out


@pytest.mark.compiled
def test_a_step_too_large_for_the_memory_tracks_the_hidden_state() -> None:
    model = sticky(3, stay=0.998, n_hidden=2, ends=(0.0, 0.02)).model
    near = asymptotic(model, uniform(model), gap(model, uniform(model)))
    step, seeds = clocks.constant(0.1), 200
    values = learnt(model, step, 5_000, seeds)
    measured = math.sqrt(near.visits @ values.var(axis=0, ddof=1))
    white = math.sqrt(0.1 * near.visits @ np.diagonal(plain_lyapunov(near.drift, near.noise)))
    guess = near.scatter(step, 5_000).rms
    assert measured == pytest.approx(guess, rel=4 / math.sqrt(2 * seeds) + 0.05)
    assert white > 1.3 * measured


def test_the_average_scatters_as_estimated() -> None:
    """Plain Python IC-Q of one action, hence without a maximum to be biased, averaged."""
    case = sticky(2, stay=0.5, n_hidden=2, ends=(0.0, 0.1))
    lasting = durations.fixed(np.full(len(case.model.successor), 2))
    model = replace(case.model, durations=lasting)
    assert model.cell_mask.sum(axis=1).max() == 1
    near = asymptotic(model, case.behaviour, gap(model, case.behaviour))
    action = model.mask.argmax(axis=1)
    step = case.chance[np.arange(model.n_states), action]
    running = np.hstack([step, 1 - step.sum(axis=1, keepdims=True)]).cumsum(axis=1)
    start = model.initial.cumsum()
    rng = np.random.default_rng(0)
    chains, epochs, alpha, burn = 500, 5_000, 0.05, 1_000
    value, total = np.zeros((chains, model.n_cells)), np.zeros((chains, model.n_cells))
    now, each = np.zeros(chains, np.int64), np.arange(chains)
    for epoch in range(epochs):
        following = (rng.random(chains)[:, None] >= running[now]).sum(axis=1)
        ended = following >= model.n_states
        following[ended] = (rng.random(ended.sum())[:, None] >= start[:-1]).sum(axis=1)
        quote = np.where(ended, 0.0, value[each, model.cell[following]])
        worth = model.reward[now, action[now]] + model.gamma**2 * quote
        value[each, model.cell[now]] += alpha * (worth - value[each, model.cell[now]])
        total += value if epoch >= burn else 0.0
        now = following
    spread = (total / (epochs - burn)).std(axis=0, ddof=1)
    guess = near.averaged(epochs - burn).sd[model.cell_mask]
    assert np.allclose(spread, guess, rtol=4 / math.sqrt(2 * chains) + 0.05)


def test_two_best_actions_are_refused() -> None:
    model = lone_bit(0.5, 0.9)
    twin = from_entries(
        agents=("one",),
        holder=model.holder,
        cell=model.cell,
        reward=np.repeat(model.reward, 2, axis=1),
        state=np.repeat([0, 1], 2),
        action=np.tile([0, 1], 2),
        successor=np.array([1, 1, 0, 0]),
        probability=np.full(4, 0.9),
        durations=durations.fixed(np.ones(4, np.int64)),
        gamma=0.9,
    )
    with pytest.raises(ModelError, match="not available: cell 0 has two best actions"):
        asymptotic(twin, uniform(twin), gap(twin, uniform(twin)))


def test_steps_that_fall_too_fast_are_refused() -> None:
    model = lone_bit(0.5, 0.9)
    near = asymptotic(model, uniform(model), gap(model, uniform(model)))
    with pytest.raises(ModelError, match="not available: these steps shrink"):
        near.scatter(clocks.sample_mean(), 10**6)
    short = lone_bit(0.5, 0.3)
    fine = asymptotic(short, uniform(short), gap(short, uniform(short)))
    assert fine.scatter(clocks.sample_mean(), 10**6).rms > 0


def test_too_few_handoffs_are_refused() -> None:
    model = ring().model
    near = asymptotic(model, uniform(model), gap(model, uniform(model)))
    assert near.margin == np.inf
    with pytest.raises(ModelError, match=r"1 handoffs visit some pair 0\.5 times"):
        near.scatter(clocks.constant(0.1), 1)
    with pytest.raises(ModelError, match="average over 0 handoffs"):
        near.averaged(0)


def test_memory_longer_than_the_values_with_unequal_steps() -> None:
    # A linear recursion D <- (I - G A) D + G (c h + e) in which h remembers for 50 epochs has an
    # exact covariance. It is slow against neither step, and G A differs from A G.
    pull, steps, remembers = np.array([[0.5, -0.3], [-0.2, 0.4]]), (0.002, 0.05), (0.98, 0.9)
    strength, handoffs, power = np.array([1.0, 0.7]), 1e8, 0.51
    share = np.array([1.0, (steps[0] / steps[1]) ** (1 / power)])
    law = 1 / (1 - np.square(remembers))  # variance of h
    clock = Clock(steps[0] * handoffs**power, 0.0, 1.0, power)
    estimate = Asymptotic(
        mask=np.ones((1, 2), np.bool_),
        visits=share,
        drift=pull,
        noise=np.eye(2),
        martingale=np.eye(2),
        margin=np.inf,
        memory=Memory(
            at_once=1 + strength**2 * law,
            onset=np.diag(strength * law * remembers),
            step=np.diag(remembers),
            source=np.diag(strength),
        ),
    )
    gains = np.diag(steps)
    joint = np.block(
        [[np.eye(2) - gains @ pull, gains * strength], [np.zeros((2, 2)), np.diag(remembers)]]
    )
    drive = np.zeros((4, 4))
    drive[:2, :2], drive[2:, 2:] = gains**2, np.eye(2)
    exact = np.sqrt(np.diag(solve_discrete_lyapunov(joint, drive))[:2])
    found = estimate.scatter(clock, int(handoffs)).sd[0]
    # The Lyapunov equation is that of small steps: right up to half the largest step.
    assert found == pytest.approx(exact, rel=0.03)
