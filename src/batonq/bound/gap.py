"""The interface gap of a finite model, exactly: what the holder's cell hides from it.

IC-Q converges to the aggregated fixed point Qhat* of its behaviour, not to Q*. One object rules
the distance: the gap residual eta(s, a) = (T(Qhat* o psi) - Qhat* o psi)(s, a), which averages to
0 in every cell. Theory, Proposition 1. All suprema run over permitted actions
of states that the behaviour meets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from batonq.base.errors import ModelError
from batonq.smdp.durations import SLACK
from batonq.smdp.exact import TOLERANCE, Aggregated, Solution, aggregated, evaluate, optimal
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import as_table, policy_of_cells

ROUNDING: Final = 1e-9  # rewards and kernels of one cell count as equal up to this


@dataclass(frozen=True, eq=False)
class Mismatch:
    """How far the states of one cell differ: the constants of an approximate information state.

    Theory, section 6. A kernel's rows are discounted and lose what terminates, so constants do
    not cancel between rows of unequal mass: the distance of kernels alone bounds nothing.

    Attributes:
        reward: eps = max |r - rhat|.
        kernel: delta_1 = max ||Gam_psi - Gamhat||_1, in [0, 2].
        mass: delta_m = max |Gam_psi(Y) - Gamhat(Y)|, in [0, 1]; differences of expected discount
            and of termination both count.
        residual: bound on |eta|: the largest over (s, a) of eps + span(Vhat) delta_1 / 2 +
            |mid(Vhat)| delta_m, with the three of that (s, a).
    """

    reward: float
    kernel: float
    mass: float
    residual: float


@dataclass(frozen=True, eq=False)
class Gap:
    """The gap term of a finite model under a behaviour. Arrays are 0 where not permitted.

    Attributes:
        optimal: Q* of the full model.
        aggregated: Qhat* over cells, its weights and the stationary law of the behaviour.
        contraction: beta of the full model.
        met: permitted actions of states that are met.
        visits: mu(s, a), the share of epochs that take a in s; sums to 1.
        residual: eta, centred in every cell under the weights.
        difference: Q* - Qhat* o psi.
        lower: (I - Gam^pihat)^-1 eta <= difference; equals Q^pihat - Qhat* o psi.
        upper: (I - Gam^pi*)^-1 eta >= difference, pi* a greedy policy of Q* (and pihat wherever
            that is one).
        loss: V* - V^pihat of each state, pihat being the greedy policy of Qhat*, deployed.
        loss_upper: bound on `loss`: `upper` at pi* minus `lower` at pihat.
        mismatch: constants of the approximate information state.
        exact: (X): rewards and kernels into cells are functions of (cell, action) up to rounding.
        error: bound on the error of `difference` that the solver leaves.
    """

    optimal: Solution
    aggregated: Aggregated
    contraction: float
    met: Bool[np.ndarray, "state action"]
    visits: Float[np.ndarray, "state action"]
    residual: Float[np.ndarray, "state action"]
    difference: Float[np.ndarray, "state action"]
    lower: Float[np.ndarray, "state action"]
    upper: Float[np.ndarray, "state action"]
    loss: Float[np.ndarray, " state"]
    loss_upper: Float[np.ndarray, " state"]
    mismatch: Mismatch
    exact: bool
    error: float

    @property
    def sup(self) -> float:
        """The gap: ||Q* - Qhat* o psi|| in the supremum norm."""
        return float(np.abs(self.difference).max())

    @property
    def rms(self) -> float:
        """The gap in L2(mu): the root mean square over the behaviour's epochs."""
        return float(np.sqrt((self.visits * self.difference**2).sum()))

    @property
    def residual_sup(self) -> float:
        """||eta|| in the supremum norm."""
        return float(np.abs(self.residual).max())

    @property
    def residual_rms(self) -> float:
        """||eta|| in L2(mu)."""
        return float(np.sqrt((self.visits * self.residual**2).sum()))

    @property
    def two_sided(self) -> tuple[float, float]:
        """(||eta|| / (1 + beta), ||eta|| / (1 - beta)), which enclose `sup`. Proposition 1 (i).

        Raises:
            ModelError: if beta is 1.
        """
        return self.residual_sup / (1 + self.contraction), self.residual_sup * self._horizon

    @property
    def resolvent(self) -> float:
        """Bound on `sup` by the signed sandwich `lower`, `upper`. Proposition 1 (ii)."""
        return float(max(self.upper.max(), -self.lower.min()))

    @property
    def mismatch_bound(self) -> float:
        """Bound on `sup` by the constants of the approximate information state.

        Raises:
            ModelError: if beta is 1.
        """
        return self.mismatch.residual * self._horizon

    @property
    def loss_bound(self) -> float:
        """Bound on `loss`: (max eta - min eta) / (1 - beta). Proposition 1 (iii), sharpened.

        Raises:
            ModelError: if beta is 1.
        """
        return float(self.residual.max() - self.residual.min()) * self._horizon

    @property
    def _horizon(self) -> float:
        return horizon(self.contraction)


