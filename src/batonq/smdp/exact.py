"""The oracle: optimal Q of the full model, the aggregated fixed point, the value of a policy.

All three are fixed points of one Bellman operator over one kernel format and come from one
solver: modified policy iteration with Gauss-Seidel sweeps. Theory, sections 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from batonq.base.errors import ModelError
from batonq.smdp.chain import stationary
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import as_table
from batonq.smdp.sweeps import LOSSLESS, Kernel, back_up, improve, kernel, settle

TOLERANCE: Final = 1e-10
MAX_SWEEPS: Final = 100_000
DENSE_LIMIT: Final = 300  # nodes up to which a policy may be evaluated by a dense solution
HORIZON_SWEEPS: Final = 1_000
SETTLE_SWEEPS: Final = 100  # most sweeps of one policy between two improvements
SETTLE_SHARE: Final = 0.05  # a policy is settled to this share of the last improvement
PATIENCE: Final = 10  # evaluations that may fail to halve the change


@dataclass(frozen=True, eq=False)
class Solution:
    """A fixed point over nodes: the states of a model, or its cells.

    Attributes:
        q: value of taking an action and then following the policy; -inf where not permitted, so
            compare tables on `q[mask]`.
        value: value of each node.
        policy: first action of largest `q` in each node.
        residual: largest change that one more backup of the values before the last made.
        error: proved bound on max |q - true q| and max |value - true value|, rounding included;
            infinite where neither discount nor termination gives one.
        sweeps: sweeps made.
    """

    q: Float[np.ndarray, "node action"]
    value: Float[np.ndarray, " node"]
    policy: Int[np.ndarray, " node"]
    residual: float
    error: float
    sweeps: int


@dataclass(frozen=True, eq=False)
class Aggregated:
    """The fixed point that IC-Q converges to under a fixed behaviour. Theory, section 2.1.

    Attributes:
        stationary: law d of the state at a decision epoch under the behaviour, with restarts.
        weights: w(s | y) = d(s) / d(cell of s).
        kernel: the aggregated model, nodes being cells.
        solution: its optimal Q over cells.
    """

    stationary: Float[np.ndarray, " state"]
    weights: Float[np.ndarray, " state"]
    kernel: Kernel
    solution: Solution

    @property
    def q(self) -> Float[np.ndarray, "cell action"]:
        """Qhat* over cells; -inf where an action is not permitted."""
        return self.solution.q

    @property
    def value(self) -> Float[np.ndarray, " cell"]:
        """Largest Qhat* of each cell."""
        return self.solution.value

    @property
    def policy(self) -> Int[np.ndarray, " cell"]:
        """First greedy action of each cell."""
        return self.solution.policy

    @property
    def contraction(self) -> float:
        """Modulus of the aggregated operator, at most that of the full model."""
        return self.kernel.contraction


def kernel_of(model: FiniteICSMDP) -> Kernel:
    """The discounted kernel of the full model."""
    return kernel(model.indptr, model.successor, model.discounted, model.reward, model.mask)


def optimal(model: FiniteICSMDP, tolerance: float = TOLERANCE) -> Solution:
    """Optimal Q of the full model: of an oracle that sees every state.

    With gamma = 1 the model must end: see `solve`.

    Args:
        model: the model.
        tolerance: wanted bound on max |q - Q*|.

    Raises:
        ModelError: if there is no convergence, saying why.
    """
    return solve(kernel_of(model), tolerance)


def evaluate(
    model: FiniteICSMDP,
    policy: Float[np.ndarray, "state action"] | Int[np.ndarray, " state"],
    tolerance: float = TOLERANCE,
) -> Solution:
    """Q and value of a policy of states; `policies.policy_of_cells` lifts one of cells.

    Args:
        model: the model.
        policy: probabilities, shape (S, A), or one action a state, shape (S,).
        tolerance: wanted bound on max |value - V^policy|.

    Raises:
        ModelError: if a row is no law over the permitted actions, or there is no convergence.
    """
    table = as_table(model.mask, policy, "state")
    full = kernel_of(model)
    chances = np.repeat(table.ravel(), np.diff(full.indptr))
    followed = Kernel(
        indptr=np.ascontiguousarray(full.indptr[:: model.n_actions]),
        successor=full.successor,
        weight=full.weight * chances,
        reward=(table * model.reward).sum(axis=1, keepdims=True),
    )
    found = solve(followed, tolerance)
    q = np.empty(full.reward.shape)
    back_up(full.indptr, full.successor, full.weight, full.reward, found.value, q)
    greedy = q.argmax(axis=1)
    return Solution(q, found.value, greedy, found.residual, found.error, found.sweeps)


def aggregated(
    model: FiniteICSMDP,
    behaviour: Float[np.ndarray, "cell action"],
    tolerance: float = TOLERANCE,
) -> Aggregated:
    """Qhat*: the fixed point of soft aggregation by the stationary law of a behaviour.

    Args:
        model: the model, seen through its interface.
        behaviour: probability of each action in each cell.
        tolerance: wanted bound on max |q - Qhat*|, the stationary law taken as exact.

    Raises:
        ModelError: if the behaviour's chain is not irreducible, or there is no convergence.
    """
    law = stationary(model, behaviour)
    in_cell = np.bincount(model.cell, weights=law, minlength=model.n_cells)
    weights = law / in_cell[model.cell]
    n_cells, n_actions = model.n_cells, model.n_actions
    state, action = np.divmod(np.arange(model.mask.size), n_actions)
    row = np.repeat(model.cell[state] * n_actions + action, np.diff(model.indptr))
    weight = model.discounted * np.repeat(weights[state], np.diff(model.indptr))
    merged = sparse.coo_array(
        (weight, (row, model.cell[model.successor])), shape=(n_cells * n_actions, n_cells)
    ).tocsr()
    reward = np.zeros((n_cells, n_actions))
    np.add.at(reward, model.cell, weights[:, None] * model.reward)
    cells = kernel(merged.indptr, merged.indices, merged.data, reward, model.cell_mask)
    return Aggregated(law, weights, cells, solve(cells, tolerance))


def solve(problem: Kernel, tolerance: float = TOLERANCE, max_sweeps: int = MAX_SWEEPS) -> Solution:
    """The fixed point of Q = r + Gam max Q, by modified policy iteration with Gauss-Seidel sweeps.

    An in-place sweep is a sup-norm contraction with modulus beta and the same fixed point, so a
    sweep that changes c leaves an error of at most c beta / (1 - beta). Evaluations of a policy,
    by sweeps or, where those make little headway and the problem is small, by a dense solution,
    only speed this up: when they fail to halve the change, plain sweeps, which contract whatever
    came before, do so alone.

    Without discount 1 / (1 - beta) gives way to the longest expected number of epochs under any
    policy. If that is not found, perhaps because some policy never ends, plain sweeps from 0 go
    on until they change less than `tolerance`; no bound is given, and a loop without reward keeps
    the value it has as a limit from 0.

    Args:
        problem: rewards and discounted weights.
        tolerance: wanted bound on the error; what rounding forbids is reported in `error`.
        max_sweeps: sweeps of improvement after which to give up.

    Raises:
        ModelError: if `tolerance` is negative or the sweeps do not converge, saying why.
    """
    if not tolerance >= 0:
        raise ModelError(f"tolerance: {tolerance} is negative; give 0 or more")
    arrays = (problem.indptr, problem.successor, problem.weight, problem.reward)
    horizon = _horizon(problem)
    patience, wanted = (PATIENCE, tolerance / horizon) if horizon < np.inf else (0, tolerance)
    rounding = _rounding(problem)
    value = np.zeros(len(problem.reward))
    policy = np.zeros(len(value), np.int64)
    scratch = np.empty((2, len(value)))
    mark, tries, settled = np.inf, 0, 0
    for sweep in range(max_sweeps):
        change = improve(*arrays, value, policy, sweep % 2 == 0)
        if change <= max(wanted, rounding * (1 + np.abs(value).max())):
            break
        if change <= mark / 2:
            mark, tries = change, 0
        if tries < patience:
            tries += 1
            if tries > 2 and len(value) <= DENSE_LIMIT:
                value = _value_of(problem, policy)
            else:
                goal = SETTLE_SHARE * change
                settled += settle(*arrays, policy, value, scratch, goal, SETTLE_SWEEPS)
    else:
        node = int(np.argmax(np.abs(value)))
        raise ModelError(
            f"exact: {max_sweeps} sweeps still change the values by {change:.3g} (state or cell "
            f"{node} has reached {value[node]:.6g}); give a smaller gamma, a larger tolerance, or "
            "an end to every loop"
        )
    q = np.empty(problem.reward.shape)
    back_up(*arrays, value, q)
    greedy = q.argmax(axis=1)
    best = np.take_along_axis(q, greedy[:, None], axis=1)[:, 0]
    residual = float(np.abs(best - value).max())
    error = horizon * (residual + rounding * (1 + np.abs(value).max()))
    return Solution(q, best, greedy, residual, float(error), sweep + 1 + settled)


def _value_of(problem: Kernel, policy: Int[np.ndarray, " node"]) -> Float[np.ndarray, " node"]:
    """Value of a policy by a dense solution."""
    n_nodes, n_actions = problem.reward.shape
    rows = sparse.csr_array(
        (problem.weight, problem.successor.astype(np.int64), problem.indptr.astype(np.int64)),
        shape=(n_nodes * n_actions, n_nodes),
    )
    taken = np.arange(n_nodes) * n_actions + policy
    value: np.ndarray = np.linalg.solve(
        np.eye(n_nodes) - rows[taken].toarray(), problem.reward.ravel()[taken]
    )
    return value


def _horizon(problem: Kernel) -> float:
    """A bound on the expected discounted number of epochs left, from any node by any policy.

    Without discount: sweeps from 0 for a reward of 1 an epoch keep w <= T w; once a sweep adds at
    most 1/2, 2 w >= 1 + Gam 2 w for every action, which bounds the number by 2 max w. Infinite if
    that takes too long to find.
    """
    if problem.contraction < 1 - LOSSLESS:
        return 1 / (1 - problem.contraction)
    ones = np.where(np.isfinite(problem.reward), 1.0, -np.inf)
    epochs = np.zeros(len(ones))
    policy = np.zeros(len(ones), np.int64)
    arrays = (problem.indptr, problem.successor, problem.weight, ones)
    for sweep in range(HORIZON_SWEEPS):
        if improve(*arrays, epochs, policy, sweep % 2 == 0) <= 0.5:
            return 2 * float(epochs.max())
    return np.inf


def _rounding(problem: Kernel) -> float:
    """Bound on the rounding error of the difference of two backups, over 1 + the largest value."""
    widest = int(np.diff(problem.indptr).max())
    largest = np.abs(problem.reward[np.isfinite(problem.reward)]).max()
    return float(2 * (widest + 2) * np.finfo(np.float64).eps * max(1.0, largest))
