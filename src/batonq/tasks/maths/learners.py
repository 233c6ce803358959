"""Learners: how a policy is learnt from the replay of the training questions.

The replay covers every move at every training question, so one pass over the positions from the
last decision back to the first is phased learning with frozen answers: what follows a move has
been learnt, and answers with its quote, before the move itself is. Every agent's regression sees
its own features, its own reward and duration, and that one scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, cast

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from batonq.icq import update
from batonq.tasks.maths.game import Position, Stage
from batonq.tasks.maths.interfaces import (
    ALIKE,
    attempt_columns,
    check_interface,
    codes,
    columns,
    private_columns,
)
from batonq.tasks.maths.regression import FREE, logistic, ridge, shrunk_means
from batonq.tasks.maths.replay import Replay


@dataclass(frozen=True)
class Penalties:
    """Strength of the shrinkage; a penalty of k weighs like k questions.

    Attributes:
        dense: of agreements, sizes and flags.
        cell: of a cell's own deviation from the dense part: the table inside the linear form.
        private: of features of texts.
        attempt: of the closer's logistic regression.
        attempt_cell: of a cell's own deviation from it.
    """

    dense: float = 3.0
    cell: float = 100.0
    private: float = 3000.0
    attempt: float = 1.0
    attempt_cell: float = 100.0


@dataclass(frozen=True)
class Method:
    """How a learner differs from linear IC-Q.

    Attributes:
        name: its name in rows.
        table: values are means over cells instead of a linear form.
        everyone: sees every agent's private features (a joint sight).
        pooled: one regression for all holders of the same attempts, not one per agent, behind
            interfaces that show all of them the same.
        silent: nothing crosses, so quotes between different agents are 0.
        returns: learns from what the greedy continuation realised instead of its quote.
    """

    name: str
    table: bool = False
    everyone: bool = False
    pooled: bool = False
    silent: bool = False
    returns: bool = False


ICQ: Final = Method("icq")
FEATURES: Final = Method("centralised", pooled=True)  # on what IC-Q's agents see
JOINT: Final = Method("centralised", everyone=True)  # and everyone's private features
NO_SCALAR: Final = Method("no_scalar", silent=True)
MONTE_CARLO: Final = Method("monte_carlo", returns=True)
FEASIBLE: Final = Method("feasible", table=True)  # exact on the empirical model of the cells


class Regression(Protocol):
    """Values of one move at one position, learnt from targets of the training questions."""

    def predict(self, target: Float[np.ndarray, " question"]) -> Float[np.ndarray, " question"]:
        """Fit on the training questions, predict every question."""
        ...


@dataclass(frozen=True, eq=False)
class CellMeans:
    """A table: the mean target of the training questions in the same cell."""

    code: Int[np.ndarray, " question"]
    train: Int[np.ndarray, " row"]

    def predict(self, target: Float[np.ndarray, " question"]) -> Float[np.ndarray, " question"]:
        """Means by cell; 0 in a cell that no training question reached."""
        return shrunk_means(target, self.code, self.train, 0.0)


@dataclass(frozen=True, eq=False)
class Student:
    """Everything about one learner on one set of training questions that no price changes.

    Attributes:
        replay: the recorded answers; those of other questions are only ever acted on.
        method: which learner.
        regressions: per position.
        submit: the closer's values of submitting each call, per closing position.
    """

    replay: Replay
    method: Method
    regressions: Sequence[Regression]
    submit: dict[int, Float[np.ndarray, "question call"]]


def prepare(
    replay: Replay,
    interface: str,
    method: Method,
    train: Int[np.ndarray, " row"],
    penalties: Penalties,
) -> Student:
    """Prepare the regressions of a learner.

    Raises:
        ModelError: if there is no such interface.
    """
    check_interface(interface)
    if method.table:
        found: list[Regression] = [
            CellMeans(codes(replay, position, interface), train)
            for position in replay.game.positions
        ]
        submit = _submit_by_cell(replay, interface, train)
    else:
        everyone = method.everyone or interface == "board"
        found = _linear(replay, interface, method, train, penalties)
        submit = _submit_linear(replay, "board" if everyone else interface, train, penalties)
    return Student(replay, method, found, submit)


def taught_by(student: Student, method: Method) -> Student:
    """The same features and penalties under another method of learning from the targets."""
    return replace(student, method=method)


def _linear(
    replay: Replay,
    interface: str,
    method: Method,
    train: Int[np.ndarray, " row"],
    penalties: Penalties,
) -> list[Regression]:
    everyone = method.everyone or interface == "board"
    inputs = [
        _inputs(replay, position, interface, everyone, penalties)
        for position in replay.game.positions
    ]
    if not method.pooled or interface not in ALIKE:
        return [ridge([features], penalty, train) for features, penalty in inputs]
    groups: dict[tuple[frozenset[int], Stage, int], list[np.ndarray]] = {}
    keys = [
        (position.asked, position.stage, features.shape[1])
        for position, (features, _) in zip(replay.game.positions, inputs, strict=True)
    ]
    for key, (features, _) in zip(keys, inputs, strict=True):
        groups.setdefault(key, []).append(features)
    return [
        ridge([features, *(x for x in groups[key] if x is not features)], penalty, train)
        for key, (features, penalty) in zip(keys, inputs, strict=True)
    ]


def _inputs(
    replay: Replay, position: Position, interface: str, everyone: bool, penalties: Penalties
) -> tuple[Float[np.ndarray, "question column"], Float[np.ndarray, " column"]]:
    """Columns and their penalties: constant, dense, one per cell, private."""
    shown = "answers" if interface == "board" else interface
    dense = columns(replay, position, shown)
    code = codes(replay, position, shown)
    table = np.eye(int(code.max()) + 1)[code]
    private = private_columns(replay, position, everyone)
    penalty = [
        np.array([FREE]),
        np.full(dense.shape[1], penalties.dense),
        np.full(table.shape[1], penalties.cell),
        np.full(private.shape[1], penalties.private),
    ]
    constant = np.ones((replay.n_questions, 1))
    features = np.concatenate([constant, dense, table, private], axis=1)
    return features, np.concatenate(penalty)


def _closing(replay: Replay) -> list[tuple[int, Position, int]]:
    """Every (position number, position, call) at which a call's answer can be submitted."""
    return [
        (k, position, call)
        for k, position in enumerate(replay.game.positions)
        if position.stage == Stage.CLOSE
        for call in sorted(position.asked)
    ]


