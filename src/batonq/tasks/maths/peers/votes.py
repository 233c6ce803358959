"""Votes: always ask the same calls, and submit the answer that has most behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import compiled
from batonq.tasks.maths.board import Board
from batonq.tasks.maths.peers.outcome import (
    Chooser,
    Outcome,
    Questions,
    chooser_among,
    first_calls,
    outcome_of,
)

_LEAST_WEIGHT = 0.05  # a call that is wrong more often than not still counts for its own answer


@compiled
def tally(
    answers: Int[np.ndarray, " call"],
    order: Int[np.ndarray, " place"],
    count: int,
    weights: Float[np.ndarray, " call"],
) -> tuple[int, float]:
    """Count the votes of one question.

    Args:
        answers: the class of each call's answer; below 0: an abstention.
        order: the calls, in the order of asking.
        count: how many of the order vote.
        weights: the weight of each call's vote.

    Returns:
        The earliest call whose answer has most behind it (-1 if all abstain), and that weight.
    """
    best, most = -1, -np.inf
    for place in range(count):
        answer = answers[order[place]]
        if answer < 0:
            continue
        behind = 0.0
        for other in range(count):
            if answers[order[other]] == answer:
                behind += weights[order[other]]
        if behind > most:
            best, most = order[place], behind
    return best, most


@compiled
def _elect(
    answers: Int[np.ndarray, "asked call"],
    order: Int[np.ndarray, " place"],
    weights: Float[np.ndarray, " call"],
    submitted: Int[np.ndarray, " asked"],
) -> None:
    for row in range(answers.shape[0]):
        submitted[row] = tally(answers[row], order, len(order), weights)[0]


@dataclass(frozen=True)
class Vote:
    """Ask the calls of `order` and submit the answer with most weight; ties to the earlier call.

    Attributes:
        order: indices of calls, each once.
        weights: weight of each call of the board.
    """

    order: tuple[int, ...]
    weights: tuple[float, ...]

    def play(self, board: Board, questions: Questions) -> Outcome:
        """Answer the `questions` (row indices of `board`)."""
        submitted = np.empty(len(questions), np.int64)
        order, weights = np.array(self.order), np.array(self.weights)
        _elect(board.answer[questions], order, weights, submitted)
        counts = np.full(len(questions), len(self.order))
        asked = first_calls(self.order, counts, len(self.weights))
        return outcome_of(board, questions, asked, submitted)


@dataclass(frozen=True)
class Last:
    """Ask the calls of `order` and submit the last answer given."""

    order: tuple[int, ...]

    def play(self, board: Board, questions: Questions) -> Outcome:
        """Answer the `questions` (row indices of `board`)."""
        submitted = np.full(len(questions), -1)
        for call in self.order:
            submitted = np.where(board.answer[questions, call] >= 0, call, submitted)
        counts = np.full(len(questions), len(self.order))
        asked = first_calls(self.order, counts, len(board.models))
        return outcome_of(board, questions, asked, submitted)


def fit_best_single(board: Board, train: Questions) -> Chooser:
    """Choose the one call to ask always."""
    return chooser_among([Last((call,)) for call in range(len(board.models))], board, train)


def fit_majority(board: Board, train: Questions) -> Chooser:  # noqa: ARG001
    """Ask all calls; one call, one vote. There is nothing to choose."""
    return lambda _price: _equal_vote(range(len(board.models)), len(board.models))


def fit_weighted_vote(board: Board, train: Questions) -> Chooser:
    """Choose the calls to ask; a vote weighs the log-odds of the call's training accuracy."""
    weights = tuple(log_odds(board, train).tolist())
    calls = range(len(weights))
    subsets = [subset for size in range(1, len(calls) + 1) for subset in combinations(calls, size)]
    return chooser_among([Vote(subset, weights) for subset in subsets], board, train)


def fit_fixed(board: Board, train: Questions) -> Chooser:
    """Choose a fixed pipeline: which calls, in which order; submit the last answer or the vote."""
    calls = len(board.models)
    peers: list[Vote | Last] = [Last((call,)) for call in range(calls)]
    for size in range(2, calls + 1):
        for order in permutations(range(calls), size):
            peers += [Last(order), _equal_vote(order, calls)]
    return chooser_among(peers, board, train)


def log_odds(board: Board, train: Questions) -> Float[np.ndarray, " call"]:
    """Return the log-odds that a parsed answer of each call is right, at least 0.05.

    From the training questions, with one right and one wrong answer added.
    """
    parsed = (board.answer[train] >= 0).sum(axis=0)
    right = board.right[train].sum(axis=0)
    odds = (right + 1.0) / (parsed - right + 1.0)
    return np.asarray(np.maximum(np.log(odds), _LEAST_WEIGHT))


def _equal_vote(order: Sequence[int], calls: int) -> Vote:
    return Vote(tuple(order), (1.0,) * calls)
