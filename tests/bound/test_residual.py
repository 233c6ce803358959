from __future__ import annotations

import math

import numpy as np
import pytest
from hidden_models import Hidden, lone_bit, stationary_of, sticky
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import ModelError
from batonq.bound.gap import gap
from batonq.bound.residual import (
    cover_frames,
    coverage,
    kappa_ceiling,
    pair_numbers,
    pair_visits,
    watched,
)
from batonq.icq.update import step, target
from batonq.smdp.chain import mixing_time
from batonq.smdp.families import random_model, ring
from batonq.smdp.policies import uniform


def watched_chain(case: Hidden, cell: int, action: int) -> np.ndarray:
    """K_p by elimination: of the pair chain, only the rows of p are kept."""
    model = case.model
    kept = np.flatnonzero(model.cell == cell) * model.n_actions + action
    permitted = np.flatnonzero(model.mask.ravel())
    away = np.setdiff1d(permitted, kept)
    full = case.pair_step
    inside, outside = full[np.ix_(kept, kept)], full[np.ix_(kept, away)]
    back, stay = full[np.ix_(away, kept)], full[np.ix_(away, away)]
    return inside + outside @ np.linalg.solve(np.eye(len(away)) - stay, back)


@pytest.mark.parametrize("seed", range(100))
def test_watched_chains_agree_with_dense_elimination(seed: int) -> None:
    case = sticky(seed)
    model = case.model
    found = gap(model, case.behaviour)
    seen = watched(model, case.behaviour, found)
    for cell, action in np.argwhere(model.cell_mask):
        states = np.flatnonzero(model.cell == cell)
        step_of = watched_chain(case, cell, action)
        weights = stationary_of(step_of)
        assert np.allclose(weights, found.aggregated.weights[states], atol=1e-9)
        limit = np.tile(weights, (len(states), 1))
        deviation = np.linalg.inv(np.eye(len(states)) - step_of + limit) - limit
        solution = seen.poisson[states, action]
        eta = found.residual[states, action]
        assert np.allclose(solution - step_of @ solution, eta, atol=1e-8)
        assert weights @ solution == pytest.approx(0, abs=1e-8)
        assert seen.spans[cell, action] == pytest.approx(np.ptp(solution), abs=1e-8)
        norm = np.abs(deviation).sum(axis=1).max()
        assert seen.kappas[cell, action] == pytest.approx(norm, abs=1e-7)
        if len(states) > 1:
            second = np.linalg.eigvals(step_of)
            second = np.delete(second, np.abs(second - 1).argmin())
            relaxation = (1 / np.abs(1 - second)).max()
            assert seen.relaxations[cell, action] == pytest.approx(relaxation, rel=1e-6)
    assert seen.sup <= seen.kappa * found.residual_sup + 1e-8
    assert seen.kappa <= kappa_ceiling(mixing_time(model, case.behaviour))
    visits = pair_visits(found, model)
    assert visits.sum() == pytest.approx(1)
    assert np.allclose(visits, case.psi.T @ case.law()[:, None] * case.behaviour)


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.999))
@settings(max_examples=40, deadline=None)
def test_memory_is_below_the_mixing_time(seed: int, stay: float) -> None:
    case = sticky(seed, stay=stay, n_hidden=2)
    found = gap(case.model, case.behaviour)
    seen = watched(case.model, case.behaviour, found)
    ceiling = kappa_ceiling(mixing_time(case.model, case.behaviour))
    assert seen.sup <= seen.span + 1e-9
    assert seen.span <= ceiling * found.residual_sup + 1e-8
    assert seen.kappa <= ceiling
    assert seen.relaxation <= seen.kappa + 1e-8


@pytest.mark.parametrize("stay", [0.0, 0.9, 0.99])
def test_a_hidden_bit_watched_at_every_epoch(stay: float) -> None:
    """One cell, one action: the watched chain is the hidden chain, of eigenvalue `stay`."""
    model = lone_bit(stay)
    found = gap(model, uniform(model))
    seen = watched(model, uniform(model), found)
    assert seen.relaxation == pytest.approx(1 / (1 - stay))
    assert seen.kappa == pytest.approx(1 / (1 - stay))
    assert seen.sup == pytest.approx(found.residual_sup / (1 - stay))
    assert seen.span == pytest.approx(2 * seen.sup)


