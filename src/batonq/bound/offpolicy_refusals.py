"""What records must have before anything is said of another policy; where it lacks, a refusal.

The thresholds are those above which simulated intervals held the truth often enough:
`python -m benchmarks offpolicy`, docs/evaluate.md.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float

from batonq.base.errors import DataError
from batonq.bound.offpolicy_estimates import Estimate, last
from batonq.bound.offpolicy_fit import Fit, mean_square
from batonq.bound.offpolicy_intervals import groups, p_value
from batonq.bound.segments import SURE, SegmentTable

LEAST: Final = 40.0  # effective segments, for weights
FEW: Final = 5  # records of a pair below which a fit knows too little of it
THIN: Final = 0.05  # largest share of the policy's decisions at such pairs, for a fit
LOST: Final = (
    0.01  # largest share where the behaviour could not, or never did, what the policy does
)
EXPECTED: Final = 5.0  # times that an action with the smallest propensity should have been seen
SUSPECT: Final = 1e-4  # p value of a mean weight other than 1,
OFF: Final = 0.02  # and the least by which it must be off

Rows = Float[np.ndarray, " row"]
Matrix = Float[np.ndarray, "row action"]


def need_propensities(table: SegmentTable) -> None:
    """Raise a DataError if a propensity was not logged."""
    missing = np.isnan(table.propensity)
    if missing.any():
        raise DataError(
            f"records: {int(missing.sum())} of {len(missing)} decisions have no propensity, and "
            "none can be recovered afterwards; leave those segments out (--drawn), or record with "
            "batonq from now on"
        )


def need_choice(table: SegmentTable, chances: Matrix, weight: Rows) -> None:
    """Raise a DataError if the policy would act otherwise where the behaviour had no choice."""
    taken = chances[np.arange(len(table.y)), table.action]
    elsewhere = np.where(table.propensity < SURE, 0.0, 1 - taken)
    if (elsewhere > 0).any() and not (table.propensity < SURE).any():
        raise DataError(
            "records: every propensity is 1, so that nothing else was ever tried; record with "
            "exploration (mode apply, or a canary share)"
        )
    before = np.append(1.0, weight[:-1])  # weight with which the policy comes to a decision
    before[table.start] = 1.0
    mass = float((before * elsewhere).sum() / max(before.sum(), 1e-300))
    if mass > LOST:
        raise DataError(
            f"records: in {mass:.1%} of its decisions the policy would do what the behaviour could "
            "not, as the propensity was 1; leave such segments out (--drawn), or record with more "
            "exploration"
        )


def need_actions(table: SegmentTable, found: Fit) -> None:
    """Raise a DataError if actions were never taken where they would have been, given a chance."""
    visits = found.visits * (found.count == 0)
    total = float(found.visits.sum())
    often = found.count.sum(axis=1) * np.nanmin(table.propensity) >= EXPECTED
    mass = float(visits[often].sum()) / total
    if mass > LOST:
        y, action = np.unravel_index(int((visits * often[:, None]).argmax()), visits.shape)
        raise DataError(
            f"records: {mass:.1%} of the policy's decisions are actions that the behaviour never "
            f"took where the policy takes them, as {table.actions[action]!r} at "
            f"{table.observations[y]!r}; let it explore them"
        )


def effective(table: SegmentTable, weight: Rows, ratio: Rows) -> float:
    """Effective number of workflows: as many of the policy's own would tell as much.

    The smaller of (sum W)^2 / sum W^2, with W the weights of a workflow together, and of their
    number over E[w^2], the mean square that the records imply although its largest weights are too
    rare to be in them.
    """
    final = last(table, weight)
    together = np.bincount(table.workflow, weights=final)
    squares = float((together**2).sum())
    if squares == 0:
        return 0.0
    return min(float(together.sum()) ** 2 / squares, len(together) / mean_square(table, ratio))


def need_effect(table: SegmentTable, ess: float) -> None:
    """Raise a DataError if the effective sample is too small for weights."""
    if ess < LEAST:
        raise DataError(
            f"effective sample of {ess:.1f} segments out of {len(table)}, wanted {LEAST:g}: the "
            "behaviour seldom did what the policy does; record longer, explore more, or take a "
            "policy nearer to it (fqe may do with less)"
        )


def need_mean_weight(table: SegmentTable, weight: Rows) -> None:
    """Raise a DataError if the mean weight of segments is not 1 up to chance."""
    final = last(table, weight)
    mean = float(final.mean())
    off = Estimate(mean - 1, final - mean)
    if abs(off.value) > OFF and p_value(off, groups(table, off.part)) < SUSPECT:
        raise DataError(
            f"records: the mean weight is {mean:.3g}, where 1 is expected: propensities are not "
            "those that were used, or outcomes of some actions are missing (segments left out: "
            f"{table.dropped}); mend the records"
        )


def need_pairs(found: Fit) -> None:
    """Raise a DataError if the policy is too often where a fit knows too little."""
    thin = float(found.visits[found.count < FEW].sum() / found.visits.sum())
    if thin > THIN:
        raise DataError(
            f"{thin:.1%} of the policy's decisions are at pairs of observation and action with "
            f"fewer than {FEW} records; record longer, or merge observations"
        )
