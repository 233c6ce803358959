from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
from peer_boards import board_of, random_board

from batonq.tasks.maths.peers import bandit, text_router
from batonq.tasks.maths.peers.bandit import fit_bandit, greedy, online, start
from batonq.tasks.maths.peers.hashing import COUNTS, text_features
from batonq.tasks.maths.peers.text_router import fit_text_router

FIRST_WORD = 1 + len(COUNTS)


def telling_board(count: int, seed: int = 0):
    """The text says who is right: call 0 on questions of apples, call 1 on those of pears."""
    apples = np.random.default_rng(seed).random(count) < 0.5
    answer = np.column_stack([~apples, apples]).astype(int)
    texts = ["how many apples?" if apple else "how many pears?" for apple in apples]
    return board_of(answer.tolist(), [0] * count, cost=[1.0, 1.0], questions=texts)


def test_features_of_a_text_by_hand():
    text = "Ann has 12 nuts. She sells half at $1,250.5 each?"
    row = text_features((text,), 64)[0]
    words = ["ann", "has", "nuts", "she", "sells", "half", "at", "each"]
    np.testing.assert_allclose(
        row[:FIRST_WORD], [1, np.log1p(8) / 4, np.log1p(2) / 2, np.log1p(2) / 2, 1, 1, 7 / 4]
    )
    bag = np.zeros(64)
    for word in words:
        code = crc32(word.encode())
        bag[(code >> 1) % 64] += 1 if code & 1 else -1
    np.testing.assert_allclose(row[FIRST_WORD:], bag / np.linalg.norm(bag))


def test_features_depend_on_the_own_text_only_and_cannot_be_changed():
    alone = text_features(("how many?",), 16)
    among = text_features(("", "how many?", "x y z"), 16)
    np.testing.assert_array_equal(alone[0], among[1])
    np.testing.assert_array_equal(among[0], [1.0] + [0.0] * (len(among[0]) - 1))
    with pytest.raises(ValueError, match="read-only"):
        alone[0, 0] = 2.0
    assert text_features(("how many?",), 0).shape == (1, FIRST_WORD)


@pytest.mark.parametrize("fit", [fit_text_router, fit_bandit])
def test_router_learns_who_answers_what(fit):
    board = telling_board(400)
    outcome = fit(board, np.arange(300))(0.01).play(board, np.arange(300, 400))
    assert outcome.right.all()
    assert (outcome.calls == 1).all()


@pytest.mark.parametrize("fit", [fit_text_router, fit_bandit])
def test_router_asks_the_cheap_call_if_calls_are_dear(fit):
    board = random_board(3, 200, 3, skill=[0.9, 0.6, 0.8])
    board.cost[:] = [2.0, 1.0, 3.0]
    outcome = fit(board, np.arange(150))(1.0).play(board, np.arange(150, 200))
    assert (outcome.cost == 1.0).all()


def test_leave_one_out_of_the_text_router_is_refitting_without_the_question(monkeypatch):
    board, train = random_board(4, 40, 2), np.arange(40)
    monkeypatch.setattr(text_router, "PENALTIES", (3.0,))
    seen = []
    ask_one = text_router.ask_one
    monkeypatch.setattr(
        text_router, "ask_one", lambda b, q, worth: seen.append(worth) or ask_one(b, q, worth)
    )
    fit_text_router(board, train)(0.0)
    features = text_features(board.questions, text_router.WIDTH)
    for left_out in (0, 17, 39):
        rest = np.delete(train, left_out)
        centre, base = features[rest].mean(axis=0), board.right[rest].mean(axis=0)
        inputs, wanted = features[rest] - centre, board.right[rest] - base
        weights = np.linalg.solve(
            inputs.T @ inputs + 3.0 * np.eye(inputs.shape[1]), inputs.T @ wanted
        )
        by_refit = base + (features[left_out] - centre) @ weights
        np.testing.assert_allclose(seen[0][left_out], by_refit, atol=1e-9)


