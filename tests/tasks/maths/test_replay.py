"""The replay as a finite model, and exact play on it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from maths_replays import random_replay
from peer_boards import board_of, random_board

from batonq.base.errors import DataError, ModelError
from batonq.smdp.exact import evaluate, optimal
from batonq.tasks.maths.game import Stage
from batonq.tasks.maths.interfaces import INTERFACES, attempt_columns, cells, codes, columns, view
from batonq.tasks.maths.pools import Pool
from batonq.tasks.maths.replay import TICK, compile_replay, finite_model, rewards
from batonq.tasks.maths.rollout import flow, play, random_moves

ALL = Pool("all", (), "")
PRICE = 0.2


def tiny(gamma: float = 1.0):
    """Two questions, two models: both right; then only the second, the first silent."""
    board = board_of([[5, 5], [-1, 7]], [5, 7], cost=[1.0, 2.0])
    return compile_replay(board, ALL, gamma)


def position(replay, stage, asked, agent=None):
    """Number of a position."""
    return next(
        k
        for k, one in enumerate(replay.game.positions)
        if one.stage == stage and one.asked == set(asked) and agent in (None, one.agent)
    )


def test_a_pool_picks_its_calls_in_its_order() -> None:
    board = random_board(0, 6, 4)
    replay = compile_replay(board, Pool("two", (("m3", "p"), ("m1", "p")), ""))
    assert replay.agents == ("m3", "m1", "closer")
    assert replay.calls == ("m3 / p", "m1 / p")
    for name in ("answer", "plain", "right", "cost", "tokens", "private"):
        assert np.array_equal(getattr(replay, name), getattr(board, name)[:, [3, 1]])
    with pytest.raises(DataError, match="m9"):
        compile_replay(board, Pool("none", (("m9", "p"),), ""))


def test_durations_are_ticks_of_tokens_rounded_up() -> None:
    board = board_of([[0, 0, 0, 0]], [0], cost=[0.0, 6.4, 6.5, 12.8])
    replay = compile_replay(board, ALL, 0.5)  # ten tokens a cent: 0, 64, 65, 128
    assert TICK == 64
    assert replay.tokens.tolist() == [[0, 64, 65, 128]]
    assert replay.ticks.tolist() == [[1, 1, 2, 2]]
    assert replay.discount.tolist() == [[0.5, 0.5, 0.25, 0.25]]


def test_only_answers_can_be_submitted() -> None:
    replay = tiny()
    both, first = (position(replay, Stage.CLOSE, asked) for asked in ({0, 1}, {0}))
    # Two calls, hand to either model, abstain.
    assert replay.permitted(both).tolist() == [[1, 1, 0, 0, 0], [0, 1, 0, 0, 0]]
    assert replay.permitted(first).tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]


def test_rewards_by_hand() -> None:
    replay = tiny()
    reward = rewards(replay, PRICE).reshape(-1, 2, 5)
    both = position(replay, Stage.CLOSE, {0, 1})
    assert reward[both].tolist() == [[1, 1, 0, 0, 0], [0, 1, 0, 0, 0]]
    second = position(replay, Stage.WORK, {0})
    assert reward[second].tolist() == [[0, -0.4, 0, 0, 0]] * 2
    assert not reward[0].any()  # handing out costs nothing
    dearer = rewards(replay.repriced(3 * replay.cost), PRICE).reshape(-1, 2, 5)
    assert dearer[second].tolist() == [[0, pytest.approx(-1.2), 0, 0, 0]] * 2


@pytest.mark.parametrize("price", [-0.1, math.inf, math.nan])
def test_a_price_that_is_none_is_named(price: float) -> None:
    with pytest.raises(ModelError, match="is not a price >= 0"):
        rewards(tiny(), price)


def test_the_oracle_of_two_questions_by_hand() -> None:
    gamma = 0.9
    found = optimal(finite_model(tiny(gamma), PRICE, np.arange(2)))
    # Open, ask (one tick each), hand to the closer, submit: 1 three ticks after opening.
    cheap = gamma * (-PRICE * 1 + gamma**2 * 1)
    dear = gamma * (-PRICE * 2 + gamma**2 * 1)
    assert np.allclose(found.value[:2], [cheap, dear])
    assert found.policy[:2].tolist() == [2, 3]


def test_play_is_the_value_of_the_model_without_discount() -> None:
    replay = random_replay(0, 7, gamma=1.0)
    rows = np.array([1, 4, 5])
    model = finite_model(replay, PRICE, rows)
    moves = random_moves(replay, np.random.default_rng(1))
    exact = evaluate(model, moves.ravel()).value[:7]
    assert np.allclose(play(replay, moves, rows).utility(PRICE), exact[rows])
    assert np.flatnonzero(model.initial).tolist() == rows.tolist()


def test_play_by_hand() -> None:
    replay = tiny()
    moves = np.zeros((len(replay.game.positions), 2), np.int64)
    moves[0] = 2  # hand to the first model, which asks
    moves[position(replay, Stage.WORK, set(), 0)] = 0
    moves[position(replay, Stage.HAND, {0})] = [4, 3]  # close, or hand to the second model
    moves[position(replay, Stage.WORK, {0})] = 1
    moves[position(replay, Stage.HAND, {0, 1}, 1)] = 4
    moves[position(replay, Stage.CLOSE, {0, 1})] = 1
    outcome = play(replay, moves, np.array([1, 0]))
    assert outcome.right.tolist() == [True, True]
    assert outcome.cost.tolist() == [3.0, 1.0]
    assert outcome.calls.tolist() == [2, 1]
    assert outcome.tokens.tolist() == [30, 10]
    # Rows: m0, m1, closer; columns the same, then the end. Per question.
    graph = flow(replay, moves, np.arange(2))
    assert graph.tolist() == [[1, 0.5, 0.5, 0], [0, 0.5, 0.5, 0], [1, 0, 0, 1]]
    moves[position(replay, Stage.HAND, {0})] = 4  # the second question now closes on nothing
    moves[position(replay, Stage.CLOSE, {0})] = [0, 4]
    assert play(replay, moves, np.arange(2)).right.tolist() == [True, False]


def test_random_moves_are_permitted_and_even() -> None:
    replay = random_replay(1, 3_000, owner=(0, 1, 2))
    moves = random_moves(replay, np.random.default_rng(0))
    for k in range(len(replay.game.positions)):
        assert replay.permitted(k)[np.arange(3_000), moves[k]].all()
    share = np.bincount(moves[0], minlength=7)[3:6] / 3_000
    assert np.abs(share - 1 / 3).max() < 4 * math.sqrt(2 / 9 / 3_000)
    graph = flow(replay, moves, np.arange(3_000))
    assert np.isclose(graph[:, -1].sum(), 1)  # every question ends once
    assert np.allclose(graph[:3].sum(axis=1), graph[:, :3].sum(axis=0))


def test_views_by_hand() -> None:
    # Models: m0 asks calls 0 and 1, m1 call 2. The answers: 3, silence, 3.
    replay = random_replay(2, 1, owner=(0, 0, 1))
    replay.answer[0], replay.plain[0] = [3, -1, 3], [True, False, False]
    hand = replay.game.positions[position(replay, Stage.HAND, {0, 1, 2}, 0)]
    own = [1, 0, 1, 0]  # parsed, then plain, of its two calls
    assert view(replay, hand, "own").tolist() == [own]
    assert view(replay, hand, "counts").tolist() == [[*own, 2, 0, 2]]
    assert view(replay, hand, "answers").tolist() == [[0, -1, 0, 1, 0, 0]]
    board = view(replay, hand, "board")[0].tolist()
    assert board[:6] == [0, -1, 0, 1, 0, 0]
    flags = replay.private[0][:, [4, 5]].T.astype(int).ravel().tolist()
    assert board[6:] == flags  # echo, then supported, of each call
    close = replay.game.positions[position(replay, Stage.CLOSE, {0, 1, 2})]
    assert view(replay, close, "own").tolist() == [[1, 0, 1]]


def test_interfaces_show_less_and_less() -> None:
    replay = random_replay(3, 60)
    for one in replay.game.positions:
        code = {name: codes(replay, one, name) for name in INTERFACES}
        for more, less in (("board", "answers"), ("answers", "counts"), ("counts", "own")):
            pairs = set(zip(code[more].tolist(), code[less].tolist(), strict=True))
            assert len(pairs) == len(set(code[more].tolist()))  # the finer tells the coarser
    counts = [int(cells(replay, name).max()) for name in INTERFACES]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


@pytest.mark.parametrize("interface", INTERFACES)
def test_columns_tell_no_more_than_the_interface(interface: str) -> None:
    replay = random_replay(4, 80)
    for one in replay.game.positions:
        code = codes(replay, one, interface)
        dense = columns(replay, one, interface)
        for cell in range(code.max() + 1):
            assert (dense[code == cell] == dense[code == cell][0]).all()
        if one.stage == Stage.CLOSE and interface != "board":  # texts come on top there
            for call in one.asked:
                attempt = attempt_columns(replay, one, call, interface)
                answered = replay.parsed[:, call]
                for cell in np.unique(code[answered]):
                    rows = attempt[answered & (code == cell)]
                    assert (rows == rows[0]).all()
