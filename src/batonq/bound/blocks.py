"""Records in blocks of time: the one way in which `bound` makes inference under dependence.

An agent's records are successive visits of a Markov chain whose hidden part it does not see, so
its residuals may be correlated over long times. Blocks of many mixing times are almost
independent if a block is left between them. What is estimated is a square, |h|^2 under weights,
of a vector h that is itself estimated; it is summed from pairs of blocks with a gap between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from batonq.base.errors import DataError
from batonq.base.seeds import generator

LEVEL: Final = 0.95  # of every interval
FEWEST: Final = 16  # blocks with which anything is said
MOST: Final = 64  # blocks of a square: beyond, the interval hardly narrows
CORRELATED: Final = 0.1  # neighbouring blocks correlated by more are too short,
CERTAIN: Final = 3.5  # if that is so many standard errors: a dozen lengths are looked at
SAFETY: Final = 8  # a block is this much longer than the longest found too short
FLIPS: Final = 19_999  # sign patterns drawn for a p value, hence p >= 1 / 20,000
POWER: Final = 0.8  # chance with which the wanted number of handoffs resolves an effect
DENSE: Final = 4_000_000  # block sums held at once


@dataclass(frozen=True)
class Square:
    """An estimate of a square, with a 95 % interval on the square. An estimate, no certificate.

    Attributes:
        value: unbiased up to the dependence of blocks with a gap between them; may be negative.
        low: lower end of the interval.
        high: upper end.
        p: chance of so large a value if the square were 0; None where no test is made.
        chance: standard deviation of the value if the square were 0.
        rate: variance that the effect adds, over the effect.
        n_blocks: blocks of time.
    """

    value: float
    low: float
    high: float
    p: float | None
    chance: float
    rate: float
    n_blocks: int

    def times_needed(self, level: float) -> float:
        """How many times as many records would resolve this effect.

        With r times the records, `chance` falls as 1 / r and `rate` too. Infinite if the value is
        not positive.

        Args:
            level: of the one-sided test, after correction for the number of candidates.
        """
        if not self.value > 0:
            return math.inf
        test, power = stats.norm.isf(level), stats.norm.ppf(POWER)
        # value r - test chance = power sqrt(chance^2 + rate value r), the larger root.
        a = self.value**2
        b = -2 * self.value * test * self.chance - power**2 * self.rate * self.value
        c = (test**2 - power**2) * self.chance**2
        return float((-b + math.sqrt(max(b * b - 4 * a * c, 0.0))) / (2 * a))


def block_of(n_rows: int, n_blocks: int) -> Int[np.ndarray, " row"]:
    """The block of each row: `n_blocks` stretches of time of (almost) equal length."""
    number: np.ndarray = np.arange(n_rows) * n_blocks // n_rows
    return number


def block_sums(
    values: Float[np.ndarray, " row"], code: Int[np.ndarray, " row"], n_codes: int, n_blocks: int
) -> Float[np.ndarray, "block code"]:
    """Sum of the values of each code in each block of time."""
    at = block_of(len(values), n_blocks) * n_codes + code
    sums: np.ndarray = np.bincount(at, weights=values, minlength=n_blocks * n_codes)
    return sums.reshape(n_blocks, n_codes)


def longest_correlated(
    values: Float[np.ndarray, " row"], code: Int[np.ndarray, " row"], n_codes: int
) -> int:
    """Longest block whose sums are still correlated with the next block's; 0 if none is.

    Sums are vectors, one entry a code, so that a hidden part with opposite signs in two codes does
    not cancel. Lengths double from 1, or from what memory allows, while there are `FEWEST` blocks.

    Args:
        values: centred within each code.
        code: of each row.
        n_codes: number of codes.
    """
    length = max(1, math.ceil(len(values) * n_codes / DENSE))
    found = 0
    while len(values) // length >= FEWEST:
        count = len(values) // length
        kept = count * length
        sums = block_sums(values[:kept], code[:kept], n_codes, count)
        total = float((sums**2).sum())
        products = (sums[1:] * sums[:-1]).sum(axis=1)
        error = math.sqrt(float((products**2).sum()))
        if products.sum() > max(CORRELATED * total, CERTAIN * error):
            found = length
        length *= 2
    return found


def enough_blocks(
    values: Float[np.ndarray, " row"],
    code: Int[np.ndarray, " row"],
    n_codes: int,
    most: int = MOST,
) -> int:
    """Number of blocks long enough to be almost independent, at most `most`.

    Raises:
        DataError: if there are too few records for `FEWEST` such blocks.
    """
    correlated = longest_correlated(values, code, n_codes)
    wanted = max(SAFETY * correlated, SAFETY)
    count = min(most, len(values) // wanted)
    if count < FEWEST:
        needed = FEWEST * wanted
        why = (
            f"neighbouring blocks of {correlated} records are still correlated"
            if correlated
            else "too few"
        )
        raise DataError(
            f"not stable: longer records needed: {len(values)} records, {why}; "
            f"at least {needed} are needed"
        )
    return count


def near(n_blocks: int) -> Bool[np.ndarray, "block block"]:
    """Pairs of blocks without a gap between them: the same or neighbours."""
    number = np.arange(n_blocks)
    touching: np.ndarray = np.abs(number[:, None] - number) <= 1
    return touching


def square(
    effect: Float[np.ndarray, " item"],
    noise: Float[np.ndarray, "block item"],
    weight: Float[np.ndarray, " item"],
    share: Float[np.ndarray, "block item"],
    seed: int | None = None,
) -> Square:
    """Estimate |h|^2 = sum weight h^2 from an estimate of h and each block's part in its error.

    |effect|^2 is too large by what noise adds to it. That is estimated by the products of blocks
    without a gap between them and taken off; what is left is the sum over pairs of blocks with a
    gap. Its variance is what chance gives without effect, from the pairs with a gap, plus what the
    effect adds in proportion to itself, from the spread over blocks; the interval holds the squares
    from which the estimate is not too many standard deviations away. The p value compares with
    random signs of the blocks, for which no law of large numbers over items is needed.

    Args:
        effect: estimate of h.
        noise: influence of each block on it; sums to 0 over blocks.
        weight: estimated weight of each item.
        share: each block's own estimate of the weight, over `n_blocks`; sums to `weight`.
        seed: of the signs; None makes no test.
    """
    count = len(noise)
    gram = (noise * weight) @ noise.T
    far = ~near(count)
    inflate = count**2 / far.sum()
    value = float((weight * effect**2).sum() - inflate * gram[~far].sum())
    drift = count * (share * effect**2).sum(axis=1)
    influence = 2 * count * (noise * weight) @ effect + drift - drift.mean()
    chance = 2 * inflate**2 * float((gram[far] ** 2).sum())
    size = float((weight * effect**2).sum())
    rate = float(influence.var(ddof=1)) / count / size if size > 0 else 0.0
    low, high = _limits(value, chance, rate, count)
    p = None
    if seed is not None:
        signs = 2.0 * generator(seed).integers(0, 2, size=(FLIPS, count)) - 1
        drawn = ((signs @ np.where(far, gram, 0.0)) * signs).sum(axis=1)
        drawn *= inflate * count / (count - 1)  # centring took 1 / count of the noise away
        p = (1 + int((drawn >= value).sum())) / (1 + FLIPS)
    return Square(value, low, high, p, math.sqrt(chance), rate, count)


def _limits(value: float, chance: float, rate: float, count: int) -> tuple[float, float]:
    """All x with (value - x)^2 <= t^2 (chance + rate max(x, 0)), given the variance `chance`.

    With the variance at the estimate instead, small estimates would have narrow intervals and
    cover too seldom.
    """
    t = float(stats.t.ppf((1 + LEVEL) / 2, count - 1))
    half = t * math.sqrt(chance)
    middle, swing = value + t * t * rate / 2, t * t * rate / 2
    root = math.sqrt(max(half * half + t * t * rate * value + swing * swing, 0.0))
    low = value - half if value < half else middle - root
    high = value + half if value < -half else middle + root
    return low, high


def holm(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """P values adjusted by Holm's step-down method, which bounds the chance of ANY false finding.

    Valid whatever the dependence of the tests.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
