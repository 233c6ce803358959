from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peer_boards import board_of, random_board

from batonq.tasks.maths.peers import held_out
from batonq.tasks.maths.peers.oracle import fit_oracle
from batonq.tasks.maths.peers.outcome import (
    Outcome,
    best_by_utility,
    chooser_among,
    first_calls,
    outcome_of,
)
from batonq.tasks.maths.peers.votes import Last, fit_majority

BOARD = board_of([[0, 1, 1], [0, 0, -1], [0, 1, 2]], gold=[1, 0, 2], cost=[1.0, 2.0, 4.0])
ALL = np.arange(3)


def test_outcome_of_asking_and_submitting_by_hand():
    asked = np.array([[True, True, False], [True, False, True], [False, False, False]])
    outcome = outcome_of(BOARD, ALL, asked, np.array([1, 2, -1]))
    assert outcome.right.tolist() == [True, False, False]
    assert outcome.cost.tolist() == [3.0, 5.0, 0.0]
    assert outcome.calls.tolist() == [2, 2, 0]
    assert outcome.tokens.tolist() == [30, 50, 0]
    np.testing.assert_allclose(outcome.utility(0.1), [0.7, -0.5, 0.0])


def test_nothing_submitted_is_wrong_even_if_the_last_call_was_right():
    asked = np.ones((3, 3), bool)
    assert not outcome_of(BOARD, ALL, asked, np.full(3, -1)).right.any()


def test_first_calls_follow_the_order():
    asked = first_calls((2, 0), np.array([0, 1, 2]), 3)
    np.testing.assert_array_equal(asked, [[0, 0, 0], [0, 0, 1], [1, 0, 1]])


def test_ties_in_utility_go_to_the_cheaper():
    accuracy, cost = np.array([0.9, 0.9, 0.8]), np.array([2.0, 1.0, 0.0])
    assert best_by_utility(accuracy, cost, 0.0) == 1
    assert best_by_utility(accuracy, cost, 0.09) == 1
    assert best_by_utility(accuracy, cost, 0.1) == 2  # .9 - .1 = .8 but for rounding


def test_a_tie_up_to_rounding_is_a_tie():
    assert best_by_utility(np.array([0.1 + 0.2, 0.3]), np.array([1.0, 0.5]), 0.0) == 1


@given(st.floats(0, 2))
def test_chosen_peer_has_the_highest_training_utility(price):
    board, train = random_board(0, 40, 3), np.arange(0, 40, 2)
    peers = [Last((0,)), Last((1,)), Last((2,)), Last((0, 1, 2))]
    chosen = chooser_among(peers, board, train)(price)
    utilities = [peer.play(board, train).utility(price).mean() for peer in peers]
    assert chosen.play(board, train).utility(price).mean() == pytest.approx(max(utilities))


def test_oracle_asks_the_cheapest_right_call_and_the_cheapest_where_none_is():
    board = board_of([[0, 1, 1], [0, 0, 0], [0, 0, 0]], gold=[1, 0, 3], cost=[3.0, 5.0, 4.0])
    outcome = fit_oracle(board, ALL)(0.0).play(board, ALL)
    assert outcome.right.tolist() == [True, True, False]
    assert outcome.cost.tolist() == [4.0, 3.0, 3.0]


def test_held_out_plays_every_question_once_in_the_boards_order():
    board = random_board(1, 23, 3)
    board.cost[:] += np.arange(23)[:, None]
    order = np.random.default_rng(0).permutation(23)
    outcomes = held_out(fit_majority, board, [order[:9], order[9:13], order[13:]], (0.0, 0.1))
    whole = fit_majority(board, order)(0.0).play(board, np.arange(23))
    assert len(outcomes) == 2
    for outcome in outcomes:
        np.testing.assert_array_equal(outcome.cost, whole.cost)
        np.testing.assert_array_equal(outcome.right, whole.right)


def test_held_out_never_fits_on_the_fold_it_plays():
    board = random_board(2, 12, 2)
    folds = [np.arange(0, 4), np.arange(4, 8), np.arange(8, 12)]
    seen: list[set[int]] = []

    class Peer:
        def __init__(self, train: np.ndarray) -> None:
            self.train = set(train.tolist())

        def play(self, board, questions) -> Outcome:
            seen.append(self.train | set(questions.tolist()))
            assert not self.train & set(questions.tolist())
            return Last((0,)).play(board, questions)

    held_out(lambda _board, train: lambda _price: Peer(train), board, folds, (0.0,))
    assert seen == [set(range(12))] * 3
