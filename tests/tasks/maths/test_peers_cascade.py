from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from peer_boards import board_of, random_board

from batonq.tasks.maths.peers import cascade
from batonq.tasks.maths.peers.cascade import Cascade, fit_cascade
from batonq.tasks.maths.peers.logistic import Logistic, fit_logistic


def told(confidence, chain):
    """(submitted call or None, calls made) of one question's confidences."""
    for made, call in enumerate(chain.order, start=1):
        if made <= len(chain.thresholds) and confidence[call] >= chain.thresholds[made - 1]:
            return call, made
    best = max(chain.order, key=lambda call: confidence[call])
    return (best if confidence[best] > 0 else None), len(chain.order)


def confidences(board, models):
    """Chance by the logistic formula, written out; 0 for an abstention."""
    out = np.zeros(board.answer.shape)
    for call, model in enumerate(models):
        features = cascade._features(board, call)
        score = ((features - model.centre) / model.scale) @ model.weights[:-1] + model.weights[-1]
        out[:, call] = np.where(board.answer[:, call] >= 0, 1 / (1 + np.exp(-score)), 0.0)
    return out


@pytest.mark.parametrize("seed", range(4))
def test_play_agrees_with_the_cascade_told_question_by_question(seed):
    board, rows = random_board(seed, 60, 3), np.arange(60)[::-1]
    models = tuple(cascade._fit_call(board, np.arange(30), call) for call in range(3))
    confidence = confidences(board, models)
    for size in (1, 2, 3):
        for order in permutations(range(3), size):
            chain = Cascade(order, (0.55, 0.7)[: size - 1], models)
            outcome = chain.play(board, rows)
            for place, q in enumerate(rows):
                call, made = told(confidence[q], chain)
                assert outcome.right[place] == (call is not None and board.right[q, call])
                assert outcome.calls[place] == made
                assert outcome.cost[place] == pytest.approx(board.cost[q, list(order[:made])].sum())


def test_means_agree_with_playing_every_combination_of_thresholds():
    board, train = random_board(5, 40, 3), np.arange(0, 40, 2)
    confidence = np.random.default_rng(0).random((20, 3))
    confidence[board.answer[train] < 0] = 0.0
    order, grids = (2, 0, 1), [(0.2, 0.5, 2.0), (0.1, 0.8)]
    means = cascade._means(board, train, confidence, order, grids)
    for column, thresholds in enumerate(product(*grids)):
        chain = Cascade(order, thresholds, ())
        right, cost = [], []
        for row, q in enumerate(train):
            call, made = told(confidence[row], chain)
            right.append(call is not None and board.right[q, call])
            cost.append(board.cost[q, list(order[:made])].sum())
        np.testing.assert_allclose(means[:, column], [np.mean(right), np.mean(cost)])


def test_a_question_is_scored_by_regressions_that_did_not_see_it():
    board, train = random_board(6, 50, 2), np.arange(50)
    before = cascade._confidence_unseen(board, train)
    board.right[7] = ~board.right[7]
    after = cascade._confidence_unseen(board, train)
    np.testing.assert_array_equal(before[7], after[7])
    assert (before[8] != after[8]).any()


def test_cascade_learns_when_the_cheap_call_can_be_believed():
    rng = np.random.default_rng(1)
    sure = rng.random(300) < 0.6
    answer = np.column_stack([~sure, np.zeros(300)]).astype(int)  # the cheap one errs if unsure
    private = np.stack([np.column_stack([sure, np.zeros(300)])], axis=2).astype(float)
    board = board_of(answer.tolist(), [0] * 300, cost=[1.0, 10.0], private=private)
    test = np.arange(200, 300)
    outcome = fit_cascade(board, np.arange(200))(0.01).play(board, test)
    assert outcome.right.all()
    np.testing.assert_array_equal(outcome.calls, np.where(sure[test], 1, 2))


def test_price_moves_the_cascade_to_the_cheap_call():
    board = random_board(7, 120, 3, skill=[0.6, 0.7, 0.95])
    board.cost[:] = [0.1, 1.0, 5.0]
    chooser = fit_cascade(board, np.arange(100))
    costs = [chooser(price).play(board, np.arange(100)).cost.mean() for price in (0, 0.05, 5.0)]
    assert costs[0] >= costs[1] > costs[2] == pytest.approx(0.1)


def test_logistic_fit_is_where_the_penalised_slope_vanishes():
    rng = np.random.default_rng(2)
    features = rng.standard_normal((80, 3)) * [1.0, 5.0, 0.0]  # the last does not vary
    labels = rng.random(80) < 1 / (1 + np.exp(-features[:, 0]))
    model = fit_logistic(features, labels, penalty=2.0)
    standard = np.column_stack([(features - model.centre) / model.scale, np.ones(80)])
    slope = standard.T @ (model.chance(features) - labels) + [2, 2, 2, 0.02] * model.weights
    np.testing.assert_allclose(slope, 0.0, atol=2e-3)  # L-BFGS stops at 1e-5 relative to 80 rows
    assert model.weights[2] == 0.0


def test_logistic_of_nothing_and_of_equal_labels():
    empty = fit_logistic(np.zeros((0, 2)), np.zeros(0, bool))
    np.testing.assert_array_equal(empty.chance(np.ones((3, 2))), 0.5)
    sure = fit_logistic(np.ones((20, 2)), np.ones(20, bool))
    assert isinstance(sure, Logistic)
    assert 0.95 < sure.chance(np.ones((1, 2)))[0] < 1.0
