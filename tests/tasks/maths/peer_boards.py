"""Boards made by hand or at random, for the tests of the peers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from batonq.tasks.maths.board import Board

WORDS = (
    "how",
    "many",
    "apples",
    "does",
    "ann",
    "have",
    "if",
    "she",
    "eats",
    "12",
    "half",
    "$ 4.50",
)


def board_of(
    answer: Sequence[Sequence[int]],
    gold: Sequence[int],
    *,
    cost: Sequence[float] | None = None,
    plain: Sequence[Sequence[int]] | None = None,
    private: np.ndarray | None = None,
    questions: Sequence[str] | None = None,
) -> Board:
    """Board of answer classes; a call costs `cost` cents and ten times as many tokens."""
    classes = np.array(answer, np.int64)
    count, calls = classes.shape
    each = np.arange(1.0, calls + 1) if cost is None else np.array(cost, float)
    return Board(
        dataset="test",
        parse="extracted",
        models=tuple(f"m{call}" for call in range(calls)),
        prompts=("p",) * calls,
        questions=tuple(questions or (f"question {q}?" for q in range(count))),
        subjects=("s",) * count,
        answer=classes,
        plain=classes >= 0 if plain is None else np.array(plain, bool),
        right=(classes == np.array(gold)[:, None]) & (classes >= 0),
        cost=np.tile(each, (count, 1)),
        tokens=np.tile((10 * each).astype(np.int64), (count, 1)),
        private=np.zeros((count, calls, 1)) if private is None else private,
        private_names=("a",),
    )


def random_board(seed: int, count: int, calls: int, skill: float | Sequence[float] = 0.6) -> Board:
    """Board of independent calls, right with chance `skill`; the private feature tells a little."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 4, count)
    right = rng.random((count, calls)) < np.broadcast_to(skill, (calls,))
    answer = np.where(right, gold[:, None], rng.integers(-1, 4, (count, calls)))
    private = (answer == gold[:, None]) + rng.standard_normal((count, calls))
    return board_of(
        answer.tolist(),
        gold.tolist(),
        cost=(0.5 + rng.random(calls)).tolist(),
        plain=((rng.random((count, calls)) < 0.8) & (answer >= 0)).tolist(),
        private=private[:, :, None],
        questions=[" ".join(rng.choice(WORDS, 12)) for _ in range(count)],
    )


@st.composite
def boards(draw: st.DrawFn, calls: int = 3, most: int = 8) -> Board:
    """Small boards with abstentions, ties and answers that are not positive integers."""
    rows = st.lists(st.integers(-1, 3), min_size=calls, max_size=calls)
    answer = draw(st.lists(rows, min_size=2, max_size=most))
    count = len(answer)
    flags = st.lists(st.booleans(), min_size=calls, max_size=calls)
    plain = draw(st.lists(flags, min_size=count, max_size=count))
    gold = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    cost = draw(st.lists(st.integers(1, 9), min_size=calls, max_size=calls))
    return board_of(answer, gold, cost=cost, plain=(np.array(plain) & (np.array(answer) >= 0)))
