"""Memory in one agent's residuals: a test for a hidden part, a long-run variance, a visible time.

Under frozen values E[d | everything before] = m(y, a) + eta_Q(s, a). If the interface hides
nothing, residuals less their cell's mean are a martingale difference: uncorrelated with whatever
came before. Correlation hence shows that eta_Q is not 0, without any further field. Its size is
the long-run variance. Theory, section 12; all intervals are asymptotic, estimates throughout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from scipy import signal, sparse, stats

from batonq.base.errors import DataError
from batonq.bound.blocks import FEWEST, LEVEL, block_sums, enough_blocks, holm
from batonq.bound.features import centred, pairs, residuals
from batonq.icq.log import Log

SPANS: Final = (1, 8, 64)  # mean age, in records, of the past that the test looks at
BATCHES: Final = 128  # most batches of a long-run variance
VISIBLE_ONLY: Final = "visible only: blind to hidden modes; additive reversibilisation; asymptotic"


@dataclass(frozen=True)
class Serial:
    """Whether residuals have a memory.

    Attributes:
        p: chance of so much correlation if the interface hid nothing, over all looks (Holm).
        strongest: (what was looked at, span, standardised correlation) of the strongest look.
    """

    p: float
    strongest: tuple[str, int, float]


@dataclass(frozen=True)
class LongRun:
    """Mean and long-run variance of a stationary sequence, by batch means.

    Attributes:
        mean: its mean.
        mean_low: lower end of the 95 % interval, by Student's t over batches.
        mean_high: upper end.
        variance: long-run variance: n times the variance of the mean of n, for large n.
        variance_low: lower end, by chi-square over batches.
        variance_high: upper end.
        inflation: long-run variance over variance: 1 without memory (integrated
            autocorrelation time).
        inflation_low: lower end.
        inflation_high: upper end.
        n_batches: number of batches.
        length: records of a batch.
    """

    mean: float
    mean_low: float
    mean_high: float
    variance: float
    variance_low: float
    variance_high: float
    inflation: float
    inflation_low: float
    inflation_high: float
    n_batches: int
    length: int


@dataclass(frozen=True)
class Visible:
    """Relaxation time of what the agent itself sees, in its own decisions.

    Attributes:
        eigenvalue: second largest of the additive reversibilisation of the visible chain.
        low: lower end of its 95 % interval.
        high: upper end, at most 1.
        relaxation: 1 / (1 - eigenvalue).
        relaxation_low: from `low`.
        relaxation_high: from `high`; infinite if that is 1.
        status: what this is not.
    """

    eigenvalue: float
    low: float
    high: float
    relaxation: float
    relaxation_low: float
    relaxation_high: float
    status: str = VISIBLE_ONLY


def serial_test(log: Log) -> Serial:
    """Test that the cell-centred residuals are a martingale difference.

    The residual is multiplied by an exponentially weighted sum of earlier ones, over all records
    and over those of the same information state and action, at several spans. Each product is a
    martingale difference under the null, whatever the variances; its standardised sum is
    compared with a normal law, one-sided.

    Raises:
        DataError: if the values moved, or there are too few records.
    """
    few(log)
    pair = pairs(log)
    values = centred(residuals(log), pair, log.mask.size)
    looks = []
    for span in SPANS:
        looks.append(("all records", span, _correlation(values, pair, span, same=False)))
        looks.append(("same decision", span, _correlation(values, pair, span, same=True)))
    adjusted = holm(np.array([stats.norm.sf(score) for _, _, score in looks]))
    return Serial(float(adjusted.min()), max(looks, key=lambda look: look[2]))


def residual_memory(log: Log) -> LongRun:
    """Long-run variance of the cell-centred residuals of one agent, in its own handoffs.

    Raises:
        DataError: if the values moved, or batches long enough would be too few.
    """
    few(log)
    return long_run(centred(residuals(log), pairs(log), log.mask.size))


def long_run(values: Float[np.ndarray, " row"]) -> LongRun:
    """Mean and long-run variance of a sequence by batch means.

    The batch length is 8 times the longest at which neighbouring batches are still correlated.

    Raises:
        DataError: "not stable: longer records needed" if that leaves fewer than 16 batches; or if
            the values are not finite or all equal.
    """
    if not len(values):
        raise DataError("long run: no values; give some")
    if not np.isfinite(values).all():
        raise DataError(f"long run: value {int(np.argmin(np.isfinite(values)))} is not finite")
    apart = values - values.mean()
    spread = float((apart**2).mean())
    if not spread > 0:
        raise DataError("long run: not available: the values are all equal")
    code = np.zeros(len(values), np.int64)
    count = enough_blocks(apart, code, 1, BATCHES)
    length = len(values) // count
    kept = values[: count * length]
    batches = block_sums(kept, code[: count * length], 1, count)[:, 0] / length
    mean = float(batches.mean())
    variance = length * float(batches.var(ddof=1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * math.sqrt(variance / len(kept))
    low, high = (
        (count - 1) * variance / float(stats.chi2.ppf(tail, count - 1))
        for tail in ((1 + LEVEL) / 2, (1 - LEVEL) / 2)
    )
    return LongRun(
        mean,
        mean - half,
        mean + half,
        variance,
        low,
        high,
        variance / spread,
        low / spread,
        high / spread,
        count,
        length,
    )


def visible_relaxation(log: Log) -> Visible:
    """Relaxation time of the agent's own information states, from decision to decision.

    With F the joint law of neighbours, pi its margin, (lambda, phi) the second eigenpair of the
    symmetric part, the influence of a transition y -> y' is
    phi(y) phi(y') - lambda (phi(y)^2 + phi(y')^2) / 2; its long-run variance gives the interval.

    Raises:
        DataError: if the agent sees one information state only, its states do not hang together,
            or there are too few records.
    """
    few(log)
    seen, y = np.unique(log.y, return_inverse=True)
    if len(seen) < 2:
        raise DataError(f"not available: agent '{log.agent}' sees one information state only")
    size = len(seen)
    joint = np.bincount(y[:-1] * size + y[1:], minlength=size * size).reshape(size, size)
    both = (joint + joint.T) / (2 * (len(y) - 1))
    if sparse.csgraph.connected_components(both > 0, directed=False)[0] > 1:
        raise DataError("not available: the information states do not lead to each other")
    law = both.sum(axis=1)
    root = np.sqrt(law)
    eigenvalues, vectors = np.linalg.eigh(both / np.outer(root, root))
    eigenvalue = float(eigenvalues[-2])
    phi = (vectors[:, -2] / root)[y]
    influence = phi[:-1] * phi[1:] - eigenvalue * (phi[:-1] ** 2 + phi[1:] ** 2) / 2
    if np.ptp(influence) < 1e-12:
        raise DataError("not available: the visible chain leaves nothing to chance")
    run = long_run(influence)
    low, high = eigenvalue + run.mean_low - run.mean, eigenvalue + run.mean_high - run.mean
    low, high = max(low, -1.0), min(high, 1.0)
    return Visible(
        eigenvalue, low, high, _relaxation(eigenvalue), _relaxation(low), _relaxation(high)
    )


def _relaxation(eigenvalue: float) -> float:
    return 1 / (1 - eigenvalue) if eigenvalue < 1 else math.inf


def few(log: Log) -> None:
    """Raise a DataError if a log is too short for anything to be said."""
    needed = FEWEST * 8
    if len(log) < needed:
        raise DataError(
            f"log of '{log.agent}': {len(log)} records are too few; at least {needed} are needed"
        )


def _correlation(
    values: Float[np.ndarray, " row"], pair: Int[np.ndarray, " row"], span: int, same: bool
) -> float:
    """Standardised correlation of values with a weighted past of the given span.

    Centring by the mean of n_p values makes each correlated with its own pair's past by minus
    1 / n_p of that past's variance, which is added back where it matters.
    """
    order = np.argsort(pair, kind="stable") if same else np.arange(len(values))
    ordered, which = values[order], pair[order]
    first = np.flatnonzero(np.diff(which, prepend=-1)) if same else np.array([0])
    past, past_square = np.zeros(len(values)), np.zeros(len(values))
    keep = 1 - 1 / span
    for start, stop in zip(first, np.append(first[1:], len(values)), strict=True):
        piece = ordered[start:stop]
        past[start + 1 : stop] = signal.lfilter([1.0], [1.0, -keep], piece[:-1])
        past_square[start + 1 : stop] = signal.lfilter([1.0], [1.0, -keep], piece[:-1] ** 2)
    counts = np.bincount(pair)[which]
    back = float((past_square / counts).sum()) if same else 0.0
    scale = math.sqrt(float((ordered**2 * past**2).sum()))
    return (float((ordered * past).sum()) + back) / scale if scale > 0 else 0.0
