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
from jaxtyping import Bool, Float, Int

from batonq.base.compiled import compiled

FIRST_LEAP: Final = 4  # sweeps of one policy before the slowest mode of the error stands alone
LOSSLESS: Final = 1e-9  # a row that loses less than this neither discounts nor terminates


@dataclass(frozen=True, eq=False)
class Kernel:
    """What an exact solution needs of a model.

    Attributes:
        indptr: CSR row pointer, shape (nodes * actions + 1,).
        successor: next node of each entry.
        weight: its discounted probability Gam, at least 0; a row sums to at most 1.
        reward: expected reward of each permitted option, discounted to its start.
        mask: permitted actions, at least one a node.
    """

    indptr: Int[np.ndarray, " row_plus_one"]
    successor: Int[np.ndarray, " entry"]
    weight: Float[np.ndarray, " entry"]
    reward: Float[np.ndarray, "node action"]
    mask: Bool[np.ndarray, "node action"]

    @cached_property
    def row_sum(self) -> Float[np.ndarray, "node action"]:
        """Discounted mass that each option carries on to its successors, in [0, 1]."""
        row = np.repeat(np.arange(self.mask.size), np.diff(self.indptr))
        sums: np.ndarray = np.bincount(row, weights=self.weight, minlength=self.mask.size)
        return sums.reshape(self.mask.shape)

    @cached_property
    def contraction(self) -> float:
        """Beta: the largest row sum over permitted options, in [0, 1]."""
        return float(self.row_sum[self.mask].max())


@compiled
def improve(
    indptr: Int[np.ndarray, " row_plus_one"],
    successor: Int[np.ndarray, " entry"],
    weight: Float[np.ndarray, " entry"],
    reward: Float[np.ndarray, "node action"],
    mask: Bool[np.ndarray, "node action"],
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
        for a in range(n_actions):
            if mask[s, a]:
                row = s * n_actions + a
                total = reward[s, a]
                for k in range(indptr[row], indptr[row + 1]):
                    total += weight[k] * value[successor[k]]
                if total > best:
                    best = total
                    policy[s] = a
        change = max(change, abs(best - value[s]))
        value[s] = best
    return change


@compiled
def follow(
    indptr: Int[np.ndarray, " row_plus_one"],
    successor: Int[np.ndarray, " entry"],
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
    indptr: Int[np.ndarray, " row_plus_one"],
    successor: Int[np.ndarray, " entry"],
    weight: Float[np.ndarray, " entry"],
    reward: Float[np.ndarray, "node action"],
    policy: Int[np.ndarray, " node"],
    value: Float[np.ndarray, " node"],
    goal: float,
    limit: int,
) -> int:
    """Sweep one policy in place until a sweep changes at most `goal`; returns the sweeps made.

    Now and then the last change is extended to its geometric limit (Aitken): the error's slowest
    mode, which all nodes share, would cost 1 / (1 - beta) sweeps. Where that makes the next
    change larger it is undone, and tried half as often.
    """
    step = np.zeros_like(value)
    kept = value.copy()
    gap = FIRST_LEAP
    wait = gap
    before = -1.0  # the change that a leap has to beat, or negative
    for sweep in range(1, limit + 1):
        change, cross, square = follow(indptr, successor, weight, reward, policy, value, step)
        if before >= 0.0:
            if change >= before:
                value[:] = kept
                gap *= 2
            before = -1.0
            wait = gap
        elif change <= goal:
            return sweep
        else:
            wait -= 1
            if wait <= 0 and 0.0 < cross < square and sweep < limit:
                kept[:] = value
                value += cross / (square - cross) * step
                before = change
    return limit


@compiled
def back_up(
    indptr: Int[np.ndarray, " row_plus_one"],
    successor: Int[np.ndarray, " entry"],
    weight: Float[np.ndarray, " entry"],
    reward: Float[np.ndarray, "node action"],
    mask: Bool[np.ndarray, "node action"],
    value: Float[np.ndarray, " node"],
    q: Float[np.ndarray, "node action"],
) -> None:
    """Write r + Gam value to `q`, and -inf where an action is not permitted."""
    n_nodes, n_actions = reward.shape
    for s in range(n_nodes):
        for a in range(n_actions):
            total = -np.inf
            if mask[s, a]:
                total = reward[s, a]
                row = s * n_actions + a
                for k in range(indptr[row], indptr[row + 1]):
                    total += weight[k] * value[successor[k]]
            q[s, a] = total


@compiled
def hold_on(
    indptr: Int[np.ndarray, " row_plus_one"],
    successor: Int[np.ndarray, " entry"],
    weight: Float[np.ndarray, " entry"],
    lossless: Bool[np.ndarray, "node action"],
    endless: Bool[np.ndarray, " node"],
    forward: bool,
) -> int:
    """Clear `endless` where no lossless row stays among endless nodes; returns how many went."""
    n_nodes, n_actions = lossless.shape
    gone = 0
    for i in range(n_nodes):
        s = i if forward else n_nodes - 1 - i
        if not endless[s]:
            continue
        stays = False
        for a in range(n_actions):
            if lossless[s, a]:
                row = s * n_actions + a
                inside = True
                for k in range(indptr[row], indptr[row + 1]):
                    inside = inside and (weight[k] == 0.0 or endless[successor[k]])
                stays = stays or inside
        if not stays:
            endless[s] = False
            gone += 1
    return gone
