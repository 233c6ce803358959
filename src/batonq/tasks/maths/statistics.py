"""Paired bootstrap over questions, many figures at once from the same resamples.

One set of resamples serves every learner and metric, so differences and ratios of means are
paired, and a thousand figures take one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.study.rows import Interval

RESAMPLES: Final = 4000
TAILS: Final = (0.025, 0.975)
LEVEL: Final = 0.95


@dataclass(frozen=True, eq=False)
class Means:
    """The mean of a quantity over questions, in the sample and in every resample.

    Attributes:
        value: over the questions themselves.
        resampled: over each resample.
        count: number of questions.
    """

    value: float
    resampled: Float[np.ndarray, " resample"]
    count: int

    def __sub__(self, other: Means) -> Means:
        return Means(self.value - other.value, self.resampled - other.resampled, self.count)

    def over(self, other: Means) -> Interval:
        """The ratio of two means with its interval; no ends where the divisor may be 0."""
        low, high = np.quantile(other.resampled, TAILS)
        value = self.value / other.value if other.value else 0.0
        if low <= 0 <= high:
            return Interval(value, None, None, self.count, "questions")
        return Means(value, self.resampled / other.resampled, self.count).interval()

    def interval(self) -> Interval:
        """Value and 95 % percentile interval."""
        low, high = np.quantile(self.resampled, TAILS)
        return Interval(self.value, float(low), float(high), self.count, "questions")


def together(some: Sequence[Means]) -> tuple[Interval, ...]:
    """Intervals that hold for all of the means at once with 95 %.

    Each reaches as many of its own standard errors as the largest deviation among them does in
    95 % of the resamples; means of the same questions go up and down together, which this uses.
    """
    deviation = np.array([one.resampled - one.value for one in some])
    error = deviation.std(axis=1)
    scaled = np.abs(deviation) / np.where(error > 0.0, error, 1.0)[:, None]
    reach = float(np.quantile(scaled.max(axis=0), LEVEL)) * error
    return tuple(
        Interval(one.value, one.value - wide, one.value + wide, one.count, "questions")
        for one, wide in zip(some, reach.tolist(), strict=True)
    )


def means(values: Float[np.ndarray, " question"]) -> Means:
    """Mean of a quantity over the questions, with its resamples."""
    value = float(np.mean(values))
    spread = np.asarray(values - value, np.float32)  # centred: a constant has no rounding to show
    resampled = value + (_shares(len(values)) @ spread).astype(np.float64)
    return Means(value, resampled, len(values))


@lru_cache(maxsize=8)
def _shares(count: int) -> Float[np.ndarray, "resample question"]:
    """How large a share of each resample every question is."""
    drawn = np.random.default_rng(count).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return np.asarray(drawn / count, np.float32)
