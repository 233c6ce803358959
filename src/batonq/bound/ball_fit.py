"""Least squares in the linearised class of a network, every neuron in its ball.

The class is f0(x; v) = m^-1/2 sum_r b_r 1{w_r(0) . x > 0} v_r . x with |v_r| <= omega m^-1/2, the
network linearised at its start. How near it comes to Qhat* is the best-fit error. Theory, Lemma B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy import linalg

from batonq.icq.population import Displacement, Tangent, project

TINY: Final = 1e-300
RIDGE: Final = 1e-12  # of the weighted mean square gradient, so that the system can be solved
EVERY: Final = 20  # iterations between two looks at the excess


@dataclass(frozen=True, eq=False)
class Fit:
    """A weighted least-squares fit with every neuron in its ball.

    Attributes:
        v: the displacement of every neuron from its start.
        excess: proved bound on its weighted square error minus the least one (Frank-Wolfe gap).
    """

    v: Displacement
    excess: float


def fit(
    at: Tangent,
    target: Float[np.ndarray, " row"],
    weight: Float[np.ndarray, " row"],
    ball: float,
    *,
    tolerance: float = 1e-9,
    most: int = 4_000,
) -> Fit:
    """Minimise sum_p weight_p (target_p - J v)^2 over the balls.

    The shortest solution without balls if it lies in them, else an accelerated projected gradient
    with restarts, until the excess is below `tolerance` times the weighted square of the target or
    `most` iterations are made; `Fit.excess` says how near the least one it came.
    """
    gram = at.gram
    scale = RIDGE * float(weight @ np.diag(gram)) / np.maximum(weight, TINY)
    v = at.transposed(linalg.solve(gram + np.diag(scale), target, assume_a="pos"))
    if np.linalg.norm(v, axis=0).max() <= ball:
        return Fit(v, excess(at, target, weight, ball, v))
    root = np.sqrt(weight)
    step = 1 / max(float(linalg.eigvalsh(root[:, None] * gram * root)[-1]), TINY)
    wanted = tolerance * float(weight @ target**2)
    v = ahead = project(v, ball)
    momentum = 1.0
    for k in range(most):
        following = project(ahead + step * at.transposed(weight * (target - at(ahead))), ball)
        if np.vdot(ahead - following, following - v) > 0:
            momentum = 1.0  # it goes uphill: start the acceleration again
        faster = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = following + (momentum - 1) / faster * (following - v)
        v, momentum = following, faster
        if k % EVERY == 0 and excess(at, target, weight, ball, v) <= wanted:
            break
    return Fit(v, excess(at, target, weight, ball, v))


def excess(
    at: Tangent,
    target: Float[np.ndarray, " row"],
    weight: Float[np.ndarray, " row"],
    ball: float,
    v: Displacement,
) -> float:
    """Bound on the objective at v minus its minimum: <gradient, v - z> at the best z in the balls.

    The objective is convex, hence at least objective(v) + <gradient, z - v> at every z.
    """
    slope = -2 * at.transposed(weight * (target - at(v)))
    return float(np.vdot(slope, v) + ball * np.linalg.norm(slope, axis=0).sum())
