"""The confidence cascade: ask in a fixed order until an answer's learnt confidence is high enough.

After FrugalGPT (Chen, Zaharia, Zou 2023): a regression per call says how likely its answer is to be
right, from what the asked agent knows (its private features, whether its answer is a positive
integer) and counts of the question's text. The order, of at most three calls as there, and a
threshold per call are chosen on the training questions. A training question's confidence comes from
a regression that did not see it, so that the thresholds hold for questions never seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.tasks.maths.board import Board
from batonq.tasks.maths.peers.hashing import text_features
from batonq.tasks.maths.peers.logistic import Logistic, fit_logistic
from batonq.tasks.maths.peers.outcome import (
    Chooser,
    Outcome,
    Questions,
    best_by_utility,
    first_calls,
    outcome_of,
)

LONGEST: Final = 3
_PARTS: Final = 5  # the training questions are cut in as many, to score each by the others
_STEPS: Final = 16  # thresholds tried per call: as many quantiles of its confidence

Confidence = Float[np.ndarray, "asked call"]


@dataclass(frozen=True)
class Cascade:
    """Ask in order until an answer's confidence reaches its threshold; submit that answer.

    If none does, the most confident of the answers is submitted, ties going to the earlier call.

    Attributes:
        order: indices of the calls that may be asked, each once.
        thresholds: for each call of the order but the last, the confidence that suffices, above 0.
        models: the regression of each call of the board.
    """

    order: tuple[int, ...]
    thresholds: tuple[float, ...]
    models: tuple[Logistic, ...]

    def play(self, board: Board, questions: Questions) -> Outcome:
        """Answer the `questions` (row indices of `board`)."""
        confidence = np.column_stack(
            [_confidence(m, board, questions, call) for call, m in enumerate(self.models)]
        )
        counts = np.full(len(questions), len(self.order))
        submitted = _most_confident(confidence, self.order)
        for place in reversed(range(len(self.thresholds))):
            enough = confidence[:, self.order[place]] >= self.thresholds[place]
            counts[enough], submitted[enough] = place + 1, self.order[place]
        submitted[confidence[np.arange(len(questions)), submitted] == 0.0] = -1
        asked = first_calls(self.order, counts, len(self.models))
        return outcome_of(board, questions, asked, submitted)


def fit_cascade(board: Board, train: Questions) -> Chooser:
    """Choose the order and the thresholds."""
    calls = range(len(board.models))
    models = tuple(_fit_call(board, train, call) for call in calls)
    confidence = _confidence_unseen(board, train)
    cascades: list[Cascade] = []
    accuracy, cost = [], []
    for size in range(1, min(LONGEST, len(calls)) + 1):
        for order in permutations(calls, size):
            grids = [_grid(confidence[:, call]) for call in order[:-1]]
            cascades += [Cascade(order, chosen, models) for chosen in product(*grids)]
            means = _means(board, train, confidence, order, grids)
            accuracy.append(means[0])
            cost.append(means[1])
    all_accuracy, all_cost = np.concatenate(accuracy), np.concatenate(cost)
    return lambda price: cascades[best_by_utility(all_accuracy, all_cost, price)]


def _features(board: Board, call: int) -> Float[np.ndarray, "question feature"]:
    counts = text_features(board.questions, 0)[:, 1:]
    return np.column_stack([board.private[:, call], board.plain[:, call], counts])


def _fit_call(board: Board, train: Questions, call: int) -> Logistic:
    parsed = train[board.answer[train, call] >= 0]
    return fit_logistic(_features(board, call)[parsed], board.right[parsed, call])


def _confidence(
    model: Logistic, board: Board, questions: Questions, call: int
) -> Float[np.ndarray, " asked"]:
    """Return how likely the call's answers are to be right: 0 where there is none, else above."""
    chance = np.maximum(model.chance(_features(board, call)[questions]), 1e-9)
    return np.where(board.answer[questions, call] >= 0, chance, 0.0)


def _confidence_unseen(board: Board, train: Questions) -> Confidence:
    """Return the confidence of each training question from the other parts of the training."""
    confidence = np.zeros((len(train), len(board.models)))
    part = np.arange(len(train)) % _PARTS
    for call in range(len(board.models)):
        for index in range(_PARTS):
            model = _fit_call(board, train[part != index], call)
            here = part == index
            confidence[here, call] = _confidence(model, board, train[here], call)
    return confidence


def _most_confident(confidence: Confidence, order: tuple[int, ...]) -> Int[np.ndarray, " asked"]:
    return np.asarray(np.array(order)[confidence[:, order].argmax(axis=1)])


def _grid(confidence: Float[np.ndarray, " asked"]) -> tuple[float, ...]:
    """Return the thresholds to try: quantiles of the confidence, and one that is never reached."""
    given = confidence[confidence > 0.0]
    steps = np.quantile(given, np.arange(_STEPS) / _STEPS) if len(given) else np.empty(0)
    return (*np.unique(steps).tolist(), 2.0)


def _means(
    board: Board,
    train: Questions,
    confidence: Confidence,
    order: tuple[int, ...],
    grids: list[tuple[float, ...]],
) -> Float[np.ndarray, "2 combination"]:
    """Return mean accuracy and cost of an order, for each combination of thresholds.

    Built from the end: `then` holds, for each combination of the later thresholds, what each
    question comes to if its first answers are passed over.
    """
    rows = np.arange(len(train))
    spent = board.cost[train][:, order].cumsum(axis=1)
    then = np.stack([board.right[train[rows], _most_confident(confidence, order)], spent[:, -1]])
    then = then[:, None, :]
    for place in reversed(range(len(grids))):
        call = order[place]
        enough = confidence[:, call] >= np.array(grids[place])[:, None]
        now = np.stack([board.right[train, call], spent[:, place]])
        then = np.where(enough[:, None, :], now[:, None, None, :], then[:, None, :, :])
        then = then.reshape(2, -1, len(train))
    return np.asarray(then.mean(axis=2))
