"""What the holder sees, dialled from everything to its own attempt only.

- `board`: which call gave which answer, plain or not, and what the attempts' texts tell
- `answers`: which call agrees with which, and whether each answer is plain
- `counts`: of each attempt, how many attempts gave the same answer
- `own`: the holder's own attempts only

Every interface shows which calls have been asked (the mask of moves tells it anyway). The holder's
private state, features of its own attempts, comes on top where a learner can use it. The finite
part, `view`, makes the cells of tables; `columns` adds what a linear Q-function can take.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import ModelError
from batonq.tasks.maths.features import NAMES
from batonq.tasks.maths.game import Position, Stage
from batonq.tasks.maths.replay import Replay

INTERFACES: Final = ("board", "answers", "counts", "own")
ALIKE: Final = ("board", "answers")  # show every holder of the same attempts the same
FLAGS: Final = tuple(NAMES.index(name) for name in ("echo", "supported"))  # 0 or 1 each


def check_interface(name: str) -> None:
    """Raise a ModelError unless `name` is an interface."""
    if name not in INTERFACES:
        raise ModelError(f"interface: '{name}' is unknown; choose one of {', '.join(INTERFACES)}")


def labels(replay: Replay, asked: list[int]) -> Int[np.ndarray, "question attempt"]:
    """The partition: for each asked call the place of the first that agrees; -1 unparsed."""
    agrees = replay.same[:, asked][:, :, asked]
    return np.where(replay.parsed[:, asked], agrees.argmax(axis=2), -1)


def supporters(replay: Replay, asked: list[int]) -> Int[np.ndarray, "question attempt"]:
    """Of each asked call, how many asked calls gave its answer (itself included)."""
    return np.asarray(replay.same[:, asked][:, :, asked].sum(axis=2))


def view(replay: Replay, position: Position, name: str) -> Int[np.ndarray, "question column"]:
    """The finite part of what the holder sees at a position, a row of small integers."""
    asked = sorted(position.asked)
    parts: list[np.ndarray] = [replay.parsed[:, :0]]
    if asked and name in ALIKE:
        parts += [labels(replay, asked), replay.plain[:, asked]]
    if name not in ALIKE:
        own = [call for call in asked if replay.owner[call] == position.agent]
        parts += [replay.parsed[:, own], replay.plain[:, own]]
        if position.stage == Stage.CLOSE:
            parts.append(replay.parsed[:, asked])  # the closer's mask tells it
    if asked and name == "counts":
        parts.append(supporters(replay, asked))
    if asked and name == "board":
        parts += [replay.private[:, asked, flag] for flag in FLAGS]
    return np.concatenate([np.asarray(part, np.int64) for part in parts], axis=1)


def codes(replay: Replay, position: Position, name: str) -> Int[np.ndarray, " question"]:
    """Number what the holder sees at a position, 0 .. without gaps."""
    seen = view(replay, position, name)
    if not seen.shape[1]:
        return np.zeros(len(seen), np.int64)
    return np.unique(seen, axis=0, return_inverse=True)[1].ravel()


def cells(replay: Replay, name: str) -> Int[np.ndarray, " state"]:
    """The cell of every state of the finite model: position and what the holder sees there."""
    check_interface(name)
    parts, start = [], 0
    for position in replay.game.positions:
        code = codes(replay, position, name)
        parts.append(code + start)
        start += int(code.max()) + 1
    return np.concatenate(parts)


def columns(replay: Replay, position: Position, name: str) -> Float[np.ndarray, "question column"]:
    """Dense columns for a linear Q-function: agreements, sizes and flags; no constant."""
    asked = sorted(position.asked)
    parts: list[np.ndarray] = []
    if asked and name == "counts":
        parts += [supporters(replay, asked) >= size for size in range(1, len(asked) + 1)]
    if asked and name in ("answers", "board"):
        parts += _agreement(replay, asked)
    if not parts:
        return np.zeros((replay.n_questions, 0))
    return np.concatenate(parts, axis=1).astype(np.float64)


def _agreement(replay: Replay, asked: list[int]) -> list[np.ndarray]:
    """Who agrees with whom, the same among plain answers, and the sizes of the largest group."""
    pairs = np.array(list(combinations(asked, 2)), np.int64).reshape(-1, 2)
    agree = replay.same[:, pairs[:, 0], pairs[:, 1]]
    plain = replay.plain[:, pairs[:, 0]]
    largest = supporters(replay, asked).max(axis=1)
    among_plain = (supporters(replay, asked) * replay.plain[:, asked]).max(axis=1)
    sizes = np.arange(1, len(asked) + 1)
    return [
        agree,
        agree & plain,
        replay.plain[:, asked],
        ~replay.parsed[:, asked],
        largest[:, None] == sizes[1:],
        among_plain[:, None] >= sizes,
    ]


def private_columns(
    replay: Replay, position: Position, everyone: bool
) -> Float[np.ndarray, "question column"]:
    """What texts tell: the mean over the holder's own attempts, or everyone's one by one."""
    asked = sorted(position.asked)
    if everyone:
        return replay.private[:, asked].reshape(replay.n_questions, -1)
    own = [call for call in asked if replay.owner[call] == position.agent]
    if not own:
        return np.zeros((replay.n_questions, 0))
    return np.asarray(replay.private[:, own].mean(axis=1))


def attempt_columns(
    replay: Replay, position: Position, call: int, name: str
) -> Float[np.ndarray, "question column"]:
    """What the closer sees of one asked attempt, in the same columns whatever has been asked.

    One regression then serves all asked sets: who gave this answer, who another, who none; how
    many did; how many gave the largest other answer.
    """
    asked = sorted(position.asked)
    was_asked = np.isin(np.arange(replay.n_calls), asked)
    identity = np.zeros((replay.n_questions, replay.n_calls))
    identity[:, call] = 1
    if name == "own":
        return identity
    agree = replay.same[:, call] & was_asked
    support = agree.sum(axis=1)
    others = np.where(agree[:, asked], 0, supporters(replay, asked))
    rival = others.max(axis=1)
    sizes = np.arange(1, replay.n_calls + 1)
    counted = [support[:, None] == sizes, rival[:, None] == sizes]
    if name == "counts":
        return np.concatenate([identity, *counted], axis=1).astype(np.float64)
    odd = ~replay.plain[:, call]
    parts = [
        agree,
        ~agree & replay.parsed & was_asked,
        ~replay.parsed & was_asked,
        *counted,
        ((support == 1) & (rival == 0))[:, None],
        odd[:, None],
        (odd * (support - 1))[:, None],
    ]
    if name == "board":
        parts.append(replay.private[:, call])
    return np.concatenate(parts, axis=1).astype(np.float64)
