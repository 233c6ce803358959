"""compare: did one learner do better than another, seed by seed?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from batonq.base.errors import ModelError
from batonq.icq.run import Run


@dataclass(frozen=True)
class Comparison:
    """Paired difference of final values between two runs.

    Attributes:
        first: learner of the first run.
        second: learner of the second run.
        difference: mean over seeds of first minus second.
        low: lower end of the 95 % paired t interval; None with fewer than two seeds.
        high: upper end.
        p: two-sided p value of "no difference" (paired t test); None with fewer than two seeds.
        seeds: number of pairs.
    """

    first: str
    second: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    seeds: int

    def __str__(self) -> str:
        head = f"{self.first} - {self.second}: {self.difference:+.6g}"
        if self.low is None or self.high is None:
            return f"{head} (one seed: no interval)"
        return f"{head}, 95 % interval [{self.low:+.6g}, {self.high:+.6g}], {self.seeds} seeds"


def compare(first: Run, second: Run) -> Comparison:
    """Compare the last greedy policies of two runs trained with the same seeds.

    Raises:
        ModelError: if the runs do not pair: other seeds, or another number of handoffs.
    """
    for name in ("seed", "seeds", "handoffs"):
        a, b = first.settings[name], second.settings[name]
        if a != b:
            raise ModelError(
                f"compare: '{name}' is {a} in one run and {b} in the other; train alike"
            )
    differences = first.final - second.final
    mean = float(differences.mean())
    if len(differences) < 2:
        return Comparison(first.learner, second.learner, mean, None, None, None, len(differences))
    if np.ptp(differences) == 0:
        p = 1.0 if mean == 0 else 0.0
        return Comparison(first.learner, second.learner, mean, mean, mean, p, len(differences))
    test = stats.ttest_rel(first.final, second.final)
    interval = test.confidence_interval(0.95)
    return Comparison(
        first.learner,
        second.learner,
        mean,
        float(interval.low),
        float(interval.high),
        float(test.pvalue),
        len(differences),
    )
