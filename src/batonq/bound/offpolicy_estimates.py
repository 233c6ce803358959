"""Three estimates of what another policy is worth, each with every segment's part in its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.bound.offpolicy_fit import Fit, fit
from batonq.bound.segments import SegmentTable

FOLDS: Final = 5
SHRINK: Final = 1.0  # records of mean outcome added to each pair of a fit that is only a help

Rows = Float[np.ndarray, " row"]
Matrix = Float[np.ndarray, "row action"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """An estimate and where its error comes from.

    Attributes:
        value: the estimate.
        part: of each segment; value - truth is about the mean of the parts, which sum to 0.
    """

    value: float
    part: Float[np.ndarray, " segment"]


def returns(table: SegmentTable) -> Float[np.ndarray, " segment"]:
    """Return of each segment: rewards and the closing quote, discounted to its arrival."""
    on = table.goes_on()
    total = np.zeros(len(table))
    for alive, rows in reversed(table.depths()):
        ahead = np.where(on[rows], total[alive], table.quote[rows])
        total[alive] = table.reward[rows] + table.discount[rows] * ahead
    return total


def observed(table: SegmentTable) -> Estimate:
    """What the agent's own behaviour was worth: the mean return."""
    gained = returns(table)
    return Estimate(float(gained.mean()), gained - gained.mean())


def less(first: Estimate, second: Estimate) -> Estimate:
    """The difference of two estimates from the same segments."""
    return Estimate(first.value - second.value, first.part - second.part)


def ratios(table: SegmentTable, chances: Matrix) -> Rows:
    """Chance of the action taken under the policy, over its propensity."""
    ratio: np.ndarray = chances[np.arange(len(table.y)), table.action] / table.propensity
    return ratio


def weights(table: SegmentTable, ratio: Rows) -> Rows:
    """Product of the ratios of a segment up to each of its decisions. Never clipped."""
    weight = ratio.copy()
    for _, rows in table.depths()[1:]:
        weight[rows] *= weight[rows - 1]
    return weight


def last(table: SegmentTable, column: Rows) -> Float[np.ndarray, " segment"]:
    """The entry of each segment's last decision."""
    at: np.ndarray = column[table.start + table.lengths() - 1]
    return at


def snips(table: SegmentTable, weight: Rows) -> Estimate:
    """Self-normalised importance sampling, decision by decision.

    Sum over t of (sum_i w_it x_it) / (sum_i w_it), where x_it is what the t-th decision of segment
    i gained, discounted to its arrival; a segment that is over keeps its last weight and gains 0.
    """
    return _weighted(table, weight, table.reward + table.discount * table.quote)


def fitted(table: SegmentTable, chances: Matrix) -> tuple[Estimate, Fit]:
    """Fitted Q evaluation: the mean over arrivals of the value that the records say.

    The part of a segment is V at its arrival, and the surprise of each of its decisions times how
    much more often the policy comes there than the records did. Surprises around a mean of c
    records are too small by (c - 1) / c in the square, which is made good.
    """
    found = fit(table, chances)
    value = (chances * found.q[table.y]).sum(axis=1)
    first = value[table.start]
    count = found.count[table.y, table.action]
    surprise = _surprise(table, value, found.q[table.y, table.action])
    surprise *= np.sqrt(count / np.maximum(count - 1, 1))
    often = len(table) * found.visits[table.y, table.action] / count
    part = np.bincount(table.segment(), weights=often * surprise, minlength=len(table))
    part += first - first.mean()
    return Estimate(float(first.mean()), part - part.mean()), found


def doubly_robust(table: SegmentTable, chances: Matrix, weight: Rows) -> Estimate:
    """The fitted value of arrivals, and weighted surprises to make good what the fit got wrong.

    Values for a segment are fitted on other workflows. With the right propensities the fit may be
    wrong; how far only changes the width.

    Args:
        table: the segments.
        chances: pi(action) at each decision.
        weight: of each decision, as `weights` gives.
    """
    q = np.zeros(table.permitted.shape)
    fold = table.workflow % FOLDS
    row_fold = np.repeat(fold, table.lengths())
    for k in np.unique(fold):
        mine = row_fold == k
        q[mine] = fit(table, chances, fold != k, SHRINK).q[table.y[mine]]
    value = (chances * q).sum(axis=1)
    surprise = _surprise(table, value, q[np.arange(len(q)), table.action])
    first = value[table.start]
    rest = _weighted(table, weight, surprise)
    return Estimate(float(first.mean()) + rest.value, first - first.mean() + rest.part)


def _surprise(table: SegmentTable, value: Rows, expected: Rows) -> Rows:
    """R + gamma**tau (V(y'), or the quote) - Q(y, a) of each decision."""
    following = np.append(value[1:], 0.0)
    ahead = np.where(table.goes_on(), following, table.quote)
    surprise: np.ndarray = table.reward + table.discount * ahead - expected
    return surprise


def _weighted(table: SegmentTable, weight: Rows, gained: Rows) -> Estimate:
    """Self-normalised weighted mean at each depth, summed over depths, each discounted."""
    count = len(table)
    before = np.ones(len(table.y))
    part = np.zeros(count)
    value = finished = 0.0
    lost = [0.0]  # what a segment of weight 1 that is over takes part in, up to each depth
    depths = table.depths()
    for depth, (alive, rows) in enumerate(depths):
        if depth:
            before[rows] = before[rows - 1] * table.discount[rows - 1]
        total = float(weight[rows].sum()) + finished
        share = weight[rows] * before[rows] * gained[rows]
        mean = float(share.sum()) / total if total > 0 else 0.0
        scale = count / total if total > 0 else 0.0
        value += mean
        part[alive] += scale * (share - mean * weight[rows])
        lost.append(lost[-1] + scale * mean)
        following = len(depths[depth + 1][0]) if depth + 1 < len(depths) else 0
        finished += float(weight[rows[following:]].sum())  # the longest segments come first
    over = lost[-1] - np.array(lost)[table.lengths()]
    return Estimate(value, part - last(table, weight) * over)
