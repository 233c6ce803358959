"""The three error terms of the bound on the maths task's own data (theory, sections 5 to 9).

The training questions with their recorded answers are a finite model, in which a move's outcome is
certain once the question is known. So the oracle of the full model is hindsight: it knows which
recorded answer is right before anybody was asked. Errors are weighted by how often exploration
with equal chances meets a state, and given per question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.bound.gap import gap
from batonq.smdp.policies import uniform
from batonq.tasks.maths.interfaces import cells
from batonq.tasks.maths.learners import ICQ, Penalties, learn, prepare
from batonq.tasks.maths.replay import Replay, finite_model

DIGITS: Final = 7  # kept of each question's share
SQUARED: Final = ("approximation", "gap", "residual")  # terms kept as squares


@dataclass(frozen=True, eq=False)
class Shares:
    """What each training question adds to a term; the term is the mean over questions.

    Attributes:
        approximation: squared distance of linear IC-Q's values from the exact solution of the
            interface's cells, in-sample: shrinkage, and what private features add.
        gap: squared distance of that exact solution from hindsight's values.
        residual: squared standard error of IC-Q's values from having learnt on these questions
            only, estimated from two halves of them.
        loss: what the exact policy of the cells earns less than hindsight, at the first decision.
        loss_upper: the bound on `loss` by the signed resolvent.
    """

    approximation: Float[np.ndarray, " question"]
    gap: Float[np.ndarray, " question"]
    residual: Float[np.ndarray, " question"]
    loss: Float[np.ndarray, " question"]
    loss_upper: Float[np.ndarray, " question"]


def shares(
    replay: Replay,
    interface: str,
    price: float,
    train: Int[np.ndarray, " row"],
    penalties: Penalties,
    seed: int,
) -> Shares:
    """The terms behind one interface at one price, on the training questions.

    Args:
        replay: the recorded answers.
        interface: what the holder sees, see `interfaces`.
        price: lambda.
        train: the training questions.
        penalties: of linear IC-Q.
        seed: of the halves.
    """
    known = replay.only(train)
    rows = np.arange(len(train))
    model = finite_model(known, price, rows, cells(known, interface))
    exact = gap(model, uniform(model))
    shape = (len(known.game.positions), len(train))
    met = exact.aggregated.stationary.reshape(shape) * len(train)
    cell_value = exact.aggregated.value[model.cell].reshape(shape)
    hindsight = exact.optimal.value.reshape(shape)
    learnt = learn(prepare(known, interface, ICQ, rows, penalties), price).value
    halves = np.array_split(generator(seed).permutation(rows), 2)
    first, second = (
        learn(prepare(known, interface, ICQ, np.sort(half), penalties), price).value
        for half in halves
    )
    return Shares(
        approximation=_per_question(met, learnt - cell_value),
        gap=_per_question(met, hindsight - cell_value),
        # Halves differ by twice the error of the whole: four times its variance.
        residual=_per_question(met, (first - second) / 2),
        loss=exact.loss.reshape(shape)[0],
        loss_upper=exact.loss_upper.reshape(shape)[0],
    )


def _per_question(
    met: Float[np.ndarray, "position question"], error: Float[np.ndarray, "position question"]
) -> Float[np.ndarray, " question"]:
    """Squared error of each question, positions weighted by how often they are met."""
    squared: np.ndarray = (met * error**2).sum(axis=0)
    return squared


def fold_terms(
    replay: Replay,
    config: Mapping[str, Json],
    train: Int[np.ndarray, " row"],
    interfaces: Sequence[str],
    penalties: Penalties,
) -> Json:
    """One fold's shares behind each of the interfaces, as JSON."""
    price = middle(config["reported"])
    found = []
    for interface in interfaces:
        one = shares(replay, interface, price, train, penalties, config["seed"])
        packed = {name: np.round(values, DIGITS).tolist() for name, values in vars(one).items()}
        found.append({"interface": interface, "price": price, **packed})
    return found


def middle(prices: Sequence[float]) -> float:
    """The price at which terms are computed: the middle one of those reported."""
    return sorted(prices)[len(prices) // 2]


def gathered(fold_cells: Sequence[Json], interface: str) -> Shares:
    """Every question's shares behind an interface, each the mean over the folds it was learnt in.

    Args:
        fold_cells: all folds of one pool and parse, as `run_fold` returned them.
        interface: which.
    """
    questions = sorted(question for cell in fold_cells for question in cell["questions"])
    place = {question: k for k, question in enumerate(questions)}
    total = {name: np.zeros(len(questions)) for name in Shares.__dataclass_fields__}
    for cell in fold_cells:
        tested = set(cell["questions"])
        train = [place[question] for question in questions if question not in tested]
        (found,) = (one for one in cell["terms"] if one["interface"] == interface)
        for name, values in total.items():
            values[train] += found[name]
    folds = len(fold_cells) - 1  # a question is learnt from in all folds but its own
    return Shares(**{name: values / folds for name, values in total.items()})