def test_a_cell_of_one_state_remembers_nothing() -> None:
    model = random_model(np.random.default_rng(0), n_agents=2, n_cells=6)
    seen = watched(model, uniform(model), gap(model, uniform(model)))
    assert seen.sup == seen.span == seen.kappa == seen.relaxation == 0


def test_a_periodic_chain_has_memory_too() -> None:
    """The bit flips at every epoch: eigenvalue -1, never mixed, yet eta sums to a bounded value."""
    model = lone_bit(-1.0)
    with pytest.raises(ModelError, match="period 2"):
        mixing_time(model, uniform(model))
    found = gap(model, uniform(model))
    seen = watched(model, uniform(model), found)
    assert seen.relaxation == pytest.approx(0.5)
    assert seen.sup == pytest.approx(found.residual_sup / 2)
    loop = ring().model
    assert watched(loop, uniform(loop), gap(loop, uniform(loop))).sup == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_poisson_solution_predicts_the_next_visit(seed: int) -> None:
    """In simulation, eta(s) + U(next visit) - U(s) has mean 0 whatever the state s of a visit."""
    case = sticky(seed, stay=0.9, n_hidden=2)
    model = case.model
    found = gap(model, case.behaviour)
    seen = watched(model, case.behaviour, found)
    rng = np.random.default_rng(seed)
    running = case.pair_step.cumsum(axis=1)
    running /= running[:, -1:]
    chains = np.zeros(4_000, np.int64) + int(np.flatnonzero(model.mask.ravel())[0])
    path = np.empty((150, len(chains)), np.int64)
    for epoch in range(len(path)):
        draws = rng.random(len(chains))
        chains = (draws[:, None] >= running[chains]).sum(axis=1)
        path[epoch] = chains
    cell, action = np.argwhere(model.cell_mask)[rng.integers(model.cell_mask.sum())]
    states = np.flatnonzero(model.cell == cell)
    here = np.isin(path, states * model.n_actions + action)
    change: dict[int, list[float]] = {int(s): [] for s in states}
    for chain in range(len(chains)):
        visited = path[here[:, chain], chain] // model.n_actions
        # the first of a path's visits stays free of the cut at its end
        if len(visited) >= 2:
            s, following = visited[:2]
            jump = seen.poisson[following, action] - seen.poisson[s, action]
            change[int(s)].append(found.residual[s, action] + jump)
    sizes = [len(one) for one in change.values()]
    assert max(sizes) > 500
    for one in change.values():
        if len(one) > 100:
            spread = np.std(one) / math.sqrt(len(one))
            assert abs(np.mean(one)) <= 4.5 * spread + 1e-9


def plain_frames(order: list[int], n_pairs: int) -> list[int]:
    closes, seen = [], set()
    for k, pair in enumerate(order):
        seen.add(pair)
        if len(seen) == n_pairs:
            closes.append(k)
            seen = set()
    return closes


@given(st.integers(1, 5), st.data())
def test_cover_frames_agree_with_a_plain_count(n_pairs: int, data: st.DataObject) -> None:
    order = data.draw(st.lists(st.integers(0, n_pairs - 1), max_size=60))
    closes = cover_frames(np.array(order, np.int64), n_pairs)
    assert closes.tolist() == plain_frames(order, n_pairs)


def test_the_smallest_local_count_is_no_count_of_frames() -> None:
    """Two cells bootstrap on each other; all updates of one come before those of the other."""
    beta, alpha, n = 0.9, 0.5, 50
    order = np.repeat([0, 1], n)
    error = np.ones(2)  # rewards 0, so Q* = 0 and the values are their own errors
    for pair in order:
        error[pair] = step(error[pair], target(0.0, beta, error[1 - pair]), alpha)
    shrink = 1 - alpha * (1 - beta)
    counted = len(cover_frames(order, 2))
    local = min(np.bincount(order))
    assert counted == 1
    assert error.max() == pytest.approx(0.9, abs=1e-3)
    assert error.max() <= shrink**counted
    assert shrink**local == pytest.approx(0.077, abs=5e-4)
    assert error.max() > shrink**local  # what the wrong count would have claimed


