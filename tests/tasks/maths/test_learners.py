"""Learners: exact on cells, blind to test answers, and what sets each apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from maths_replays import random_replay

from batonq.base.errors import ModelError
from batonq.smdp.exact import aggregated, optimal
from batonq.tasks.maths.interfaces import INTERFACES, cells
from batonq.tasks.maths.learners import (
    FEASIBLE,
    FEATURES,
    ICQ,
    JOINT,
    MONTE_CARLO,
    NO_SCALAR,
    CellMeans,
    Method,
    Penalties,
    Student,
    learn,
    prepare,
    taught_by,
)
from batonq.tasks.maths.replay import Replay, finite_model
from batonq.tasks.maths.rollout import play

PRICE = 0.15
PENALTIES = Penalties()
METHODS = (ICQ, FEATURES, JOINT, NO_SCALAR, MONTE_CARLO, FEASIBLE)


def trained(replay: Replay, interface: str, method: Method, train: np.ndarray, price=PRICE):
    return learn(prepare(replay, interface, method, train, PENALTIES), price)


@pytest.mark.parametrize("interface", INTERFACES)
def test_feasible_is_the_aggregated_fixed_point_of_the_training_questions(interface: str) -> None:
    replay = random_replay(0, 30)
    train = np.arange(30)
    cell = cells(replay, interface)
    model = finite_model(replay, PRICE, train, cell)
    permitted = np.zeros((model.n_cells, model.n_actions))
    permitted[cell] = model.mask
    exact = aggregated(model, permitted / permitted.sum(axis=1, keepdims=True))
    shape = (-1, replay.n_questions)
    policy = trained(replay, interface, FEASIBLE, train)
    assert np.allclose(policy.value[:, train], exact.value[cell].reshape(shape)[:, train])
    # Ties apart, the moves too: the chosen one is as good as the best.
    chosen = exact.q[cell, policy.move.ravel()].reshape(shape)[:, train]
    assert np.allclose(chosen, exact.value[cell].reshape(shape)[:, train])


@pytest.mark.parametrize("seed", range(4))
def test_feasible_is_the_best_of_all_policies_of_cells(seed: int) -> None:
    replay = random_replay(seed, 8, owner=(0, 1), gamma=1.0)
    replay = replace(replay, plain=replay.parsed)
    train = np.arange(8)
    policy = trained(replay, "answers", FEASIBLE, train)
    layout, shape = replay.game, (len(replay.game.positions), 8)
    cell = cells(replay, "answers").reshape(shape)
    choices = {
        int(cell[k, q]): np.flatnonzero(replay.permitted(k)[q]).tolist()
        for k in range(shape[0])
        for q in train
    }
    free = [name for name, some in choices.items() if len(some) > 1]
    table = np.array([choices.get(name, [0])[0] for name in range(cell.max() + 1)])
    best = -np.inf
    for moves in product(*(choices[name] for name in free)):
        table[free] = moves
        best = max(best, play(replay, table[cell], train).utility(PRICE).mean())
    assert layout.n_models == 2
    assert np.isclose(play(replay, policy.move, train).utility(PRICE).mean(), best)
    assert np.isclose(policy.value[0, 0], best)


@pytest.mark.parametrize("gamma", [0.9, 1.0])
def test_one_cell_per_question_is_the_oracle(gamma: float) -> None:
    replay = random_replay(3, 12, gamma=gamma)
    everyone = np.arange(12)
    places = range(len(replay.game.positions))
    student = Student(
        replay,
        FEASIBLE,
        [CellMeans(everyone, everyone) for _ in places],
        {k: replay.right.astype(float) for k in places},
    )
    policy = learn(student, PRICE)
    exact = optimal(finite_model(replay, PRICE, everyone))
    assert np.allclose(policy.value.ravel(), exact.value, atol=1e-9)
    sighted = play(replay, policy.move, everyone).utility(PRICE)
    for interface in INTERFACES:
        blind = trained(replay, interface, FEASIBLE, everyone)
        if gamma == 1:
            assert sighted.mean() >= play(replay, blind.move, everyone).utility(PRICE).mean()
    # Knowing the question, nobody pays for an answer that is wrong.
    if gamma == 1:
        worth = np.where(replay.right, 1 - PRICE * replay.cost, -np.inf).max(axis=1)
        least = -PRICE * replay.cost.min(axis=1)
        assert np.allclose(sighted, np.maximum(worth, least))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.name}{method.everyone}")
@pytest.mark.parametrize("interface", ["board", "counts"])
def test_right_answers_of_test_questions_change_no_move(interface: str, method: Method) -> None:
    replay = random_replay(4, 40)
    train, test = np.arange(25), np.arange(25, 40)
    right = replay.right.copy()
    right[test] = ~right[test]
    before = trained(replay, interface, method, train)
    after = trained(replace(replay, right=right), interface, method, train)
    assert np.array_equal(before.move, after.move)
    assert np.array_equal(before.value[:, test], after.value[:, test])
    right = replay.right.copy()
    right[train] = ~right[train]
    other = trained(replace(replay, right=right), interface, method, train)
    assert not np.array_equal(before.move[:, test], other.move[:, test])


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.name}{method.everyone}")
def test_nothing_recorded_of_test_questions_reaches_training(method: Method) -> None:
    replay, other = random_replay(5, 40), random_replay(6, 40)
    train, test = np.arange(25), np.arange(25, 40)
    parts = {}
    for name in ("answer", "plain", "right", "cost", "tokens", "private"):
        parts[name] = getattr(replay, name).copy()
        parts[name][test] = getattr(other, name)[test]
    before = trained(replay, "answers", method, train)
    after = trained(replace(replay, **parts), "answers", method, train)
    assert np.allclose(before.value[:, train], after.value[:, train], atol=1e-7)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.name}{method.everyone}")
@pytest.mark.parametrize("interface", INTERFACES)
def test_every_move_is_permitted(interface: str, method: Method) -> None:
    replay = random_replay(7, 20)
    policy = trained(replay, interface, method, np.arange(10))
    assert np.isfinite(policy.value).all()
    for k in range(len(replay.game.positions)):
        assert replay.permitted(k)[np.arange(20), policy.move[k]].all()


def test_without_the_scalar_nothing_behind_a_handoff_is_worth_anything() -> None:
    replay = random_replay(8, 60)
    train = np.arange(60)
    student = prepare(replay, "answers", ICQ, train, PENALTIES)
    silent, icq = learn(taught_by(student, NO_SCALAR), PRICE), learn(student, PRICE)
    assert np.array_equal(silent.value[0], np.zeros(60))  # the closer only hands out
    assert (icq.value[0] > 0.2).all()
    assert not np.array_equal(silent.move, icq.move)
    gained = [play(replay, one.move, train).utility(PRICE).mean() for one in (silent, icq)]
    assert gained[1] > gained[0] + 0.05


def test_returns_and_quotes_agree_where_cells_forget_nothing() -> None:
    # In a table whose cells keep what was seen, and with durations known, the mean of what was
    # realised is the mean of the quotes.
    replay = random_replay(9, 40)
    replay = replace(replay, tokens=np.full_like(replay.tokens, 200))
    student = prepare(replay, "answers", FEASIBLE, np.arange(40), PENALTIES)
    quotes, returns = learn(student, PRICE), learn(taught_by(student, MONTE_CARLO), PRICE)
    assert np.allclose(quotes.value, returns.value)


def test_value_of_feasible_is_what_it_earns_in_training() -> None:
    replay = random_replay(10, 50, gamma=1.0)
    train = np.arange(0, 50, 3)
    for price in (0.0, 0.05, 0.3):
        policy = trained(replay, "answers", FEASIBLE, train, price)
        earned = play(replay, policy.move, train).utility(price).mean()
        assert np.isclose(policy.value[0, train].mean(), earned)


def test_with_one_model_pooling_over_holders_changes_nothing() -> None:
    replay = random_replay(11, 30, owner=(0, 0))
    train = np.arange(20)
    alone, pooled = (trained(replay, "answers", one, train) for one in (ICQ, FEATURES))
    assert np.array_equal(alone.move, pooled.move)
    assert np.array_equal(alone.value, pooled.value)


def test_the_board_shows_icq_what_joint_sight_shows() -> None:
    replay = random_replay(12, 30)
    train = np.arange(20)
    icq, joint = (trained(replay, "board", one, train) for one in (ICQ, JOINT))
    assert np.array_equal(icq.move, joint.move)
    hidden = trained(replay, "answers", ICQ, train)
    assert not np.allclose(hidden.value, joint.value)


def test_dear_calls_are_not_made_twice_and_free_ones_are_worth_it() -> None:
    replay = random_replay(13, 40)
    train = np.arange(40)
    dear, free = (
        play(replay, trained(replay, "answers", FEASIBLE, train, price).move, train)
        for price in (10.0, 0.0)
    )
    assert (dear.calls == 1).all()  # the rules ask for one
    assert free.right.mean() >= dear.right.mean()
    assert free.calls.mean() > 1


def test_an_unknown_interface_is_named() -> None:
    with pytest.raises(ModelError, match="interface: 'all' is unknown"):
        prepare(random_replay(0, 4), "all", ICQ, np.arange(4), PENALTIES)
