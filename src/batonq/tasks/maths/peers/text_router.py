"""The text router: one call per question, chosen from the question's text alone.

A ridge regression per call says how likely it is to be right, from a hashed bag of words and from
counts; unlike the bandit it learns what every call would have answered. The call of highest
predicted utility is asked, its cost taken as its mean in training. The penalty is that of highest
training utility when each training question is predicted by the others (leave-one-out, in closed
form).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.tasks.maths.board import Board
from batonq.tasks.maths.peers.hashing import text_features
from batonq.tasks.maths.peers.outcome import Chooser, Outcome, Questions, outcome_of

WIDTH: Final = 256
PENALTIES: Final = (3.0, 10.0, 30.0, 100.0, 1000.0, 1e9)  # the last: one call for all


@dataclass(frozen=True)
class TextRouter:
    """Ask the call of highest predicted chance - price x mean cost; ties to the earlier call.

    Attributes:
        centre: mean text features in training.
        weights: weight of each feature less its mean, per call.
        worth: mean accuracy - price x mean cost of each call in training.
    """

    centre: Float[np.ndarray, " feature"]
    weights: Float[np.ndarray, "feature call"]
    worth: Float[np.ndarray, " call"]

    def play(self, board: Board, questions: Questions) -> Outcome:
        """Answer the `questions` (row indices of `board`)."""
        features = text_features(board.questions, WIDTH)[questions]
        return ask_one(board, questions, (features - self.centre) @ self.weights + self.worth)


def ask_one(board: Board, questions: Questions, worth: Float[np.ndarray, "asked call"]) -> Outcome:
    """Return the outcome of asking, for each question, the one call worth most."""
    submitted = worth.argmax(axis=1)
    asked = submitted[:, None] == np.arange(worth.shape[1])
    return outcome_of(board, questions, asked, submitted)


def fit_text_router(board: Board, train: Questions) -> Chooser:
    """Fit the regressions for every penalty, and choose the penalty."""
    features = text_features(board.questions, WIDTH)[train]
    centre = features.mean(axis=0)
    right = board.right[train].astype(float)
    accuracy, cost = right.mean(axis=0), board.cost[train].mean(axis=0)
    left, values, axes = np.linalg.svd(features - centre, full_matrices=False)
    predicted, weights = [], []
    for penalty in PENALTIES:
        shrunk = values**2 / (values**2 + penalty)
        fitted = left @ (shrunk[:, None] * (left.T @ (right - accuracy)))
        leverage = 1.0 / len(train) + (left**2) @ shrunk
        error = (right - accuracy - fitted) / np.maximum(1.0 - leverage, 1e-9)[:, None]
        predicted.append(right - error)
        solved = (values / (values**2 + penalty))[:, None] * (left.T @ (right - accuracy))
        weights.append(axes.T @ solved)

    def choose(price: float) -> TextRouter:
        utility = [
            ask_one(board, train, unseen - price * cost).utility(price).mean()
            for unseen in predicted
        ]
        best = int(np.argmax(utility))
        return TextRouter(centre, weights[best], accuracy - price * cost)

    return choose
