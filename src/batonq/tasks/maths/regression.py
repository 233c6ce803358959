"""Two small regressions: ridge with a penalty per column, and logistic by Newton's method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import solve
from scipy.special import expit

FREE = 1e-6  # penalty of a column that is not to be shrunk: only keeps the solve regular
STEPS = 30


@dataclass(frozen=True, eq=False)
class Ridge:
    """A ridge regression prepared for many targets: its solve depends on the features alone.

    Attributes:
        features: of every question.
        weights_of: maps targets of the training questions to weights.
        train: the training questions.
    """

    features: Float[np.ndarray, "question column"]
    weights_of: Float[np.ndarray, "column row"]
    train: Int[np.ndarray, " row"]

    def predict(self, target: Float[np.ndarray, " question"]) -> Float[np.ndarray, " question"]:
        """Fit on the training questions, predict all; other questions' targets are not read."""
        return np.asarray(self.features @ (self.weights_of @ target[self.train]))


def ridge(
    views: Sequence[Float[np.ndarray, "question column"]],
    penalty: Float[np.ndarray, " column"],
    train: Int[np.ndarray, " row"],
) -> Ridge:
    """Prepare the minimiser of sum |X w - t|**2 + sum(penalty * w**2) over training questions.

    Args:
        views: the features to predict from, then those of other holders who learn the same
            targets in the same regression (none in a decentralised learner).
        penalty: of each column.
        train: the training questions.
    """
    seen = [view[train] for view in views]
    gram = sum(x.T @ x for x in seen) + np.diag(penalty)
    return Ridge(views[0], solve(gram, sum(x.T for x in seen), assume_a="pos"), train)


def logistic(
    features: Float[np.ndarray, "row column"],
    outcome: Bool[np.ndarray, " row"],
    weight: float,
    penalty: Float[np.ndarray, " column"],
) -> Float[np.ndarray, " column"]:
    """Weights of a logistic regression, every row counting `weight`."""
    coefficients = np.zeros(features.shape[1])
    for _ in range(STEPS):
        chance = expit(features @ coefficients)
        slope = weight * (features.T @ (outcome - chance)) - penalty * coefficients
        spread = weight * chance * (1 - chance)
        curvature = (features * spread[:, None]).T @ features + np.diag(penalty)
        move = solve(curvature, slope, assume_a="pos")
        coefficients += move
        if np.abs(move).max() < 1e-7:
            break
    return coefficients


def shrunk_means(
    values: Float[np.ndarray, " question"],
    code: Int[np.ndarray, " question"],
    rows: Int[np.ndarray, " row"],
    prior_count: float,
) -> Float[np.ndarray, " question"]:
    """Mean of `values` over the `rows` of each question's cell, shrunk toward 0.

    A cell with n rows gives sum / (n + prior_count); one without rows gives 0.
    """
    n_cells = int(code.max()) + 1
    count = np.bincount(code[rows], minlength=n_cells)
    total = np.bincount(code[rows], weights=values[rows], minlength=n_cells)
    mean: np.ndarray = (total / np.maximum(count + prior_count, 1e-12))[code]
    return mean
