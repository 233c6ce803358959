"""The game that agents play on one question: positions, moves, and where each move leads.

Every model is an agent and its prompts are its work actions. A closer holds the question first,
opens by handing it to a model, and submits an answer last. A model that receives control must
work: choose one of its unused prompts. After it has worked it decides once more: work again,
hand to a model with an unused prompt, or hand to the closer. Nothing is asked twice.

A check is a call that needs another call's attempt: it may be asked only after that one, by an
agent of its own, and at most one check is made of a question.

Actions are numbered alike for every agent: 0 .. C-1 are the calls (asking for a model, submitting
that call's answer for the closer), C .. C+M-1 hand to that model, C+M hands to the closer (for the
closer itself: abstain). So equal numbers mean equal moves, and ties go to the earlier call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from jaxtyping import Bool, Int


class Stage(IntEnum):
    """What the holder decides; the order in which stages with equal attempts can follow."""

    OPEN = 0  # the closer hands out the question
    HAND = 1  # a model that has worked: work again or hand on
    WORK = 2  # a model that has received control: choose a prompt
    CLOSE = 3  # the closer submits


@dataclass(frozen=True)
class Position:
    """Where play stands: whose turn, at which stage, which calls have been asked."""

    agent: int
    asked: frozenset[int]
    stage: Stage


@dataclass(frozen=True, eq=False)
class Game:
    """All reachable positions, in an order in which every move leads to a later one.

    Attributes:
        owner: the model (agent) of each call.
        needs: the call that must have been asked before each call; -1 for none.
        positions: the first one is the opening.
        following: position each move leads to; -1 where it ends or is not permitted.
        mask: moves the rules permit; whether an attempt has an answer to submit comes on top.
    """

    owner: tuple[int, ...]
    needs: tuple[int, ...]
    positions: tuple[Position, ...]
    following: Int[np.ndarray, "position action"]
    mask: Bool[np.ndarray, "position action"]

    @property
    def n_calls(self) -> int:
        """Number of calls, C."""
        return len(self.owner)

    @property
    def n_models(self) -> int:
        """Number of models, M; the closer is agent M."""
        return max(self.owner) + 1

    @property
    def n_actions(self) -> int:
        """Number of actions of every agent, C + M + 1."""
        return self.n_calls + self.n_models + 1


@cache
def game(owner: tuple[int, ...], needs: tuple[int, ...] = ()) -> Game:
    """Lay out the game.

    Args:
        owner: the model of each call, numbered 0 .. M-1 without gaps.
        needs: for each call the call that must have been asked before it, for a check; -1 for
            none. Empty where no call needs another.
    """
    n_calls, closer = len(owner), max(owner) + 1
    needs = needs or (-1,) * n_calls
    start = Position(closer, frozenset(), Stage.OPEN)
    moves = {start: _moves(start, owner, needs)}
    waiting = [start]
    while waiting:
        for after in moves[waiting.pop()].values():
            if after is not None and after not in moves:
                moves[after] = _moves(after, owner, needs)
                waiting.append(after)
    positions = tuple(sorted(moves, key=_order))
    number = {position: k for k, position in enumerate(positions)}
    mask = np.zeros((len(positions), n_calls + closer + 1), np.bool_)
    following = np.full(mask.shape, -1)
    for k, position in enumerate(positions):
        for action, after in moves[position].items():
            mask[k, action] = True
            if after is not None:
                following[k, action] = number[after]
    return Game(owner, needs, positions, following, mask)


def _order(position: Position) -> tuple[int, list[int], int, int]:
    return (len(position.asked), sorted(position.asked), position.stage, position.agent)


def open_calls(asked: frozenset[int], needs: Sequence[int]) -> list[int]:
    """The calls that may be asked next, whoever holds the question."""
    checked = any(needs[call] >= 0 for call in asked)
    return [
        call
        for call, need in enumerate(needs)
        if call not in asked and (need < 0 or (need in asked and not checked))
    ]


def _moves(
    position: Position, owner: Sequence[int], needs: Sequence[int]
) -> dict[int, Position | None]:
    """The permitted moves and what follows each (None: the end)."""
    n_calls, closer = len(owner), max(owner) + 1
    agent, asked = position.agent, position.asked
    if position.stage == Stage.CLOSE:
        endings: dict[int, Position | None] = dict.fromkeys([*sorted(asked), n_calls + closer])
        return endings
    unused = open_calls(asked, needs)
    moves: dict[int, Position | None] = {
        call: Position(agent, asked | {call}, Stage.HAND) for call in unused if owner[call] == agent
    }
    if position.stage == Stage.WORK:
        return moves
    for other in sorted({owner[call] for call in unused} - {agent}):
        moves[n_calls + other] = Position(other, asked, Stage.WORK)
    if position.stage == Stage.HAND:
        moves[n_calls + closer] = Position(closer, asked, Stage.CLOSE)
    return moves
