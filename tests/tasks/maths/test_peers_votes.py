from __future__ import annotations

from itertools import combinations, permutations
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peer_boards import board_of, boards, random_board

from batonq.tasks.maths.peers.votes import (
    Last,
    Vote,
    fit_best_single,
    fit_fixed,
    fit_majority,
    fit_weighted_vote,
    log_odds,
)


def elected(answers, order, weights):
    """The call whose answer has most weight, by a dictionary; ties to the earlier; None: nobody."""
    behind = {}
    for call in order:
        if answers[call] >= 0:
            behind[answers[call]] = behind.get(answers[call], 0.0) + weights[call]
    # a dictionary keeps the order of first mention, and max takes the first of equals
    return order[[answers[c] for c in order].index(max(behind, key=behind.get))] if behind else None


ORDERS = st.sampled_from([o for size in (1, 2, 3) for o in permutations(range(3), size)])
WEIGHTS = st.tuples(*[st.sampled_from([0.05, 0.5, 1.0, 1.5, 3.0])] * 3)


@given(boards(), ORDERS, WEIGHTS)
def test_vote_agrees_with_a_plain_count(board, order, weights):
    rows = np.arange(len(board.questions))
    outcome = Vote(order, weights).play(board, rows)
    for q in rows:
        call = elected(board.answer[q].tolist(), order, weights)
        assert outcome.right[q] == (call is not None and board.right[q, call])
        assert outcome.cost[q] == sum(board.cost[q, c] for c in order)
        assert outcome.calls[q] == len(order)


@given(boards(), ORDERS)
def test_last_submits_the_last_answer_given(board, order):
    rows = np.arange(len(board.questions))
    outcome = Last(order).play(board, rows)
    for q in rows:
        given_answers = [c for c in order if board.answer[q, c] >= 0]
        assert outcome.right[q] == bool(given_answers and board.right[q, given_answers[-1]])
        assert outcome.calls[q] == len(order)


def test_majority_by_hand():
    board = board_of([[0, 1, 1], [0, 1, 2], [-1, 1, 0], [-1, -1, -1]], gold=[1, 0, 1, 0])
    outcome = fit_majority(board, np.arange(1))(0.5).play(board, np.arange(4))
    assert outcome.right.tolist() == [True, True, True, False]  # two ties go to the earlier
    assert outcome.calls.tolist() == [3, 3, 3, 3]


def test_log_odds_by_hand():
    board = board_of([[0, 0, -1], [0, 1, -1], [0, 1, 0]], gold=[0, 0, 0])
    weights = log_odds(board, np.arange(3))
    # right/wrong of what was parsed, one more of each: 4/1, 2/3 (raised to the least), 2/1
    np.testing.assert_allclose(weights, [log(4), 0.05, log(2)])


def test_weighted_vote_lets_the_good_call_outvote_two_bad_ones():
    good, bad = [0] * 9 + [1], [0, 1] * 5
    rows = [[g, b, b] for g, b in zip(good, bad, strict=True)]
    board = board_of(rows, gold=[0] * 10, cost=[1.0, 1.0, 1.0])
    weights = tuple(log_odds(board, np.arange(10)))
    outcome = Vote((0, 1, 2), weights).play(board, np.arange(10))
    assert outcome.right.sum() == 9
    assert Vote((0, 1, 2), (1.0, 1.0, 1.0)).play(board, np.arange(10)).right.sum() == 5


def best_utility(board, train, price, candidates):
    """Highest mean utility over (order, function of a question's answers giving a call)."""
    best = -np.inf
    for order, call_of in candidates:
        total = 0.0
        for q in train:
            call = call_of(board.answer[q].tolist(), order)
            total += call is not None and board.right[q, call]
            total -= price * board.cost[q, list(order)].sum()
        best = max(best, total / len(train))
    return best


def last_of(answers, order):
    return next((c for c in reversed(order) if answers[c] >= 0), None)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.003, 0.05, 0.3]))
def test_chosen_votes_and_pipelines_are_the_best_in_training(seed, price):
    board, train = random_board(seed, 20, 3), np.arange(1, 20, 2)
    weights = log_odds(board, train)
    equal = [1.0] * 3
    subsets = [s for size in (1, 2, 3) for s in combinations(range(3), size)]
    orders = [o for size in (1, 2, 3) for o in permutations(range(3), size)]
    families = {
        fit_best_single: [((call,), last_of) for call in range(3)],
        fit_weighted_vote: [(s, lambda a, o: elected(a, o, weights)) for s in subsets],
        fit_fixed: [(o, last_of) for o in orders]
        + [(o, lambda a, o: elected(a, o, equal)) for o in orders],
    }
    for fit, candidates in families.items():
        chosen = fit(board, train)(price).play(board, train).utility(price).mean()
        assert chosen == pytest.approx(best_utility(board, train, price, candidates), abs=1e-12)
