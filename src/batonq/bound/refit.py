"""What one agent's values would become if a field were shown to it, from its own records.

The quotes of others are taken as received, frozen. Where the agent keeps control, the quote is its
own and moves with its values: the next row of its log is the decision that followed. So the
refined values Q_f are the fixed point of the agent's own empirical model over (information state,
field), others' quotes being rewards; Q_0 is the same without the field. No field, no change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse
from scipy.sparse.linalg import splu

from batonq.bound.blocks import Square, square
from batonq.bound.features import Split, at, block_noise, kept, means, shares
from batonq.icq.log import Log
from batonq.smdp.exact import Solution, solve
from batonq.smdp.sweeps import kernel


@dataclass(frozen=True, eq=False)
class Refit:
    """The fixed point of one agent's own records.

    Attributes:
        place: cell of each row: information state, or (information state, level).
        q: values of the cells.
        value: largest value of each cell.
        errors: target - q of each row, with the fixed point's own quotes.
        carried: discounted share of (cell, action) that keeps control and comes to a cell.
        policy: greedy action of each cell.
    """

    place: Int[np.ndarray, " row"]
    q: Float[np.ndarray, "cell action"]
    value: Float[np.ndarray, " cell"]
    errors: Float[np.ndarray, " row"]
    carried: sparse.csr_array
    policy: Int[np.ndarray, " cell"]

    def noise(self, pair: Int[np.ndarray, " row"], n_blocks: int) -> Float[np.ndarray, "block _"]:
        """Each block's part in the error of every value of `q`, to first order.

        An error in a cell's greedy value is carried to whatever keeps control and comes there.
        """
        n_cells, n_actions = self.q.shape
        own = block_noise(self.errors, pair, self.q.size, n_blocks)
        greedy = np.arange(n_cells) * n_actions + self.policy
        system = sparse.csc_array(sparse.eye_array(n_cells) - self.carried[greedy])
        moved = splu(system).solve(np.ascontiguousarray(own[:, greedy].T))
        spread: np.ndarray = own + (self.carried @ moved).T
        return spread


def moved(log: Log, cut: Split, level: Int[np.ndarray, " row"], n_blocks: int) -> Square:
    """|Q_f - Q_0|^2 in L2(mu) over this agent's handoffs: how far the field moves its values.

    With h what the field explains of the residual at Q_0, this is |h|^2 where control is never
    kept; otherwise what h adds up to while it is.

    Args:
        log: recorded under frozen values.
        cut: the field's split of the agent's pairs.
        level: the field's level at each row.
        n_blocks: blocks of time.
    """
    before = unrefined(log)
    cell, place = np.unique(log.y * (int(level.max()) + 1) + level, return_inverse=True)
    seen = cell // (int(level.max()) + 1)
    after = refit(log, place, log.mask[seen], before.q[seen], cut.fine >= 0)
    pair = place * log.mask.shape[1] + log.action
    fine_pair = np.zeros(len(cut.parent), np.int64)
    fine_pair[cut.fine[cut.fine >= 0]] = pair[cut.fine >= 0]
    effect = after.q.ravel()[fine_pair] - before.q.ravel()[cut.parent]
    counted = np.where(cut.fine >= 0, pair, -1)
    noise = after.noise(counted, n_blocks)[:, fine_pair]
    noise = noise - before.noise(cut.coarse, n_blocks)[:, cut.parent]
    share = shares(cut, n_blocks)
    return square(effect, noise, share.sum(axis=0), share)


def unrefined(log: Log) -> Refit:
    """The fixed point without the field; where an action was never taken, the frozen value."""
    return refit(log, log.y, log.mask, log.values, np.ones(len(log), np.bool_))


def refit(
    log: Log,
    place: Int[np.ndarray, " row"],
    mask: Bool[np.ndarray, "cell action"],
    otherwise: Float[np.ndarray, "cell action"],
    counted: Bool[np.ndarray, " row"],
) -> Refit:
    """Solve the agent's own empirical model over cells.

    Args:
        log: the records.
        place: cell of each row.
        mask: permitted actions of each cell.
        otherwise: the value of a (cell, action) of which no row counts.
        counted: rows that count.
    """
    n_cells, n_actions = mask.shape
    stays = np.flatnonzero(kept(log))
    following = np.zeros(len(log), np.int64)
    following[stays] = place[stays + 1]
    discount = np.zeros(len(log))
    discount[stays] = log.discounts()[stays]
    base = log.reward + (log.discounts() - discount) * log.quote
    pair = np.where(counted, place * n_actions + log.action, -1)
    size = n_cells * n_actions
    counts = np.bincount(pair[counted], minlength=size)
    rows = stays[counted[stays]]
    weights = discount[rows] / counts[pair[rows]]
    carried = sparse.coo_array(
        (weights, (pair[rows], following[rows])), shape=(size, n_cells)
    ).tocsr()
    reward = np.where(counts > 0, means(base, pair, size), otherwise.ravel())
    table = reward.reshape(n_cells, n_actions)
    found = solved(carried, table, mask)
    target = base + discount * found.value[following]
    errors = np.where(counted, target - at(np.where(mask, found.q, 0.0).ravel(), pair), 0.0)
    return Refit(place, np.where(mask, found.q, 0.0), found.value, errors, carried, found.policy)


def solved(
    carried: sparse.csr_array,
    reward: Float[np.ndarray, "cell action"],
    mask: Bool[np.ndarray, "cell action"],
) -> Solution:
    """The fixed point by the exact solver."""
    arrays: tuple[Any, Any, Any] = (carried.indptr, carried.indices, carried.data)
    return solve(kernel(*arrays, reward, mask))
