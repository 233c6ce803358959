"""Fitted Q evaluation on one agent's segments: tabular over what it saw, solved exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array, csr_array, eye_array
from scipy.sparse.linalg import splu

from batonq.base.errors import DataError
from batonq.bound.segments import SegmentTable

FOREVER: Final = 1e6  # expected decisions of a segment from which on it counts as endless
LATE: Final = 0.01  # discounted share of segments left, after which decisions count no further
DEEPEST: Final = 10_000  # decisions looked ahead
BEYOND: Final = 1e12  # a mean square as good as infinite


@dataclass(frozen=True, eq=False)
class Fit:
    """What a policy is worth at each pair, and how often it comes there, by the records used.

    Attributes:
        q: value of each action at each observation; where there is no record, the mean of all.
        count: records of each.
        visits: expected discounted decisions of each in a segment of the policy.
    """

    q: Float[np.ndarray, "observation action"]
    count: Int[np.ndarray, "observation action"]
    visits: Float[np.ndarray, "observation action"]


def fit(
    table: SegmentTable,
    chances: Float[np.ndarray, "row action"],
    used: Bool[np.ndarray, " segment"] | None = None,
    shrink: float = 0.0,
) -> Fit:
    """Solve Q(c) = mean over records of pair c of R + gamma**tau (sum_a pi(a) Q(y', a), or quote).

    Args:
        table: the segments.
        chances: pi(action) at each decision.
        used: segments whose records count; all by default.
        shrink: how many records of mean outcome are added to each pair.

    Raises:
        DataError: if under the policy control hardly ever leaves the agent and nothing is
            discounted.
    """
    shape = (len(table.observations), len(table.actions))
    size = shape[0] * shape[1]
    count_all = len(table)
    chosen = np.ones(count_all, np.bool_) if used is None else used
    rows = np.flatnonzero(np.repeat(chosen, table.lengths()))
    pair = table.y * shape[1] + table.action
    count = np.bincount(pair[rows], minlength=size)
    outcome = table.reward[rows] + table.discount[rows] * table.quote[rows]
    prior = outcome.sum() / max(int(chosen.sum()), 1)
    weight = 1.0 / np.maximum(count + shrink, 1e-9)
    here = rows[table.goes_on()[rows]]
    ahead = table.discount[here, None] * chances[here + 1] * weight[pair[here], None]
    k, action = np.nonzero(ahead)
    to = table.y[here + 1][k] * shape[1] + action
    step = coo_array((ahead[k, action], (pair[here][k], to)), shape=(size, size))
    gained = np.bincount(pair[rows], weights=outcome, minlength=size)
    mean = np.where(count > 0, (gained + shrink * prior) * weight, prior)
    first = table.start[chosen]
    arrivals = np.zeros(shape)
    np.add.at(arrivals, table.y[first], chances[first] / max(len(first), 1))
    try:
        factors: Any = splu(eye_array(size, format="csc") - step.tocsc())
        q, visits = factors.solve(mean), factors.solve(arrivals.ravel(), trans="T")
    except RuntimeError:
        visits = np.array([np.inf])
    if not np.abs(visits).sum() < FOREVER:
        raise DataError(
            "fqe: under this policy control would hardly ever leave the agent, and without a "
            "discount its value is not finite; give gamma below 1 or another policy"
        )
    return Fit(q.reshape(shape), count.reshape(shape), visits.reshape(shape))


def mean_square(table: SegmentTable, ratio: Float[np.ndarray, " row"]) -> float:
    """Mean square of a segment's weight, if what is seen tells all.

    Weights of long segments are products, whose rare large values a sample often lacks. From one
    decision to the next their squares grow as a matrix says, which the records do tell. Decisions
    so late that the policy seldom comes to them, or to little effect, count no further.

    Args:
        table: the segments.
        ratio: pi / behaviour of each decision.
    """
    size = len(table.observations)
    n_seen = np.maximum(np.bincount(table.y, minlength=size), 1)
    on = table.goes_on()
    here = np.flatnonzero(on & (ratio > 0))

    def onward(weight: np.ndarray) -> csr_array:
        share = weight[here] / n_seen[table.y[here]]
        steps = (share, (table.y[here + 1], table.y[here]))
        return coo_array(steps, shape=(size, size)).tocsr()

    squares, reach = onward(ratio**2), onward(ratio * table.discount)
    every, leaving = (
        np.bincount(table.y, weights=weight, minlength=size) / n_seen
        for weight in (ratio**2, np.where(on, 0.0, ratio**2))
    )
    square = there = np.bincount(table.y[table.start], minlength=size) / len(table)
    total = 0.0
    for _ in range(DEEPEST):
        there = reach @ there
        if there.sum() < LATE:
            return total + float(square @ every)
        total += float(square @ leaving)
        square = squares @ square
        if square.sum() > BEYOND:
            break
    return np.inf
