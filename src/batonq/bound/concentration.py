"""Time-uniform empirical Bernstein: how far a running mean may be from its conditional means.

Theory, the EB lemma, in its mixture form. X_i lies in an interval of length c and is known one step
after the sigma-field G_i; x_i lies in the same interval and is G_i-measurable. With
psi(l) = -log(1 - l) - l, any law w on a grid in (0, 1) that is fixed beforehand, and
V_n = sum (X_i - x_i)^2,

    M_n = sum_k w_k exp(l_k sum (X_i - E[X_i | G_i]) / c - psi(l_k) V_n / c^2)

is a nonnegative supermartingale that starts at 1. By Ville's inequality it stays below 1 / delta
for all n at once with probability 1 - delta, so that sum (X_i - E[X_i | G_i]) never exceeds the
root s of M(s) = 1 / delta. The root is never larger than the minimum over the grid with its union
bound, because a sum of positive terms is at least each of them. Conditional means may vary, n may
be any stopping time, and nothing has to be independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import ModelError

GRID: Final[np.ndarray] = np.exp(np.linspace(np.log(2e-4), np.log(0.9), 36))  # of l, in (0, 1)
PSI: Final[np.ndarray] = -np.log1p(-GRID) - GRID
NEWTON_STEPS: Final = 12
CLOSE: Final = 1e-6  # relative step at which Newton stops
SPREADING: Final = 2.0  # the prior falls by exp(-2) when l is wrong by a factor e
ROUNDING: Final = 1e-9  # by which weights may sum to more than 1
FLOOR: Final = 0.1  # share of the prior spread evenly, against wrong guesses


@dataclass(frozen=True, eq=False)
class Moments:
    """Summary statistics of the samples of some pairs, each in the order in which they started.

    Attributes:
        count: samples n.
        mean: their mean; 0 where there is none.
        spread: V_n, the sum of squared distances from the running mean before each sample (from a
            first guess for the first sample).
    """

    count: Int[np.ndarray, ...]
    mean: Float[np.ndarray, ...]
    spread: Float[np.ndarray, ...]


def moments(
    pair: Int[np.ndarray, " sample"],
    value: Float[np.ndarray, " sample"],
    n_pairs: int,
    guess: Float[np.ndarray, " pair"] | float,
) -> Moments:
    """Summarise samples, listed in the order in which their options *started*.

    A list cut by the time at which options *ended* keeps the short ones and is biased.

    Args:
        pair: number of the (cell, action) of each sample, 0 .. n_pairs - 1.
        value: the samples.
        n_pairs: how many pairs there are.
        guess: of each mean, known before the first sample and inside the samples' range.

    Raises:
        ModelError: if a sample or guess is not finite, or a sample belongs to no pair.
    """
    if not np.isfinite(value).all():
        bad = int(np.argmin(np.isfinite(value)))
        raise ModelError(f"samples: number {bad} is {value[bad]}; give finite numbers")
    if len(pair) and not (pair.min() >= 0 and pair.max() < n_pairs):
        raise ModelError(f"samples: pairs {pair.min()}..{pair.max()} of 0..{n_pairs - 1}")
    order = np.argsort(pair, kind="stable")
    start = np.broadcast_to(np.asarray(guess, np.float64), (n_pairs,))
    if not np.isfinite(start).all():
        raise ModelError("samples: a guess is not finite; give one inside the samples' range")
    count = np.bincount(pair, minlength=n_pairs)
    mean, spread = np.zeros(n_pairs), np.zeros(n_pairs)
    for k, own in enumerate(np.split(value[order], np.cumsum(count)[:-1])):
        if len(own):
            before = np.append(start[k], np.cumsum(own)[:-1] / np.arange(1, len(own)))
            mean[k], spread[k] = own.mean(), ((own - before) ** 2).sum()
    return Moments(count, mean, spread)


def prior(
    spread: Float[np.ndarray, "*pair"], width: Float[np.ndarray, "*pair"] | float, delta: float
) -> Float[np.ndarray, "*pair grid"]:
    """Weights on the grid that favour what suits an expected V_n; any guess leaves it valid.

    Args:
        spread: guess of V_n, made before the first sample; NaN where there is none.
        width: length c of the interval that holds the samples.
        delta: chance of failure that the radius will be asked for, in (0, 1).

    Raises:
        ModelError: if `delta` is out of its range.
    """
    _check_delta(delta)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.sqrt(2 * np.log(1 / delta) / spread) * width
    wanted = np.where(np.isfinite(spread), np.clip(wanted, GRID[0], GRID[-1]), np.nan)
    fit = np.exp(-SPREADING * np.abs(np.log(GRID / wanted[..., None])))
    fit = np.where(np.isnan(fit), 1.0, fit)
    weights: np.ndarray = (1 - FLOOR) * fit / fit.sum(axis=-1, keepdims=True) + FLOOR / len(GRID)
    return weights


def radius(
    seen: Moments,
    width: Float[np.ndarray, "*pair"] | float,
    delta: float,
    weights: Float[np.ndarray, "*pair grid"] | None = None,
) -> Float[np.ndarray, "*pair"]:
    """One-sided, time-uniform: mean <= mean of the conditional means + radius, w.p. 1 - delta.

    The other side has the same radius and costs another delta. Infinite without samples.

    Args:
        seen: statistics of the samples.
        width: length c > 0 of an interval that holds samples and guesses for certain.
        delta: chance that the radius of one pair fails at any time, in (0, 1).
        weights: law w on the grid, fixed before the first sample; even if not given.

    Raises:
        ModelError: if `delta` or `width` is out of its range, or `weights` are no law.
    """
    _check_delta(delta)
    c = np.broadcast_to(np.asarray(width, np.float64), seen.count.shape)
    if not ((c > 0) & np.isfinite(c)).all():
        raise ModelError(
            f"concentration: a range of length {c.min():g}; give positive, finite ones"
        )
    law = np.full(len(GRID), 1 / len(GRID)) if weights is None else weights
    if not ((law > 0).all() and (law.sum(axis=-1) <= 1 + ROUNDING).all()):
        raise ModelError("concentration: weights are no positive law on the grid; use `prior`")
    goal = np.log(1 / delta)
    lift = np.log(law) - PSI * (seen.spread / c**2)[..., None]
    total = ((goal - lift) / GRID).min(axis=-1)  # the union bound, at or beyond the root
    for _ in range(NEWTON_STEPS):  # log M is convex and increasing: each step stays beyond it
        terms = GRID * total[..., None] + lift
        top = terms.max(axis=-1)
        shares = np.exp(terms - top[..., None])
        mass = shares.sum(axis=-1)
        step = np.maximum(top + np.log(mass) - goal, 0.0) * mass / (shares @ GRID)
        total = total - step
        if (step <= CLOSE * total).all():
            break
    with np.errstate(divide="ignore"):
        found: np.ndarray = np.where(seen.count > 0, c * total / seen.count, np.inf)
    return found


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise ModelError(f"concentration: delta {delta:g} is not in (0, 1)")
