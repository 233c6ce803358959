"""What one agent's values would become if a field were shown to it, from its own records.

Q_0 is the fixed point of the agent's own empirical model: the quotes of others are taken as
received, and where it keeps control the next row of its log is the decision that followed. Q_f is
the same over (information state, field), and moves in one more way: what the agent gains from the
field at its next decision comes back to it through the quotes of others. How long others hold
control is not in its log, so each of them is taken to discount as it does itself. That is an
assumption of this estimate of how far values move; the test that they move at all needs none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse
from scipy.sparse.linalg import splu

from batonq.base.errors import DataError, ModelError
from batonq.bound.blocks import Square, square
from batonq.bound.features import Split, at, block_noise, kept, means, shares
from batonq.icq.log import Log
from batonq.icq.record import NOT_ENDED
from batonq.smdp.exact import Solution, solve
from batonq.smdp.sweeps import kernel


@dataclass(frozen=True)
class Change:
    """How a field would move one agent's values.

    Attributes:
        moved: |Q_f - Q_0|^2 in L2(mu) over the agent's handoffs.
        shift: mean of Q_f - Q_0 over them.
    """

    moved: Square
    shift: float


@dataclass(frozen=True, eq=False)
class Refit:
    """The fixed point of one agent's own records.

    Attributes:
        q: values of the cells; 0 where not permitted.
        value: largest value of each cell.
        errors: target - q of each row, with the fixed point's own values.
        carried: discounted share of (cell, action) that comes to a cell next, shape (pair, cell).
        greedy: number of the greedy pair of each cell.
    """

    q: Float[np.ndarray, "cell action"]
    value: Float[np.ndarray, " cell"]
    errors: Float[np.ndarray, " row"]
    carried: sparse.csr_array
    greedy: Int[np.ndarray, " cell"]

    def spread(self, own: Float[np.ndarray, "block pair"]) -> Float[np.ndarray, "block pair"]:
        """What errors of each pair's mean target do to all values, to first order.

        An error in a cell's greedy value is carried to whatever comes there next.
        """
        identity = sparse.eye_array(len(self.value))
        system = sparse.csc_array(identity - self.carried[self.greedy])
        moved = splu(system).solve(np.ascontiguousarray(own[:, self.greedy].T))
        spread: np.ndarray = own + (self.carried @ moved).T
        return spread


def change(log: Log, cut: Split, level: Int[np.ndarray, " row"], n_blocks: int) -> Change:
    """How far a field would move the agent's values.

    Args:
        log: recorded under frozen values.
        cut: the field's split of the agent's pairs.
        level: the field's level at each row.
        n_blocks: blocks of time.

    Raises:
        DataError: "not available" if nothing bounds the values of the agent's empirical model.
    """
    n_levels, n_actions = int(level.max()) + 1, log.mask.shape[1]
    stays, everything = kept(log), np.ones(len(log), np.bool_)
    discount = log.discounts()
    before = refit(log, log.y, log.mask, log.values, everything, discount * stays, log.quote)
    cell, place = np.unique(log.y * n_levels + level, return_inverse=True)
    seen = cell // n_levels
    following = np.append(log.y[1:], 0)
    left = returns(log)
    after = refit(
        log,
        place,
        log.mask[seen],
        before.q[seen],
        cut.fine >= 0,
        discount * stays + left,
        np.where(stays, log.quote, before.value[following]),
    )
    pair = np.where(cut.fine >= 0, place * n_actions + log.action, -1)
    fine_pair = np.zeros(len(cut.parent), np.int64)
    fine_pair[cut.fine[cut.fine >= 0]] = pair[cut.fine >= 0]
    effect = after.q.ravel()[fine_pair] - before.q.ravel()[cut.parent]
    noise_before = before.spread(block_noise(before.errors, cut.coarse, before.q.size, n_blocks))
    lowered = _carried(left, pair, following, (after.q.size, len(before.value)))
    own = block_noise(after.errors, pair, after.q.size, n_blocks)
    noise_after = after.spread(own - (lowered @ noise_before[:, before.greedy].T).T)
    share = shares(cut, n_blocks)
    weight = share.sum(axis=0)
    moved = square(effect, noise_after[:, fine_pair] - noise_before[:, cut.parent], weight, share)
    return Change(moved, float(weight @ effect))


def returns(log: Log) -> Float[np.ndarray, " row"]:
    """Assumed discount from a decision that hands on to the agent's next decision; 0 if none.

    The option's own discount, times the agent's mean discount, ends counting 0, once for each of
    the other agents.
    """
    going = log.end == NOT_ENDED
    away = going & ~kept(log)
    away[-1:] = False
    each = float((log.discounts() * going).mean())
    assumed: np.ndarray = log.discounts() * away * each ** (len(log.agents) - 1)
    return assumed


def refit(
    log: Log,
    place: Int[np.ndarray, " row"],
    mask: Bool[np.ndarray, "cell action"],
    otherwise: Float[np.ndarray, "cell action"],
    counted: Bool[np.ndarray, " row"],
    follow: Float[np.ndarray, " row"],
    reference: Float[np.ndarray, " row"],
) -> Refit:
    """Solve the agent's own empirical model over cells.

    The target of a row is R + gamma^tau v + follow (V(next cell) - reference).

    Args:
        log: the records.
        place: cell of each row.
        mask: permitted actions of each cell.
        otherwise: the value of a (cell, action) of which no row counts.
        counted: rows that count.
        follow: discount with which the next row's value counts.
        reference: what the quote has counted for it already.
    """
    n_cells, n_actions = mask.shape
    size = n_cells * n_actions
    following = np.append(place[1:], 0)
    base = log.reward + log.discounts() * log.quote - follow * reference
    pair = np.where(counted, place * n_actions + log.action, -1)
    covered = np.bincount(pair[counted], minlength=size) > 0
    carried = _carried(follow, pair, following, (size, n_cells))
    reward = np.where(covered, means(base, pair, size), otherwise.ravel())
    found = _solved(carried, reward.reshape(n_cells, n_actions), mask)
    q = np.where(mask, found.q, 0.0)
    target = base + follow * found.value[following]
    errors = np.where(counted, target - at(q.ravel(), pair), 0.0)
    return Refit(q, found.value, errors, carried, np.arange(n_cells) * n_actions + found.policy)


def _carried(
    follow: Float[np.ndarray, " row"],
    pair: Int[np.ndarray, " row"],
    following: Int[np.ndarray, " row"],
    shape: tuple[int, int],
) -> sparse.csr_array:
    """Mean of `follow` over the rows of each pair, by the cell that comes next."""
    rows = np.flatnonzero((pair >= 0) & (follow > 0))
    counts = np.bincount(pair[pair >= 0], minlength=shape[0])
    weight = follow[rows] / counts[pair[rows]]
    return sparse.coo_array((weight, (pair[rows], following[rows])), shape=shape).tocsr()


def _solved(
    carried: sparse.csr_array,
    reward: Float[np.ndarray, "cell action"],
    mask: Bool[np.ndarray, "cell action"],
) -> Solution:
    arrays: tuple[Any, Any, Any] = (carried.indptr, carried.indices, carried.data)
    try:
        return solve(kernel(*arrays, reward, mask))
    except ModelError as error:
        raise DataError(
            "not available: these records hold no bound on the agent's values, as nothing in them "
            "discounts or ends for long enough; record with gamma < 1"
        ) from error
