"""Exact solver against quantecon's DiscreteDP: same random problem, same accuracy.

quantecon wants one discount and stochastic rows. With gamma_0 the largest row sum of Gam, its
rows are Gam / gamma_0, the missing mass goes to an absorbing state of reward 0, and its discount
is gamma_0. It gets sparse state-action pairs and its own modified policy iteration, the best of
its methods here, at the best of several numbers of evaluation steps. Both solve to 1e-6 in sup
norm by their own stopping rule; residuals and the difference are then measured by one function.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float
from quantecon.markov import DiscreteDP
from scipy import sparse

from batonq.smdp.exact import Solution, kernel_of, solve
from batonq.smdp.families import random_model
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.sweeps import Kernel

ACCURACY: Final = 1e-6
STEPS: Final = (10, 20, 40, 80)  # of evaluation, for quantecon; 20 is its default
PROBLEMS: Final = ((0.95, (1.0, 8.0)), (0.99, (1.0, 2.0)))  # gamma, range of mean durations

T = TypeVar("T")
Timed: TypeAlias = tuple[T, float]  # a result and the seconds it took


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows for each size and problem."""
    sizes = (1_000,) if quick else (1_000, 100_000)
    repeats = 1 if quick else 5
    return [_compare(size, *problem, repeats) for size in sizes for problem in PROBLEMS]


@dataclass(frozen=True, eq=False)
class Problem:
    """One problem for both: the kernel, and the same as a sparse matrix of (row, successor)."""

    kernel: Kernel
    matrix: sparse.csr_array

    def q(self, value: Float[np.ndarray, " state"]) -> Float[np.ndarray, "state action"]:
        """One backup of `value`, by SciPy."""
        reward = self.kernel.reward
        backed_up: np.ndarray = reward + (self.matrix @ value).reshape(reward.shape)
        return backed_up

    def residual(self, value: Float[np.ndarray, " state"]) -> float:
        """Largest change that one backup makes."""
        return float(np.abs(self.q(value).max(axis=1) - value).max())


def _compare(
    n_states: int, gamma: float, means: tuple[float, float], repeats: int
) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    small = _problem(random_model(rng))
    solve(small.kernel, ACCURACY)  # compiles, as the next line does
    _solve_theirs(_discrete_dp(small), STEPS[0])
    model = random_model(rng, n_cells=n_states, gamma=gamma, mean_duration=means)
    problem, ours_setup = _timed(lambda: _problem(model))
    peer, theirs_setup = _timed(lambda: _discrete_dp(problem))
    ours: list[Timed[Solution]] = []
    theirs: list[tuple[Timed[np.ndarray], int]] = []
    for _ in range(repeats):  # in turn, so that a busy machine is busy for both
        ours.append(_timed(lambda: solve(problem.kernel, ACCURACY)))
        theirs += [(_timed(partial(_solve_theirs, peer, steps)), steps) for steps in STEPS]
    found, ours_time = min(ours, key=lambda timed: timed[1])
    (value, theirs_time), steps = min(theirs, key=lambda trial: trial[0][1])
    difference = float(np.abs(problem.q(value) - found.q).max())
    assert difference <= ACCURACY, f"the two solutions differ by {difference}"
    return {
        "states": n_states,
        "contraction": problem.kernel.contraction,
        "ours": ours_time,
        "quantecon": theirs_time,
        "ratio": theirs_time / ours_time,
        "quantecon_steps": steps,
        "ours_setup": ours_setup,
        "quantecon_setup": theirs_setup,
        "ours_residual": problem.residual(found.value),
        "quantecon_residual": problem.residual(value),
        "difference": difference,
    }


def _problem(model: FiniteICSMDP) -> Problem:
    kernel = kernel_of(model)
    assert kernel.contraction < 1  # which sums the rows, as `solve` would
    shape = (model.n_states * model.n_actions, model.n_states)
    return Problem(kernel, sparse.csr_array((kernel.weight, model.successor, model.indptr), shape))


def _discrete_dp(problem: Problem) -> DiscreteDP:
    n_rows, n_states = problem.matrix.shape
    beta = problem.kernel.contraction
    rows = problem.matrix / beta
    missing = np.maximum(0.0, 1 - rows.sum(axis=1))
    columns = sparse.hstack([rows, sparse.csr_array(missing[:, None])])
    absorbing = sparse.csr_array(([1.0], ([0], [n_states])), shape=(1, n_states + 1))
    chances = sparse.vstack([columns, absorbing])
    state, action = np.divmod(np.arange(n_rows), n_rows // n_states)
    return DiscreteDP(
        np.append(problem.kernel.reward.ravel(), 0.0),
        sparse.csr_matrix(chances),
        beta,
        np.append(state, n_states),
        np.append(action, 0),
    )


def _solve_theirs(peer: DiscreteDP, steps: int) -> Float[np.ndarray, " state"]:
    # quantecon's value is within epsilon / 2 of the optimum.
    found = peer.solve(method="mpi", epsilon=2 * ACCURACY, k=steps, max_iter=100_000)
    value: np.ndarray = found.v[:-1]
    return value


def _timed(work: Callable[[], T]) -> Timed[T]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
