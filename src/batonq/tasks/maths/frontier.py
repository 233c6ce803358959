"""Accuracy against cost: the upper frontier of some policies, and whether one lies below another.

Who may choose between policies may also toss a coin between them, question by question, and may
decline to answer at no cost. So the frontier is the upper concave envelope of the policies' mean
costs and accuracies and of the origin; beyond its most accurate policy it stays level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from batonq.study.intervals import over_questions
from batonq.study.rows import Interval
from batonq.tasks.maths.peers.outcome import Outcome
from batonq.tasks.maths.statistics import means, together


@dataclass(frozen=True)
class Gap:
    """How far one frontier is above a policy of the other.

    Attributes:
        policy: index of the other's policy, one that is on its frontier.
        cost: mean cost of that policy.
        above: accuracy of the first frontier at that cost less the policy's accuracy, with the
            interval of the paired bootstrap over questions.
    """

    policy: int
    cost: float
    above: Interval


def upper_frontier(
    cost: Float[np.ndarray, " policy"], accuracy: Float[np.ndarray, " policy"]
) -> Int[np.ndarray, " vertex"]:
    """Return the policies at the corners of the frontier, cheapest first; of equals the first.

    Args:
        cost: mean cost of each policy, at least 0.
        accuracy: mean accuracy of each policy.
    """
    found: list[int] = []
    x, y = 0.0, 0.0
    while True:
        rise = np.asarray(accuracy) - y
        better = np.flatnonzero(rise > 0.0)
        if not len(better):
            return np.array(found, np.int64)
        run = np.asarray(cost)[better] - x
        with np.errstate(divide="ignore"):
            slope = rise[better] / np.maximum(run, 0.0)
        steepest = better[slope == slope.max()]
        found.append(int(steepest[rise[steepest].argmax()]))
        x, y = float(cost[found[-1]]), float(accuracy[found[-1]])


def frontier_gaps(
    first: Sequence[Outcome], second: Sequence[Outcome], seed: int = 0
) -> tuple[Gap, ...]:
    """Compare the frontier of `first` with each corner of the frontier of `second`.

    At the cost of a corner, the first frontier is a mixture of two policies (or one, or none).
    A difference in cost between resamples is turned into accuracy at the frontier's slope there,
    so that each gap is the mean of one number per question, to first order in the resampling.

    Args:
        first: outcomes of one learner's policies on the same questions, such as one per lambda.
        second: those of the other's.
        seed: of the resampling.
    """
    other_costs, other_accuracies = _means(second)
    gaps = []
    for policy in upper_frontier(other_costs, other_accuracies):
        values = _frontier_less(first, second[policy])
        gaps.append(Gap(int(policy), float(other_costs[policy]), over_questions(values, seed)))
    return tuple(gaps)


def above_line(policies: Sequence[Outcome], singles: Sequence[Outcome]) -> tuple[Interval, ...]:
    """Return how far each policy is above the line between single models.

    The line is the frontier of the single calls: what drawing lots between two of them gives at
    the policy's own cost. Which two, and how often, is chosen on these very questions, which
    favours the line.

    Args:
        policies: outcomes of one learner's policies on some questions, such as one per lambda.
        singles: those of always asking one call, on the same questions.

    Returns:
        For each policy its accuracy less the line's, with intervals of the paired bootstrap over
        questions that hold for all policies at once.
    """
    return together([means(-_frontier_less(singles, policy)) for policy in policies])


def corners(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes at the corners of their frontier, cheapest first."""
    return [outcomes[policy] for policy in upper_frontier(*_means(outcomes))]


def _frontier_less(first: Sequence[Outcome], policy: Outcome) -> Float[np.ndarray, " question"]:
    """What each question adds to the first frontier's accuracy less the policy's, at its cost."""
    mixed = corners(first)
    shares, slope = _at(*_means(mixed), float(policy.cost.mean()))
    values: np.ndarray = slope * policy.cost - policy.right
    for share, one in zip(shares, mixed, strict=True):
        if share > 0.0:
            values = values + share * (one.right - slope * one.cost)
    return values


def not_below(gaps: Sequence[Gap]) -> bool:
    """Return whether the first frontier is nowhere below the second beyond the interval."""
    return all(gap.above.high is None or gap.above.high >= 0.0 for gap in gaps)


def _means(
    outcomes: Sequence[Outcome],
) -> tuple[Float[np.ndarray, " policy"], Float[np.ndarray, " policy"]]:
    cost = np.array([outcome.cost.mean() for outcome in outcomes])
    return cost, np.array([outcome.right.mean() for outcome in outcomes])


def _at(
    costs: Float[np.ndarray, " vertex"], accuracies: Float[np.ndarray, " vertex"], cost: float
) -> tuple[Float[np.ndarray, " vertex"], float]:
    """Return the share of each corner in the frontier at a cost, and the frontier's slope there.

    Shares sum to at most 1; what is missing is declining to answer.
    """
    shares = np.zeros(len(costs))
    if not len(costs):
        return shares, 0.0
    right = int(np.searchsorted(costs, cost))
    if right == len(costs):
        shares[-1] = 1.0
        return shares, 0.0
    left_cost = costs[right - 1] if right else 0.0
    left_accuracy = accuracies[right - 1] if right else 0.0
    width = float(costs[right] - left_cost)
    if width == 0.0:  # a policy that costs nothing: it is the whole frontier at that cost
        shares[right] = 1.0
        return shares, 0.0
    share = (cost - left_cost) / width
    shares[right] = share
    if right:
        shares[right - 1] = 1.0 - share
    return shares, float((accuracies[right] - left_accuracy) / width)