def test_cover_frames_refuse_numbers_of_no_pair() -> None:
    for order in ([0, 2], [-1]):
        with pytest.raises(ModelError, match="cover frames"):
            cover_frames(np.array(order), 2)
    assert len(cover_frames(np.zeros(0, np.int64), 2)) == 0
    mask = np.array([[True, False], [True, True]])
    assert pair_numbers(mask).tolist() == [[0, -1], [1, 2]]


def test_coverage_by_hand() -> None:
    once = coverage(10, 0.3, 4, 1_000, 0.05)
    confidence = math.log(4 * 1_000 / 0.05)
    assert once.block == 10 * 3 + 1  # log2(2 / .3) = 2.74 is rounded up before it is multiplied
    assert once.blocks == math.ceil(2 / 0.3 * confidence)
    assert (once.window, once.visits, once.first) == (once.block * once.blocks, 1, 0)
    assert once.frames(3 * once.window - 1) == 2
    often = coverage(10, 0.3, 4, 1_000, 0.05, often=True)
    assert often.blocks == math.ceil(16 / 0.3 * confidence)
    assert often.visits == math.ceil(often.window * 0.3 / 4)
    assert often.frames(often.window) == 0
    assert often.frames(often.window + often.block) == 1


@pytest.mark.parametrize("seed", range(20))
def test_windows_visit_every_pair(seed: int) -> None:
    """Exactly: the largest chance of a window, and of a block, without some pair."""
    case = sticky(seed)
    model = case.model
    least = pair_visits(gap(model, case.behaviour), model)[model.cell_mask].min()
    n_pairs, handoffs, delta = int(model.cell_mask.sum()), 100, 0.5
    mixing = mixing_time(model, case.behaviour)
    once = coverage(mixing, least, n_pairs, handoffs, delta)
    full = case.pair_step
    for cell, action in np.argwhere(model.cell_mask):
        taboo = full.copy()
        taboo[:, np.flatnonzero(model.cell == cell) * model.n_actions + action] = 0
        missed = np.linalg.matrix_power(taboo, once.window).sum(axis=1).max()
        assert missed <= delta / (n_pairs * handoffs)
        block = np.linalg.matrix_power(taboo, once.block).sum(axis=1).max()
        assert block <= 1 - least / 2  # what each block owes to the one before


@pytest.mark.parametrize("seed", range(3))
def test_longer_windows_visit_every_pair_as_often_as_promised(seed: int) -> None:
    """Exactly: the law of the number of visits, from every start, by dynamic programming."""
    case = sticky(seed, ends=(0.2, 0.4), stay=0.0, n_hidden=1)
    model = case.model
    least = pair_visits(gap(model, case.behaviour), model)[model.cell_mask].min()
    n_pairs, handoffs, delta = int(model.cell_mask.sum()), 10, 0.5
    mixing = mixing_time(model, case.behaviour)
    often = coverage(mixing, least, n_pairs, handoffs, delta, often=True)
    rows = np.flatnonzero(model.mask.ravel())
    full = case.pair_step[np.ix_(rows, rows)]
    rarest = int(np.argmin(stationary_of(full)))
    # still[start, count, row]: chance of fewer visits than promised, by where it is now
    still = np.zeros((n_pairs, often.visits, n_pairs))
    still[np.arange(n_pairs), 0, np.arange(n_pairs)] = 1.0
    for _ in range(often.window):
        still = still @ full
        still[:, 1:, rarest] = still[:, :-1, rarest].copy()
        still[:, 0, rarest] = 0.0
    assert still.sum(axis=(1, 2)).max() <= delta / handoffs


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"mixing_time": 0}, "mixing time"),
        ({"least": 0.0}, "share"),
        ({"n_pairs": 0}, "pairs"),
        ({"handoffs": 0}, "handoffs"),
        ({"delta": 1.0}, "delta"),
    ],
)
def test_coverage_refuses(change: dict[str, float], name: str) -> None:
    good = {"mixing_time": 3, "least": 0.1, "n_pairs": 4, "handoffs": 10, "delta": 0.1}
    with pytest.raises(ModelError, match=name):
        coverage(**(good | change))


def test_too_many_states_are_refused() -> None:
    model = random_model(np.random.default_rng(0), n_cells=1001, n_hidden=2)
    with pytest.raises(ModelError, match="not available: 2002 states"):
        watched(model, uniform(model), gap(model, uniform(model)))
