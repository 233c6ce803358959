"""Outcomes as JSON: what a cell of the study hands back, and how folds are put together again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np

from batonq.base.files import Json
from batonq.tasks.maths.peers.outcome import Outcome

MICRO: Final = 1e6  # costs are kept in millionths of their unit


SINGLE: Final = "single"  # the learner that always asks the one call named as its interface


class Key(NamedTuple):
    """What an outcome is of: who played, what it saw, and the lambda it was chosen for."""

    learner: str
    interface: str
    price: float


def pack(outcome: Outcome) -> Json:
    """The outcome of a list of questions as JSON."""
    return {
        "right": "".join("1" if right else "0" for right in outcome.right),
        "cost": np.round(outcome.cost * MICRO).astype(np.int64).tolist(),
        "calls": outcome.calls.tolist(),
        "tokens": outcome.tokens.tolist(),
    }


def unpack(packed: Json) -> Outcome:
    """The outcome that `pack` packed; costs to a millionth of their unit."""
    return Outcome(
        right=np.array([letter == "1" for letter in packed["right"]]),
        cost=np.array(packed["cost"]) / MICRO,
        calls=np.array(packed["calls"], np.int64),
        tokens=np.array(packed["tokens"], np.int64),
    )


def pack_all(outcomes: Mapping[Key, Outcome]) -> Json:
    """Many outcomes as JSON."""
    return [{**key._asdict(), **pack(outcome)} for key, outcome in outcomes.items()]


def gather(cells: Iterable[Json]) -> dict[Key, Outcome]:
    """Put the folds of one pool and parse together: each question once, in its own order.

    Args:
        cells: outputs of the folds, each with its "questions" and "outcomes".
    """
    parts: dict[Key, list[Outcome]] = {}
    questions: list[int] = []
    for cell in cells:
        questions += cell["questions"]
        for one in cell["outcomes"]:
            key = Key(one["learner"], one["interface"], one["price"])
            parts.setdefault(key, []).append(unpack(one))
    order = np.argsort(questions)
    return {key: joined(outcomes, order) for key, outcomes in parts.items()}


def joined(outcomes: Iterable[Outcome], order: np.ndarray) -> Outcome:
    """Outcomes one after another, then put in `order`."""
    some = list(outcomes)
    return Outcome(
        right=np.concatenate([one.right for one in some])[order],
        cost=np.concatenate([one.cost for one in some])[order],
        calls=np.concatenate([one.calls for one in some])[order],
        tokens=np.concatenate([one.tokens for one in some])[order],
    )