def _submit_linear(
    replay: Replay, interface: str, train: Int[np.ndarray, " row"], penalties: Penalties
) -> dict[int, Float[np.ndarray, "question call"]]:
    """One logistic regression for all asked sets, and what each cell deviates from it, shrunk."""
    places = _closing(replay)
    constant = np.ones((replay.n_questions, 1))
    features = [
        np.concatenate([constant, attempt_columns(replay, position, call, interface)], axis=1)
        for _, position, call in places
    ]
    answered = [train[replay.parsed[train, call]] for _, _, call in places]
    pooled = np.concatenate([x[rows] for x, rows in zip(features, answered, strict=True)])
    outcome = np.concatenate(
        [replay.right[rows, call] for rows, (_, _, call) in zip(answered, places, strict=True)]
    )
    penalty = np.full(pooled.shape[1], penalties.attempt)
    penalty[0] = FREE
    # One question is in every asked set: weigh its rows down to a handful.
    weights = logistic(pooled, outcome, 8 / len(places), penalty)
    values: dict[int, np.ndarray] = {}
    for (k, position, call), x, rows in zip(places, features, answered, strict=True):
        chance = expit(x @ weights)
        code = codes(replay, position, "answers" if interface == "board" else interface)
        off = shrunk_means(replay.right[:, call] - chance, code, rows, penalties.attempt_cell)
        values.setdefault(k, np.zeros((replay.n_questions, replay.n_calls)))[:, call] = chance + off
    return values


def _submit_by_cell(
    replay: Replay, interface: str, train: Int[np.ndarray, " row"]
) -> dict[int, Float[np.ndarray, "question call"]]:
    """The share of right answers in each cell."""
    values: dict[int, np.ndarray] = {}
    for k, position, call in _closing(replay):
        code = codes(replay, position, interface)
        right = replay.right[:, call].astype(np.float64)
        means = shrunk_means(right, code, train, 0.0)
        values.setdefault(k, np.zeros((replay.n_questions, replay.n_calls)))[:, call] = means
    return values


@dataclass(frozen=True, eq=False)
class Policy:
    """A greedy policy and what it was greedy for.

    Attributes:
        move: best move at every position of every question.
        value: its learnt value, the quote of that position's holder.
    """

    move: Int[np.ndarray, "position question"]
    value: Float[np.ndarray, "position question"]


def learn(student: Student, price: float) -> Policy:
    """Learn a policy at the price `price` = lambda (accuracy per unit of cost)."""
    replay, method = student.replay, student.method
    layout = replay.game
    shape = (len(layout.positions), replay.n_questions)
    move = np.zeros(shape, np.int64)
    value, realised = np.zeros(shape), np.zeros(shape)
    everyone = np.arange(replay.n_questions)
    for k in range(shape[0] - 1, -1, -1):
        values, worth = _values(student, price, k, realised if method.returns else value)
        values[~replay.permitted(k).T] = -np.inf
        move[k] = values.argmax(axis=0)
        value[k] = values[move[k], everyone]
        realised[k] = worth[move[k], everyone]
    return Policy(move, value)


def _values(
    student: Student, price: float, k: int, answers: Float[np.ndarray, "position question"]
) -> tuple[Float[np.ndarray, "action question"], Float[np.ndarray, "action question"]]:
    """Learnt value of every move at position k, and the target each question realised."""
    replay, layout = student.replay, student.replay.game
    position = layout.positions[k]
    shape = (layout.n_actions, replay.n_questions)
    values, worth = np.full(shape, -np.inf), np.zeros(shape)
    if position.stage == Stage.CLOSE:
        values[: replay.n_calls] = student.submit[k].T
        values[-1] = 0.0
        worth[: replay.n_calls] = replay.right.T
        return values, worth
    for action in np.flatnonzero(layout.mask[k]):
        following = layout.following[k, action]
        silent = student.method.silent and layout.positions[following].agent != position.agent
        quote = np.zeros(shape[1]) if silent else answers[following]
        asks = action < replay.n_calls
        reward = -price * replay.cost[:, action] if asks else np.zeros(shape[1])
        discount = replay.discount[:, action] if asks else np.full(shape[1], replay.gamma)
        worth[action] = _target(reward, discount, quote)
        values[action] = student.regressions[k].predict(worth[action])
    return values, worth


# Plain arithmetic: the same function serves whole arrays of handoffs.
_target = cast("Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]", update.target)
