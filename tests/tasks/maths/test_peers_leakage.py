"""No peer may know of a test question what only its recorded answers tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from peer_boards import random_board

from batonq.tasks.maths.peers import PEERS

LEARNT = sorted(set(PEERS) - {"oracle", "majority"})  # these two have nothing to choose
COUNT, CALLS = 150, 4
TRAIN, TEST = np.arange(0, 100), np.arange(100, COUNT)


def scrambled(board, rows):
    """The same board, all that is recorded of some rows drawn anew."""
    other = random_board(99, COUNT, CALLS, skill=0.3)
    fields = ("answer", "plain", "right", "cost", "tokens", "private")
    parts = {name: getattr(board, name).copy() for name in fields}
    for name in fields:
        parts[name][rows] = getattr(other, name)[rows]
    texts = np.array(board.questions)
    texts[rows] = np.array(other.questions)[rows]
    return replace(board, questions=tuple(texts.tolist()), **parts)


def costs(peer, board):
    return peer.play(board, np.arange(COUNT)).cost


@pytest.mark.parametrize("name", LEARNT)
def test_what_is_chosen_depends_on_training_questions_alone(name):
    board = random_board(0, COUNT, CALLS, skill=[0.5, 0.6, 0.7, 0.8])
    for price in (0.0, 0.05, 0.2):
        chosen = PEERS[name](board, TRAIN)(price)
        blind = PEERS[name](scrambled(board, TEST), TRAIN)(price)
        np.testing.assert_array_equal(costs(chosen, board), costs(blind, board))
        np.testing.assert_array_equal(chosen.play(board, TEST).right, blind.play(board, TEST).right)


@pytest.mark.parametrize("name", LEARNT)
def test_what_is_chosen_does_depend_on_training_questions(name):
    board = random_board(0, COUNT, CALLS, skill=[0.5, 0.6, 0.7, 0.8])
    chosen, other = PEERS[name](board, TRAIN), PEERS[name](scrambled(board, TRAIN), TRAIN)
    assert any((costs(chosen(p), board) != costs(other(p), board)).any() for p in (0.0, 0.05, 0.2))


@pytest.mark.parametrize("name", LEARNT)
def test_the_right_answer_of_a_test_question_does_not_steer_its_play(name):
    board = random_board(1, COUNT, CALLS, skill=[0.5, 0.6, 0.7, 0.8])
    peer = PEERS[name](board, TRAIN)(0.05)
    before = peer.play(board, TEST)
    board.right[TEST] = ~board.right[TEST]
    after = peer.play(board, TEST)
    np.testing.assert_array_equal(before.cost, after.cost)
    assert not (before.right & after.right).any()  # the same call is submitted


def test_a_fit_is_repeatable():
    board = random_board(2, COUNT, CALLS)
    for fit in PEERS.values():
        one, two = (fit(board, TRAIN)(0.05).play(board, TEST) for _ in range(2))
        np.testing.assert_array_equal(one.cost, two.cost)
        np.testing.assert_array_equal(one.right, two.right)
