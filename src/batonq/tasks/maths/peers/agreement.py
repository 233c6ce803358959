"""The hand-made agreement rule: ask two, submit if they agree, else ask more until two agree.

The rule was made by hand for questions with one number as answer. What it leaves open is chosen on
the training questions: which calls, in which order, how many at most, whether answers that are not
positive integers are ignored, and who is believed if no two agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Int

from batonq.base.compiled import compiled
from batonq.base.errors import ModelError
from batonq.tasks.maths.board import Board
from batonq.tasks.maths.peers.outcome import (
    Chooser,
    Outcome,
    Questions,
    chooser_among,
    first_calls,
    outcome_of,
)


@dataclass(frozen=True)
class Rule:
    """Ask in order until two answers agree, or all of `order` were asked; then submit.

    If no two agree, the answer of the trusted call is submitted or, if it has none, the earliest.

    Attributes:
        order: indices of the calls that may be asked, each once, at least two.
        plain_only: answers that are not positive integers are ignored (they are submitted only if
            nobody gave another).
        trusted: the call of `order` that is believed if no two agree; by default the first.
    """

    order: tuple[int, ...]
    plain_only: bool
    trusted: int

    def play(self, board: Board, questions: Questions) -> Outcome:
        """Answer the `questions` (row indices of `board`)."""
        answers = board.answer[questions]
        counted = np.where(board.plain[questions], answers, -1) if self.plain_only else answers
        submitted = np.empty(len(questions), np.int64)
        counts = np.empty(len(questions), np.int64)
        _ask_until_agreed(answers, counted, np.array(self.order), self.trusted, submitted, counts)
        asked = first_calls(self.order, counts, answers.shape[1])
        return outcome_of(board, questions, asked, submitted)


@compiled
def _agreeing(
    answers: Int[np.ndarray, " call"], order: Int[np.ndarray, " place"], last: int
) -> int:
    """Return the earliest call of the order that the one at place `last` agrees with; else -1."""
    answer = answers[order[last]]
    if answer >= 0:
        for place in range(last):
            if answers[order[place]] == answer:
                return int(order[place])
    return -1


@compiled
def _believed(
    answers: Int[np.ndarray, " call"], order: Int[np.ndarray, " place"], trusted: int
) -> int:
    """Return the trusted call if it has an answer, else the earliest that has; else -1."""
    if answers[trusted] >= 0:
        return trusted
    for place in range(len(order)):
        if answers[order[place]] >= 0:
            return int(order[place])
    return -1


@compiled
def _ask_until_agreed(
    answers: Int[np.ndarray, "asked call"],
    counted: Int[np.ndarray, "asked call"],
    order: Int[np.ndarray, " place"],
    trusted: int,
    submitted: Int[np.ndarray, " asked"],
    counts: Int[np.ndarray, " asked"],
) -> None:
    for row in range(answers.shape[0]):
        call, count = -1, 1
        while call < 0 and count < len(order):
            call = _agreeing(counted[row], order, count)
            count += 1
        if call < 0:
            call = _believed(counted[row], order, trusted)
        if call < 0:
            call = _believed(answers[row], order, trusted)
        submitted[row] = call
        counts[row] = count


def rules(n_calls: int, trusted: int) -> Iterator[Rule]:
    """Yield every rule over `n_calls` calls in which the first or the `trusted` call is believed.

    Raises:
        ModelError: if there are fewer than two calls to agree.
    """
    if n_calls < 2:
        raise ModelError(f"an agreement rule needs 2 calls or more, the pool has {n_calls}")
    for size in range(2, n_calls + 1):
        for order in permutations(range(n_calls), size):
            for plain_only in (False, True):
                yield Rule(order, plain_only, order[0])
                if trusted in order[1:]:
                    yield Rule(order, plain_only, trusted)


def fit_agreement(board: Board, train: Questions) -> Chooser:
    """Choose among all rules; the trusted call is the one most often right in training.

    At price 0 it is the rule chosen for accuracy alone: the strong one to be compared with.
    """
    trusted = int(board.right[train].mean(axis=0).argmax())
    return chooser_among(list(rules(len(board.models), trusted)), board, train)
