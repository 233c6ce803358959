"""Intervals of off-policy estimates: Student's t with as many degrees of freedom as parts count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from batonq.bound.blocks import block_of, enough_blocks, longest_correlated
from batonq.bound.offpolicy_estimates import Estimate
from batonq.bound.segments import SegmentTable

LEAST_FREEDOM: Final = 4.0  # below, an interval would say little but how rough its width is


@dataclass(frozen=True, eq=False)
class Groups:
    """Segments that may depend on each other, together.

    Attributes:
        number: group of each segment.
        count: how many groups.
        blocks: whether they are stretches of time, as neighbours depended on each other.
    """

    number: Int[np.ndarray, " segment"]
    count: int
    blocks: bool


def groups(table: SegmentTable, part: Float[np.ndarray, " segment"]) -> Groups:
    """Workflows; or stretches of time, if the parts of successive workflows go together.

    Raises:
        DataError: if they do and the records are too short for enough stretches.
    """
    count = int(table.workflow.max()) + 1
    sums = np.bincount(table.workflow, weights=part, minlength=count)
    same = np.zeros(count, np.int64)
    if not longest_correlated(sums, same, 1):
        return Groups(table.workflow, count, False)
    blocks = enough_blocks(sums, same, 1)
    return Groups(block_of(count, blocks)[table.workflow], blocks, True)


def freedom(sums: Float[np.ndarray, " group"]) -> float:
    """Degrees of freedom of the variance: (sum x^2)^2 / sum x^4, less 1, and at least 4.

    About count / 3 for normal parts, and small where few parts carry the variance.
    """
    squares = sums**2
    fourth = float((squares**2).sum())
    return max(float(squares.sum()) ** 2 / fourth - 1, LEAST_FREEDOM) if fourth > 0 else np.inf


def interval(estimate: Estimate, of: Groups, confidence: float) -> tuple[float, float]:
    """Ends of the interval of an estimate.

    Args:
        estimate: with the parts of its segments.
        of: which segments belong together.
        confidence: chance that the interval holds the truth, in (0, 1).
    """
    error, degrees = _error(estimate, of)
    half = float(stats.t.ppf((1 + confidence) / 2, degrees)) * error
    return estimate.value - half, estimate.value + half


def p_value(estimate: Estimate, of: Groups) -> float:
    """Chance of an estimate at least so far from 0 if the truth were 0."""
    error, degrees = _error(estimate, of)
    if error == 0:
        return float(estimate.value == 0)
    return float(2 * stats.t.sf(abs(estimate.value) / error, degrees))


def _error(estimate: Estimate, of: Groups) -> tuple[float, float]:
    """Standard error and its degrees of freedom."""
    sums = np.bincount(of.number, weights=estimate.part, minlength=of.count)
    variance = float((sums**2).sum()) * of.count / max(of.count - 1, 1) / len(estimate.part) ** 2
    return float(np.sqrt(variance)), freedom(sums)
