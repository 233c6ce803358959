from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peer_boards import board_of, boards, random_board

from batonq.base.errors import ModelError
from batonq.tasks.maths.peers.agreement import Rule, fit_agreement, rules


def by_the_rule(answers, plain, rule):
    """(submitted call or None, calls made) of one question: the rule as one would tell it."""
    votes = {}
    counts = lambda call: answers[call] >= 0 and (plain[call] or not rule.plain_only)  # noqa: E731
    for made, call in enumerate(rule.order, start=1):
        if counts(call):
            if answers[call] in votes:
                return votes[answers[call]], made
            votes[answers[call]] = call
    for usable in (counts, lambda call: answers[call] >= 0):
        believed = [c for c in (rule.trusted, *rule.order) if usable(c)]
        if believed:
            return believed[0], len(rule.order)
    return None, len(rule.order)


@st.composite
def any_rule(draw):
    order = draw(st.sampled_from([o for size in (2, 3) for o in permutations(range(3), size)]))
    return Rule(order, draw(st.booleans()), draw(st.sampled_from(order)))


@settings(max_examples=300)
@given(boards(), any_rule())
def test_play_agrees_with_the_rule_told_question_by_question(board, rule):
    rows = np.arange(len(board.questions))[::-1]
    outcome = rule.play(board, rows)
    for place, q in enumerate(rows):
        call, made = by_the_rule(board.answer[q].tolist(), board.plain[q].tolist(), rule)
        assert outcome.right[place] == (call is not None and board.right[q, call])
        assert outcome.calls[place] == made
        assert outcome.cost[place] == board.cost[q, list(rule.order[:made])].sum()
        assert outcome.tokens[place] == board.tokens[q, list(rule.order[:made])].sum()


HAND = board_of(
    [[0, 0, 1], [0, 1, 1], [0, 1, 2], [-1, 0, 0], [0, 0, 1]],
    gold=[0, 1, 2, 0, 1],
    plain=[[1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 1, 1], [0, 0, 1]],
    cost=[1.0, 2.0, 4.0],
)


def test_rule_by_hand():
    outcome = Rule((0, 1, 2), plain_only=False, trusted=0).play(HAND, np.arange(5))
    assert outcome.calls.tolist() == [2, 3, 3, 3, 2]
    assert outcome.right.tolist() == [True, True, False, True, False]
    assert outcome.cost.tolist() == [3.0, 7.0, 7.0, 7.0, 3.0]


def test_trusted_call_is_believed_where_no_two_agree():
    outcome = Rule((0, 1, 2), plain_only=False, trusted=2).play(HAND, np.arange(5))
    assert outcome.right.tolist() == [True, True, True, True, False]


def test_plain_only_ignores_answers_that_are_not_positive_integers():
    outcome = Rule((0, 1, 2), plain_only=True, trusted=0).play(HAND, np.arange(5))
    assert outcome.calls.tolist() == [2, 3, 3, 3, 3]
    assert outcome.right.tolist() == [True, True, False, True, True]


def test_every_rule_is_there_once():
    everything = list(rules(3, trusted=1))
    assert len(everything) == len(set(everything))
    # 6 pairs and 6 triples, with and without the test of integers, believing the first; then those
    # that believe call 1 and ask it later: second in 2 pairs, second or third in 4 triples
    assert len(everything) == 2 * (6 + 6) + 2 * (2 + 4)
    assert len(list(rules(5, trusted=0))) == 2 * 320 + 2 * (4 + 24 + 72 + 96)


def test_one_call_cannot_agree():
    with pytest.raises(ModelError, match="needs 2 calls or more, the pool has 1"):
        list(rules(1, trusted=0))


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.003, 0.1]))
def test_chosen_rule_is_the_best_in_training(seed, price):
    board, train = random_board(seed, 18, 3), np.arange(0, 18, 2)
    chosen = fit_agreement(board, train)(price)
    trusted = int(board.right[train].mean(axis=0).argmax())
    best = -np.inf
    for rule in rules(3, trusted):
        total = 0.0
        for q in train:
            call, made = by_the_rule(board.answer[q].tolist(), board.plain[q].tolist(), rule)
            total += call is not None and board.right[q, call]
            total -= price * board.cost[q, list(rule.order[:made])].sum()
        best = max(best, total / len(train))
    assert chosen.play(board, train).utility(price).mean() == pytest.approx(best, abs=1e-12)


def test_a_rule_plays_a_board_whose_answers_and_prices_changed():
    rule = Rule((0, 1, 2), plain_only=False, trusted=0)
    answer = HAND.answer.copy()
    answer[:, 1] = answer[:, 0]  # call 1 now says what call 0 says
    changed = replace(HAND, answer=answer, cost=10.0 * HAND.cost)
    outcome = rule.play(changed, np.arange(5))
    assert outcome.calls.tolist() == [2, 2, 2, 3, 2]
    assert outcome.cost.tolist() == [30.0, 30.0, 30.0, 70.0, 30.0]
