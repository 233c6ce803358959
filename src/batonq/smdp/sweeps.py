"""Gauss-Seidel sweeps over a discounted kernel in CSR rows: the loops below the exact solver.

A kernel's row number `node * A + action` holds pairs (successor node, weight), the weight being
Gam = P(successor) E[gamma**tau]. A node is a state of the full model or a cell of an aggregated
one; the same loops serve both. Theory, section 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32

from batonq.base.compiled import compiled

FIRST_LEAP: Final = 3  # sweeps of one policy before the slowest mode of the error stands alone
LOSSLESS: Final = 1e-9  # a row that loses less than this neither discounts nor terminates


@dataclass(frozen=True, eq=False)
class Kernel:
    """What an exact solution needs of a model; `kernel` makes one.

    Attributes:
        indptr: CSR row pointer, shape (nodes * actions + 1,). Unsigned, as the next, because
            gathering then tests for no index that counts from the end.
        successor: next node of each entry.
        weight: its discounted probability Gam, at least 0; a row sums to at most 1.
        reward: expected reward of each option, discounted to its start; -inf where not permitted,
            which at least one action a node is.
    """

    indptr: UInt32[np.ndarray, " row_plus_one"]
    successor: UInt32[np.ndarray, " entry"]
    weight: Float[np.ndarray, " entry"]
    reward: Float[np.ndarray, "node action"]

    @cached_property
    def row_sum(self) -> Float[np.ndarray, "node action"]:
        """Discounted mass that each option carries on to its successors, in [0, 1]."""
        row = np.repeat(np.arange(self.reward.size), np.diff(self.indptr))
        sums: np.ndarray = np.bincount(row, weights=self.weight, minlength=self.reward.size)
        return sums.reshape(self.reward.shape)

    @cached_property
    def contraction(self) -> float:
        """Beta: the largest row sum, in [0, 1]."""
        return float(self.row_sum.max())


def kernel(
    indptr: Int[np.ndarray, " row_plus_one"],
    successor: Int[np.ndarray, " entry"],
    weight: Float[np.ndarray, " entry"],
    reward: Float[np.ndarray, "node action"],
    mask: Bool[np.ndarray, "node action"],
) -> Kernel:
    """A kernel from CSR rows; rows of actions that `mask` does not permit must be empty."""
    return Kernel(
        indptr.astype(np.uint32),
        successor.astype(np.uint32),
        weight,
        np.where(mask, reward, -np.inf),
    )


@compiled
def improve(
    indptr: UInt32[np.ndarray, " row_plus_one"],
    successor: UInt32[np.ndarray, " entry"],
    weight: Float[np.ndarray, " entry"],
    reward: Float[np.ndarray, "node action"],
    value: Float[np.ndarray, " node"],
    policy: Int[np.ndarray, " node"],
    forward: bool,
) -> float:
    """Sweep the Bellman operator in place, `policy` becoming greedy; returns the largest change."""
    n_nodes, n_actions = reward.shape
    change = 0.0
    for i in range(n_nodes):
        s = i if forward else n_nodes - 1 - i
        best = -np.inf
        greedy = 0
        start = indptr[s * n_actions]
        for a in range(n_actions):
            end = indptr[s * n_actions + a + 1]
            total = 0.0
            for k in range(start, end):
                total += weight[k] * value[successor[k]]
            total += reward[s, a]
            start = end
            # Two choices instead of one branch: which action is best cannot be predicted.
            better = total > best
            best = total if better else best
            greedy = a if better else greedy
        change = max(change, abs(best - value[s]))
        value[s] = best
        policy[s] = greedy
    return change


@compiled
def follow(
    indptr: UInt32[np.ndarray, " row_plus_one"],
    successor: UInt32[np.ndarray, " entry"],
    weight: Float[np.ndarray, " entry"],
    reward: Float[np.ndarray, "node action"],
    policy: Int[np.ndarray, " node"],
    value: Float[np.ndarray, " node"],
    step: Float[np.ndarray, " node"],
) -> tuple[float, float, float]:
    """Sweep one policy in place, last node first; `step` becomes the changes.

    Returns the largest change, the product of old and new changes, and the square of the old.
    """
    n_nodes, n_actions = reward.shape
    change = 0.0
    cross = 0.0
    square = 0.0
    for s in range(n_nodes - 1, -1, -1):
        row = s * n_actions + policy[s]
        total = reward[s, policy[s]]
        for k in range(indptr[row], indptr[row + 1]):
            total += weight[k] * value[successor[k]]
        moved = total - value[s]
        change = max(change, abs(moved))
        cross += moved * step[s]
        square += step[s] * step[s]
        step[s] = moved
        value[s] = total
    return change, cross, square


@compiled
def settle(
    indptr: UInt32[np.ndarray, " row_plus_one"],
    successor: UInt32[np.ndarray, " entry"],
    weight: Float[np.ndarray, " entry"],
    reward: Float[np.ndarray, "node action"],
    policy: Int[np.ndarray, " node"],
    value: Float[np.ndarray, " node"],
    scratch: Float[np.ndarray, "2 node"],
    goal: float,
    limit: int,
) -> int:
    """Sweep one policy in place until a sweep changes at most `goal`; returns the sweeps made.

    Every few sweeps the last change is extended to its geometric limit (Aitken): the error's
    slowest mode, which all nodes share, would cost 1 / (1 - beta) sweeps. Where the sweeps after
    such a leap change more than the one before it, it is undone, and tried half as often.
    `scratch` is room for two arrays.
    """
    step, kept = scratch[0], scratch[1]
    step[:] = 0.0
    gap = FIRST_LEAP
    wait = gap
    before = np.inf  # the change that the sweeps after a leap have to beat
    change = 0.0
    for sweep in range(1, limit + 1):
        change, cross, square = follow(indptr, successor, weight, reward, policy, value, step)
        if change <= goal:
            return sweep
        wait -= 1
        if wait > 0:
            continue
        if change >= before:
            value[:] = kept
            before = np.inf
            gap *= 2
        elif 0.0 < cross < square:
            kept[:] = value
            value += cross / (square - cross) * step
            before = change
        wait = gap
    if change >= before:
        value[:] = kept
    return limit


@compiled
def back_up(
    indptr: UInt32[np.ndarray, " row_plus_one"],
    successor: UInt32[np.ndarray, " entry"],
    weight: Float[np.ndarray, " entry"],
    reward: Float[np.ndarray, "node action"],
    value: Float[np.ndarray, " node"],
    q: Float[np.ndarray, "node action"],
) -> None:
    """Write reward + Gam value to `q`."""
    n_nodes, n_actions = reward.shape
    for s in range(n_nodes):
        for a in range(n_actions):
            row = s * n_actions + a
            total = 0.0
            for k in range(indptr[row], indptr[row + 1]):
                total += weight[k] * value[successor[k]]
            q[s, a] = total + reward[s, a]
