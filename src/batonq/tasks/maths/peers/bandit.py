"""The contextual bandit: one call per question from its text, learning only of the call it asked.

LinUCB (Li, Chu, Langford, Schapire 2010) with one ridge regression per call: features are counts
and a hashed bag of the question's words, the reward is right - price x cost. It learns online, one
update per question; `online` plays any stream, also one whose answers or prices change midway, and
takes and returns what it has learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import compiled
from batonq.base.seeds import generator
from batonq.tasks.maths.board import Board
from batonq.tasks.maths.peers.hashing import COUNTS, text_features
from batonq.tasks.maths.peers.outcome import Chooser, Outcome, Questions, outcome_of
from batonq.tasks.maths.peers.text_router import ask_one

WIDTH: Final = 32
EXPLORATIONS: Final = (0.03, 0.1, 0.3, 1.0)
RIDGES: Final = (1.0, 10.0, 100.0)


@dataclass(frozen=True)
class BanditState:
    """What the bandit has learnt; none of its functions changes a state it was given.

    Attributes:
        inverse: inverse of (penalty + sum of features x features) per call.
        total: sum of reward x features per call.
    """

    inverse: Float[np.ndarray, "call feature feature"]
    total: Float[np.ndarray, "call feature"]


def start(n_calls: int, ridge: float = 1.0) -> BanditState:
    """Return the state before the first question; `ridge` is the penalty, of the constant 1."""
    penalty = np.full(1 + len(COUNTS) + WIDTH, ridge)
    penalty[0] = 1.0
    inverse = np.tile(np.diag(1.0 / penalty), (n_calls, 1, 1))
    return BanditState(inverse, np.zeros((n_calls, len(penalty))))


def online(
    board: Board,
    stream: Questions,
    price: float,
    state: BanditState,
    exploration: float = 0.3,
    forget: float = 1.0,
) -> tuple[Outcome, BanditState]:
    """Play a stream of questions, learning from each.

    Args:
        board: the recorded attempts as they are during this stream.
        stream: row indices in the order of the questions; repeats are allowed.
        price: lambda, per US cent.
        state: what was learnt before.
        exploration: width of the upper confidence limit, in reward.
        forget: factor on the evidence of every call per question, in (0, 1]; 1: nothing is
            forgotten. Below 1 the bandit can follow a change.

    Returns:
        The outcome of each question of the stream, and what is known after it.
    """
    inverse, total = state.inverse.copy(), state.total.copy()
    reward = board.right[stream] - price * board.cost[stream]
    features = text_features(board.questions, WIDTH)[stream]
    chosen = np.empty(len(stream), np.int64)
    _learn(features, reward, exploration, forget, inverse, total, chosen)
    asked = chosen[:, None] == np.arange(reward.shape[1])
    return outcome_of(board, stream, asked, chosen), BanditState(inverse, total)


@compiled
def _learn(
    features: Float[np.ndarray, "asked feature"],
    reward: Float[np.ndarray, "asked call"],
    exploration: float,
    forget: float,
    inverse: Float[np.ndarray, "call feature feature"],
    total: Float[np.ndarray, "call feature"],
    chosen: Int[np.ndarray, " asked"],
) -> None:
    """Choose a call for each question and learn from its reward only; changes the last three."""
    calls = total.shape[0]
    for row in range(features.shape[0]):
        seen = features[row]
        best, most = 0, -np.inf
        for call in range(calls):
            known = inverse[call] @ seen
            limit = known @ total[call] + exploration * np.sqrt(max(known @ seen, 0.0))
            if limit > most:
                best, most = call, limit
        chosen[row] = best
        if forget < 1.0:
            inverse /= forget
            total *= forget
        known = inverse[best] @ seen
        inverse[best] -= np.outer(known, known) / (1.0 + known @ seen)
        total[best] += reward[row, best] * seen


@dataclass(frozen=True)
class GreedyBandit:
    """The bandit after learning: it asks the call of highest predicted reward and learns no more.

    Attributes:
        weights: weight of each text feature, per call.
    """

    weights: Float[np.ndarray, "feature call"]

    def play(self, board: Board, questions: Questions) -> Outcome:
        """Answer the `questions` (row indices of `board`)."""
        return ask_one(
            board, questions, text_features(board.questions, WIDTH)[questions] @ self.weights
        )


def greedy(state: BanditState) -> GreedyBandit:
    """Return the bandit that acts on a state without learning."""
    return GreedyBandit(np.einsum("cfg,cg->fc", state.inverse, state.total))


def fit_bandit(board: Board, train: Questions, seed: int = 0) -> Chooser:
    """Learn on the training questions in one random order.

    The exploration and the penalty are those that earned most over the second half of the stream,
    while learning: the bandit is told nothing that it did not ask for.
    """
    stream = generator(seed).permutation(train)

    def choose(price: float) -> GreedyBandit:
        earned, states = [], []
        for exploration, ridge in product(EXPLORATIONS, RIDGES):
            blank = start(len(board.models), ridge)
            outcome, state = online(board, stream, price, blank, exploration)
            earned.append(outcome.utility(price)[len(stream) // 2 :].mean())
            states.append(state)
        return greedy(states[int(np.argmax(earned))])

    return choose
