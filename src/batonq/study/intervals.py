"""95 % intervals: over questions by the paired bootstrap, over seeds by Student's t.

Both come from SciPy. The bootstrap draws whole questions, so that differences and ratios of
learners that answered the same questions are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from scipy import stats

from batonq.study.rows import Interval

LEVEL: Final = 0.95
ROUNDING: Final = 1e-13  # relative spread below which values count as equal
RESAMPLES: Final = 4000  # the ends move by about 3 % of the width with another seed

Statistic = Callable[..., Any]  # samples along the last axis, `axis=-1`, to one value each


def over_seeds(values: Float[np.ndarray, " seed"]) -> Interval:
    """Return the mean over independent seeds with its t-interval; one seed has no interval."""
    values = np.asarray(values, float)
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, None, None, len(values), "seeds")
    if np.ptp(values) <= ROUNDING * abs(mean):  # SciPy warns of what it cannot tell from rounding
        return Interval(mean, mean, mean, len(values), "seeds")
    limits = stats.ttest_1samp(values, 0.0).confidence_interval(LEVEL)
    return Interval(mean, float(limits.low), float(limits.high), len(values), "seeds")


def paired_seeds(first: Float[np.ndarray, " seed"], second: Float[np.ndarray, " seed"]) -> Interval:
    """Return the mean of first - second over seeds that both ran, with its paired t-interval."""
    return over_seeds(np.subtract(first, second))


def over_questions(values: Float[np.ndarray, " question"], seed: int = 0) -> Interval:
    """Return the mean over questions with its bootstrap interval."""
    return bootstrap(np.mean, values, seed=seed)


def paired_questions(
    first: Float[np.ndarray, " question"], second: Float[np.ndarray, " question"], seed: int = 0
) -> Interval:
    """Return the mean of first - second over questions, with its paired bootstrap interval."""
    return over_questions(np.subtract(first, second), seed)


def bootstrap(
    statistic: Statistic,
    *samples: Float[np.ndarray, " question"],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return a statistic of samples over the same questions with its percentile interval.

    Args:
        statistic: called as ``statistic(*samples, axis=-1)`` with arrays of any leading shape.
        samples: one value per question and learner; equal lengths.
        seed: of the resampling; the same seed draws the same questions.
        resamples: number of resamples.

    Returns:
        The interval; without ends if there is one question only.
    """
    arrays = [np.asarray(sample, float) for sample in samples]
    count = len(arrays[0])
    value = float(statistic(*arrays, axis=-1))
    if count < 2:
        return Interval(value, None, None, count, "questions")
    limits = stats.bootstrap(
        arrays,
        statistic,
        n_resamples=resamples,
        batch=max(1, 2_000_000 // count),
        paired=True,
        vectorized=True,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(value, float(limits.low), float(limits.high), count, "questions")


def over_instances(values: Iterable[float]) -> Interval:
    """Mean over instances with its t-interval."""
    return replace(over_seeds(np.array(list(values))), n_kind="instances")
