"""One transition, one update: the only copy of the arithmetic of IC-Q (theory, section 1).

Plain functions of scalars and of one row of values. The kernels compile them; everything that
handles one handoff at a time calls them as they are.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float


def discount(gamma: float, duration: float) -> float:
    """gamma**tau: the discount of an option that lasted `duration` primitive steps."""
    return math.pow(gamma, duration)


def target(reward: float, discount: float, quote: float) -> float:
    """What a handoff was worth: R + gamma**tau * v.

    Args:
        reward: gathered during the option, discounted to its start.
        discount: gamma**tau; irrelevant when the workflow ended, as `quote` is 0 then.
        quote: the receiver's value of what it received; 0 after termination.
    """
    return reward + discount * quote


def step(value: float, target: float, size: float) -> float:
    """Move an estimate toward its target by a step of `size` in (0, 1]."""
    return value + size * (target - value)


def quote(
    values: Float[np.ndarray, "row action"],
    row: int,
    mask: Bool[np.ndarray, "mask_row action"],
    mask_row: int,
) -> float:
    """The one scalar: the largest value over the permitted actions (at least one).

    Rows are named by number rather than cut out: a slice per handoff would double the cost.

    Args:
        values: a table of values.
        row: the row of what was received.
        mask: permitted actions.
        mask_row: the row of it that applies.
    """
    best = -math.inf
    for action in range(values.shape[1]):  # `&`, not `and`: a branch would be mispredicted
        value = values[row, action]
        best = value if mask[mask_row, action] & (value > best) else best
    return best
