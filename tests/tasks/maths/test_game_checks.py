"""Checks in the game and in the replay: when they may be asked, and what a rejection leads to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer_boards import board_of

from batonq.base.errors import DataError
from batonq.smdp.exact import optimal
from batonq.tasks.maths.board import Board
from batonq.tasks.maths.game import Position, Stage, game
from batonq.tasks.maths.interfaces import INTERFACES, codes
from batonq.tasks.maths.learners import FEASIBLE, ICQ, Penalties, learn, prepare
from batonq.tasks.maths.pools import Pool
from batonq.tasks.maths.replay import (
    GAMMA,
    GAMMA_TIMED,
    Replay,
    compile_replay,
    finite_model,
    rewards,
)
from batonq.tasks.maths.rollout import play

ALL = Pool("all", (), "")
PRICE = 0.1


def at(agent: int, asked: set[int], stage: Stage) -> Position:
    return Position(agent, frozenset(asked), stage)


def moves(layout, position):
    """Where each permitted move of a position leads; None at the end."""
    k = layout.positions.index(position)
    return {
        int(action): None if layout.following[k, action] < 0 else layout.positions[found]
        for action in np.flatnonzero(layout.mask[k])
        for found in [layout.following[k, action]]
    }


def test_one_call_and_its_check_by_hand() -> None:
    layout = game((0, 1), (-1, 0))
    # Call 0 solves, call 1 checks it. 2 hands to the solver, 3 to the checker, 4 to the closer.
    expected = {
        at(2, set(), Stage.OPEN): {2: at(0, set(), Stage.WORK)},
        at(0, set(), Stage.WORK): {0: at(0, {0}, Stage.HAND)},
        at(0, {0}, Stage.HAND): {3: at(1, {0}, Stage.WORK), 4: at(2, {0}, Stage.CLOSE)},
        at(1, {0}, Stage.WORK): {1: at(1, {0, 1}, Stage.HAND)},
        at(1, {0, 1}, Stage.HAND): {4: at(2, {0, 1}, Stage.CLOSE)},
        at(2, {0}, Stage.CLOSE): {0: None, 4: None},
        at(2, {0, 1}, Stage.CLOSE): {0: None, 1: None, 4: None},
    }
    assert set(layout.positions) == set(expected)
    for position, found in expected.items():
        assert moves(layout, position) == found


@st.composite
def pools(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two or three solvers of one or two models, and up to two checks by an agent of its own."""
    owner = draw(st.sampled_from([(0, 0), (0, 1), (0, 1, 0)]))
    checked = draw(st.lists(st.integers(0, len(owner) - 1), max_size=2, unique=True))
    checker = max(owner) + 1
    return owner + (checker,) * len(checked), (-1,) * len(owner) + tuple(checked)