def slow_bandit(features, reward, exploration, ridge, forget):
    """LinUCB that solves its regressions afresh, from all it remembers, for every question."""
    count, size = features.shape
    calls = reward.shape[1]
    penalty = np.diag(np.r_[1.0, np.full(size - 1, ridge)])
    memory = [(penalty.copy(), np.zeros(size)) for _ in range(calls)]
    chosen = []
    for row in range(count):
        limits = []
        for matrix, total in memory:
            variance = features[row] @ np.linalg.solve(matrix, features[row])
            mean = features[row] @ np.linalg.solve(matrix, total)
            limits.append(mean + exploration * np.sqrt(variance))
        best = int(np.argmax(limits))
        chosen.append(best)
        memory = [(forget * matrix, forget * total) for matrix, total in memory]
        matrix, total = memory[best]
        matrix += np.outer(features[row], features[row])
        total += reward[row, best] * features[row]
    return chosen


@pytest.mark.parametrize(("forget", "ridge"), [(1.0, 1.0), (0.97, 10.0)])
def test_online_bandit_agrees_with_solving_afresh(forget, ridge):
    board = random_board(5, 120, 3, skill=[0.5, 0.6, 0.7])
    stream = np.random.default_rng(0).permutation(120)
    outcome, _ = online(board, stream, 0.1, start(3, ridge), 0.5, forget)
    features = text_features(board.questions, bandit.WIDTH)[stream]
    reward = board.right[stream] - 0.1 * board.cost[stream]
    chosen = slow_bandit(features, reward, 0.5, ridge, forget)
    np.testing.assert_array_equal(outcome.cost, board.cost[stream, chosen])
    np.testing.assert_array_equal(outcome.right, board.right[stream, chosen])
    assert len(set(chosen)) == 3


def test_a_stream_in_two_parts_is_one_stream_and_states_are_kept():
    board = random_board(6, 80, 3)
    stream, blank = np.arange(80), start(3)
    whole, end = online(board, stream, 0.05, blank)
    first, middle = online(board, stream[:30], 0.05, blank)
    kept = middle.total.copy()
    second, last = online(board, stream[30:], 0.05, middle)
    np.testing.assert_array_equal(whole.cost, np.r_[first.cost, second.cost])
    np.testing.assert_array_equal(end.inverse, last.inverse)
    np.testing.assert_array_equal(middle.total, kept)
    assert not blank.total.any()


def test_bandit_sees_nothing_of_calls_it_did_not_ask():
    board = random_board(7, 60, 3)
    stream = np.arange(60)
    outcome, state = online(board, stream, 0.0, start(3), 0.5)
    asked = outcome.cost[:, None] == board.cost  # each call has a cost of its own
    board.right[~asked] = ~board.right[~asked]
    again, same = online(board, stream, 0.0, start(3), 0.5)
    np.testing.assert_array_equal(outcome.cost, again.cost)
    np.testing.assert_array_equal(state.total, same.total)


def test_forgetting_bandit_follows_a_change_that_the_other_misses():
    board = board_of([[0, 1]] * 600, [0] * 300 + [1] * 300, cost=[1.0, 1.0])
    after = {}
    for forget in (1.0, 0.98):
        outcome, _ = online(board, np.arange(600), 0.0, start(2), 0.3, forget)
        assert outcome.right[100:300].mean() > 0.9
        after[forget] = outcome.right[350:].mean()
    assert after[0.98] > 0.9
    assert after[1.0] < after[0.98]


def test_greedy_bandit_learns_no_more():
    board = telling_board(100)
    _, state = online(board, np.arange(100), 0.0, start(2))
    peer = greedy(state)
    one = peer.play(board, np.arange(100))
    two = peer.play(board, np.arange(100)[::-1])
    np.testing.assert_array_equal(one.right, two.right[::-1])
