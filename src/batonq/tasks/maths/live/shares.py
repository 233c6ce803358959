"""Shares of questions with their intervals."""

from __future__ import annotations

from collections.abc import Iterable

from scipy import stats

from batonq.study.rows import Interval


def share(hits: Iterable[bool]) -> Interval | None:
    """How many of these are so, with Wilson's 95 % interval; None of nothing.

    Wilson's keeps its level for a few questions and shares near 0 or 1, where a bootstrap of
    questions that are all alike has no width.
    """
    told = [bool(hit) for hit in hits]
    if not told:
        return None
    limits = stats.binomtest(sum(told), len(told)).proportion_ci(method="wilson")
    low, high = float(limits.low), float(limits.high)
    return Interval(sum(told) / len(told), low, high, len(told), "questions")