@dataclass(frozen=True, eq=False)
class Drift:
    """How far the target of IC-Q moves when the behaviour does. Proposition 1 (v), sharpened.

    Attributes:
        distance: ||Qhat*_w - Qhat*_w'|| in the supremum norm.
        bound: max over (y, a) of ||w(.|y) - w'(.|y)||_1 span eta(., a) / 2, over 1 - beta of the
            aggregated model that eta is not of; the smaller of the two ways round.
        weights: largest ||w(.|y) - w'(.|y)||_1, in [0, 2].
    """

    distance: float
    bound: float
    weights: float


def gap(
    model: FiniteICSMDP,
    behaviour: Float[np.ndarray, "cell action"],
    tolerance: float = TOLERANCE,
) -> Gap:
    """The gap term of a finite model, with every bound on it that theory has.

    Args:
        model: the model, seen through its interface.
        behaviour: probability of each action in each cell, positive for every permitted one.
        tolerance: wanted bound on the error of every solution.

    Raises:
        ModelError: if a permitted action has no chance, the behaviour's chain is not
            irreducible, or (gamma = 1) some policy need not end.
    """
    chances = covering(model, behaviour)
    found, best = aggregated(model, chances, tolerance), optimal(model, tolerance)
    error = best.error + found.solution.error
    if not np.isfinite(error):
        raise ModelError(
            "gap: not available: without discount some policy need not end, so values have no "
            "proved accuracy; give gamma < 1 or let every option end with some chance"
        )
    met = model.mask & (found.stationary > 0)[:, None]
    spread = _spread(model, found)
    residual = np.where(met, spread.residual(found.value), 0.0)
    deployed = found.policy[model.cell]
    state = np.arange(model.n_states)
    # Any greedy policy of Q* serves; pihat where it is one, which closes the sandwich.
    near = best.q[state, deployed] >= best.value - 2 * error
    oracle = np.where(near, deployed, best.policy)
    errors = replace(model, reward=residual)
    lower = np.where(met, evaluate(errors, deployed, tolerance).q, 0.0)
    upper = np.where(met, evaluate(errors, oracle, tolerance).q, 0.0)
    worth = evaluate(model, deployed, tolerance).value
    return Gap(
        optimal=best,
        aggregated=found,
        contraction=model.contraction,
        met=met,
        visits=found.stationary[:, None] * policy_of_cells(model, chances),
        residual=residual,
        difference=_minus(met, best.q, found.q[model.cell]),
        lower=lower,
        upper=upper,
        loss=np.where(found.stationary > 0, best.value - worth, 0.0),
        loss_upper=upper[state, oracle] - lower[state, deployed],
        mismatch=_mismatch(spread, found.value),
        exact=is_exact(model),
        error=float(error),
    )


def drift(
    model: FiniteICSMDP,
    behaviour: Float[np.ndarray, "cell action"],
    other: Float[np.ndarray, "cell action"],
    tolerance: float = TOLERANCE,
) -> Drift:
    """How far apart the aggregated fixed points of two behaviours are, and the bound on it.

    Args:
        model: the model, seen through its interface.
        behaviour: probability of each action in each cell, positive for every permitted one.
        other: the same of another behaviour.
        tolerance: wanted bound on the error of either fixed point.

    Raises:
        ModelError: as `gap`, or if beta is 1.
    """
    one, two = (aggregated(model, covering(model, b), tolerance) for b in (behaviour, other))
    apart = np.bincount(model.cell, weights=np.abs(one.weights - two.weights))
    bounds = []
    for found, against in ((one, two), (two, one)):
        eta = _spread(model, found).residual(found.value)
        moved = apart[:, None] / 2 * spans_in_cells(model, eta)
        bounds.append(float(moved.max()) * horizon(against.contraction))
    mask = model.cell_mask
    distance = float(np.abs(one.q[mask] - two.q[mask]).max())
    return Drift(distance, min(bounds), float(apart.max()))