@given(pool=pools())
def test_checks_come_after_what_they_check_and_once(
    pool: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    owner, needs = pool
    layout = game(owner, needs)
    checks = [call for call, need in enumerate(needs) if need >= 0]
    made = set()
    for k, position in enumerate(layout.positions):
        mine = position.asked.intersection(checks)
        made |= mine
        assert len(mine) <= 1
        assert all(needs[call] in position.asked for call in mine)
        assert layout.mask[k].any()
        if position.stage == Stage.WORK:
            assert layout.mask[k, : len(owner)].any()  # nobody receives with nothing to do
        for action in np.flatnonzero(layout.mask[k]):
            assert layout.following[k, action] > k or position.stage == Stage.CLOSE
    assert made == set(checks)  # each of them can be reached


@pytest.mark.parametrize("owner", [(0,), (0, 1, 0), (0, 1, 2)])
def test_a_pool_without_checks_is_the_game_it_was(owner: tuple[int, ...]) -> None:
    plain, said = game(owner), game(owner, (-1,) * len(owner))
    assert plain.positions == said.positions
    assert np.array_equal(plain.following, said.following)
    assert np.array_equal(plain.mask, said.mask)


def checked_board(count: int = 2) -> Board:
    """A cheap call that is right on even questions, a dear one always, a check that knows."""
    board = board_of(
        [[5, 7, 5] if question % 2 == 0 else [5, 7, -1] for question in range(count)],
        [5 if question % 2 == 0 else 7 for question in range(count)],
        cost=[1.0, 6.0, 0.5],
    )
    right = board.right.copy()
    right[:, 1] = True
    return replace(
        board,
        models=("small", "large", "checker"),
        prompts=("program", "step", "check of small/program"),
        right=right,
        unit="kilotokens",
        seconds=np.tile([0.2, 0.26, 1.0], (count, 1)),
        needs=(-1, -1, 0),
    )


def position(replay: Replay, stage: Stage, asked: set[int], agent: int | None = None) -> int:
    return next(
        k
        for k, one in enumerate(replay.game.positions)
        if one.stage == stage and one.asked == asked and agent in (None, one.agent)
    )


def test_a_rejected_check_cannot_be_submitted() -> None:
    replay = compile_replay(checked_board(), ALL)
    assert replay.agents == ("small", "large", "checker", "closer")
    assert replay.calls[2] == "checker / check of small/program"
    close = position(replay, Stage.CLOSE, {0, 2})
    # Three calls, hand to one of three agents, abstain: the second question's check is silent.
    assert replay.permitted(close).tolist() == [[1, 0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0]]
    assert rewards(replay, PRICE).reshape(-1, 2, 7)[close].tolist() == [
        [1, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("interface", INTERFACES)
def test_whoever_holds_a_check_sees_its_rejection(interface: str) -> None:
    board = checked_board(4)
    replay = compile_replay(replace(board, private=np.zeros((4, 3, 8))), ALL)
    hand = replay.game.positions[position(replay, Stage.HAND, {0, 2}, 2)]
    code = codes(replay, hand, interface)
    assert code[0] == code[2] != code[1] == code[3]


def test_measured_seconds_are_ticks_rounded_up() -> None:
    board = replace(
        board_of([[0, 0, 0, 0]], [0]), seconds=np.array([[0.0, 0.25, 0.26, 10.0]]), needs=()
    )
    replay = compile_replay(board, ALL)
    assert replay.ticks.tolist() == [[1, 1, 2, 40]]
    assert replay.gamma == GAMMA_TIMED
    assert replay.discount[0, 3] == pytest.approx(0.996, abs=1e-4)  # ten seconds: .4 percent
    assert compile_replay(replace(board, seconds=None), ALL).gamma == GAMMA
    assert compile_replay(board, ALL, 0.5).discount.tolist() == [[0.5, 0.5, 0.25, 0.5**40]]


def test_some_questions_keep_their_seconds_and_checks() -> None:
    replay = compile_replay(checked_board(5), ALL)
    some = replay.only(np.array([3, 0]))
    assert some.needs == replay.needs
    assert some.ticks.tolist() == [[1, 2, 4]] * 2


def test_the_oracle_of_a_checked_question_by_hand() -> None:
    gamma = 0.9
    found = optimal(finite_model(compile_replay(checked_board(), ALL, gamma), PRICE, np.arange(2)))
    # Hand out (one tick); ask: the cheap call takes one, the dear one two; to the closer: one.
    cheap = gamma * (-PRICE * 1 + gamma**2 * 1)
    dear = gamma * (-PRICE * 6 + gamma**3 * 1)
    assert np.allclose(found.value[:2], [cheap, dear])


@pytest.mark.parametrize("method", [ICQ, FEASIBLE])
def test_learners_ask_the_check_and_follow_it(method) -> None:
    replay = compile_replay(checked_board(60), ALL)
    rows = np.arange(60)
    policy = learn(prepare(replay, "answers", method, rows, Penalties()), PRICE)
    outcome = play(replay, policy.move, rows)
    # Ask and check for 1.5, and 6 more where it rejects; the dear call alone is 6 every time.
    assert outcome.right.all()
    assert outcome.cost.tolist() == [1.5, 7.5] * 30
    assert outcome.calls.tolist() == [2, 3] * 30
    if method is FEASIBLE:  # exact but for the discount, which takes .0001 a tick
        assert policy.value[0].mean() == pytest.approx(1 - PRICE * 4.5, abs=0.002)


def test_a_board_renumbers_what_its_checks_need() -> None:
    board = checked_board()
    assert board.solvers == (0, 1)
    assert board.only([2, 0]).needs == (1, -1)
    assert board.only([1, 0]).needs == (-1, -1)
    with pytest.raises(DataError, match="a check of small/program is taken without that call"):
        board.only([1, 2])
    plain = board_of([[0, 1]], [0])
    assert plain.solvers == (0, 1)
    assert plain.only([1]).needs == ()
    assert plain.only([1]).seconds is None
    assert board.only([0], [1]).seconds.tolist() == [[0.2]]
