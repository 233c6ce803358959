"""What asking and submitting comes to: the outcome of any learner or peer, question by question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.tasks.maths.board import Board

Questions = Int[np.ndarray, " asked"]


@dataclass(frozen=True)
class Outcome:
    """What one policy got and spent on each of some questions.

    Attributes:
        right: whether the submitted answer was right.
        cost: US cents spent on calls.
        calls: number of calls.
        tokens: estimated tokens of the calls.
    """

    right: Bool[np.ndarray, " asked"]
    cost: Float[np.ndarray, " asked"]
    calls: Int[np.ndarray, " asked"]
    tokens: Int[np.ndarray, " asked"]

    def utility(self, price: float) -> Float[np.ndarray, " asked"]:
        """Return right - price x cost of each question; `price` is lambda, per US cent."""
        return self.right - price * self.cost


class Peer(Protocol):
    """A policy whose free choices are made: it plays any board with the same calls."""

    def play(self, board: Board, questions: Questions) -> Outcome:
        """Answer the `questions` (row indices of `board`)."""
        ...


Chooser = Callable[[float], Peer]
"""Given lambda (per US cent), the peer whose choices have the highest training utility."""

Fit = Callable[[Board, Questions], Chooser]
"""Makes, from the training questions of a board and nothing else, the chooser of a peer."""


def outcome_of(
    board: Board,
    questions: Questions,
    asked: Bool[np.ndarray, "asked call"],
    submitted: Int[np.ndarray, " asked"],
) -> Outcome:
    """Return what it comes to if `asked` calls are made and the answer of `submitted` is handed in.

    Args:
        board: the recorded attempts.
        questions: row indices of the board.
        asked: which calls are made.
        submitted: the call whose answer is handed in; -1: none, which is never right.
    """
    rows = np.arange(len(questions))
    return Outcome(
        right=board.right[questions][rows, submitted] & (submitted >= 0),
        cost=np.where(asked, board.cost[questions], 0.0).sum(axis=1),
        calls=asked.sum(axis=1),
        tokens=np.where(asked, board.tokens[questions], 0).sum(axis=1),
    )


def first_calls(
    order: Sequence[int], counts: Int[np.ndarray, " asked"], n_calls: int
) -> Bool[np.ndarray, "asked call"]:
    """Return which calls are made if each question is put to the first `counts` of an order."""
    asked = np.zeros((len(counts), n_calls), bool)
    for place, call in enumerate(order):
        asked[:, call] |= counts > place
    return asked


def best_by_utility(
    accuracy: Float[np.ndarray, " candidate"], cost: Float[np.ndarray, " candidate"], price: float
) -> int:
    """Return the candidate of highest accuracy - price x cost; ties to the cheaper, then the first.

    Differences below 1e-12 are rounding and count as ties.
    """
    utility = np.asarray(accuracy) - price * np.asarray(cost)
    level = np.flatnonzero(utility >= utility.max() - 1e-12)
    return int(level[np.asarray(cost)[level].argmin()])


def chooser_among(peers: Sequence[Peer], board: Board, train: Questions) -> Chooser:
    """Return the chooser over finished candidates, each played once on the training questions."""
    outcomes = [peer.play(board, train) for peer in peers]
    accuracy = np.array([outcome.right.mean() for outcome in outcomes])
    cost = np.array([outcome.cost.mean() for outcome in outcomes])
    return lambda price: peers[best_by_utility(accuracy, cost, price)]


def held_out(
    fit: Fit, board: Board, folds: Sequence[Questions], prices: Sequence[float]
) -> list[Outcome]:
    """Play every question by the peer fitted on the other folds.

    Args:
        fit: the peer.
        board: the recorded attempts.
        folds: row indices; together, each question once.
        prices: the values of lambda, per US cent.

    Returns:
        For each price, the outcome of all questions in the board's order.
    """
    played: list[list[Outcome]] = [[] for _ in prices]
    for index, test in enumerate(folds):
        others = [fold for place, fold in enumerate(folds) if place != index]
        chooser = fit(board, np.sort(np.concatenate(others)))
        for outcomes, price in zip(played, prices, strict=True):
            outcomes.append(chooser(price).play(board, test))
    place = np.argsort(np.concatenate(folds))
    return [
        Outcome(
            right=np.concatenate([o.right for o in outcomes])[place],
            cost=np.concatenate([o.cost for o in outcomes])[place],
            calls=np.concatenate([o.calls for o in outcomes])[place],
            tokens=np.concatenate([o.tokens for o in outcomes])[place],
        )
        for outcomes in played
    ]