def is_exact(model: FiniteICSMDP) -> bool:
    """(X): whether rewards and kernels into cells are functions of (cell, action), up to rounding.

    Whether it holds depends on no behaviour. Theory, section 5.
    """
    leader = np.zeros(model.n_cells, np.int64)
    leader[model.cell[::-1]] = np.arange(model.n_states)[::-1]
    first = leader[model.cell]
    rewards = np.abs(model.reward - model.reward[first])
    scale = max(1.0, float(np.abs(model.reward).max()))
    rows = (first[:, None] * model.n_actions + np.arange(model.n_actions)).ravel()
    into = into_cells(model)
    kernels = np.asarray(abs(into - into[rows]).sum(axis=1))
    return bool(rewards.max() <= ROUNDING * scale and kernels.max(initial=0.0) <= ROUNDING)


def covering(
    model: FiniteICSMDP, behaviour: Float[np.ndarray, "cell action"]
) -> Float[np.ndarray, "cell action"]:
    """The behaviour, checked to give every permitted action of every cell a chance.

    Raises:
        ModelError: naming the cell and the action that has none.
    """
    chances = as_table(model.cell_mask, behaviour, "cell")
    missing = model.cell_mask & ~(chances > 0)
    if missing.any():
        cell, action = np.argwhere(missing)[0]
        raise ModelError(
            f"behaviour: cell {cell} never takes action {action}, so its value is never learnt; "
            "give every permitted action a chance"
        )
    return chances


def horizon(contraction: float) -> float:
    """1 / (1 - beta).

    Raises:
        ModelError: if beta is 1 up to rounding, or no number in [0, 1].
    """
    if not 0 <= contraction <= 1 + SLACK:
        raise ModelError(f"bound: contraction {contraction:g} is not in [0, 1)")
    if contraction >= 1 - SLACK:
        raise ModelError(
            "bound: not available: the contraction is 1 (an option that neither discounts nor "
            "ends); give gamma < 1 or let every option end with some chance"
        )
    return 1 / (1 - contraction)


def into_cells(model: FiniteICSMDP) -> sparse.csr_array:
    """Gam_psi: discounted weight from each row s * A + a into each cell."""
    row = np.repeat(np.arange(model.mask.size), np.diff(model.indptr))
    return sparse.coo_array(
        (model.discounted, (row, model.cell[model.successor])),
        shape=(model.mask.size, model.n_cells),
    ).tocsr()


def between_cells(model: FiniteICSMDP, found: Aggregated) -> sparse.csr_array:
    """Gamhat: discounted weight from each row y * A + a of the aggregated model into each cell."""
    merged = found.kernel
    return sparse.csr_array(
        (merged.weight, merged.successor.astype(np.int64), merged.indptr.astype(np.int64)),
        shape=(model.n_cells * model.n_actions, model.n_cells),
    )


def spans_in_cells(
    model: FiniteICSMDP, values: Float[np.ndarray, "state action"]
) -> Float[np.ndarray, "cell action"]:
    """Largest less smallest value over the states of each cell, for each action."""
    top = np.full(model.cell_mask.shape, -np.inf)
    bottom = np.full(model.cell_mask.shape, np.inf)
    np.maximum.at(top, model.cell, values)
    np.minimum.at(bottom, model.cell, values)
    apart: np.ndarray = top - bottom
    return apart


@dataclass(frozen=True, eq=False)
class _Spread:
    """Rewards and kernels less their weighted means in the cell: r - rhat, Gam_psi - Gamhat."""

    reward: Float[np.ndarray, "state action"]
    kernel: sparse.csr_array

    def residual(self, value: Float[np.ndarray, " cell"]) -> Float[np.ndarray, "state action"]:
        """Eta for values of cells: centred whatever the accuracy of the values."""
        change: np.ndarray = self.reward + (self.kernel @ value).reshape(self.reward.shape)
        return change


def _spread(model: FiniteICSMDP, found: Aggregated) -> _Spread:
    n_actions = model.n_actions
    row = (model.cell[:, None] * n_actions + np.arange(n_actions)).ravel()
    rewards = _minus(model.mask, model.reward, found.kernel.reward[model.cell])
    return _Spread(rewards, into_cells(model) - between_cells(model, found)[row])


def _minus(mask: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The difference where permitted, else 0; both may be -inf where not permitted."""
    change: np.ndarray = np.subtract(left, right, out=np.zeros(mask.shape), where=mask)
    return change


def _mismatch(spread: _Spread, value: Float[np.ndarray, " cell"]) -> Mismatch:
    shape = spread.reward.shape
    reward = np.abs(spread.reward)
    kernel = np.asarray(abs(spread.kernel).sum(axis=1)).reshape(shape)
    mass = np.abs(np.asarray(spread.kernel.sum(axis=1))).reshape(shape)
    half, middle = (value.max() - value.min()) / 2, (value.max() + value.min()) / 2
    residual = reward + half * kernel + abs(middle) * mass
    return Mismatch(*(float(array.max()) for array in (reward, kernel, mass, residual)))
