"""Slopes of power laws: one least-squares line in logarithms per seed, an interval over seeds."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from batonq.base.errors import DataError
from batonq.study.intervals import over_seeds
from batonq.study.rows import Interval


def fit(x: Float[np.ndarray, " point"], y: Float[np.ndarray, " point"]) -> float:
    """Exponent of the power law nearest to positive points, by plain least squares in logarithms.

    Raises:
        DataError: for fewer than two points, points all at one x, or one that is not positive.
    """
    if len(x) < 2 or np.ptp(x) == 0:
        raise DataError("slope: needs points at two or more places; run more of the axis")
    if not ((x > 0).all() and (y > 0).all()):
        raise DataError("slope: a point is not positive, so it has no logarithm; run more handoffs")
    return float(np.polynomial.Polynomial.fit(np.log(x), np.log(y), 1).convert().coef[1])


def slope(x: Float[np.ndarray, " point"], y: Float[np.ndarray, "seed point"]) -> Interval:
    """Mean over seeds of each seed's exponent, with its t-interval."""
    return over_seeds(np.array([fit(x, one) for one in y]))


def root(squares: Float[np.ndarray, " seed"]) -> Interval:
    """Root mean square over seeds; the ends are the roots of the t-interval of the mean square."""
    mean = over_seeds(squares)
    low, high = (None if end is None else _root(end) for end in (mean.low, mean.high))
    return Interval(_root(mean.value), low, high, mean.n, mean.n_kind)


def _root(square: float) -> float:
    return float(np.sqrt(max(square, 0.0)))
