"""Replay: a pool's recorded answers as a finite model, so that learning is exact and free.

A state is a position of the game and a question. Moves are deterministic given the question; what
an agent cannot see is which question it is. A recorded model solves the question anew, it does not
read what was attempted before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.errors import ModelError
from batonq.smdp.durations import fixed
from batonq.smdp.model import FiniteICSMDP, from_entries
from batonq.tasks.maths.board import Board
from batonq.tasks.maths.game import Game, Stage, game
from batonq.tasks.maths.pools import Pool, columns

GAMMA: Final = 0.99995  # per tick: ten calls of 600 tokens cost half a percent
TICK: Final = 64  # tokens per primitive step
GAMMA_TIMED: Final = 0.9999  # per tick of measured time: ten seconds cost .4 percent
TICK_SECONDS: Final = 0.25  # seconds per primitive step, where they were measured
CLOSER: Final = "closer"


@dataclass(frozen=True, eq=False)
class Replay:
    """Recorded attempts of one pool, Q questions by C calls.

    Attributes:
        models: the M agents that answer; the closer is agent M.
        prompts: prompt of each call.
        owner: model (agent number) of each call.
        answer: class of the answer within its question; -1 where none was read.
        plain: the answer is a positive integer (for letters: it is one).
        right: the answer is right.
        cost: in the board's unit.
        tokens: that went in and came out.
        private: what only the asked agent knows of its attempt.
        gamma: discount per tick, in (0, 1]: of `TICK_SECONDS` where there are `seconds`, else of
            `TICK` tokens.
        seconds: what each call took; None where nobody measured it.
        needs: of each call, the call it checks; -1 for none. Empty: no checks.
    """

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    owner: Int[np.ndarray, " call"]
    answer: Int[np.ndarray, "question call"]
    plain: Bool[np.ndarray, "question call"]
    right: Bool[np.ndarray, "question call"]
    cost: Float[np.ndarray, "question call"]
    tokens: Int[np.ndarray, "question call"]
    private: Float[np.ndarray, "question call feature"]
    gamma: float = GAMMA
    seconds: Float[np.ndarray, "question call"] | None = None
    needs: tuple[int, ...] = ()

    @property
    def n_questions(self) -> int:
        """Number of questions, Q."""
        return len(self.answer)

    @property
    def n_calls(self) -> int:
        """Number of calls, C."""
        return len(self.owner)

    @property
    def agents(self) -> tuple[str, ...]:
        """Names of the agents: the models, then the closer."""
        return (*self.models, CLOSER)

    @property
    def calls(self) -> tuple[str, ...]:
        """Name of each call."""
        return tuple(
            f"{self.models[agent]} / {prompt}"
            for agent, prompt in zip(self.owner, self.prompts, strict=True)
        )

    @cached_property
    def game(self) -> Game:
        """Positions and moves."""
        return game(tuple(int(agent) for agent in self.owner), self.needs)

    @cached_property
    def parsed(self) -> Bool[np.ndarray, "question call"]:
        """Whether an answer was read."""
        return np.asarray(self.answer >= 0)

    @cached_property
    def same(self) -> Bool[np.ndarray, "question call call"]:
        """Whether two calls gave the same answer; an abstention agrees with nothing."""
        return np.asarray(
            (self.answer[:, :, None] == self.answer[:, None, :]) & self.parsed[:, :, None]
        )

    @cached_property
    def ticks(self) -> Int[np.ndarray, "question call"]:
        """Duration of each call in primitive steps."""
        if self.seconds is not None:
            return np.maximum(1, np.ceil(self.seconds / TICK_SECONDS)).astype(np.int64)
        return np.asarray(np.maximum(1, -(-self.tokens // TICK)))

    @cached_property
    def discount(self) -> Float[np.ndarray, "question call"]:
        """gamma**tau of each call."""
        return np.asarray(self.gamma**self.ticks)

    def permitted(self, position: int) -> Bool[np.ndarray, "question action"]:
        """Which moves are open; at the close, only attempts with an answer can be submitted."""
        moves: np.ndarray = np.repeat(self.game.mask[position][None], self.n_questions, axis=0)
        if self.game.positions[position].stage == Stage.CLOSE:
            moves[:, : self.n_calls] &= self.parsed
            moves[:, -1] = ~moves[:, : self.n_calls].any(axis=1)
        return moves

    def only(self, rows: Int[np.ndarray, " row"]) -> Replay:
        """The same calls on some of the questions."""
        kept = ("answer", "plain", "right", "cost", "tokens", "private")
        timed = kept if self.seconds is None else (*kept, "seconds")
        return replace(self, **{name: getattr(self, name)[rows] for name in timed})

    def repriced(self, cost: Float[np.ndarray, "question call"]) -> Replay:
        """The same answers at other prices."""
        return replace(self, cost=cost)


def compile_replay(board: Board, pool: Pool, gamma: float | None = None) -> Replay:
    """Pick a pool's calls from a board.

    Args:
        board: the recorded attempts.
        pool: which calls.
        gamma: discount per tick; None: `GAMMA_TIMED` where seconds were measured, else `GAMMA`.

    Raises:
        DataError: if a call of the pool was not recorded.
    """
    chosen = board.only(columns(board, pool))
    models = tuple(dict.fromkeys(chosen.models))
    if gamma is None:
        gamma = GAMMA if chosen.seconds is None else GAMMA_TIMED
    return Replay(
        models=models,
        prompts=chosen.prompts,
        owner=np.array([models.index(model) for model in chosen.models]),
        answer=chosen.answer,
        plain=chosen.plain,
        right=chosen.right,
        cost=chosen.cost,
        tokens=chosen.tokens,
        private=chosen.private,
        gamma=gamma,
        seconds=chosen.seconds,
        needs=chosen.needs,
    )


def rewards(replay: Replay, price: float) -> Float[np.ndarray, "state action"]:
    """Reward of every move: minus lambda x cost for a call, 1 for submitting a right answer.

    State number = position * Q + question.

    Args:
        replay: the recorded answers.
        price: lambda, in right answers per unit of cost, at least 0.

    Raises:
        ModelError: if it is negative or no number.
    """
    if not 0 <= price < np.inf:
        raise ModelError(f"lambda: {price:g} is not a price >= 0; give accuracy per unit of cost")
    layout, n_calls = replay.game, replay.n_calls
    reward = np.zeros((len(layout.positions), replay.n_questions, layout.n_actions))
    for k, position in enumerate(layout.positions):
        gain = replay.right if position.stage == Stage.CLOSE else -price * replay.cost
        reward[k, :, :n_calls] = np.where(replay.permitted(k)[:, :n_calls], gain, 0.0)
    return reward.reshape(-1, layout.n_actions)


def finite_model(
    replay: Replay,
    price: float,
    train: Int[np.ndarray, " row"],
    cell: Int[np.ndarray, " state"] | None = None,
) -> FiniteICSMDP:
    """The replay as a finite model whose workflows start on the `train` questions only.

    Args:
        replay: the recorded answers.
        price: lambda.
        train: questions to draw from, each as likely as the next.
        cell: what the holder sees in each state; None shows it the question.
    """
    layout, n_questions = replay.game, replay.n_questions
    n_states = len(layout.positions) * n_questions
    mask = np.concatenate([replay.permitted(k) for k in range(len(layout.positions))])
    following = np.repeat(layout.following, n_questions, axis=0)
    state, action = np.nonzero(mask & (following >= 0))
    question = state % n_questions
    duration = np.ones(len(state), np.int64)
    asks = action < replay.n_calls
    duration[asks] = replay.ticks[question[asks], action[asks]]
    initial = np.zeros(n_states)
    initial[train] = 1 / len(train)
    holder = np.array([position.agent for position in layout.positions])
    return from_entries(
        agents=replay.agents,
        holder=np.repeat(holder, n_questions),
        reward=rewards(replay, price),
        state=state,
        action=action,
        successor=following[state, action] * n_questions + question,
        probability=np.ones(len(state)),
        durations=fixed(duration),
        gamma=replay.gamma,
        cell=cell,
        mask=mask,
        initial=initial,
    )
